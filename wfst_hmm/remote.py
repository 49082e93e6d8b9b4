"""Files that lie elsewhere: on a web server, in a bucket, in memory.

In: a path, or a URL that fsspec understands. Out: a local file with the same content, kept as long
as it is used and a while longer.

Paths travel through this package as `pathlib.Path`, which writes ``s3://bucket/key`` as
``s3:/bucket/key``; both spellings mean the URL, unless a file of that name lies here. Relative
names in a list that lies elsewhere are relative to that list, as with local lists.

Public names: `SCHEMES`, `as_url`, `exists`, `is_folder`, `local_copy`.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wfst_hmm.errors import DataError, UsageError

__all__ = ["SCHEMES", "as_url", "exists", "is_folder", "local_copy"]

#: What may be named. Others (``ssh``, ``git``, chains such as ``zip::...``) would let a stranger's
#: list reach places that nobody thinks of.
SCHEMES = ("file", "memory", "http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "hdfs")
MAX_BYTES = 4 << 30  # of one recording
KEPT_BYTES = 1 << 30  # of copies that nobody uses at the moment

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):/{1,2}(?=[^/])(.*)", re.DOTALL)
_REMEDY = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs",
           "abfs": "adlfs", "http": "aiohttp", "https": "aiohttp", "hdfs": "pyarrow"}  # fmt: skip


def as_url(path: str | Path) -> str | None:
    """Return the URL that `path` stands for, None when it is a local path.

    Raises
    ------
    UsageError
        A scheme that is not among `SCHEMES`, or a chain of them.

    Examples
    --------
    >>> as_url(Path("s3://bucket/corpus.tsv"))
    's3://bucket/corpus.tsv'
    >>> as_url("corpus.tsv") is None
    True
    """
    text = str(path)
    match = _URL.fullmatch(text.replace("file:///", "file://localhost/", 1))
    if match is None or "\0" in text or _is_here(Path(text)):
        return None
    scheme, rest = match[1].lower(), match[2]
    if scheme not in SCHEMES or "::" in text:
        raise UsageError("no place to read from", where=text[:200], got=scheme,
                         expected=", ".join(SCHEMES), fix="Copy the file to one of them.")  # fmt: skip
    if scheme == "file":
        return "file:///" + rest.removeprefix("localhost/").lstrip("/")
    return f"{scheme}://{rest}"


def exists(path: str | Path) -> bool:
    """Tell whether a file or folder lies at a path or URL."""
    url = as_url(path)
    if url is None:
        return _is_here(Path(path))
    with _complaining(url):
        system, name = _system(url)
        return bool(system.exists(name))


def _is_here(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long for the system, or holds a NUL
        return False


def is_folder(path: str | Path) -> bool:
    """Tell whether a folder lies at a path or URL."""
    url = as_url(path)
    if url is None:
        return _is_here(Path(path)) and Path(path).is_dir()
    if url.startswith(("http://", "https://")):
        return False  # a web server lists no folders
    with _complaining(url):
        system, name = _system(url)
        return bool(system.isdir(name))


@contextlib.contextmanager
def local_copy(path: str | Path) -> Iterator[Path]:
    """Give a local path with the content of `path`, which may be a URL.

    Copies are shared within the process: a recording of which many stretches are read is
    fetched once.

    Raises
    ------
    DataError
        Nothing lies there, it cannot be fetched, or it is larger than `MAX_BYTES`.
    UsageError
        The package that speaks the URL's protocol is not installed.
    """
    url = as_url(path)
    if url is None:
        yield Path(path)
        return
    copy = _COPIES.take(url)
    try:
        with copy.lock:
            if copy.path is None:
                copy.path = _COPIES.fetch(url)
        yield copy.path
    finally:
        _COPIES.release(url)


@dataclasses.dataclass(eq=False)
class _Copy:
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    path: Path | None = None
    users: int = 0


class _Copies:
    """The copies of this process, the longest unused first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: dict[str, _Copy] = {}
        self._folder: Path | None = None
        self._number = 0

    def take(self, url: str) -> _Copy:
        with self._lock:
            copy = self._copies.pop(url, None) or _Copy()
            self._copies[url] = copy
            copy.users += 1
            return copy

    def release(self, url: str) -> None:
        with self._lock:
            copy = self._copies[url]
            copy.users -= 1
            if copy.path is None and not copy.users:
                del self._copies[url]
            idle = [(u, c.path) for u, c in self._copies.items() if not c.users and c.path]
            total = sum(path.stat().st_size for _, path in idle)
            for old, path in idle:
                if total <= KEPT_BYTES:
                    break
                total -= path.stat().st_size
                path.unlink()
                del self._copies[old]

    def fetch(self, url: str) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="wfst-hmm-copies-"))
                atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            self._number += 1
            target = self._folder / f"{self._number}{Path(url).suffix[:10]}"
        try:
            with _complaining(url):
                system, name = _system(url)
                with system.open(name, "rb") as source, open(target, "wb") as sink:
                    _copied(source, sink, url)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target


def _copied(source: Any, sink: Any, url: str) -> None:
    n_bytes = 0
    while block := source.read(1 << 20):
        n_bytes += len(block)
        if n_bytes > MAX_BYTES:
            raise DataError("too large a file", where=url, expected=f"at most {MAX_BYTES} bytes")
        sink.write(block)


def _system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the URL's name in it."""
    try:
        import fsspec
    except ImportError:
        raise UsageError("reading URLs needs fsspec", where=url,
                         fix='Install it: pip install "wfst_hmm[cluster]".') from None  # fmt: skip
    try:
        system, name = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _REMEDY.get(url.partition(":")[0], "the package that it names")
        raise UsageError(f"this URL cannot be read yet ({error})", where=url,
                         fix=f"Install {package}.") from None  # fmt: skip
    return system, str(name)


@contextlib.contextmanager
def _complaining(url: str) -> Iterator[None]:
    """Turn what file systems raise, each in its own way, into one line."""
    from wfst_hmm.errors import WfstHmmError

    try:
        yield
    except WfstHmmError:
        raise
    except FileNotFoundError:
        raise DataError("no such file", where=url, fix="Check the URL.") from None
    except Exception as error:  # aiohttp, botocore ... raise what they like
        said = str(error) or type(error).__name__
        raise DataError(f"cannot be read ({said[:300]})", where=url,
                        fix="Check the URL, the network and the credentials.") from None  # fmt: skip


_COPIES = _Copies()
