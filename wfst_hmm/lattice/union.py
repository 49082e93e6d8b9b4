"""One lattice of several: what different searches or models heard in one utterance.

In: lattices. Out: a raw `Lattice` that has the paths of all.

Public names: `union`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.lattice import Lattice

__all__ = ["union"]


def union(lattices: Sequence[Lattice]) -> Lattice:
    """Return the lattice of all paths; arcs without words lead from its start to the others'.

    Parameters
    ----------
    lattices : sequence of Lattice
        Their words are matched by their names. `determinize_lattice` keeps the best path of each
        word sequence.

    Raises
    ------
    UsageError
        There is no lattice.
    DataError
        They have different frame shifts.
    """
    if not lattices:
        raise UsageError("no lattices to unite")
    shifts = {lattice.frame_shift for lattice in lattices}
    if len(shifts) > 1:
        raise DataError("lattices with different frame shifts cannot be united",
                        got=", ".join(f"{shift:g} s" for shift in sorted(shifts)))  # fmt: skip
    lattices = [lattice for lattice in lattices if lattice.n_states]
    words = _all_words(lattices)
    offsets = np.cumsum([1, *(lattice.n_states for lattice in lattices)])
    n = len(lattices)
    parts: dict[str, list[npt.NDArray[Any]]] = {
        "source": [np.zeros(n, np.int32)], "target": [offsets[:n].astype(np.int32)],
        "word": [np.zeros(n, np.int32)], "graph_cost": [np.zeros(n)],
        "acoustic_cost": [np.zeros(n)],
    }  # fmt: skip
    lengths = [np.zeros(n, dtype=np.int64)]
    for lattice, offset in zip(lattices, offsets, strict=False):
        number = np.array([words.id(word) for word in lattice.words], dtype=np.int32)
        parts["source"].append(lattice.source + np.int32(offset))
        parts["target"].append(lattice.target + np.int32(offset))
        parts["word"].append(number[lattice.word])
        parts["graph_cost"].append(lattice.graph_cost)
        parts["acoustic_cost"].append(lattice.acoustic_cost)
        lengths.append(np.diff(lattice.label_start))
    return Lattice(
        **{name: _joined(arrays) for name, arrays in parts.items()},
        labels=np.concatenate([np.zeros(0, np.int32), *(lattice.labels for lattice in lattices)]),
        label_start=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64),
        final=np.concatenate([[np.inf], *(lattice.final for lattice in lattices)]),
        words=words, **lattices[0].timing if lattices else {"frame_shift": shifts.pop()},
    )  # fmt: skip


def _joined(arrays: list[npt.NDArray[Any]]) -> Any:
    return np.concatenate(arrays)


def _all_words(lattices: Sequence[Lattice]) -> Symbols:
    first, *others = [lattice.words for lattice in lattices] or [Symbols([])]
    if all(words == first for words in others):
        return first
    names = dict.fromkeys(word for words in (first, *others) for word in words)
    return Symbols(names)
