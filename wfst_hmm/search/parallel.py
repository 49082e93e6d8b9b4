"""Many utterances on several threads over one mapped graph.

In: a graph and an iterable of `Scores`. Out: their results, in the order of the input.

Public names: `decode_many`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath

__all__ = ["decode_many"]

AnyScores = Scores | LazyScores
Outcome = Decoded | NoPath | WfstHmmError


def decode_many(
    graph: AnyGraph,
    utterances: Iterable[AnyScores | Callable[[], AnyScores]],
    options: SearchOptions | None = None,
    *,
    n_threads: int | None = None,
) -> Iterator[Outcome]:
    """Decode utterances; the kernels run outside the interpreter's lock.

    Parameters
    ----------
    graph : Graph or CompactGraph
    utterances : iterable of Scores or LazyScores, or of functions that make them
        A function runs on the thread that decodes, so that reading and scoring run in
        parallel as well. Taken from the iterable only a few ahead of the results.
    options : SearchOptions, optional
    n_threads : int, optional
        By default one per core.

    Yields
    ------
    Decoded, NoPath or WfstHmmError
        One for each utterance, in input order. An utterance that cannot be decoded gives its
        error here, and the others go on.
    """
    n_threads = n_threads or os.cpu_count() or 1
    if n_threads < 1:
        raise UsageError("the number of threads must be positive", where="n_threads",
                         got=n_threads)  # fmt: skip
    options = options or SearchOptions()
    plan_of(graph.fst)  # once, before the threads ask for it
    if isinstance(graph, CompactGraph):
        facts_of(graph)

    def work(utterance: AnyScores | Callable[[], AnyScores]) -> Outcome:
        try:
            scores = utterance() if callable(utterance) else utterance
            return decode(graph, scores, options)
        except WfstHmmError as error:
            return error

    if n_threads == 1:
        yield from map(work, utterances)
        return
    with ThreadPoolExecutor(n_threads, thread_name_prefix="decode") as pool:
        waiting: deque[Future[Outcome]] = deque()
        try:
            for utterance in utterances:
                waiting.append(pool.submit(work, utterance))
                if len(waiting) >= 4 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
