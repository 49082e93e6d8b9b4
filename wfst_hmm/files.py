"""Reading and writing files so that nothing is lost and every complaint names its line.

In: paths. Out: decoded lines with their numbers; files and directories that appear whole or
not at all.

What is compressed by gzip, bzip2 or xz is unpacked, and text in UTF-16 or UTF-32 with a byte order
mark is decoded, both told by the first bytes whatever the name.

Public names: `read_lines`, `read_blocks`, `read_bytes`, `read_head`, `read_text`, `read_arrays`,
`as_text`, `binary_name`, `atomic_file`, `atomic_directory`, `may_replace`, `write_json`,
`read_json`, `sha256_of`.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from wfst_hmm.claims import claimed_directory, claimed_file, swapped
from wfst_hmm.errors import FormatError
from wfst_hmm.remote import local_copy

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_UNPACKED_BYTES",
    "as_text",
    "atomic_directory",
    "atomic_file",
    "binary_name",
    "may_replace",
    "read_arrays",
    "read_blocks",
    "read_bytes",
    "read_head",
    "read_json",
    "read_lines",
    "read_text",
    "sha256_of",
    "write_json",
]

MAX_LINE_BYTES = 1 << 20  # a text line longer than this is no line of ours
MAX_UNPACKED_BYTES = 1 << 32  # a compressed stream that unpacks to more is refused
HEAD_BYTES = 1 << 16  # what is looked at to tell a file's kind
_MASK = threading.Lock()
_UNREADABLE = (EOFError, zlib.error, lzma.LZMAError, OSError)
#: Name, magic, and what unpacks a stream of it.
_PACKERS: tuple[tuple[str, bytes, Callable[[Any], Any]], ...] = (
    ("gzip", b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    ("bzip2", b"BZh", bz2.BZ2File),
    ("xz", b"\xfd7zXZ\0", lzma.LZMAFile),
)
#: Byte order marks; the longer first, as UTF-32's begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
#: First bytes of files that are neither text nor anything that this package reads.
_FOREIGN = (
    (b"%PDF-", "a PDF document"), (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"), (b"GIF8", "a GIF picture"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard stream"), (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"), (b"MZ\x90\0", "a Windows program"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"), (b"{\\rtf", "an RTF document"),
    (b"\x80\2", "a Python pickle"), (b"\x80\3", "a Python pickle"),
    (b"\x80\4\x95", "a Python pickle"), (b"\x80\5\x95", "a Python pickle"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM film"), (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"), (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"), (b"PK\3\4", "a ZIP archive"),
    (b"GGUF", "a GGUF model"), (b"\x08\x03\x12", "an ONNX model"),
)  # fmt: skip


def binary_name(head: bytes) -> str | None:
    """Return what a file that begins with `head` is, when its first bytes are a known magic.

    Examples
    --------
    >>> binary_name(b"%PDF-1.7 ..."), binary_name(b"one W AH N")
    ('a PDF document', None)
    """
    if head[257:262] == b"ustar":
        return "a tar archive"
    return next((name for magic, name in _FOREIGN if head.startswith(magic)), None)


def read_head(path: str | Path, n_bytes: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file, unpacked, and as UTF-8 without a mark where one marks text.

    Raises
    ------
    FormatError
        The file is missing or unreadable, or the compressed stream is damaged at its beginning.
    """
    with _opened(Path(path)) as stream:
        try:
            data: bytes = stream.read(n_bytes)
        except _UNREADABLE as error:
            raise _damage(error, str(path)) from None
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "ignore").encode()
    return data


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield ``(line number, line)`` of a text file, plain or compressed, without line ends.

    Parameters
    ----------
    path : path
        UTF-8, or UTF-16 or UTF-32 with a byte order mark; plain, gzip, bzip2 or xz, told by the
        content, whatever its name.

    Raises
    ------
    FormatError
        The file is missing or unreadable, a line is not UTF-8, holds a NUL or is longer than
        `MAX_LINE_BYTES`, or the compressed stream is damaged; the message names ``path:line``.
    """
    path = Path(path)
    number = 0
    with _opened_text(path) as stream:
        try:
            while True:
                data = stream.readline(MAX_LINE_BYTES + 1)
                if not data:
                    return
                number += 1
                yield number, _decoded(data, path, number)
        except _UNREADABLE as error:
            raise _damage(error, f"{path}:{number + 1}") from None


def read_blocks(path: str | Path, block_bytes: int = 1 << 23) -> Iterator[tuple[int, bytes]]:
    """Yield ``(number of its first line, bytes)`` of a file, plain or compressed, in whole lines.

    For parsers that work on many lines at once; nothing is decoded, a byte order mark is removed
    and what is UTF-16 by its mark becomes UTF-8.

    Raises
    ------
    FormatError
        The file is missing or unreadable, holds a NUL or a line longer than `MAX_LINE_BYTES`, or
        the compressed stream is damaged.
    """
    path = Path(path)
    number, rest = 1, b""
    with _opened_text(path) as stream:
        while True:
            try:
                data = stream.read(block_bytes)
            except _UNREADABLE as error:
                raise _damage(error, f"{path}:{number}") from None
            if b"\0" in data:
                place = number + rest.count(b"\n") + data[: data.index(b"\0")].count(b"\n")
                raise _no_text("a NUL byte", path, place, data[data.index(b"\0") :][:4])
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
    """Return the content of a file, plain, gzip, bzip2 or xz.

    Parameters
    ----------
    path : path
    max_bytes : int, optional
        By default what lies on the disk is read whole, and a compressed stream may unpack to
        `MAX_UNPACKED_BYTES`.

    Raises
    ------
    FormatError
        The file is missing or unreadable, its stream is damaged, or there are more bytes.
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


