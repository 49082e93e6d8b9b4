"""Alignment beside PocketSphinx's own: when words begin, in recordings that it has aligned.

In: a folder with recordings, their words (``.txt``) and PocketSphinx's alignments (``.json``).
Out: the share of words that begin within 20 ms of where it says.

Public names: `bench_align`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from wfst_hmm.apps.align import align_corpus
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.formats.sphinx.wheel import en_us
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["bench_align"]

_NEAR = 0.0205  # seconds: 20 ms, and what rounding to milliseconds takes
_TARGET = 90.0
_VARIANT = re.compile(r"\(\d+\)$")


def bench_align(folder: str | Path, model: str | Path | None = None) -> list[Row]:
    """Align the recordings of a folder.

    Parameters
    ----------
    folder : path
    model : path, optional
        A model directory; by default the en-us model of the pocketsphinx wheel.

    Raises
    ------
    DataError
        There are no recordings with alignments, or one cannot be aligned.
    FormatError
        An alignment is none of PocketSphinx's.
    """
    folder = Path(folder)
    wheel = en_us()
    acoustic: SpeechModel = (
        read_sphinx_model(wheel.acoustic).context_model() if model is None else load_model(model)
    )
    recordings = [path for path in sorted(folder.glob("*.wav"))
                  if path.with_suffix(".json").is_file()]  # fmt: skip
    if not recordings:
        raise DataError("no recordings with alignments", where=str(folder))
    corpus = Corpus(tuple(
        Utterance(path.stem, path, tuple(path.with_suffix(".txt").read_text().lower().split()),
                  "reader")
        for path in recordings
    ))  # fmt: skip
    away: list[float] = []
    for outcome in align_corpus(acoustic, read_lexicon(wheel.dictionary), corpus):
        if outcome.decoded is None:
            raise DataError(outcome.problem or "no alignment", where=outcome.utterance.id)
        theirs = _begins(folder / f"{outcome.utterance.id}.json")
        ours = [(word.text, word.start) for word in outcome.decoded.words]
        if [text for text, _ in theirs] != [text for text, _ in ours]:
            raise DataError("other words than PocketSphinx's", where=outcome.utterance.id,
                            got=" ".join(text for text, _ in ours))  # fmt: skip
        away += [abs(a - b) for (_, a), (_, b) in zip(theirs, ours, strict=True)]
    near = sum(distance <= _NEAR for distance in away)
    note = f"{near} of {len(away)} words; median distance {1000 * float(np.median(away)):.0f} ms"
    name = "en-us" if model is None else Path(model).name
    return [Row(f"word beginnings within 20 ms of PocketSphinx's, model {name}", "%",
                100 * near / len(away), target=_TARGET, note=note)]  # fmt: skip


def _begins(path: Path) -> list[tuple[str, float]]:
    """Return words, without fillers and variants, and when they begin."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))["w"]
        pairs = [(_VARIANT.sub("", str(word["t"])), float(word["b"])) for word in words]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"no alignment of PocketSphinx ({error})", where=str(path)) from None
    return [(text, begin) for text, begin in pairs if not text.startswith(("<", "["))]
