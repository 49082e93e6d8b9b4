"""Rejection of words that a grammar does not know, on spoken digits.

In: the recordings of the Free Spoken Digit Dataset. Out: rows of error rates.

Every test digit is decoded with four grammars of one out of five digits: half of the trials are
about a digit that the grammar has. Those rejected although they are right to be accepted are
false rejections, the others accepted are false acceptances.

Public names: `bench_reject`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.fsdd import Protocol, make_known, make_unknown
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.bench.digits import DIGIT_LEXICON, DIGIT_OPTIONS
from wfst_hmm.bench.material import need_folder
from wfst_hmm.bench.report import Row
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.graph.phrases import word_list
from wfst_hmm.search.options import FILLER_WEIGHT
from wfst_hmm.search.rejection import Filler
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions

__all__ = ["bench_reject"]

Floats = npt.NDArray[np.float64]


def bench_reject(
    folder: str | Path | None = None,
    *,
    unknown: bool = True,
    options: TrainingOptions = DIGIT_OPTIONS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Train, and decode with grammars that lack half of the digits.

    Parameters
    ----------
    folder : path, optional
        Recordings; by default those of WFST_HMM_SHARED or ``../shared/data``.
    unknown : bool
        Also a speaker whom training never heard, the first of the folds.
    options : TrainingOptions
    progress : callable
        Hears what is being done.

    Raises
    ------
    DataError
        The recordings are not there.
    """
    found = need_folder(folder)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        protocols = [("known speakers", make_known(found, Path(name) / "known"))]
        if unknown:
            fold = make_unknown(found, Path(name) / "unknown")[0]
            protocols.append((f"unknown speaker ({fold.name})", fold))
        for what, protocol in protocols:
            progress(f"{what}: training")
            rows += _rows(what, *_margins(protocol, options))
    return rows


def _margins(protocol: Protocol, options: TrainingOptions) -> tuple[Floats, Floats]:
    """Return the filler's margins of digits that the grammars have, and of those they lack."""
    model = train(protocol.train, DIGIT_LEXICON, None, options)
    corpus = read_corpus(protocol.single)
    filler = Filler(phone_loop(model))
    margins: dict[bool, list[float]] = {True: [], False: []}
    for known in _grammars():
        graph = build_graph(model, DIGIT_LEXICON.restricted(known), word_list(known))
        for outcome in decode_corpus(Recognizer(graph, model), corpus, filler=filler):
            margin = outcome.decoded.filler_margin if outcome.decoded else None
            said = outcome.utterance.words or ()
            margins[said[0] in known].append(np.inf if margin is None else margin)
    return np.array(margins[True]), np.array(margins[False])


def _grammars() -> Iterator[list[str]]:
    words = list(DIGIT_LEXICON.words)
    yield from (words[::2], words[1::2], words[:5], words[5:])


def equal_error_rate(known: Floats, strange: Floats) -> tuple[float, float]:
    """Return the rate at which both kinds of error are alike, and the weight there."""
    weights = np.sort(np.concatenate([known, strange]))
    rejected = np.array([(known > weight).mean() for weight in weights])
    accepted = np.array([(strange <= weight).mean() for weight in weights])
    at = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[at] + accepted[at]) / 2), float(weights[at])


def _rows(what: str, known: Floats, strange: Floats) -> list[Row]:
    rate, weight = equal_error_rate(known, strange)
    wrongly = (known > FILLER_WEIGHT).mean()
    rightly = (strange > FILLER_WEIGHT).mean()
    return [
        Row(f"{what}: equal error rate", "% errors", 100 * rate, less_is_better=True,
            note=f"{len(known)} trials with, {len(strange)} without the digit in the grammar; "
            f"weight {weight:.2f}"),
        Row(f"{what}: rejected at weight {FILLER_WEIGHT:g}", "%", 100 * float(rightly),
            note=f"false rejections {100 * wrongly:.2f} %"),
    ]  # fmt: skip
