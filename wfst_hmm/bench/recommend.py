"""Recommendation by tag: decades against chance and logistic regression, and scoring speed.

In: a CSV of timbre. Out: rows of areas under the ROC curve, precision, segments a second.

Public names: `bench_recommend`, `bench_scoring`, `bench_songs`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from wfst_hmm.apps.recommendation.library import Library, open_library
from wfst_hmm.apps.recommendation.tag_model import (
    Ranking,
    TagModel,
    TagOptions,
    area_under_curve,
    rank,
    train_tag,
)
from wfst_hmm.bench.material import need
from wfst_hmm.bench.report import Row, best_seconds
from wfst_hmm.formats.msd import N_TIMBRE, Song

__all__ = ["bench_recommend", "bench_scoring", "bench_songs"]

_DECADES = ("1960s", "1970s", "1980s", "1990s", "2000s", "2010s")
_AREA = 0.65
_SEGMENTS = 1e7  # a second


def bench_songs(
    csv: str | Path | None = None, *, n_components: int = 32, n_threads: int = 2, repeat: int = 3
) -> list[Row]:
    """Measure the ranking of a CSV's songs, where there is one, and the speed of scoring."""
    rows = bench_recommend(csv, n_components=n_components) if csv else []
    return rows + bench_scoring(n_components=n_components, n_threads=n_threads, repeat=repeat)


def bench_recommend(
    csv: str | Path, *, seeds: Sequence[int] = (0, 1, 2), n_components: int = 32
) -> list[Row]:
    """Rank songs by decade and by artist, as trained, adapted, and by logistic regression.

    The peer is trained on the same songs: the tag's training part, and the background's songs
    without the tag.
    """
    library = open_library(csv)
    options = TagOptions(n_components=n_components)
    _, peer = need("sklearn", "scikit-learn")
    rows = []
    results: dict[str, list[tuple[Ranking, Ranking, Ranking]]] = {}
    for tag in _DECADES:
        for seed in seeds:
            results.setdefault(tag, []).append(_compared(library, tag, options, seed))
    everything = [run for found in results.values() for run in found]
    for tag, found in [*results.items(), ("all decades", everything)]:
        trained, adapted, theirs = (
            float(np.mean([run[i].area_under_curve for run in found])) for i in range(3)
        )
        first = [float(np.mean([run[i].precision for run in found])) for i in range(3)]
        chance = float(np.mean([run[0].chance for run in found]))
        rows.append(
            Row(tag, "area under ROC", adapted, theirs, peer,
                note=f"trained {trained:.3f}, adapted {adapted:.3f}, peer {theirs:.3f}, chance "
                f"0.5; precision at 20: {100 * first[0]:.0f}, {100 * first[1]:.0f}, "
                f"{100 * first[2]:.0f} %, chance {100 * chance:.1f} %")
        )  # fmt: skip
    rows.append(Row("all decades, adapted", "area under ROC", rows[-1].ours, target=_AREA))
    return rows


def _compared(
    library: Library, tag: str, options: TagOptions, seed: int
) -> tuple[Ranking, Ranking, Ranking]:
    own = dataclasses.replace(options, seed=seed)
    trained = train_tag(library, tag, own)
    adapted = train_tag(library, tag, dataclasses.replace(own, adapt=True))
    return rank(trained, library), rank(adapted, library), _logistic(library, trained)


def _logistic(library: Library, model: TagModel) -> Ranking:
    """Return the peer's ranking of the songs that neither side was trained on."""
    from sklearn.linear_model import LogisticRegression

    has = library.tagged(model.tag)
    counts = np.diff(library.offsets)[:, None]
    means = np.add.reduceat(library.timbre, library.offsets[:-1], axis=0) / counts
    x = (means - model.mean) @ model.whiten
    known = np.array([i in model.trained_on or i in model.heard for i in library.ids])
    peer = LogisticRegression(max_iter=1000).fit(x[known], has[known])
    scores = peer.decision_function(x)
    held, other = np.flatnonzero(has & ~known), np.flatnonzero(~has & ~known)
    both = np.concatenate([held, other])
    first = both[np.argsort(-scores[both], kind="stable")][:20]
    area = area_under_curve(scores[held], scores[other])
    return Ranking(model.tag, (), (), len(held), len(other), len(first),
                   float(has[first].mean()), len(held) / len(both), area)  # fmt: skip


def bench_scoring(
    *, n_segments: int = 2_000_000, n_components: int = 32, n_threads: int = 2, repeat: int = 3
) -> list[Row]:
    """Score segments under a tag's mixture and the background; beside the bare products.

    The bare products are those of the same segments, expanded, with both mixtures' parameters in
    float32 by numpy: nothing that scores by them is faster.
    """
    rng = np.random.default_rng(0)
    n_songs = 2000
    songs = [Song(f"T{i}", "a", "t", 0, ("tag",) if i % 2 else ("other",),
                  rng.normal(size=(n_segments // n_songs, N_TIMBRE)).astype(np.float32))
             for i in range(n_songs)]  # fmt: skip
    library = Library.of(songs)
    small = Library.of(songs[:200])
    options = TagOptions(n_components=n_components, n_iterations=2, adapt=True)
    model = train_tag(small, "tag", options)
    parameters = rng.normal(size=(2 * N_TIMBRE + 1, 2 * n_components)).astype(np.float32)
    expanded = rng.normal(size=(4096, 2 * N_TIMBRE + 1)).astype(np.float32)

    def products() -> None:
        for _ in range(n_segments // len(expanded)):
            expanded @ parameters

    def ours(n: int) -> Callable[[], object]:
        return lambda: model.scores(library, n_threads=n)

    seconds = best_seconds((nullcontext, ours(1)), (nullcontext, ours(n_threads)),
                           (nullcontext, products), repeat=repeat)  # fmt: skip
    rates = [2 * n_segments / s for s in seconds]  # of one mixture
    used = time.process_time()
    model.scores(library)
    used = time.process_time() - used  # what other programs take of the machine is not in it
    return [
        Row(f"score {n_components} components, 1 thread", "segments/s", rates[0], rates[2],
            "the bare products", note=f"{2 * n_segments / used:,.0f} a second of processor time"),
        Row(f"score {n_components} components, {n_threads} threads", "segments/s", rates[1],
            target=_SEGMENTS),
    ]  # fmt: skip
