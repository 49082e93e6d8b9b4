"""What has been done already, on disk, so that a killed command goes on where it was.

In: the shards' results, one by one, as bytes. Out: a folder beside the output, ``OUT.journal``,
with a manifest and a file per shard that is done; and the same bytes when the command is given
again.

A shard's file appears whole or not at all. Files that are damaged, and a journal of another work,
count as nothing.

Public names: `ShardJournal`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.files import atomic_file, read_json, write_json

__all__ = ["ShardJournal"]

_FORMAT = "wfst_hmm shards 1"
_MANIFEST = "manifest.json"
_LOCK = "lock"
_SHARD = "shard-"
_DIGEST_BYTES = 32


class ShardJournal:
    """The folder.

    Parameters
    ----------
    out : path
        The output of the command; the journal is ``OUT.journal`` beside it.
    fingerprint : str
        Of everything that the results depend on.
    shards : sequence of sequence of str
        The ids of every shard's utterances.

    Attributes
    ----------
    note : str
        What a person should know: work that was found, or why an older journal is of no use.
    """

    def __init__(self, out: str | Path, fingerprint: str, shards: Sequence[Sequence[str]]) -> None:
        out = Path(out)
        self.folder = out.parent / f"{out.name}.journal"
        self.n_shards = len(shards)
        self.note = ""
        manifest: dict[str, object] = {
            "format": _FORMAT,
            "fingerprint": fingerprint,
            "shards": [*map(list, shards)],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        if not self._same(manifest):
            self._begin(manifest)
        for left in self.folder.glob(".*.part"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        n_done = len(self.done())
        if n_done:
            self.note = f"goes on: {n_done} of {self.n_shards} shards are in {self.folder}"

    def _locked(self) -> IO[bytes]:
        """Hold the folder; the system lets go of it when the process ends in whatever way."""
        others = {p.name for p in self.folder.iterdir()} - {_LOCK, _MANIFEST}
        foreign = [name for name in others if not name.startswith((".", _SHARD))]
        if foreign:
            raise UsageError("is no journal of this program", where=str(self.folder),
                             got=foreign[0], fix="Rename it, or name another output.")  # fmt: skip
        lock = open(self.folder / _LOCK, "wb")  # noqa: SIM115 (held as long as the work lasts)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise UsageError("another process works on this output", where=str(self.folder),
                             fix="Wait for it, or name another output.") from None  # fmt: skip
        return lock

    def _begin(self, manifest: dict[str, object]) -> None:
        if (self.folder / _MANIFEST).is_file():
            self.note = f"{self.folder} belongs to another work: it begins anew"
        self._clear()
        write_json(self.folder / _MANIFEST, manifest)

    def _same(self, manifest: dict[str, object]) -> bool:
        try:
            return bool(read_json(self.folder / _MANIFEST) == manifest)
        except WfstHmmError:
            return False

    def _clear(self) -> None:
        """Delete the shards, then the manifest: killed in between, a journal of less is left."""
        for path in sorted(self.folder.glob(f"{_SHARD}*")):
            path.unlink()
        (self.folder / _MANIFEST).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{_SHARD}{number:06d}"

    def done(self) -> list[int]:
        """Return the numbers of the shards whose results are there."""
        return [n for n in range(self.n_shards) if self._path(n).is_file() and self.read(n)]

    def read(self, number: int) -> bytes | None:
        """Return the results of a shard; None when they are missing or damaged."""
        try:
            data = self._path(number).read_bytes()
        except OSError:
            return None
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return body if hashlib.sha256(body).digest() == digest else None

    def write(self, number: int, data: bytes) -> None:
        """Keep the results of a shard; they are on disk when this returns."""
        with atomic_file(self._path(number)) as temporary:
            temporary.write_bytes(hashlib.sha256(data).digest() + data)

    def discard(self) -> None:
        """Delete the folder: the results stand in the output."""
        self._clear()
        self.close()
        (self.folder / _LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else has begun
            self.folder.rmdir()

    def close(self) -> None:
        """Let go of the folder, which stays."""
        self._lock.close()
