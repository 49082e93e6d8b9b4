"""Training on many workers: the statistics of a pass as a map, their sum as a reduction.

In: an engine. Out: `ClusterWorkers`, which training takes in the place of its threads.

A worker aligns a group of blocks and sends back the sum of their statistics; the sums are added in
the order of the groups. Both orders are those of a single process (`training.passes.GROUP`), so the
model is the same to the last bit. Frames are written to a file once and mapped into memory by every
worker; the graphs of a group's transcripts, and the parameters, travel with each task.

Public names: `ClusterWorkers`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.cluster.engine import Engine
from wfst_hmm.cluster.mapping import Patience, run_shards
from wfst_hmm.cluster.shipping import located
from wfst_hmm.cluster.values import pack, unpack
from wfst_hmm.files import atomic_file
from wfst_hmm.training.passes import BlockWork, Statistics
from wfst_hmm.training.workers import Workers

__all__ = ["ClusterWorkers"]

_NONE = np.zeros((0, 0), dtype=np.float32)


class ClusterWorkers(Workers):
    """Workers of an engine for the statistics, threads of this process for the rest.

    Parameters
    ----------
    engine : Engine
    out : path
        The model that will be written; frames lie in ``OUT.frames`` meanwhile.
    n : int
        Threads here.
    patience : Patience, optional
    """

    def __init__(
        self, engine: Engine, out: str | Path, n: int = 1, patience: Patience | None = None
    ) -> None:
        super().__init__(n)
        self._engine, self._patience = engine, patience
        out = Path(out).absolute()
        self._folder = out.parent / f"{out.name}.frames"
        self._seen: npt.NDArray[np.float32] = _NONE
        self._file = self._folder / "none"
        self._depth = 0

    def __enter__(self) -> Workers:
        self._depth += 1
        return super().__enter__() if self._depth == 1 else self

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if not self._depth:
            super().__exit__(*exception)
            self._seen = _NONE
            shutil.rmtree(self._folder, ignore_errors=True)

    def summed(
        self,
        function: Callable[[Any], Any],
        groups: Sequence[Sequence[Any]],
        done: Callable[[Any], None] = lambda task: None,
    ) -> Iterator[Any]:
        """Yield the statistics of each group, in order; other sums are made by threads here."""
        if not isinstance(function, BlockWork):
            yield from super().summed(function, groups, done)
            return
        path = self._frames_file(function.frames)
        arguments = {n: (_part(function, group), str(path), tuple(group))
                     for n, group in enumerate(groups)}  # fmt: skip
        waiting: dict[int, Statistics] = {}
        following = 0

        def repair() -> None:
            self._engine.bring([path])

        repair()
        stream = run_shards(self._engine, sum_group, arguments, self._patience, repair=repair)
        for number, data in stream:
            waiting[number] = self._received(function, groups[number], data)
            for task in groups[number]:
                done(task)
            while following in waiting:
                yield waiting.pop(following)
                following += 1

    def _received(self, work: BlockWork, group: Sequence[Any], data: bytes) -> Statistics:
        sums, arcs = unpack(data)
        if work.path is not None and work.realign:
            begin, end = work.stretch(*group)
            work.path[begin - work.origin : end - work.origin] = arcs
        found: Statistics = sums
        return found

    def _frames_file(self, frames: npt.NDArray[np.float32]) -> Path:
        """Write the frames, unless they are those of the last pass."""
        if frames is not self._seen:
            digest = hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()[:16]
            for old in self._folder.glob("*.npy"):
                old.unlink()
            self._file = self._folder / f"{digest}.npy"
            with atomic_file(self._file) as temporary, open(temporary, "wb") as stream:
                np.save(stream, frames, allow_pickle=False)
            self._seen = frames
        return self._file


def _part(work: BlockWork, group: Sequence[Any]) -> BlockWork:
    """Return what a group needs of a work, without the frames."""
    numbers = {batch.graph for block in group for batch in block}
    begin, end = work.stretch(*group)
    path = None if work.path is None else work.path[begin - work.origin : end - work.origin].copy()
    return dataclasses.replace(
        work, frames=_NONE, graphs={n: work.graphs[n] for n in numbers}, path=path, origin=begin
    )


def sum_group(work: BlockWork, frames: str, group: tuple[Any, ...]) -> bytes:
    """Return a group's statistics and, where they are wanted, its arcs; called on the worker."""
    array = np.load(located(frames), mmap_mode="r", allow_pickle=False)
    path = None if work.path is None else work.path.copy()  # a thread here shares the argument
    work = dataclasses.replace(work, frames=array, path=path)
    total = work(group[0])
    for block in group[1:]:
        total.add(work(block))
    return pack((total, path if work.realign else None))
