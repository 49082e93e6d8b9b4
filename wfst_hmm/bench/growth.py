"""What recognition costs as vocabulary, corpus, beam and cluster grow.

In: sizes. Out: measured points, and a model of what was not measured, as rows and as a plot.

- Vocabulary: the most frequent words of the pocketsphinx package's dictionary with its 2-grams;
  scores are drawn around a path of each graph (`bench.beds`).
- Corpus: the whole machinery of shards, journal and results on utterances of ten seconds whose
  search is left out, so that a hundred hours take a minute; what features, scores and search of
  an hour cost is measured on digits and added.
- Workers: one and two are measured; beyond that, T(w) = start + max(work / w, shards * handling).
  `start` (processes begin and load the graph), `work` (what workers do for an hour of speech) and
  `handling` (what the client does for a shard; it goes on beside the work, in one process, and
  bounds the number of workers that can be fed) are measured, each on its own.

Public names: `Growth`, `bench_growth`, `growth_plot`, `modelled_speedup`.
"""

from __future__ import annotations

import dataclasses
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.apps.results import results_writer
from wfst_hmm.bench.beds import sampled_bed, words_graph
from wfst_hmm.bench.cluster import engine_times
from wfst_hmm.bench.report import Progress, Row, silent
from wfst_hmm.bench.target import digit_target
from wfst_hmm.cluster.engines import engine_for
from wfst_hmm.cluster.jobs import DecodeJob, prepared
from wfst_hmm.cluster.work import Work
from wfst_hmm.draw.plot import COLOURS, Plot, finished, new_figure
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, Phone, Word
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["Growth", "bench_growth", "growth_plot", "modelled_speedup"]

SIZES = (1000, 3000, 10_000, 30_000, 72_000)
HOURS = (0.1, 1.0, 10.0, 100.0)
BEAMS = (4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0)
_SECONDS = 10.0  # of a simulated utterance
_WORKERS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclasses.dataclass
class Growth:
    """What was measured; processor time in seconds.

    Attributes
    ----------
    vocabulary : list of (words, arcs, seconds to build, seconds a second of speech to search)
    beams : list of (beam, seconds a second of speech, cost above the exact search's in nats a frame)
    beam_words : int
        Vocabulary of `beams`.
    hours : list of (hours, seconds of the machinery, its share of all in per cent)
    memory : list of float
        Peak memory of the process after each of `hours`, MB.
    workers : list of (workers, speed-up, whether it was measured)
    large : list of (workers, speed-up)
        Modelled for the largest vocabulary.
    per_hour : float
        Seconds that features, scores and search of an hour of digits take.
    start : float
        Seconds until processes have started and loaded the graph.
    """

    vocabulary: list[tuple[int, int, float, float]] = dataclasses.field(default_factory=list)
    beams: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)
    beam_words: int = 0
    hours: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)
    memory: list[float] = dataclasses.field(default_factory=list)
    workers: list[tuple[int, float, bool]] = dataclasses.field(default_factory=list)
    large: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    per_hour: float = 0.0
    start: float = 0.0


def _measure_vocabulary(
    sizes: Sequence[int], n_frames: int, growth: Growth, progress: Progress
) -> None:
    for size in sizes:
        progress(f"{size} words")
        begin = time.process_time()
        graph = words_graph(size)
        built = time.process_time() - begin
        bed = sampled_bed(f"{size} words", graph, n_frames)
        options = SearchOptions(beam=14.0)
        decode(bed.searched, bed.scores, options)
        begin = time.process_time()
        decode(bed.searched, bed.scores, options)
        used = (time.process_time() - begin) / (bed.scores.n_frames * bed.scores.frame_shift)
        growth.vocabulary.append((size, bed.searched.fst.n_arcs, built, used))
        if size == sizes[min(1, len(sizes) - 1)]:  # the exact search of more takes minutes
            _measure_beams(bed, growth, progress)
            growth.beam_words = size


def _measure_beams(bed: Any, growth: Growth, progress: Progress) -> None:
    progress("beams")
    exact = decode(bed.searched, bed.scores, SearchOptions(search="exact"))
    n = bed.scores.n_frames
    for beam in BEAMS:
        options = SearchOptions(beam=beam, retries=0)
        begin = time.process_time()
        found = decode(bed.searched, bed.scores, options)
        used = (time.process_time() - begin) / (n * bed.scores.frame_shift)
        above = float("nan")
        if isinstance(found, Decoded) and isinstance(exact, Decoded):
            above = max(0.0, found.total_cost - exact.total_cost) / n
        growth.beams.append((beam, used, above))


