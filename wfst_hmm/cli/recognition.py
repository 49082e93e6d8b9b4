"""``decode``, ``align`` and ``score``: from recordings to words, times and error rates.

In: paths and options. Out: words on stdout, files below ``--out``.

Public names: `align`, `decode`, `inputs`, `score`, `spoken`.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.output import Output, report
from wfst_hmm.cli.parameters import (
    SEARCH,
    AcousticScale,
    Beam,
    Calibration,
    Channel,
    FoldCase,
    Forms,
    GraphFolder,
    Inputs,
    Json,
    LatticeBeam,
    Lattices,
    LexiconSpec,
    MaxActive,
    MinActive,
    ModelOfGraph,
    NBest,
    OnOov,
    Oov,
    Raw,
    Resample,
    ResultsFolder,
    Retries,
    Spoken,
    Threads,
)
from wfst_hmm.cli.shell import fail, print_json, progress, say, warn
from wfst_hmm.cli.word_options import (
    Bias,
    BiasBoost,
    GraphLm,
    LmScale,
    Reject,
    RejectWeight,
    RescoreLm,
    word_options_from,
)
from wfst_hmm.cli.working import Cluster, working
from wfst_hmm.search.options import SearchOptions

if TYPE_CHECKING:
    from wfst_hmm.apps.wer import WordErrors
    from wfst_hmm.errors import WfstHmmError
    from wfst_hmm.graph.oov import OovOptions
    from wfst_hmm.signal.containers import RawFormat
    from wfst_hmm.signal.corpus import Corpus

__all__ = [
    "Cluster",
    "align",
    "decode",
    "inputs",
    "score",
    "spoken",
]


_HELP = {field.name: field.metadata["help"] for field in dataclasses.fields(SearchOptions)}


class Search(str, enum.Enum):
    """The searches by name."""

    auto = "auto"
    beam = "beam"
    exact = "exact"
    compose = "compose"


Silence = Annotated[float, typer.Option(help="Probability of silence between words.")]


def decode(
    graph: GraphFolder,
    audio: Inputs,
    model: ModelOfGraph = None,
    search: Annotated[Search, typer.Option(help=_HELP["search"])] = Search.auto,
    cross_check: Annotated[
        bool, typer.Option("--cross-check", help="Run all three searches and compare; 1 if unlike.")
    ] = False,
    certify: Annotated[bool, typer.Option("--certify", help=_HELP["certify"])] = False,
    beam: Beam = SEARCH.beam,
    max_active: MaxActive = SEARCH.max_active,
    min_active: MinActive = SEARCH.min_active,
    retries: Retries = SEARCH.retries,
    acoustic_scale: AcousticScale = SEARCH.acoustic_scale,
    confidence: Annotated[
        bool | None,
        typer.Option(
            "--confidence/--no-confidence",
            help="Print each word's confidence; or do not compute any.",
        ),
    ] = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt", help="Adapt to every speaker (fMLLR), from a pass over all of them."
        ),
    ] = False,
    nbest: NBest = 0,
    lattice: Lattices = False,
    lattice_beam: LatticeBeam = SEARCH.lattice_beam,
    calibration: Calibration = None,
    form: Forms = None,
    out: ResultsFolder = None,
    bias: Bias = None,
    bias_boost: BiasBoost = 3.0,
    rescore_lm: RescoreLm = None,
    graph_lm: GraphLm = None,
    lm_scale: LmScale = 1.0,
    reject: Reject = None,
    reject_weight: RejectWeight = None,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    threads: Threads = 1,
    cluster: Cluster = "threads",
    as_json: Json = False,
) -> None:
    """Recognize speech.

    With --out, what is done is kept in OUT.journal: a command that was stopped or killed goes on
    there when it is given again.

    Example: wfst-hmm decode GRAPH recording.wav --form srt
    """
    from wfst_hmm.apps.adaptation import AdaptationOptions
    from wfst_hmm.apps.calibration import calibration_of_graph
    from wfst_hmm.cluster.jobs import DecodeJob, prepared, tools_of
    from wfst_hmm.lattice.answer import AnswerOptions
    from wfst_hmm.lattice.confidence import Calibration

    options = SearchOptions(search=search.value, beam=beam, max_active=max_active,
                            min_active=min_active, retries=retries, certify=certify,
                            acoustic_scale=acoustic_scale, lattice_beam=lattice_beam)  # fmt: skip
    output = Output(out, form, as_json, lattice)
    words = word_options_from(
        bias, bias_boost, rescore_lm, graph_lm, lm_scale, reject, reject_weight
    )
    job = prepared(DecodeJob(graph.absolute(), model and model.absolute(), options, cross_check,
                             None, resample, words))  # fmt: skip
    tools = tools_of(job)
    for warning in tools.warnings:
        warn(warning)
    wants_confidence = (
        confidence if confidence is not None else bool(output.forms) or as_json or nbest > 0
    )
    job = dataclasses.replace(
        job,
        answers=AnswerOptions(
            wants_confidence,
            nbest,
            lattice,
            calibration_of_graph(graph, calibration) or Calibration(),
        ),
        adapt=AdaptationOptions() if adapt else None,
    )
    problems: list[str] = []
    told: set[str] = set()
    corpus = inputs(audio, problems, channel, raw)
    output.check(corpus)
    n_unread = len(problems)
    verdicts: collections.Counter[str] = collections.Counter()
    unlike: list[str] = []
    with (
        output,
        working(job, corpus, out, cluster, threads) as work,
        progress("decoding") as advance,
    ):
        for number, outcome in enumerate(work.results(), start=1):
            advance(number, len(corpus))
            report(outcome, problems, told)
            if outcome.check is not None:
                verdicts[outcome.check.verdict] += 1
                unlike += [] if outcome.check.ok else [outcome.utterance.id]
            output.take(outcome, with_confidence=bool(confidence))
        output.finish()
    if cross_check and output.printed is None:
        _print_verdicts(verdicts)
    if unlike:
        raise fail(f"the searches differ on {_some(unlike)}")
    if problems:
        raise fail(f"{len(problems)} of {len(corpus) + n_unread} utterances "
                   "could not be decoded; see above")  # fmt: skip


def inputs(
    paths: list[Path], problems: list[str], channel: int | None, raw: RawFormat | None
) -> Corpus:
    """Read data directories and manifests; what else is named is a recording."""
    from wfst_hmm.apps.recognize import corpus_of_inputs

    return corpus_of_inputs(paths, channel=channel, raw=raw, on_error=_skipping(problems))


def spoken(path: Path, problems: list[str], channel: int | None, raw: RawFormat | None) -> Corpus:
    """Read a data directory or manifest, whose utterances have transcripts."""
    from wfst_hmm.apps.building import corpus_from

    return corpus_from(path, on_error=_skipping(problems)).recorded(channel, raw)


def _skipping(problems: list[str]) -> Callable[[str, WfstHmmError], None]:
    """Return what names an utterance that is left out, and lists it."""

    def skip(id_: str, error: WfstHmmError) -> None:
        problems.append(str(error))
        warn(f"skipped: {error}")

    return skip


def _print_verdicts(verdicts: collections.Counter[str]) -> None:
    counts = [(verdicts[name], name) for name in ("agree", "tie", "differ")]
    say(f"cross-check of {verdicts.total()}: "
               + ", ".join(f"{count} {name}" for count, name in counts))  # fmt: skip


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def align(
    data: Spoken,
    model: Annotated[Path, typer.Option(help="Model directory.")],
    lexicon: LexiconSpec,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    form: Annotated[
        list[str] | None,
        typer.Option("--form", help="ctm, textgrid, srt, vtt, json; may be repeated."),
    ] = None,
    silence_probability: Silence = 0.5,
    on_oov: OnOov = Oov.skip,
    fold_case: FoldCase = False,
    guess: Annotated[bool, typer.Option("--guess", hidden=True)] = False,
    search: Annotated[Search, typer.Option(help="Which search.")] = Search.exact,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    threads: Threads = 1,
    cluster: Cluster = "threads",
    as_json: Json = False,
) -> None:
    """Time the words, phones and states of known transcripts.

    What is done is kept in OUT.journal: a command that was stopped or killed goes on there when it
    is given again.

    Example: wfst-hmm align DATA --model MODEL --lexicon LEX --out ALIGNED --form textgrid
    """
    from wfst_hmm.apps.align import ALIGNMENT_FORMS, alignment_writer
    from wfst_hmm.apps.results import check_folder, check_forms
    from wfst_hmm.cluster.jobs import AlignJob, prepared
    from wfst_hmm.cluster.work import absolute_spec
    from wfst_hmm.graph.lexicon_fst import LexiconOptions
    from wfst_hmm.graph.oov import OovOptions
    from wfst_hmm.models.loading import load_model

    forms = check_forms(form or ALIGNMENT_FORMS)
    check_folder(out)
    problems: list[str] = []
    told: set[str] = set()
    silence = LexiconOptions(silence_probability=silence_probability)
    corpus = spoken(data, problems, channel, raw)
    if guess:
        warn("--guess is now called --on-oov guess")
        on_oov = Oov.guess
    listing = out.parent / f"{out.name}.missing.txt"
    spec, oov = _looked_up(lexicon, corpus, OovOptions(on_oov.value, fold_case, listing=listing),
                           load_model(model).phones, out / "guessed.txt")  # fmt: skip
    job = prepared(AlignJob(model.absolute(), absolute_spec(spec), silence, resample,
                            search.value, oov))  # fmt: skip
    n_done, printed = 0, []
    with (
        alignment_writer(out, forms) as writer,
        working(job, corpus, out, cluster, threads) as work,
        progress("aligning") as advance,
    ):
        for number, outcome in enumerate(work.results(), start=1):
            advance(number, len(corpus))
            report(outcome, problems, told)
            if outcome.decoded is not None:
                writer.add(outcome)
                n_done += 1
            if as_json:
                printed.append(outcome.to_dict())
        written = writer.finish() if n_done else []
    if as_json:
        print_json(printed)
    else:
        shown = ", ".join(path.name for path in written[:4]) + (" ..." if len(written) > 4 else "")
        say(f"aligned {n_done} of {len(corpus)} utterances: {out}: {shown or 'nothing'}")
    if problems:
        raise fail(f"{len(problems)} utterances could not be aligned; see above")


def _looked_up(
    spec: str, corpus: Corpus, oov: OovOptions, phones: Sequence[str], path: Path
) -> tuple[str, OovOptions]:
    """Look up the words of all transcripts, once; return what is left for those who align parts.

    Guesses are written to `path`, and added to the lexicon's specification.
    """
    from wfst_hmm.graph.lexicon import Lexicon
    from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
    from wfst_hmm.graph.oov import OovOptions, places_of, vocabulary

    words = vocabulary(lexicon_from_spec(spec), places_of(corpus), oov, phones=phones)
    words.tell(warn)
    if words.guessed:
        path.parent.mkdir(parents=True, exist_ok=True)
        Lexicon(words.guessed).write(path)
        spec = f"{spec}+{path}"
    folds = oov.fold_case or oov.on_oov == "guess"
    return spec, OovOptions("unk" if oov.on_oov == "unk" else "skip", folds)


def score(
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REF", help="Text, data directory, manifest, trn, stm, ctm or TextGrids."
        ),
    ],
    hypothesis: Annotated[
        Path, typer.Argument(metavar="HYP", help="Results folder, text, trn, ctm or TextGrids.")
    ],
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", help="Compare without case.")
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show the alignment of right utterances, too.")
    ] = False,
    sclite: Annotated[
        bool, typer.Option("--sclite", help="Count as NIST's sclite -D does (4-3-3, no case).")
    ] = False,
    speakers: Annotated[
        bool, typer.Option("--speakers", help="Show the errors of every speaker.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compute the word error rate and show what went wrong.

    Example: wfst-hmm score DATA/text OUT/hyp.txt
    """
    from wfst_hmm.apps.wer import score_files

    scored = score_files(reference, hypothesis, ignore_case=ignore_case, sclite=sclite)
    total = scored.total
    for note in scored.notes:
        warn(note)
    for id_ in scored.missing[:20]:
        warn(f"utterance {id_}: no hypothesis in {hypothesis}; its words count as deleted")
    if len(scored.missing) > 20:
        warn(f"{len(scored.missing) - 20} more utterances without a hypothesis")
    if as_json:
        print_json(total.to_dict() | {"utterances": len(scored.utterances),
                                      "missing": list(scored.missing),
                                      "speakers": {name: errors.to_dict() for name, errors
                                                   in scored.speakers.items()}})  # fmt: skip
        return
    for id_, errors in scored.utterances.items():
        if errors.n_errors or show_all:
            _print_alignment(id_, errors)
    for name, errors in scored.speakers.items() if speakers else ():
        say(f"{name}: WER {100 * errors.wer:.2f} % ({errors.n_errors} of {errors.n_words} words: "
            f"{errors.substitutions} substituted, {errors.deletions} deleted, "
            f"{errors.insertions} inserted)")  # fmt: skip
    say(
        f"WER {100 * total.wer:.2f} % ({total.n_errors} of {total.n_words} words: "
        f"{total.substitutions} substituted, {total.deletions} deleted, {total.insertions} "
        f"inserted); {scored.n_wrong} of {len(scored.utterances)} utterances with errors"
    )


def _print_alignment(id_: str, errors: WordErrors) -> None:
    """Write reference and hypothesis under each other, errors in capitals of their kind."""
    rows: tuple[list[str], list[str], list[str]] = ([], [], [])
    for word in errors.alignment:
        said, heard = word.reference or "*", word.hypothesis or "*"
        mark = {"correct": "", "substitution": "S", "deletion": "D", "insertion": "I"}[word.kind]
        width = max(len(said), len(heard), len(mark))
        for row, text in zip(rows, (said, heard, mark), strict=True):
            row.append(text.ljust(width))
    say(f"{id_}: {errors.n_errors} of {errors.n_words}")
    for name, row in zip(("ref", "hyp", "   "), rows, strict=True):
        say(f"  {name}  {' '.join(row)}".rstrip())
