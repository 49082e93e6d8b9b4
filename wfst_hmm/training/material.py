"""What training works on: frames in one array, utterances with their graphs, blocks of work.

In: `Take`s. Out: `Material`, and the list of utterances left out with the reason.

Utterances with equal transcripts lie side by side, so that they are scored together. The blocks
depend on the data alone: sums over blocks, in order, are the same for any number of workers.

Public names: `Batch`, `Material`, `Skipped`, `prepare`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError
from wfst_hmm.graph.oov import Vocabulary
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.feature_store import mapped_frames
from wfst_hmm.training.features import Take

__all__ = ["Batch", "Material", "Skipped", "prepare"]

#: A block holds about as many frames, a batch (utterances scored together) at most.
_BLOCK_FRAMES = 8192
_BATCH_FRAMES = 4096
_MAX_NAMED = 10


@dataclasses.dataclass(frozen=True)
class Skipped:
    """An utterance that was left out, and why."""

    id: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Batch:
    """Utterances `first` to `last` (exclusive), all with graph `graph`."""

    graph: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """All utterances to train on.

    Attributes
    ----------
    ids : tuple of str, length U
    frames : ndarray of float32, shape (F, D)
    borders : ndarray of int64, shape (U + 1,)
        Utterance u has frames ``borders[u]`` to ``borders[u + 1]``.
    blocks : tuple of tuples of Batch
    """

    ids: tuple[str, ...]
    frames: npt.NDArray[np.float32]
    borders: npt.NDArray[np.int64]
    blocks: tuple[tuple[Batch, ...], ...]

    @property
    def n_frames(self) -> int:
        """Frames of all utterances."""
        return int(self.borders[-1])


def prepare(
    takes: Sequence[Take],
    words: Vocabulary,
    graphs: AlignmentGraphs,
    *,
    folder: Path | None = None,
) -> tuple[Material, list[Skipped]]:
    """Make the graphs of all transcripts and lay out the frames.

    Parameters
    ----------
    takes : sequence of Take
    words : Vocabulary
        Of the transcripts; utterances with missing words are left out.
    graphs : AlignmentGraphs
        Receives the graphs.
    folder : path, optional
        Map the frames from a nameless file here; by default they are held in memory.

    Raises
    ------
    DataError
        No utterance can be used.
    """
    if not takes:
        raise DataError("no utterance with a transcript", fix="Add transcripts to the data.")
    skipped: list[Skipped] = []
    chosen: list[tuple[int, Take]] = []
    for take in takes:
        if problem := words.problem(take.words):
            skipped.append(Skipped(take.id, problem))
            continue
        number = graphs.add(take.words, where=take.place)
        needed = graphs[number].n_min_frames
        if len(take.frames) < needed:
            skipped.append(Skipped(take.id, f"{len(take.frames)} frames, but its shortest path "
                                            f"takes {needed}"))  # fmt: skip
        else:
            chosen.append((number, take))
    if not chosen:
        shown = "; ".join(f"{s.id}: {s.reason}" for s in skipped[:_MAX_NAMED])
        raise DataError(f"none of {len(takes)} utterances can be used", got=shown,
                        fix="Compare transcripts and recordings.")  # fmt: skip
    chosen.sort(key=lambda pair: pair[0])  # stable: the corpus's order within a graph
    return _laid_out(chosen, folder), skipped


def _laid_out(chosen: Sequence[tuple[int, Take]], folder: Path | None) -> Material:
    lengths = [len(take.frames) for _, take in chosen]
    borders = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if folder is None:
        frames = np.concatenate([take.frames for _, take in chosen])
    else:
        frames = mapped_frames((take.frames for _, take in chosen), folder)
    blocks: list[tuple[Batch, ...]] = []
    block: list[Batch] = []
    in_block = 0
    first = 0
    for u, (graph, _) in enumerate(chosen):
        last_of_graph = u + 1 == len(chosen) or chosen[u + 1][0] != graph
        n_batch = int(borders[u + 1] - borders[first])
        if last_of_graph or n_batch + lengths[u + 1] > _BATCH_FRAMES:
            block.append(Batch(graph, first, u + 1))
            in_block += n_batch
            first = u + 1
        if block and (in_block >= _BLOCK_FRAMES or u + 1 == len(chosen)):
            blocks.append(tuple(block))
            block, in_block = [], 0
    return Material(tuple(take.id for _, take in chosen), frames, borders, tuple(blocks))
