"""Reading and writing files so that nothing is lost and every complaint names its line.

In: paths. Out: decoded lines with their numbers; files and directories that appear whole or
not at all.

Public names: `read_lines`, `read_blocks`, `read_bytes`, `read_arrays`, `atomic_file`,
`atomic_directory`, `may_replace`, `write_json`, `read_json`, `sha256_of`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wfst_hmm.claims import claimed_directory, claimed_file, swapped
from wfst_hmm.errors import FormatError
from wfst_hmm.remote import local_copy

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_UNPACKED_BYTES",
    "atomic_directory",
    "atomic_file",
    "may_replace",
    "read_arrays",
    "read_blocks",
    "read_bytes",
    "read_json",
    "read_lines",
    "sha256_of",
    "write_json",
]

MAX_LINE_BYTES = 1 << 20  # a text line longer than this is no line of ours
MAX_UNPACKED_BYTES = 1 << 32  # a gzip stream that unpacks to more is refused
_MASK = threading.Lock()
_BOM = b"\xef\xbb\xbf"
_UNREADABLE = (EOFError, zlib.error, OSError)


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield ``(line number, line)`` of a UTF-8 text file, plain or gzip, without line ends.

    Parameters
    ----------
    path : path
        Compressed when its content starts with the gzip magic, whatever its name.

    Raises
    ------
    FormatError
        The file is missing or unreadable, a line is not UTF-8, holds a NUL or is longer than
        `MAX_LINE_BYTES`, or the gzip stream is damaged; the message names ``path:line``.
    """
    path = Path(path)
    number = 0
    with _opened(path) as stream:
        try:
            while True:
                data = stream.readline(MAX_LINE_BYTES + 1)
                if not data:
                    return
                number += 1
                if number == 1 and data.startswith(_BOM):
                    data = data[len(_BOM) :]
                yield number, _decoded(data, path, number)
        except _UNREADABLE as error:
            raise _damage(error, f"{path}:{number + 1}") from None


def read_blocks(path: str | Path, block_bytes: int = 1 << 23) -> Iterator[tuple[int, bytes]]:
    """Yield ``(number of its first line, bytes)`` of a file, plain or gzip, in whole lines.

    For parsers that work on many lines at once; nothing is decoded, a byte order mark is removed.

    Raises
    ------
    FormatError
        The file is missing or unreadable, holds a NUL or a line longer than `MAX_LINE_BYTES`, or
        the gzip stream is damaged.
    """
    path = Path(path)
    number, rest, first = 1, b"", True
    with _opened(path) as stream:
        while True:
            try:
                data = stream.read(block_bytes)
            except _UNREADABLE as error:
                raise _damage(error, f"{path}:{number}") from None
            if first and data.startswith(_BOM):
                data = data[len(_BOM) :]
            first = False
            if b"\0" in data:
                place = number + rest.count(b"\n") + data[: data.index(b"\0")].count(b"\n")
                raise FormatError("a NUL byte", where=f"{path}:{place}", expected="UTF-8 text",
                                  fix="Is it binary?")  # fmt: skip
            cut = data.rfind(b"\n") + 1 if data else 0
            block, rest = (rest + data[:cut], data[cut:]) if cut else (b"", rest + data)
            if not data and rest:
                block, rest = rest, b""
            if len(rest) > MAX_LINE_BYTES or _has_long_line(block):
                raise FormatError(
                    "line too long", where=f"{path}:{number}", got=f"over {MAX_LINE_BYTES} bytes",
                    expected="text lines",
                )  # fmt: skip
            if block:
                yield number, block
                number += block.count(b"\n")
            if not data:
                return


def read_bytes(path: str | Path, max_bytes: int | None = None) -> bytes:
    """Return the content of a file, plain or gzip.

    Parameters
    ----------
    path : path
    max_bytes : int, optional
        By default what lies on the disk is read whole, and a gzip stream may unpack to
        `MAX_UNPACKED_BYTES`.

    Raises
    ------
    FormatError
        The file is missing or unreadable, its gzip stream is damaged, or there are more bytes.
    """
    path = Path(path)
    parts: list[bytes] = []
    with _opened(path) as stream:
        if max_bytes is None:
            max_bytes = max(MAX_UNPACKED_BYTES, path.stat().st_size)
        left = max_bytes + 1
        try:
            while left and (part := stream.read(min(left, 1 << 20))):  # read(n) allocates n bytes
                parts.append(part)
                left -= len(part)
        except _UNREADABLE as error:
            raise _damage(error, str(path)) from None
    if not left:
        raise FormatError("file too large", where=str(path), expected=f"at most {max_bytes} bytes")
    return b"".join(parts)


