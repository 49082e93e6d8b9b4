"""A command's work on some engine, with its journal.

In: a job, a corpus, an output, ``--cluster`` and ``--threads``. Out: a context that yields results;
the journal vanishes when the context is left without an error.

Public names: `Working`, `working`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfst_hmm.cli.shell import warn

if TYPE_CHECKING:
    from wfst_hmm.cluster.engines import Engine
    from wfst_hmm.cluster.jobs import Job
    from wfst_hmm.cluster.work import Work
    from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["Working", "working"]


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