@dataclasses.dataclass(frozen=True)
class _Silent:
    """A job that answers at once with what a decoded utterance of ten seconds looks like."""

    digest: str = ""

    def files(self) -> tuple[Path, ...]:
        return ()

    def model(self) -> None:
        return

    def load(self) -> None:
        return

    def run(self, corpus: Corpus, stats: Any) -> list[Outcome]:
        return [Outcome(utterance, _ANSWER) for utterance in corpus]


_ANSWER = Decoded(
    tuple(Word(f"word{i}", 0.4 * i, 0.4 * i + 0.3, 0.9) for i in range(25)),
    tuple(Phone("AH", 0.1 * i, 0.1 * i + 0.1, (0, 1, 2)) for i in range(100)),
    1234.5, 67.8, np.repeat(np.arange(100, dtype=np.int32), 10), np.arange(1200, dtype=np.int32),
    0.01, "beam",
)  # fmt: skip


def _measure_hours(hours: Sequence[float], growth: Growth, progress: Progress) -> float:
    """Return the processor time that a shard of the largest corpus costs the client."""
    handling = 0.0
    for span in hours:
        progress(f"{span:g} hours")
        n = max(1, round(span * 3600 / _SECONDS))
        corpus = Corpus(tuple(Utterance(f"u{i:06d}", Path("/none"), None, f"s{i // 100}")
                              for i in range(n)))  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="wfst-hmm-growth-") as name:
            begin, own = time.process_time(), time.thread_time()
            out = Path(name) / "out"
            with Work(_Silent(), corpus, out) as work, engine_for("threads", 1) as engine:
                with results_writer(out) as writer:
                    for _, outcome in work.results(engine):
                        writer.add(outcome)
                    writer.finish()
                work.finish()
            used = time.process_time() - begin
            # what another thread did here, workers would do
            handling = (time.thread_time() - own) / len(work.shards)
        growth.memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        growth.hours.append((span, used, 100 * used / (used + span * growth.per_hour)))
    return handling


def _measure_workers(growth: Growth, progress: Progress) -> None:
    """Measure one and two workers on digits, and what an hour of them costs."""
    with tempfile.TemporaryDirectory(prefix="wfst-hmm-growth-") as name:
        target = digit_target(Path(name), 400, progress)
        corpus = read_corpus(target.corpus)
        seconds = 0.0
        for utterance in corpus:
            info = utterance.header()
            seconds += info.n_samples / info.rate
        job = prepared(DecodeJob(target.graph, None, SearchOptions()))
        times = engine_times(job, corpus, [("threads", 1), ("processes", 2)], progress=progress)
    alone, two = times["threads", 1], times["processes", 2]
    growth.per_hour = alone.cpu * 3600 / seconds
    growth.start = two.start
    growth.workers = [(1, 1.0, True), (2, alone.wall / two.wall, True)]


def modelled_speedup(start: float, work: float, handling: float, n_workers: int) -> float:
    """Return T(1) / T(w) for T(w) = start + max(work / w, handling), all in seconds.

    Examples
    --------
    >>> modelled_speedup(0.0, 100.0, 1.0, 4), modelled_speedup(0.0, 100.0, 1.0, 1000)
    (4.0, 100.0)
    """

    def total(w: int) -> float:
        return start + max(work / w, handling)

    return total(1) / total(n_workers)


