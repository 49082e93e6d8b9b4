"""Files for workers that do not see this machine's disk.

In: a file or directory here. Out: the same on a worker's disk, found by its content, written once.

Public names: `Parcel`, `located`, `receive`, `seen`.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.cluster.shards import files_digest, files_state
from wfst_hmm.errors import ClusterError
from wfst_hmm.files import atomic_directory

__all__ = ["Parcel", "located", "receive", "seen"]

MAX_BYTES = 8 << 30

_RECEIVED: dict[str, Path] = {}
_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Parcel:
    """A file or directory on its way.

    Attributes
    ----------
    path : str
        Where it lies on the machine that sends it.
    digest : str
        Of its content.
    state : str
        Its `shards.files_state`: where it is the same, the content need not be read.
    files : tuple of (str, bytes)
        Relative names and contents; the name of a single file is ``"."``.
    """

    path: str
    digest: str
    state: str
    files: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def described(cls, path: Path) -> Parcel:
        """Return the parcel without its content."""
        return cls(str(path.absolute()), files_digest([path]), files_state(path))

    def facts(self) -> tuple[str, str, str]:
        """Return path, digest and state."""
        return self.path, self.digest, self.state

    def filled(self, path: Path) -> Parcel:
        """Return the parcel with its content."""
        names = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        size = sum(name.stat().st_size for name in names)
        if size > MAX_BYTES:
            raise ClusterError("too much to send to workers", where=str(path), got=f"{size} bytes",
                               fix="Put it on a file system that all workers see.")  # fmt: skip
        files = tuple((n.relative_to(path).as_posix(), n.read_bytes()) for n in names)
        return dataclasses.replace(self, files=files)


def seen(facts: Sequence[tuple[str, str, str]]) -> list[bool]:
    """Tell for each path whether the same content lies there, as this process sees it."""
    return [_is_same(Path(path), digest, state) for path, digest, state in facts]


def _is_same(path: Path, digest: str, state: str = "") -> bool:
    return path.exists() and (files_state(path) == state or files_digest([path]) == digest)


def receive(parcel: Parcel, folder: Path) -> Path:
    """Write a parcel below `folder` of this machine, once for all its workers; return its path."""
    target = folder / "wfst-hmm-files" / parcel.digest[:32]
    with _LOCK:
        inner = target / "content"
        if not target.exists() or not _is_same(inner, parcel.digest):
            with atomic_directory(target) as new:
                for name, data in parcel.files:
                    # names come from a directory listing of the sender; none leaves the target
                    place = new / "content" if name == "." else new / "content" / name
                    if ".." in Path(name).parts or Path(name).is_absolute():
                        raise ClusterError("a name that leaves its folder", got=repr(name))
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
        _RECEIVED[parcel.path] = inner
    return inner


def located(path: str | Path) -> Path:
    """Return where this process finds what lies at `path` on the sender's machine."""
    return _RECEIVED.get(str(Path(path).absolute()), Path(path))
