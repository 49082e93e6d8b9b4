"""Temporary names that outlive no writer: what a killed process left, the next one takes over.

In: the path that somebody is going to write. Out: an empty file or directory beside it, for this
writer alone.

The name is always ``.NAME.part``, so that whoever writes NAME after a SIGKILL finds the leftover,
empties it and uses it. A lock tells leftovers from the work of a living writer: the system drops it
when the process ends in whatever way. A second writer of the same path gets a random name.

Public names: `claimed_directory`, `claimed_file`, `swapped`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["claimed_directory", "claimed_file", "swapped"]

_RENAME_EXCHANGE = 2  # of Linux's fs.h
_TRIES = 100  # a claim is lost only when another writer finishes at the same moment


@contextlib.contextmanager
def claimed_file(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path`; what still has its name in the end is deleted."""
    name = path.parent / f".{path.name}.part"
    handle = _claim(name, os.O_RDWR | os.O_CREAT)
    if handle is None:
        handle, other = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        name = Path(other)
    try:
        os.ftruncate(handle, 0)
        yield name
    finally:
        if _is(name, handle):
            name.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def claimed_directory(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Give an empty directory beside `path`; what still has its name in the end is deleted."""
    name = path.parent / f".{path.name}{suffix}"
    with contextlib.suppress(OSError):  # a leftover is taken over; a real reason comes up below
        name.mkdir(mode=0o700)
    handle = _claim(name, os.O_RDONLY | os.O_DIRECTORY)
    if handle is None:
        name = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent))
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _empty(name)
        yield name
    finally:
        if _is(name, handle):
            shutil.rmtree(name, ignore_errors=True)
        os.close(handle)


def swapped(new: Path, path: Path) -> bool:
    """Put the claimed directory `new` in the place of another in one step, and delete that.

    False where the system or the file system cannot: nothing has changed then. The old one is
    locked, for it bears a temporary name until it is gone.
    """
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    handle = _claim(path, os.O_RDONLY | os.O_DIRECTORY)
    if handle is None:
        return False
    try:
        names = os.fsencode(new.absolute()), os.fsencode(path.absolute())
        if exchange is None or exchange(-1, names[0], -1, names[1], _RENAME_EXCHANGE) != 0:
            return False
        shutil.rmtree(new)
        return True
    finally:
        os.close(handle)


def _claim(name: Path, flags: int) -> int | None:
    """Open and lock `name`; None when a living writer holds it, or it is not for us to use."""
    for _ in range(_TRIES):
        try:
            handle = os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:  # a link, somebody else's; a folder that cannot be written fails again
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        if not _is(name, handle):  # its writer has just finished
            os.close(handle)
            continue
        if _harmless(os.fstat(handle)):
            return handle
        os.close(handle)
        return None
    return None


def _harmless(found: os.stat_result) -> bool:
    """Tell whether a leftover can be emptied: our own, and known by no second name."""
    if found.st_uid != os.geteuid():
        return False
    return stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)


def _is(name: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(name), os.fstat(handle))
    except OSError:
        return False


def _empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
