"""A command's work on some engine, with its journal.

In: a job, a corpus, an output, ``--cluster`` and ``--threads``. Out: a context that yields results;
the journal vanishes when the context is left without an error.

Public names: `Cluster`, `Working`, `training_workers`, `working`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfst_hmm.cli.shell import warn

if TYPE_CHECKING:
    from wfst_hmm.cluster.engine import Engine
    from wfst_hmm.cluster.jobs import Job
    from wfst_hmm.cluster.work import Work
    from wfst_hmm.signal.corpus import Corpus, Utterance
    from wfst_hmm.training.workers import Workers

__all__ = ["Cluster", "Working", "training_workers", "working"]

Cluster = Annotated[
    str,
    typer.Option(
        help="Who works: threads, processes, local (Dask here), tcp://SCHEDULER:8786, slurm ..."
    ),
]


class Working:
    """A work and the engine that does it."""

    def __init__(self, work: Work, engine: Engine) -> None:
        self.work, self.engine = work, engine

    def results(self) -> Iterator[Any]:
        """Yield the results in the corpus's order."""
        for _, result in self.pairs():
            yield result

    def pairs(self) -> Iterator[tuple[Utterance, Any]]:
        """Yield utterances and their results."""
        return self.work.results(self.engine)


@contextlib.contextmanager
def working(
    job: Job, corpus: Corpus, out: Path | None, cluster: str, n_threads: int
) -> Iterator[Working]:
    """Give what works on `corpus`; results must be written before the context is left."""
    from wfst_hmm.cluster.engines import engine_for
    from wfst_hmm.cluster.work import Work

    with (
        Work(job, corpus, out, tell=warn) as work,
        engine_for(cluster, n_threads, tell=warn) as engine,
    ):
        yield Working(work, engine)
        work.finish()


@contextlib.contextmanager
def training_workers(out: Path, cluster: str, n_threads: int) -> Iterator[Workers | None]:
    """Give what computes a training's statistics; None where its own threads do."""
    if cluster == "threads":
        yield None
        return
    from wfst_hmm.cluster.engines import engine_for
    from wfst_hmm.cluster.training import ClusterWorkers

    with engine_for(cluster, n_threads, tell=warn) as engine:
        yield ClusterWorkers(engine, out, max(1, n_threads))
