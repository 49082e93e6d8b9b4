"""Isolated digits: known speakers, and leave one speaker out; us, and hmmlearn on request.

In: the recordings of the Free Spoken Digit Dataset. Out: rows of error rates.

Public names: `bench_words`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.fsdd import TEST_INDICES, Recording, find_recordings
from wfst_hmm.bench.material import digit_features, need, need_folder
from wfst_hmm.bench.report import Row
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.threads import map_threads
from wfst_hmm.models.word_models import WordModels, WordOptions
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = ["bench_words"]

Features = npt.NDArray[np.float32]
#: Trains on features by digit and returns the recognizer of one recording.
Trainer = Callable[[dict[int, list[Features]]], Callable[[Features], int]]

_PEER_FLOOR = 1e-3


def bench_words(
    folder: str | Path | None = None, *, n_threads: int = 1, with_peer: bool = False
) -> list[Row]:
    """Measure error rates of word models with the default options.

    Parameters
    ----------
    folder : path, optional
        Recordings of the Free Spoken Digit Dataset.
    n_threads : int
    with_peer : bool
        Also train hmmlearn's GMMHMM, 5 states of 4 Gaussians, left to right: takes minutes.

    Notes
    -----
    Known speakers: indices 5-9 are the test, from 10 on the training. Leave one speaker out:
    one fold a speaker, errors pooled. Means and variances are normalized per speaker and set.
    """
    found = need_folder(folder)
    recordings = find_recordings(found)
    known = [
        (
            tuple(r for r in recordings if r.index >= TEST_INDICES.stop),
            tuple(r for r in recordings if r.index in TEST_INDICES),
        )
    ]
    speakers = sorted({r.speaker for r in recordings})
    unknown = [
        (
            tuple(r for r in recordings if r.speaker != s),
            tuple(r for r in recordings if r.speaker == s),
        )
        for s in speakers
    ]
    rows = []
    for name, folds, target in (
        ("known speakers", known, 0.5),
        ("leave one speaker out", unknown, 14.0),
    ):
        errors, total = _errors(folds, _train_ours, n_threads)
        rows.append(
            Row(f"isolated digits, {name}", "% errors", 100 * errors / total, target=target,
                less_is_better=True, note=f"{errors} of {total}")
        )  # fmt: skip
        if with_peer:
            _, peer = need("hmmlearn.hmm", "hmmlearn")
            theirs, _ = _errors(folds, _train_peer, n_threads)
            rows.append(
                Row(f"isolated digits, {name}", "% errors", 100 * errors / total,
                    100 * theirs / total, f"{peer} GMMHMM 5x4", less_is_better=True,
                    note=f"{errors} against {theirs} of {total}")
            )  # fmt: skip
    return rows


def _errors(
    folds: Sequence[tuple[tuple[Recording, ...], tuple[Recording, ...]]],
    train: Trainer,
    n_threads: int,
) -> tuple[int, int]:
    def fold(sets: tuple[tuple[Recording, ...], tuple[Recording, ...]]) -> tuple[int, int]:
        training, test = sets
        examples: dict[int, list[Features]] = {}
        for recording, features in zip(training, digit_features(training), strict=True):
            examples.setdefault(recording.digit, []).append(features)
        recognize = train(examples)
        wrong = sum(
            recognize(features) != recording.digit
            for recording, features in zip(test, digit_features(test), strict=True)
        )
        return wrong, len(test)

    results = map_threads(fold, folds, n_threads)
    return sum(w for w, _ in results), sum(n for _, n in results)


def _train_ours(examples: dict[int, list[Features]]) -> Callable[[Features], int]:
    features = FeatureOptions(rate=8000, cmvn="speaker", cmvn_variance=True)
    models = WordModels.train({str(d): e for d, e in examples.items()}, features, WordOptions())
    return lambda x: int(models.recognize(x).word)


def _train_peer(examples: dict[int, list[Features]]) -> Callable[[Features], int]:
    hmmlearn, _ = need("hmmlearn.hmm", "hmmlearn")
    logging.getLogger("hmmlearn").setLevel(logging.CRITICAL)
    models: dict[int, Any] = {}
    for digit, sequences in examples.items():
        chain = Chain.left_to_right(5)
        model = hmmlearn.GMMHMM(5, 4, covariance_type="diag", n_iter=10, min_covar=_PEER_FLOOR,
                                params="tmcw", init_params="mcw", random_state=0)  # fmt: skip
        model.startprob_, model.transmat_ = chain.initial.copy(), chain.transitions.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(np.concatenate(sequences).astype(np.float64), [len(s) for s in sequences])
        models[digit] = model
    digits = sorted(models)
    return lambda x: digits[int(np.argmax([models[d].score(x.astype(np.float64)) for d in digits]))]
