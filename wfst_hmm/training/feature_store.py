"""Frames of a whole corpus in a file that is mapped into memory, not held in it.

In: frames, utterance by utterance. Out: one read-only array, or one for each utterance. The file
has no name: it vanishes with the arrays, however the process ends.

Public names: `mapped_frames`, `mapped_parts`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["mapped_frames", "mapped_parts"]


def mapped_frames(
    parts: Iterable[npt.NDArray[np.float32]], folder: str | Path
) -> npt.NDArray[np.float32]:
    """Write frames one after another; return them as a mapped array of shape (F, D).

    Parameters
    ----------
    parts : iterable of ndarray of float32, shape (T, D)
        One at least.
    folder : path
        On the disk that has room; made if it is not there.

    Raises
    ------
    OSError
        The disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    n_frames = n_dims = 0
    # Written, not mapped for writing: a full disk is then an error, not the end of the process.
    with tempfile.TemporaryFile(dir=folder) as file:
        for part in parts:
            array = np.ascontiguousarray(part, dtype=np.float32)
            file.write(array.data)
            n_frames, n_dims = n_frames + len(array), array.shape[1]
        file.flush()
        if not n_frames:
            return np.zeros((0, n_dims), dtype=np.float32)
        return np.memmap(file, dtype=np.float32, mode="r", shape=(n_frames, n_dims))


def mapped_parts(
    parts: Iterable[npt.NDArray[np.float32]], folder: str | Path
) -> list[npt.NDArray[np.float32]]:
    """Write frames one after another; return each part, mapped.

    Parameters are those of `mapped_frames`, but there may be no part.
    """
    lengths: list[int] = []

    def measured() -> Iterator[npt.NDArray[np.float32]]:
        for part in parts:
            lengths.append(len(part))
            yield part

    begun = measured()
    first = next(begun, None)
    if first is None:
        return []
    every = np.asarray(mapped_frames(itertools.chain([first], begun), folder))
    borders = np.cumsum([0, *lengths])
    return [every[a:b] for a, b in itertools.pairwise(borders)]
