"""Whether a confidence of 0.9 means right in nine cases of ten.

In: the recordings of the Free Spoken Digit Dataset, or any speech of several speakers with
transcripts. Out: rows: how good confidences are before and after calibration, the reliability
table, and what lattices hold beside the best path.

Digits: each speaker in turn is left out of the training, and connected digits of that speaker are
decoded with a free loop. Other speech: the en-us model and 72,500 words. The calibration for a
speaker is always fitted on the words of the other speakers; no model has heard any of them.

Public names: `bench_confidence`, `bench_transcription`, `confidence_rows`.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wfst_hmm.apps.calibration import JudgedWords, fit_best_scale, judge
from wfst_hmm.apps.fsdd import make_unknown
from wfst_hmm.apps.recognize import Outcome, corpus_of_inputs, decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.transcription import transcriber
from wfst_hmm.apps.wer import WordErrors, score_words
from wfst_hmm.bench.digits import DIGIT_LEXICON, DIGIT_OPTIONS
from wfst_hmm.bench.material import evenly_spread, need_folder
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import DataError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.lattice.answer import AnswerOptions
from wfst_hmm.lattice.confidence import Reliability, reliability
from wfst_hmm.lattice.consensus import consensus
from wfst_hmm.lattice.oracle import oracle
from wfst_hmm.lattice.stats import lattice_stats
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions

__all__ = ["bench_confidence", "bench_transcription", "confidence_rows"]

_N_BINS = 10


@dataclasses.dataclass
class _Lattices:
    """What the lattices of all speakers hold."""

    best: list[WordErrors] = dataclasses.field(default_factory=list)
    consensus: list[WordErrors] = dataclasses.field(default_factory=list)
    nearest: int = 0
    expected: float = 0.0
    depth: list[float] = dataclasses.field(default_factory=list)

    def add(self, outcome: Outcome, scale: float) -> None:
        said, lattice = outcome.utterance.words or (), outcome.lattice
        if outcome.error is not None:
            raise outcome.error
        if lattice is None or outcome.decoded is None:
            self.best.append(score_words(said, ()))
            self.consensus.append(score_words(said, ()))
            self.nearest += len(said)
            return
        self.best.append(score_words(said, [word.text for word in outcome.decoded.words]))
        agreed = consensus(lattice, scale=scale)
        self.consensus.append(score_words(said, [word.text for word in agreed.words]))
        self.expected += agreed.expected_errors
        found = oracle(lattice, said)
        self.nearest += found.n_errors if found else len(said)
        self.depth.append(lattice_stats(lattice).depth)

    def rows(self) -> list[Row]:
        best, agreed = WordErrors.pool(self.best), WordErrors.pool(self.consensus)
        n = max(best.n_words, 1)
        depth = float(np.mean(self.depth)) if self.depth else 0.0
        return [
            Row("least expected errors (minimum Bayes risk)", "% errors", 100 * agreed.wer,
                100 * best.wer, "best path", less_is_better=True,
                note=f"{agreed.n_errors} and {best.n_errors} of {n} words"),
            Row("nearest path of the lattices (oracle)", "% errors", 100 * self.nearest / n,
                100 * best.wer, "best path", less_is_better=True,
                note=f"{self.nearest} of {n} words; depth {depth:.1f}"),
        ]  # fmt: skip


def bench_confidence(
    folder: str | Path | None = None,
    *,
    speech: str | Path | None = None,
    cache: str | Path | None = None,
    max_utterances: int | None = None,
    options: TrainingOptions = DIGIT_OPTIONS,
    n_threads: int = 1,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Train without each speaker, decode that speaker's digits, calibrate on the others.

    Parameters
    ----------
    folder : path, optional
        Recordings of the Free Spoken Digit Dataset; by default those of WFST_HMM_SHARED or
        ``../shared/data``.
    speech : path, optional
        Instead of digits: speech for `bench_transcription`, which takes `cache` and
        `max_utterances`, too.
    options : TrainingOptions
    n_threads : int
        Of decoding.
    progress : callable, optional
        Hears what is being done.

    Raises
    ------
    DataError
        The recordings are not there.
    """
    if speech is not None:
        return bench_transcription(speech, cache=cache, max_utterances=max_utterances,
                                   n_threads=n_threads, progress=progress)  # fmt: skip
    found = need_folder(folder)
    tell = progress or (lambda text: None)
    lattices, words = _Lattices(), []
    with tempfile.TemporaryDirectory() as name:
        for fold in make_unknown(found, Path(name) / "unknown"):
            tell(f"training without {fold.name}")
            model = train(fold.train, DIGIT_LEXICON, None, options)
            graph = build_graph(model, DIGIT_LEXICON, word_loop(DIGIT_LEXICON.words))
            tell(f"decoding {fold.name}")
            outcomes = list(decode_corpus(
                Recognizer(graph, model), read_corpus(fold.connected),
                answers=AnswerOptions(confidence=False, keep_lattice=True), n_threads=n_threads,
            ))  # fmt: skip
            words.append(judge(outcomes))
            for outcome in outcomes:
                lattices.add(outcome, 1.0)
    return [*confidence_rows(words), *lattices.rows()]


