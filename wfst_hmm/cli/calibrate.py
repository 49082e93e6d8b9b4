"""``calibrate``: confidences that fit a graph and its model.

In: a graph, and speech whose words are known. Out: ``confidence.json`` beside the graph.

Public names: `calibrate`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.output import report
from wfst_hmm.cli.parameters import (
    SEARCH,
    AcousticScale,
    Beam,
    Channel,
    GraphFolder,
    Json,
    LatticeBeam,
    MaxActive,
    MinActive,
    ModelOfGraph,
    Raw,
    Resample,
    Retries,
    Threads,
)
from wfst_hmm.cli.recognition import spoken
from wfst_hmm.cli.shell import print_json, progress, say
from wfst_hmm.search.options import SearchOptions

if TYPE_CHECKING:
    from wfst_hmm.apps.recognize import Outcome

__all__ = ["calibrate"]


def calibrate(
    graph: GraphFolder,
    data: Annotated[
        Path, typer.Argument(help="Data directory or manifest that training has not seen.")
    ],
    model: ModelOfGraph = None,
    beam: Beam = SEARCH.beam,
    max_active: MaxActive = SEARCH.max_active,
    min_active: MinActive = SEARCH.min_active,
    retries: Retries = SEARCH.retries,
    acoustic_scale: AcousticScale = SEARCH.acoustic_scale,
    lattice_beam: LatticeBeam = SEARCH.lattice_beam,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where to write; by default into the graph directory."),
    ] = None,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Fit confidences to speech whose words are known.

    Afterwards a confidence of 0.9 means: right in nine cases of ten.

    Example: wfst-hmm calibrate GRAPH HELD-OUT
    """
    from wfst_hmm.apps.calibration import CALIBRATION_FILE, fit_best_scale, judge
    from wfst_hmm.apps.recognize import decode_corpus
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.errors import DataError
    from wfst_hmm.lattice.answer import AnswerOptions
    from wfst_hmm.lattice.confidence import reliability

    options = SearchOptions(beam=beam, max_active=max_active,
                            min_active=min_active, retries=retries,
                            acoustic_scale=acoustic_scale, lattice_beam=lattice_beam)  # fmt: skip
    recognizer = Recognizer.load(graph, model)
    problems: list[str] = []
    told: set[str] = set()
    corpus = spoken(data, problems, channel, raw)
    answers = AnswerOptions(confidence=False, keep_lattice=True)
    outcomes: list[Outcome] = []
    with progress("decoding") as advance:
        for outcome in decode_corpus(recognizer, corpus, options, answers=answers,
                                     resample=resample, n_threads=threads):  # fmt: skip
            advance(len(outcomes) + 1, len(corpus))
            outcomes.append(outcome)
            report(outcome, problems, told)
    words = judge(outcomes)
    path = out or graph / CALIBRATION_FILE
    try:
        fit = fit_best_scale(words)
    except DataError as error:
        kept = f"{path} stays as it is" if path.exists() else "nothing is written"
        raise DataError(f"{error.what}; {kept}", where=str(data), got=error.got,
                        fix=error.fix) from None  # fmt: skip
    fit.save(path)
    before = reliability(words.at(1.0), words.correct)
    after = reliability(fit(words.at(fit.scale)), words.correct)
    if as_json:
        print_json({"calibration": dataclasses.asdict(fit), "posteriors": before.to_dict(),
                    "confidences": after.to_dict()})  # fmt: skip
        return
    say(f"{fit.n_correct} of {fit.n_words} words right; scale {fit.scale:g}, slope "
        f"{fit.slope:.3f}, offset {fit.offset:.3f}: {path}")  # fmt: skip
    for name, found in (("posteriors", before), ("confidences", after)):
        say(f"{name}: normalized cross entropy {found.nce:.3f}, calibration error {found.ece:.3f}")
