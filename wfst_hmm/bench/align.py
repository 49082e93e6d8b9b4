"""Alignment beside others': PocketSphinx's own, and what people have marked by hand.

In: a folder with recordings, their words (``.txt``), and PocketSphinx's alignments (``.json``) or
labels by hand (``.TextGrid`` with tiers *Text* of words and *Phoneme*).
Out: the share of words that begin within 20 ms of where PocketSphinx says, by its own count of
times; how far beginnings of words and phones lie from the hand's.

Public names: `bench_align`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

import numpy as np

from wfst_hmm.apps.align import align_corpus
from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.formats.sphinx.wheel import en_us
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["bench_align"]

_NEAR = 0.0205  # seconds: 20 ms, and what rounding to milliseconds takes
_TARGET = 90.0
_INTERVAL = re.compile(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "([^"]*)"')
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
    dictionary = read_lexicon(wheel.dictionary)
    name = "en-us" if model is None else Path(model).name
    rows: list[Row] = []
    if beside := _with(folder, ".json"):
        rows.append(_beside_pocketsphinx(_aligned(acoustic, dictionary, beside), folder, name))
    if marked := _with(folder, ".TextGrid"):
        rows += _beside_hand(_aligned(acoustic, dictionary, marked), folder, name)
    if not rows:
        raise DataError("no recordings with alignments", where=str(folder))
    return rows


def _with(folder: Path, suffix: str) -> list[Path]:
    return [path for path in sorted(folder.glob("*.wav")) if path.with_suffix(suffix).is_file()]


def _aligned(model: SpeechModel, lexicon: Lexicon, recordings: list[Path]) -> list[Outcome]:
    corpus = Corpus(tuple(
        Utterance(path.stem, path, tuple(path.with_suffix(".txt").read_text().lower().split()),
                  "reader")
        for path in recordings
    ))  # fmt: skip
    outcomes = list(align_corpus(model, lexicon, corpus, resample=True))
    for outcome in outcomes:
        if outcome.decoded is None:
            raise DataError(outcome.problem or "no alignment", where=outcome.utterance.id)
    return outcomes


def _beside_pocketsphinx(outcomes: list[Outcome], folder: Path, name: str) -> Row:
    away: list[float] = []
    for outcome in outcomes:
        decoded = cast(Decoded, outcome.decoded)
        theirs = _begins(folder / f"{outcome.utterance.id}.json")
        # it counts frame times shift: where a window begins, not where it is
        times = decoded.frame_times()
        starts = np.searchsorted(times, [word.start for word in decoded.words])
        ours = [(w.text, i * decoded.frame_shift)
                for w, i in zip(decoded.words, starts.tolist(), strict=True)]  # fmt: skip
        if [text for text, _ in theirs] != [text for text, _ in ours]:
            raise DataError("other words than PocketSphinx's", where=outcome.utterance.id,
                            got=" ".join(text for text, _ in ours))  # fmt: skip
        away += [abs(a - b) for (_, a), (_, b) in zip(theirs, ours, strict=True)]
    near = sum(distance <= _NEAR for distance in away)
    note = f"{near} of {len(away)} words; median distance {1000 * float(np.median(away)):.0f} ms"
    return Row(f"word beginnings within 20 ms of PocketSphinx's, model {name}", "%",
               100 * near / len(away), target=_TARGET, note=note)  # fmt: skip


def _beside_hand(outcomes: list[Outcome], folder: Path, name: str) -> list[Row]:
    """Compare beginnings of words, and of phones in words of as many phones as were marked."""
    errors: dict[str, list[float]] = {"word": [], "phone": []}
    for outcome in outcomes:
        decoded = cast(Decoded, outcome.decoded)
        path = folder / f"{outcome.utterance.id}.TextGrid"
        words, phones = _marked(path, "Text"), _marked(path, "Phoneme")
        if [text for text, _, _ in words] != [word.text for word in decoded.words]:
            raise DataError("other words than those marked", where=outcome.utterance.id,
                            got=decoded.text)  # fmt: skip
        for word, (_, start, end) in zip(decoded.words, words, strict=True):
            errors["word"].append(word.start - start)
            ours = [p.start for p in decoded.phones
                    if p.start >= word.start and p.end <= word.end]  # fmt: skip
            theirs = [a for _, a, b in phones if a >= start - 1e-3 and b <= end + 1e-3]
            if len(ours) == len(theirs):
                errors["phone"] += [a - b for a, b in zip(ours, theirs, strict=True)]
    rows = []
    offset = cast(Decoded, outcomes[0].decoded).frame_offset
    for what, found in errors.items():
        away = np.array(found)
        early = away - offset  # as if a frame were where its window begins
        near, before = (int((np.abs(e) <= _NEAR).sum()) for e in (away, early))
        rows += [
            Row(f"{what} beginnings behind those by hand, median, model {name}", "ms",
                1000 * float(np.median(away)),
                note=f"{len(away)} {what}s; {1000 * float(np.median(early)):.1f} ms by the "
                "beginnings of windows"),
            Row(f"{what} beginnings within 20 ms of those by hand, model {name}", "%",
                100 * near / len(away), note=f"{near} of {len(away)}; {before} by the beginnings "
                "of windows"),
        ]  # fmt: skip
    return rows


def _marked(path: Path, tier: str) -> list[tuple[str, float, float]]:
    """Return the labels of a tier with their times; a star is a pause."""
    text = path.read_text(encoding="utf-8").partition(f'name = "{tier}"')[2].partition("item [")[0]
    found = _INTERVAL.findall(text)
    if not found:
        raise FormatError("no such tier", where=str(path), expected=tier)
    return [(label.lower(), float(a), float(b)) for a, b, label in found if label.strip(" *")]


def _begins(path: Path) -> list[tuple[str, float]]:
    """Return words, without fillers and variants, and when they begin."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))["w"]
        pairs = [(_VARIANT.sub("", str(word["t"])), float(word["b"])) for word in words]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"no alignment of PocketSphinx ({error})", where=str(path)) from None
    return [(text, begin) for text, begin in pairs if not text.startswith(("<", "["))]
