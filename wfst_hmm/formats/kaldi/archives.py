r"""Kaldi archives (``ark``) and their tables of contents (``scp``).

In: paths. Out: dictionaries from key to matrix, vector or list of integers, in the file's
order; or archives written in text or binary, with or without their ``scp``.

An archive is ``key``, a blank, an object, again and again; a binary object starts with
``\0B``. A line of an ``scp`` names a file, and often the byte in it at which the object starts:
``key path:byte``.

Public names: `archive_objects`, `read_archive`, `read_script`, `write_archive`, `read_object`, `write_object`,
`read_integer_lists`, `write_integer_lists`, `read_cmvn`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_bytes, read_lines
from wfst_hmm.formats.kaldi.stream import KaldiReader, KaldiWriter
from wfst_hmm.remote import exists
from wfst_hmm.signal.cmvn import CmvnStats

__all__ = [
    "archive_objects",
    "read_archive",
    "read_cmvn",
    "read_integer_lists",
    "read_object",
    "read_script",
    "write_archive",
    "write_integer_lists",
    "write_object",
]

Kind = Literal["matrix", "vector", "integers"]
_BLANKS = b" \t\n\r"


def archive_objects(data: bytes, where: str) -> Iterator[tuple[str, KaldiReader]]:
    """Yield each key of an archive and a reader that stands at its object.

    The caller reads the object from the reader before it takes the next pair.
    """
    at = 0
    seen: set[str] = set()
    while True:
        reader = KaldiReader(data, where, at, binary=False)
        reader.skip_blanks()
        if not reader.left:
            return
        key = reader.token("key")
        if key in seen:
            raise reader.error(f"key {key!r} occurs twice", fix="Keys of an archive are unique.")
        seen.add(key)
        reader.start_object()
        yield key, reader
        at = reader.at


def _read(reader: KaldiReader, kind: Kind, what: str) -> npt.NDArray[Any]:
    if kind == "matrix":
        return reader.matrix(what)
    if kind == "vector":
        return reader.vector(what)
    return reader.integers(what)


def read_archive(path: str | Path, kind: Kind = "matrix") -> dict[str, npt.NDArray[Any]]:
    """Read every object of an archive, text or binary, plain or gzip.

    Parameters
    ----------
    path : path
    kind : {"matrix", "vector"}
        For lists of integers (alignments) use `read_integer_lists`.

    Raises
    ------
    FormatError
        Names file and byte (or line); a header that claims more than the file holds is found
        before memory is asked for.
    """
    data, where = read_bytes(path), str(path)
    return {key: _read(r, kind, f"{kind} {key!r}") for key, r in archive_objects(data, where)}


def read_script(path: str | Path, kind: Kind = "matrix") -> dict[str, npt.NDArray[Any]]:
    """Read the objects that an ``scp`` file lists.

    Each archive is read from disk once. A path that does not exist is looked for beside the
    ``scp`` under its last components, since recipes write absolute paths and folders move.
    """
    archives: dict[Path, bytes] = {}
    found: dict[str, npt.NDArray[Any]] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        key, _, rest = line.strip().partition(" ")
        file, offset = _target(rest.strip(), Path(path), where)
        if key in found:
            raise FormatError(f"key {key!r} occurs twice", where=where)
        if file not in archives:
            archives[file] = read_bytes(file)
        data = archives[file]
        if offset > len(data):
            raise FormatError(f"{key!r} starts after the end of {file}", where=where,
                              got=offset, expected=f"at most {len(data)}")  # fmt: skip
        found[key] = _read(KaldiReader(data, str(file), offset), kind, f"{kind} {key!r}")
    return found


def _target(rest: str, script: Path, where: str) -> tuple[Path, int]:
    """Split ``path:byte`` and find the file."""
    if not rest or rest.endswith("|") or rest.endswith("]"):
        raise FormatError("only plain files are read", where=where, got=repr(rest[:80]),
                          expected="path or path:byte", fix="Write the command's output to a file.")  # fmt: skip
    name, colon, digits = rest.rpartition(":")
    offset = 0
    if colon and digits.isascii() and digits.isdigit() and len(digits) < 19:
        offset = int(digits)
    else:
        name = rest
    tails = [Path(*Path(name).parts[-n:]) for n in range(1, min(len(Path(name).parts), 4) + 1)]
    for file in (Path(name), script.parent / name, *(script.parent / tail for tail in tails)):
        if exists(file) and file.is_file():
            return file, offset
    raise FormatError("names a file that does not exist", where=where, got=name,
                      fix=f"Put it beside {script.name} or correct the path.")  # fmt: skip


def read_object(path: str | Path, kind: Kind = "matrix") -> npt.NDArray[Any]:
    """Read a file that holds one matrix or vector, such as ``final.mat``."""
    reader = KaldiReader(read_bytes(path), str(path))
    value = _read(reader, kind, kind)
    reader.skip_blanks()
    reader.finish()
    return value


def write_object(path: str | Path, value: npt.NDArray[Any], *, binary: bool = True) -> None:
    """Write one matrix (two dimensions) or vector (one), float32 or float64."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(_bytes_of(value, binary))


