"""`GmmHmm` and `GaussianHmm` beside hmmlearn's.

In: features of one word. Out: rows: training and scoring speed, and how far the numbers are
apart.

Public names: `bench_hmm`.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.bench.material import find_material, need
from wfst_hmm.bench.report import Row, best_seconds
from wfst_hmm.models.bank import Bank
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GaussianHmm, GmmHmm

__all__ = ["bench_hmm"]

Sequences = list[npt.NDArray[np.float64]]

_TINY_FLOOR = 1e-9  # no floor on either side, so that both do the same arithmetic
_DIGIT = 7


def bench_hmm(
    folder: str | Path | None = None,
    *,
    n_states: int = 5,
    n_mixtures: int = 4,
    n_iterations: int = 5,
    threads: tuple[int, ...] = (1, 2),
    repeat: int = 3,
    max_sequences: int | None = None,
) -> list[Row]:
    """Measure left-to-right word models: same data, same start, same number of iterations.

    Parameters
    ----------
    folder : path, optional
        Recordings of the Free Spoken Digit Dataset; all of one digit are used.
    n_states, n_mixtures, n_iterations : int
    threads : tuple of int
        Ours; hmmlearn has none of its own, its matrix products get as many.
    repeat : int
        The best of so many turns counts.
    max_sequences : int, optional
        Use no more of them.
    """
    hmmlearn, peer = need("hmmlearn.hmm", "hmmlearn")
    pools, _ = need("threadpoolctl", "threadpoolctl")
    logging.getLogger("hmmlearn").setLevel(logging.CRITICAL)  # it warns that 5 passes are few
    sequences = find_material(folder).sequences[_DIGIT][:max_sequences]
    rows = []
    for size in (n_mixtures, 1):
        name = f"GmmHmm {n_states}x{size}" if size > 1 else f"GaussianHmm {n_states}"
        start = GmmHmm(n_states, size, floor=_TINY_FLOOR)
        start.fit(sequences, 2)
        bank = start.bank
        rows += _same_numbers(hmmlearn, peer, name, bank, sequences)
        for n_threads in threads:
            rows += _speeds(hmmlearn, pools, peer, name, bank, sequences, n_iterations,
                            n_threads, repeat)  # fmt: skip
    return rows


def _ours(bank: Bank) -> GmmHmm:
    n, size = bank.weights.shape
    if size == 1:
        return GaussianHmm(n, means=bank.means[:, 0], covars=bank.covars[:, 0], floor=_TINY_FLOOR)
    return GmmHmm(n, size, weights=bank.weights, means=bank.means, covars=bank.covars,
                  floor=_TINY_FLOOR)  # fmt: skip


def _theirs(hmmlearn: Any, bank: Bank, n_iterations: int) -> Any:
    n, size = bank.weights.shape
    common = {"covariance_type": "diag", "n_iter": n_iterations, "tol": -np.inf, "min_covar": 0,
              "init_params": ""}  # fmt: skip
    if size == 1:
        model = hmmlearn.GaussianHMM(n, covars_prior=0, covars_weight=0, **common)
        model.means_, model.covars_ = bank.means[:, 0].copy(), bank.covars[:, 0].copy()
    else:
        model = hmmlearn.GMMHMM(n, size, **common)
        model.weights_, model.means_ = bank.weights.copy(), bank.means.copy()
        model.covars_ = bank.covars.copy()
    chain = Chain.left_to_right(n)
    model.startprob_, model.transmat_ = chain.initial.copy(), chain.transitions.copy()
    return model


def _fit(model: Any, sequences: Sequences) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(np.concatenate(sequences), [len(s) for s in sequences])


def _same_numbers(
    hmmlearn: Any, peer: str, name: str, bank: Bank, sequences: Sequences
) -> list[Row]:
    ours, theirs = _ours(bank), _theirs(hmmlearn, bank, 1)
    scores, others = (np.array([m.score(s) for s in sequences]) for m in (ours, theirs))
    gamma = float(np.abs(ours.score_samples(sequences[0])[1]
                         - theirs.score_samples(sequences[0])[1]).max())  # fmt: skip
    before = np.array(ours.means)
    ours.fit(sequences, 1)
    _fit(theirs, sequences)
    covars = np.array(ours.covars)
    if bank.weights.shape[1] > 1:
        # GMMHMM takes its new covariances about the old means; so added up they are alike.
        covars += (ours.means - before) ** 2
        wanted = theirs.covars_
    else:
        wanted = np.array([np.diag(c) for c in theirs.covars_])
    away = max(_apart(ours.means, theirs.means_), _apart(covars, wanted),
               _apart(ours.chain.transitions, theirs.transmat_))  # fmt: skip
    return [
        Row(f"{what}, {name}", "relative difference", value, peer=peer, target=1e-6,
            less_is_better=True)
        for what, value in (("log-likelihoods", _apart(scores, others)), ("posteriors", gamma),
                            ("parameters after one iteration", away))
    ]  # fmt: skip


def _apart(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def _speeds(
    hmmlearn: Any, pools: Any, peer: str, name: str, bank: Bank, sequences: Sequences,
    n_iterations: int, n_threads: int, repeat: int,
) -> list[Row]:  # fmt: skip
    n_frames = sum(len(s) for s in sequences)
    ours, theirs = _ours(bank), _theirs(hmmlearn, bank, 1)
    _ours(bank).fit(sequences[:10], 1, n_threads=n_threads)  # compiles what is not yet compiled
    ours.score(sequences[0])
    ours.score_all(sequences[:2])

    def limited(n_blas: int, work: Any) -> Any:
        return lambda: pools.threadpool_limits(n_blas), work

    ours_s, theirs_s = best_seconds(
        limited(1, lambda: _ours(bank).fit(sequences, n_iterations, n_threads=n_threads)),
        limited(n_threads, lambda: _fit(_theirs(hmmlearn, bank, n_iterations), sequences)),
        repeat=repeat,
    )
    x, lengths = np.concatenate(sequences), [len(s) for s in sequences]
    score_s, peer_score_s = best_seconds(
        limited(1, lambda: ours.score_all(sequences, n_threads=n_threads)),
        limited(n_threads, lambda: theirs.score(x, lengths)),
        repeat=repeat,
    )
    single_s, peer_single_s = best_seconds(
        limited(n_threads, lambda: [ours.score(s) for s in sequences]),
        limited(n_threads, lambda: [theirs.score(s) for s in sequences]),
        repeat=repeat,
    )
    threads = f"{n_threads} thread{'s' * (n_threads > 1)}"
    mixture = bank.weights.shape[1] > 1
    work = n_frames * n_iterations
    return [
        Row(f"fit {name}, {len(sequences)} sequences, {threads}", "frames/s", work / ours_s,
            work / theirs_s, peer, 15.0 if mixture else 5.0),
        Row(f"score {name}, all in one call, {threads}", "model-frames/s", n_frames / score_s,
            n_frames / peer_score_s, peer, 10.0 if mixture else 5.0),
        Row(f"score {name}, one call each, {threads}", "model-frames/s", n_frames / single_s,
            n_frames / peer_single_s, peer, 10.0 if mixture else 5.0,
            note="" if n_threads == 1 else "threads of matrix products only"),
    ]  # fmt: skip