def read_text(path: str | Path, max_bytes: int | None = None) -> str:
    """Return a text file whole: UTF-8, or UTF-16 or UTF-32 with a mark; plain or compressed.

    Raises
    ------
    FormatError
        As `read_bytes` and `as_text`.
    """
    return as_text(read_bytes(path, max_bytes), path)


def as_text(data: bytes, path: str | Path, encoding: str = "utf-8", fix: str = "") -> str:
    """Decode the bytes of a text file by their byte order mark, else by `encoding`; without mark.

    Parameters
    ----------
    data : bytes
    path : path
        Named in messages.
    encoding : str
        Any that Python knows.
    fix : str
        What to do where the bytes are in another encoding; by default to convert the file.

    Raises
    ------
    FormatError
        The bytes are not in that encoding, or hold a NUL (``path:line`` is named), or there is no
        such encoding.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], marked
            break
    try:
        text = data.decode(encoding)
    except LookupError:
        raise FormatError("an unknown character encoding", where=f"{path}:1:1",
                          got=repr(encoding[:40]), fix="Convert the file to UTF-8.") from None  # fmt: skip
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = data[:at].decode("latin-1").count("\n") + 1
        raise _no_text(f"not {encoding.upper()} at byte {at}", Path(path), line,
                       data[at : at + 4], encoding, fix) from None  # fmt: skip
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _no_text("a NUL byte", Path(path), line, b"\0")
    return text


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
    """Open `path` for reading bytes, unpacked when its content starts with a packer's magic."""
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(open(stack.enter_context(local_copy(path)), "rb"))
            magic = raw.peek(6)
        except FileNotFoundError:
            raise FormatError("no such file", where=str(path), fix="Check the path.") from None
        except IsADirectoryError:
            raise FormatError("is a directory", where=str(path), expected="a file") from None
        except PermissionError:
            raise FormatError("may not be read", where=str(path), fix="Check its rights.") from None
        except (OSError, ValueError) as error:
            raise FormatError(f"cannot be read ({error})", where=repr(str(path))) from None
        for _, mark, unpacked in _PACKERS:
            if magic.startswith(mark) and (mark != b"BZh" or magic[3:4].isdigit()):
                raw = stack.enter_context(unpacked(raw))
        yield raw


@contextlib.contextmanager
def _opened_text(path: Path) -> Iterator[Any]:
    """Open `path` for reading UTF-8: behind a byte order mark, recoded when that is another's."""
    with _opened(path) as stream:
        try:
            head = stream.peek(4)[:4]
        except _UNREADABLE as error:
            raise _damage(error, f"{path}:1") from None
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                stream.read(len(mark))
                if encoding != "utf-8":  # rare and short: whole
                    stream = io.BytesIO(as_text(_all(stream, path), path, encoding).encode())
                break
        yield stream


def _all(stream: Any, path: Path) -> bytes:
    try:
        data: bytes = stream.read(MAX_UNPACKED_BYTES + 1)
    except _UNREADABLE as error:
        raise _damage(error, str(path)) from None
    if len(data) > MAX_UNPACKED_BYTES:
        raise FormatError("file too large", where=str(path),
                          expected=f"at most {MAX_UNPACKED_BYTES} bytes")  # fmt: skip
    return data


def _damage(error: Exception, where: str) -> FormatError:
    if isinstance(error, OSError) and error.errno is not None:
        return FormatError(f"cannot be read ({error})", where=where)
    try:
        with open(where.rpartition(":")[0] or where, "rb") as stream:
            magic = stream.read(6)
    except OSError:
        magic = b""
    name = next((name for name, mark, _ in _PACKERS if magic.startswith(mark)), "compressed")
    return FormatError(
        f"damaged {name} stream ({error})", where=where, fix="Copy or compress the file again."
    )


def _no_text(
    what: str, path: Path, line: int, got: bytes, encoding: str = "utf-8", fix: str = ""
) -> FormatError:
    """Say that a file is not text; what it is instead, when its first bytes tell."""
    try:
        name = binary_name(read_head(path, 512))
    except FormatError:
        name = None
    if name is not None:
        return FormatError(f"{name}, not text", where=str(path), expected="text",
                           fix="Name another file.")  # fmt: skip
    if b"\0" in got:
        fix = "Is it binary?"
    return FormatError(what, where=f"{path}:{line}", got=repr(got),
                       expected=f"{encoding.upper()} text",
                       fix=fix or "Convert the file, for example with iconv -t UTF-8.")  # fmt: skip


def _has_long_line(block: bytes) -> bool:
    at = 0
    while len(block) - at > MAX_LINE_BYTES:
        newline = block.rfind(b"\n", at, at + MAX_LINE_BYTES + 1)
        if newline < 0:
            return True
        at = newline + 1
    return False


def _decoded(data: bytes, path: Path, number: int) -> str:
    if len(data) > MAX_LINE_BYTES:
        raise FormatError("line too long", where=f"{path}:{number}",
                          got=f"over {MAX_LINE_BYTES} bytes", expected="text lines")  # fmt: skip
    if b"\0" in data:
        raise _no_text("a NUL byte", path, number, b"\0")
    try:
        return data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        got = data[error.start : error.start + 4]
        raise _no_text(f"not UTF-8 at byte {error.start}", path, number, got) from None


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
    text = read_text(path)
    try:
        return json.loads(text)
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
