"""The numbers of a Sphinx model: Gaussians, mixture weights, transition matrices, transforms.

In: the files of a model directory. Out: numpy arrays, floored and normalized as Sphinx does.

Public names: `read_gaussians`, `read_mixture_weights`, `read_sendump`, `read_transitions`,
`read_transform`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.files import read_bytes
from wfst_hmm.formats.cursor import Cursor
from wfst_hmm.formats.sphinx.container import open_container
from wfst_hmm.models.topology import Topology

__all__ = [
    "read_gaussians",
    "read_mixture_weights",
    "read_sendump",
    "read_transform",
    "read_transitions",
]

Array = npt.NDArray[Any]
VARIANCE_FLOOR = 1e-4
WEIGHT_FLOOR = 1e-7
TRANSITION_FLOOR = 1e-4
#: Natural logarithm of one step of a quantized weight: 1024 steps of the base 1.0001.
WEIGHT_STEP = 1024 * float(np.log(1.0001))
_MAX_STREAMS = 64
_MAX_STRING = 1000


def _sizes(cursor: Cursor, names: tuple[str, ...]) -> list[int]:
    """Read counts that must be positive and no larger than the file."""
    found = []
    for name in names:
        value = int(cursor.number("i", name))
        if not 1 <= value <= cursor.end:
            raise cursor.error(f"impossible {name}", got=value, expected="1 or more")
        found.append(value)
    return found


def _announced(cursor: Cursor, expected: int) -> None:
    count = int(cursor.number("i", "number of floats"))
    if count != expected:
        raise cursor.error("the sizes contradict each other", got=f"{count} floats",
                           expected=expected)  # fmt: skip


def _finite(values: Array, cursor: Cursor, what: str) -> Array:
    if not np.isfinite(values).all():
        raise FormatError(f"{what} holds a number that is not finite", where=cursor.where)
    return values


def read_gaussians(path: str | Path) -> list[Array]:
    """Read ``means`` or ``variances``.

    Returns
    -------
    list of ndarray of float32, shape (n codebooks, n densities, D_f)
        One a stream.
    """
    _, cursor = open_container(path)
    n_codebooks, n_streams, n_densities = _sizes(cursor, ("codebooks", "streams", "densities"))
    if n_streams > _MAX_STREAMS:
        raise cursor.error("too many streams", got=n_streams, expected=f"up to {_MAX_STREAMS}")
    lengths = _sizes(cursor, ("dimensions of a stream",) * n_streams)
    _announced(cursor, n_codebooks * n_densities * sum(lengths))
    flat = cursor.array("f4", (n_codebooks, n_densities * sum(lengths)), "Gaussians")
    cursor.finish()
    _finite(flat, cursor, Path(path).name)
    streams = np.split(flat, np.cumsum([n_densities * n for n in lengths])[:-1], axis=1)
    return [
        np.ascontiguousarray(part).reshape(n_codebooks, n_densities, n)
        for part, n in zip(streams, lengths, strict=True)
    ]


def read_mixture_weights(path: str | Path) -> Array:
    """Read ``mixture_weights``: counts, normalized and floored; float32, (streams, senones, N)."""
    _, cursor = open_container(path)
    sizes = _sizes(cursor, ("senones", "streams", "densities"))
    _announced(cursor, sizes[0] * sizes[1] * sizes[2])
    stored = cursor.array("f4", tuple(sizes), "mixture weights")
    cursor.finish()
    _finite(stored, cursor, Path(path).name)
    counts = stored.astype(np.float64)
    if counts.min() < 0 or not np.all(counts.sum(axis=2) > 0):
        raise FormatError("a senone has negative weights, or none", where=str(path))
    weights = np.maximum(counts / counts.sum(axis=2, keepdims=True), WEIGHT_FLOOR)
    weights /= weights.sum(axis=2, keepdims=True)
    return np.ascontiguousarray(weights.transpose(1, 0, 2)).astype(np.float32)


def read_sendump(path: str | Path, n_senones: int, n_streams: int) -> Array:
    """Read ``sendump``: weights quantized to 8 or 4 bits, in either byte order.

    Parameters
    ----------
    n_senones, n_streams : int
        Of the model definition and the Gaussians; the file may hold more columns than senones.

    Returns
    -------
    ndarray of float32, shape (streams, senones, densities)
        Rows sum to about 0.95, since quantization truncates; they are left so.
    """
    cursor = Cursor(read_bytes(path), str(path))
    facts = _sendump_strings(cursor)
    if facts.get("feature_count", n_streams) != n_streams:
        raise FormatError("another number of streams than the Gaussians have", where=str(path),
                          got=facts["feature_count"], expected=n_streams)  # fmt: skip
    bits, n_clusters = facts.get("cluster_bits", 8), facts.get("cluster_count", 0)
    if bits not in (4, 8) or n_clusters not in (0, 15, 16) or (bits == 4) != (n_clusters > 0):
        raise FormatError("weights in an unknown packing", where=str(path),
                          got=f"{bits} bits, {n_clusters} clusters")  # fmt: skip
    if n_clusters == 0:
        rows, columns = _sizes(cursor, ("densities", "columns"))
        packed = cursor.array("u1", (n_streams, rows, columns), "weights")
    else:
        rows, columns = facts.get("mixture_count", 0), facts.get("model_count", 0)
        if rows < 1 or columns < 1:
            raise FormatError("mixture_count and model_count are needed", where=str(path))
        centroids = cursor.array("u1", 16, "centroids")
        nibbles = cursor.array("u1", (n_streams, rows, (columns + 1) // 2), "weights")
        packed = centroids[np.stack([nibbles & 15, nibbles >> 4], axis=-1)]
        packed = packed.reshape(n_streams, rows, -1)
    cursor.finish()
    if columns < n_senones or facts.get("model_count", n_senones) != n_senones:
        raise FormatError("another number of senones than the model definition has",
                          where=str(path), got=facts.get("model_count", columns),
                          expected=n_senones)  # fmt: skip
    if facts.get("mixture_count", rows) != rows:
        raise FormatError("the sizes contradict each other", where=str(path), got=rows,
                          expected=facts["mixture_count"])  # fmt: skip
    table = np.exp(-WEIGHT_STEP * np.arange(256)).astype(np.float32)
    return np.ascontiguousarray(table[packed[:, :, :n_senones]].transpose(0, 2, 1))


def _sendump_strings(cursor: Cursor) -> dict[str, int]:
    """Read the strings at the head; numbers by name, and the byte order along the way."""
    for order in "<>":
        cursor.order = order
        if len(cursor.data) >= 4 and 1 <= struct.unpack_from(order + "i", cursor.data)[0] < _MAX_STRING:  # fmt: skip
            break
    else:
        raise cursor.error("not a sendump file", got=cursor.data[:4].hex())
    facts: dict[str, int] = {}
    keys = ("feature_count", "mixture_count", "model_count", "cluster_count", "cluster_bits")
    while (length := int(cursor.number("i", "length of a string"))) != 0:
        if not 1 <= length < _MAX_STRING:
            raise cursor.error("a string of impossible length", got=length)
        text = cursor.take(length, "string").rstrip(b"\0").decode("ascii", "replace")
        key, _, value = text.partition(" ")
        if key in keys and value.isascii() and value.isdigit() and len(value) < 10:
            facts[key] = int(value)  # else a sentence that explains the key
    return facts


def read_transitions(path: str | Path) -> list[Topology]:
    """Read ``transition_matrices``: normalized, non-zero entries floored; zero stays forbidden."""
    _, cursor = open_container(path)
    n_matrices, n_from, n_to = _sizes(cursor, ("matrices", "source states", "target states"))
    if n_to != n_from + 1:
        raise cursor.error("not one target state more than sources", got=(n_from, n_to))
    _announced(cursor, n_matrices * n_from * n_to)
    stored = cursor.array("f4", (n_matrices, n_from, n_to), "transitions")
    cursor.finish()
    _finite(stored, cursor, Path(path).name)
    counts = stored.astype(np.float64)
    if counts.min() < 0 or not np.all(counts.sum(axis=2) > 0):
        raise FormatError("a state has negative transitions, or none", where=str(path))
    rows = counts / counts.sum(axis=2, keepdims=True)
    rows = np.where(rows > 0, np.maximum(rows, TRANSITION_FLOOR), 0.0)
    rows /= rows.sum(axis=2, keepdims=True)
    initial = np.eye(n_from)[0]
    topologies = []
    for index, matrix in enumerate(rows):
        try:
            topologies.append(Topology(initial, matrix[:, :-1], matrix[:, -1]))
        except ModelError as error:
            raise FormatError(f"transition matrix {index}: {error.what}", where=str(path)) from None
    return topologies


def read_transform(path: str | Path) -> Array:
    """Read ``feature_transform`` (LDA/MLLT): the first matrix, float32, shape (m, n)."""
    _, cursor = open_container(path)
    n_matrices, n_rows, n_columns = _sizes(cursor, ("matrices", "rows", "columns"))
    _announced(cursor, n_matrices * n_rows * n_columns)
    matrices = cursor.array("f4", (n_matrices, n_rows, n_columns), "transform")
    cursor.finish()
    return np.ascontiguousarray(_finite(matrices, cursor, Path(path).name)[0])
