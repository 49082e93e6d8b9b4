"""Damaged files for fuzz tests: what a reader must answer with an error, or read honestly."""

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from wfst_hmm.errors import WfstHmmError

_NASTY = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800000, 0x7FC00000, 0x01000000)


def damaged(data: bytes, n: int, seed: int = 0) -> Iterator[bytes]:
    """Yield `n` damaged copies: cut short, bytes changed, hostile numbers, parts moved."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        copy = bytearray(data)
        kind = number % 6
        # half of the damage goes to the first bytes, where headers are
        span = min(len(copy), 400) if rng.random() < 0.5 else len(copy)
        at = int(rng.integers(max(span, 1)))
        if kind == 0:
            copy = copy[:at]
        elif kind == 1 and copy:
            copy[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            code = "<I" if rng.random() < 0.5 else ">I"
            copy[at : at + 4] = struct.pack(code, int(rng.choice(_NASTY)))
        elif kind == 3:
            copy[at : at + 4] = copy[at : at + 4][::-1]
        elif kind == 4:
            other = int(rng.integers(max(len(copy), 1)))
            copy[at:at] = copy[other : other + int(rng.integers(40))]
        else:
            del copy[at : at + int(rng.integers(1, 9))]
        yield bytes(copy)


def check_reader(
    read: Callable[[Path], object], data: bytes, folder: Path, n: int = 120, *,
    name: str = "damaged", max_bytes: int | None = None,
) -> int:  # fmt: skip
    """Read damaged copies of `data`; only errors of ours may come out, and memory stays small.

    Returns
    -------
    int
        How many copies were refused.
    """
    path = folder / name
    limit = 64 * len(data) + (1 << 21) if max_bytes is None else max_bytes
    refused = 0
    tracemalloc.start()
    try:
        for copy in damaged(data, n):
            path.write_bytes(copy)
            tracemalloc.reset_peak()
            message = _message(read, path)
            assert message is None or str(path.parent) in message
            assert message is None or "\n" not in message
            refused += message is not None
            assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()
    return refused


def _message(read: Callable[[Path], object], path: Path) -> str | None:
    try:
        read(path)
    except WfstHmmError as error:
        return str(error)
    return None
