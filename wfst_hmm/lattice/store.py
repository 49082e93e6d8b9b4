"""Lattices on disk, many in one file.

In: lattices by utterance. Out: an ``.npz`` file (arrays only, nothing pickled); and back.

Public names: `read_lattices`, `write_lattices`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_arrays
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.lattice import Lattice

__all__ = ["read_lattices", "write_lattices"]

_FORMAT = "wfst_hmm lattices"
_VERSION = 1
#: array -> its type
_ARRAYS = {
    "source": np.int32, "target": np.int32, "word": np.int32, "graph_cost": np.float64,
    "acoustic_cost": np.float64, "labels": np.int32, "label_start": np.int64, "final": np.float64,
}  # fmt: skip


def write_lattices(path: str | Path, lattices: Mapping[str, Lattice]) -> None:
    """Write lattices, compressed; of each table of words only one copy, words in use only."""
    header: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, "lattices": [], "words": []}
    arrays: dict[str, Any] = {}
    table: dict[str, int] = {}
    for number, (id_, lattice) in enumerate(lattices.items()):
        header["lattices"].append({
            "id": id_, **lattice.timing,
            "is_deterministic": lattice.is_deterministic,
            "beam": None if np.isinf(lattice.beam) else float(lattice.beam),
        })  # fmt: skip
        used, local = np.unique(lattice.word, return_inverse=True)
        names = [lattice.words[int(word)] if word else "" for word in used]
        shared = np.array([table.setdefault(n, len(table) + 1) if n else 0 for n in names], int)
        for name in _ARRAYS:
            arrays[f"{number}/{name}"] = getattr(lattice, name)
        arrays[f"{number}/word"] = (shared[local] if len(local) else local).astype(np.int32)
    header["words"] = list(table)
    text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    with atomic_file(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, header=np.frombuffer(text, dtype=np.uint8), **arrays)


def read_lattices(path: str | Path) -> dict[str, Lattice]:
    """Read what `write_lattices` wrote.

    Raises
    ------
    FormatError
        The file is missing, damaged or of another kind; the message names the utterance whose
        arrays do not make a lattice.
    """
    arrays = read_arrays(path)
    header = _header(path, arrays)
    found: dict[str, Lattice] = {}
    try:
        words = Symbols(header["words"])
        for number, entry in enumerate(header["lattices"]):
            id_ = str(entry["id"])
            where = f"{path}: utterance {id_}"
            if id_ in found:
                raise FormatError("an utterance comes twice", where=where)
            beam = np.inf if entry["beam"] is None else float(entry["beam"])
            parts = {name: arrays[f"{number}/{name}"] for name in _ARRAYS}
            _check(where, parts, len(words))
            found[id_] = Lattice(
                **parts, words=words, frame_shift=float(entry["frame_shift"]),
                frame_offset=float(entry.get("frame_offset", 0.0)),
                seconds=None if (end := entry.get("seconds")) is None else float(end),
                is_deterministic=bool(entry["is_deterministic"]), beam=beam,
            )  # fmt: skip
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise FormatError(f"a damaged file of lattices ({error})", where=str(path),
                          fix="Decode again.") from None  # fmt: skip
    return found


def _header(path: str | Path, arrays: Mapping[str, Any]) -> dict[str, Any]:
    try:
        header = json.loads(np.asarray(arrays["header"], dtype=np.uint8).tobytes())
    except (KeyError, ValueError, TypeError):
        header = None
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise FormatError("not a file of lattices", where=str(path),
                          fix="wfst-hmm decode --lattice writes lattices.npz.")  # fmt: skip
    if header.get("version") != _VERSION:
        raise FormatError("another version of the lattice format", where=str(path),
                          got=header.get("version"), expected=_VERSION)  # fmt: skip
    return header


def _check(where: str, parts: Mapping[str, npt.NDArray[Any]], n_words: int) -> None:
    """Raise a `FormatError` unless the arrays make an acyclic lattice that kernels can trust."""
    n_arcs, n_states = len(parts["source"]), len(parts["final"])
    starts = parts["label_start"]
    source, target, word = parts["source"], parts["target"], parts["word"]
    fine = all(parts[name].dtype == kind and parts[name].ndim == 1
               for name, kind in _ARRAYS.items())  # fmt: skip
    fine = fine and n_states > 0 and len(starts) == n_arcs + 1
    fine = fine and all(len(parts[name]) == n_arcs for name in
                        ("target", "word", "graph_cost", "acoustic_cost"))  # fmt: skip
    fine = fine and bool(starts[0] == 0 and starts[-1] == len(parts["labels"]))
    fine = fine and bool((np.diff(starts) >= 0).all())
    if fine and n_arcs:
        fine = bool(
            source.min() >= 0 and target.max() < n_states and (source < target).all()
            and (np.diff(source) >= 0).all() and word.min() >= 0 and word.max() < n_words
        )  # fmt: skip
    costs = (parts["graph_cost"], parts["acoustic_cost"])
    fine = fine and all(bool(np.isfinite(cost).all()) for cost in costs)
    final = parts["final"]
    fine = fine and not bool((np.isnan(final) | np.isneginf(final)).any())
    if not fine:
        raise FormatError("its arrays do not make a lattice", where=where, fix="Decode again.")