def _bytes_of(value: npt.NDArray[Any], binary: bool) -> bytes:
    array = np.asarray(value)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    writer = KaldiWriter(binary=binary)
    if array.ndim == 1:
        writer.vector(array)
    else:
        writer.matrix(array)
    return writer.getvalue()


def write_archive(
    path: str | Path,
    objects: Mapping[str, npt.NDArray[Any]] | Iterable[tuple[str, npt.NDArray[Any]]],
    *,
    binary: bool = True,
    script: str | Path | None = None,
) -> None:
    """Write matrices or vectors, and with `script` the ``scp`` that points into the archive.

    Pairs of key and array are taken one by one: they need not fit into memory together.
    """
    lines = []
    with atomic_file(path) as temporary, open(temporary, "wb") as stream:
        for key, value in objects.items() if isinstance(objects, Mapping) else objects:
            _check_key(key)
            stream.write(key.encode() + b" ")
            lines.append(f"{key} {path}:{stream.tell()}\n")
            stream.write(_bytes_of(value, binary))
    if script is not None:
        with atomic_file(script) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")


def _check_key(key: str) -> None:
    if not key or key.split() != [key]:
        raise FormatError("a key is empty or holds white space", got=repr(key))


def read_integer_lists(path: str | Path) -> dict[str, npt.NDArray[np.int32]]:
    r"""Read lists of integers by key: alignments (``ali.*.gz``), ``.tra`` files, ``utt2int``.

    Text has a line for each key; binary is ``\0B``, a count and the numbers, each with its
    size mark in front (Kaldi's ``Int32VectorWriter``).
    """
    data, where = read_bytes(path), str(path)
    found: dict[str, npt.NDArray[np.int32]] = {}
    at = 0
    while True:
        reader = KaldiReader(data, where, at, binary=False)
        reader.skip_blanks()
        if not reader.left:
            return found
        key = reader.token("key")
        if key in found:
            raise reader.error(f"key {key!r} occurs twice")
        reader.start_object()
        found[key] = _marked_integers(reader, key) if reader.binary else _line(reader, key)
        at = reader.at


def _marked_integers(reader: KaldiReader, key: str) -> npt.NDArray[np.int32]:
    n = reader.size(f"numbers of {key!r}", each=5)
    raw = reader.array("u1", (n, 5), f"numbers of {key!r}")
    if np.any(raw[:, 0] != 4):
        raise reader.error(f"a number of {key!r} is no int32")
    return np.ascontiguousarray(raw[:, 1:]).view("<i4").astype(np.int32).reshape(n)


def _line(reader: KaldiReader, key: str) -> npt.NDArray[np.int32]:
    stop = reader.data.find(b"\n", reader.at, reader.end)
    stop = reader.end if stop < 0 else stop
    try:
        values = [int(text) for text in reader.data[reader.at : stop].split()]
        array = np.array(values, dtype=np.int32)
    except (ValueError, OverflowError):
        raise reader.error(f"the line of {key!r} holds more than whole numbers") from None
    reader.at = stop
    return array


def write_integer_lists(
    path: str | Path, lists: Mapping[str, Sequence[int] | npt.NDArray[Any]], *, binary: bool = False
) -> None:
    """Write lists of integers by key, as `read_integer_lists` reads them."""
    with atomic_file(path) as temporary, open(temporary, "wb") as stream:
        for key, values in lists.items():
            _check_key(key)
            stream.write(key.encode() + b" ")
            if binary:
                writer = KaldiWriter(binary=True)
                for value in (len(values), *values):
                    writer.integer(int(value))
                stream.write(writer.getvalue())
            else:
                stream.write(b"".join(b"%d " % v for v in values) + b"\n")


def read_cmvn(path: str | Path) -> dict[str, CmvnStats]:
    """Read CMVN statistics by speaker or utterance, from an archive or (``.scp``) a script.

    A matrix of 2 x (D+1): sums and the number of frames, then sums of squares and nothing.
    """
    data, where = read_bytes(path), str(path)
    matrices: dict[str, npt.NDArray[Any]]
    if Path(path).suffix == ".scp":
        matrices = read_script(path)
    else:
        matrices = {
            key: reader.matrix(f"statistics of {key!r}", np.float64)
            for key, reader in archive_objects(data, where)
        }
    found = {}
    for key, matrix in matrices.items():
        if matrix.shape[:1] != (2,) or matrix.shape[1] < 2 or not np.isfinite(matrix).all():
            raise FormatError(f"no CMVN statistics for {key!r}", where=where,
                              got=f"a matrix of {' x '.join(map(str, matrix.shape))}",
                              expected="2 rows of finite numbers")  # fmt: skip
        if matrix[0, -1] < 0:
            raise FormatError(f"a negative number of frames for {key!r}", where=where)
        found[key] = CmvnStats(float(matrix[0, -1]), matrix[0, :-1], matrix[1, :-1])
    return found