def bench_transcription(
    data: str | Path,
    *,
    cache: str | Path | None = None,
    max_utterances: int | None = None,
    n_threads: int = 1,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Transcribe with the en-us model in one pass; calibrate each speaker on the others.

    Parameters
    ----------
    data : path
        What `apps.recognize.corpus_of_inputs` reads, with transcripts and speakers.
    cache : path, optional
        Where the graph is kept.
    max_utterances : int, optional
        Take so many, evenly spread.
    n_threads : int
    progress : callable, optional

    Raises
    ------
    DataError
        There are fewer than two speakers.
    """
    tell = progress or (lambda text: None)
    corpus = evenly_spread(corpus_of_inputs([data]), max_utterances)
    ready = transcriber(cache=cache, progress=tell)
    tell(f"transcribing {len(corpus)} utterances")
    lattices = _Lattices()
    speakers: dict[str, list[Outcome]] = {}
    for outcome in decode_corpus(
        ready.recognizer, corpus, ready.options, resample=True, n_threads=n_threads,
        answers=AnswerOptions(confidence=False, keep_lattice=True),
    ):  # fmt: skip
        lattices.add(outcome, 1.0)
        speakers.setdefault(outcome.utterance.speaker, []).append(outcome)
    words = [judge(outcomes) for outcomes in speakers.values()]
    return [*confidence_rows(words), *lattices.rows()]


def confidence_rows(speakers: Sequence[JudgedWords]) -> list[Row]:
    """Calibrate the words of each speaker on those of all others, and judge the confidences.

    Parameters
    ----------
    speakers : sequence of JudgedWords
        At least two.

    Raises
    ------
    DataError
        There is one speaker, or none.
    """
    if len(speakers) < 2:
        raise DataError("calibration needs speakers to learn from beside the one to judge",
                        got=len(speakers), expected="two or more")  # fmt: skip
    sure, fits = [], []
    for number, own in enumerate(speakers):
        fit = fit_best_scale(JudgedWords.pool([*speakers[:number], *speakers[number + 1 :]]))
        sure.append(fit(own.at(fit.scale)))
        fits.append(fit)
    everyone = JudgedWords.pool(speakers)
    before = reliability(everyone.at(1.0), everyone.correct, n_bins=_N_BINS)
    after = reliability(np.concatenate(sure), everyone.correct, n_bins=_N_BINS)
    scales = ", ".join(f"{fit.scale:g}" for fit in fits)
    whole = fit_best_scale(everyone)
    fitted = f"scale {whole.scale:g}, slope {whole.slope:.3f}, offset {whole.offset:.3f}"
    rows = [
        Row("normalized cross entropy, calibrated", "NCE", after.nce, before.nce,
            "posteriors", note=f"{after.n_correct} of {after.n_words} words right; scales {scales}; "
            f"all together: {fitted}"),
        Row("expected calibration error, calibrated", "ECE", after.ece, before.ece,
            "posteriors", less_is_better=True),
    ]  # fmt: skip
    return [*rows, *_table("calibrated", after), *_table("posterior", before)]


def _table(name: str, found: Reliability) -> list[Row]:
    return [
        Row(f"{name} {part.low:.1f} to {part.high:.1f}: right", "%", 100 * part.share_correct,
            100 * part.mean_confidence, "mean confidence", note=f"{part.n_words} words")
        for part in found.bins
    ]  # fmt: skip