def read_arrays(path: str | Path) -> dict[str, Any]:
    """Return the numpy arrays of an ``.npz`` file by name; pickled objects are refused.

    Raises
    ------
    FormatError
        The file is missing or damaged; numpy and zipfile have many ways to say so.
    """
    import numpy as np  # here: the command line lists its commands without numpy

    path = Path(path)
    try:
        # opened here: numpy leaves a file open that turns out to be no archive
        with open(path, "rb") as stream:
            if stream.read(4) not in (
                b"PK\3\4",
                b"PK\5\6",
            ):  # numpy would take it for a pickle, and advise to trust it
                raise FormatError("not an .npz file", where=str(path), fix="Check the path.")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise FormatError("no such file", where=str(path), fix="Check the path.") from None
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError,
        NotImplementedError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        # numpy's own words advise to unpickle: that would run whatever the file says
        reason = "pickled objects are refused" if "pickle" in str(error) else error
        raise FormatError(
            f"a damaged file of arrays ({reason})", where=str(path), fix="Copy or make it again."
        ) from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open `path` for reading bytes, through gzip when its content starts with gzip's magic."""
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(open(stack.enter_context(local_copy(path)), "rb"))
            magic = raw.read(2)
            raw.seek(0)
        except FileNotFoundError:
            raise FormatError("no such file", where=str(path), fix="Check the path.") from None
        except IsADirectoryError:
            raise FormatError("is a directory", where=str(path), expected="a file") from None
        except PermissionError:
            raise FormatError("may not be read", where=str(path), fix="Check its rights.") from None
        except (OSError, ValueError) as error:
            raise FormatError(f"cannot be read ({error})", where=repr(str(path))) from None
        yield stack.enter_context(gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw


def _damage(error: Exception, where: str) -> FormatError:
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return FormatError(f"cannot be read ({error})", where=where)
    return FormatError(
        f"damaged gzip stream ({error})", where=where, fix="Copy or compress the file again."
    )


def _has_long_line(block: bytes) -> bool:
    at = 0
    while len(block) - at > MAX_LINE_BYTES:
        newline = block.rfind(b"\n", at, at + MAX_LINE_BYTES + 1)
        if newline < 0:
            return True
        at = newline + 1
    return False


def _decoded(data: bytes, path: Path, number: int) -> str:
    if len(data) <= MAX_LINE_BYTES and b"\0" not in data:
        try:
            return data.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise FormatError(
                f"not UTF-8 at byte {error.start}",
                where=f"{path}:{number}",
                got=repr(data[error.start : error.start + 4]),
                fix="Convert the file, for example with iconv -t UTF-8.",
            ) from None
    where = f"{path}:{number}"
    if b"\0" in data:
        raise FormatError("a NUL byte", where=where, expected="UTF-8 text", fix="Is it binary?")
    raise FormatError(
        "line too long", where=where, got=f"over {MAX_LINE_BYTES} bytes", expected="text lines"
    )


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it becomes `path`, else it vanishes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with claimed_file(path) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # a claim's 0600 would hide results from colleagues
        _sync(temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Give an empty temporary directory beside `path`; on success it replaces `path` whole.

    Where the file system can exchange two names in one step (Linux), `path` is never missing.
    Elsewhere the old one is first renamed aside, and is put back if the second rename fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with claimed_directory(path) as temporary:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        if not path.exists():
            os.replace(temporary, path)
            return
        if swapped(temporary, path):
            return
        with claimed_directory(path, ".old") as aside:
            os.replace(path, aside / "old")
            try:
                os.replace(temporary, path)
            except OSError:
                os.replace(aside / "old", path)
                raise


def _umask() -> int:
    """Return the process's mask, which can only be read by setting it."""
    with _MASK:  # two threads at once could leave it at 0
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def may_replace(path: Path, mark: str) -> bool:
    """Tell whether a directory may be written to `path`: nothing there, or one that holds `mark`."""
    empty = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    return empty or (path / mark).is_file()


def _sync(path: Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically; NaN and infinities are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a `FormatError` names the line where it stops being JSON."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError("no such file", where=str(path), fix="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"cannot be read ({error})", where=str(path)) from None
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise FormatError(f"not JSON ({error})", where=f"{path}:{line}") from None


def sha256_of(parts: Iterable[bytes | memoryview | str]) -> str:
    """Return the hexadecimal SHA-256 of `parts`, each preceded by its length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else memoryview(part).cast("B")
        digest.update(str(len(data)).encode() + b":")
        digest.update(data)
    return digest.hexdigest()