def bench_growth(
    *,
    sizes: Sequence[int] = SIZES,
    hours: Sequence[float] = HOURS,
    n_frames: int = 1000,
    plot: Path | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Measure, model, and draw.

    Parameters
    ----------
    sizes : sequence of int
        Vocabularies; zeros are left out.
    hours : sequence of float
        Of the simulated corpora.
    n_frames : int
        Of the scores that are searched.
    plot : path, optional
        Picture to write: .svg, .png or .pdf.
    """
    sizes = [size for size in sizes if size]
    growth = Growth()
    _measure_workers(growth, progress)
    handling = _measure_hours(hours, growth, progress)
    if sizes:
        _measure_vocabulary(sizes, n_frames, growth, progress)
    span = max(hours)
    n_shards = span * 3600 / _SECONDS / 16
    for n in _WORKERS[2:]:
        speed = modelled_speedup(growth.start, span * growth.per_hour, n_shards * handling, n)
        growth.workers.append((n, speed, False))
    if growth.vocabulary:
        work = span * 3600 * growth.vocabulary[-1][3]
        growth.large = [(n, modelled_speedup(growth.start, work, n_shards * handling, n))
                        for n in _WORKERS]  # fmt: skip
    if plot is not None:
        growth_plot(growth).save(plot)
    return _rows(growth, span)


def _rows(growth: Growth, span: float) -> list[Row]:
    rows = [
        Row(f"{words:,} words: processor time of the search", "s for a second of speech", used,
            note=f"{arcs:,} arcs, {built:.1f} s to build")
        for words, arcs, built, used in growth.vocabulary
    ]  # fmt: skip
    rows += [
        Row(f"beam {beam:g}: processor time of the search", "s for a second of speech", used,
            note=f"best path {above:.2g} nats a frame above the exact one's")
        for beam, used, above in growth.beams
    ]  # fmt: skip
    rows += [
        Row(f"{hours:g} hours: shards, journal and results", "s of processor time", used,
            note=f"{share:.1f} % of decoding digits, {growth.per_hour:.0f} s an hour; "
                 f"peak memory {memory:.0f} MB")
        for (hours, used, share), memory in zip(growth.hours, growth.memory, strict=True)
    ]  # fmt: skip
    rows += [
        Row(f"{n} workers: speed over one", "times", speed,
            note="measured" if measured else f"modelled for {span:g} hours of digits")
        for n, speed, measured in growth.workers
    ]  # fmt: skip
    rows += [
        Row(f"{n} workers: speed over one", "times", speed,
            note=f"modelled for {span:g} hours, {growth.vocabulary[-1][0]:,} words")
        for n, speed in growth.large[1:]
    ]  # fmt: skip
    return rows


def growth_plot(growth: Growth) -> Plot:
    """Return four panels: vocabulary, beam, hours, workers."""
    figure = new_figure(10, 7)
    axes = figure.subplots(2, 2)
    if growth.vocabulary:
        words, arcs, built, used = zip(*growth.vocabulary, strict=True)
        axis = axes[0, 0]
        axis.loglog(words, used, "o-", color=COLOURS[0], label="search, s for a second of speech")
        axis.loglog(words, built, "s--", color=COLOURS[1], label="building the graph, s")
        axis.loglog(words, np.array(arcs) / 1e6, "^:", color=COLOURS[2], label="million arcs")
        finished(axis, "words", "", "Vocabulary (2-grams, beam 14)", legend=True)
    if growth.beams:
        beams, used_at, above = zip(*growth.beams, strict=True)
        axis = axes[0, 1]
        axis.semilogy(beams, used_at, "o-", color=COLOURS[0], label="search, s for a second")
        worse = np.where(np.array(above) > 0, above, np.nan)  # a logarithm has no place for none
        axis.semilogy(beams, worse, "s--", color=COLOURS[1],
                      label="cost above the exact path's, nats a frame; then none")  # fmt: skip
        title = f"Beam, {growth.beam_words:,} words"
        finished(axis, "beam, nats", "", title, legend=True)
    hours, machinery, _ = zip(*growth.hours, strict=True)
    axis = axes[1, 0]
    axis.loglog(hours, machinery, "o-", color=COLOURS[0], label="shards, journal, results")
    axis.loglog(hours, np.array(hours) * growth.per_hour, "s--", color=COLOURS[1],
                label="features, scores, search of digits")  # fmt: skip
    finished(axis, "hours of speech (simulated)", "s of processor time", "Corpus", legend=True)
    axis = axes[1, 1]
    measured = [(n, s) for n, s, sure in growth.workers if sure]
    modelled = measured[-1:] + [(n, s) for n, s, sure in growth.workers if not sure]
    axis.loglog(*zip(*measured, strict=True), "o-", color=COLOURS[0], label="measured")
    axis.loglog(*zip(*modelled, strict=True), "o:", color=COLOURS[1], label="modelled, digits")
    if growth.large:
        name = f"modelled, {growth.vocabulary[-1][0]:,} words"
        axis.loglog(*zip(*growth.large, strict=True), "s:", color=COLOURS[2], label=name)
    axis.loglog((1, 128), (1, 128), color=COLOURS[3], linewidth=0.7, label="ideal")
    finished(axis, "workers", "times one worker", f"Workers, {max(hours):g} hours", legend=True)
    return Plot(figure)
