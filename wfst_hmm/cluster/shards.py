"""How a corpus is divided among workers, and what tells one work from another.

In: a corpus. Out: shards, each a tuple of positions in the corpus; a fingerprint of everything that
results depend on.

Shards follow from the corpus alone, not from the workers: whoever goes on with a work that another
number of workers began finds the same shards.

Public names: `corpus_digest`, `divided`, `files_digest`, `files_state`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import sha256_of
from wfst_hmm.remote import as_url
from wfst_hmm.signal.corpus import Corpus

__all__ = ["corpus_digest", "divided", "files_digest", "files_state"]


def divided(corpus: Corpus, size: int, *, whole_speaker: int = 0) -> list[tuple[int, ...]]:
    """Divide a corpus into shards.

    Parameters
    ----------
    corpus : Corpus
    size : int
        Utterances of a shard.
    whole_speaker : int
        Keep a speaker's utterances together, in one shard if there are at most so many of them.
        0: speakers do not matter.

    Returns
    -------
    list of tuple of int
        Positions in the corpus, rising within a shard; every position once.

    Examples
    --------
    >>> from wfst_hmm.signal.corpus import Utterance
    >>> some = Corpus(tuple(Utterance(i, Path("a"), None, i[0]) for i in ("a1", "b1", "a2", "b2")))
    >>> divided(some, 3), divided(some, 1, whole_speaker=2)
    ([(0, 1, 2), (3,)], [(0, 2), (1, 3)])
    """
    if size < 1:
        raise UsageError("a shard needs utterances", where="shard size", got=size)
    groups: dict[str, list[int]] = {}
    for position, utterance in enumerate(corpus):
        groups.setdefault(utterance.speaker if whole_speaker else "", []).append(position)
    shards: list[tuple[int, ...]] = []
    current: list[int] = []
    for group in groups.values():
        cut = len(group) > whole_speaker
        if current and (cut or len(current) + len(group) > size):
            shards.append(tuple(sorted(current)))
            current = []
        if cut:
            shards += [tuple(group[at : at + size]) for at in range(0, len(group), size)]
        else:
            current += group
    if current:
        shards.append(tuple(sorted(current)))
    return shards


def corpus_digest(corpus: Corpus) -> str:
    """Return a fingerprint of the utterances, and of size and date of their local recordings."""
    seen: dict[Path, str] = {}
    rows = []
    for u in corpus:
        if u.audio not in seen:
            seen[u.audio] = _state_of(u.audio)
        rows.append([u.id, str(u.audio), seen[u.audio], u.words, u.speaker, u.start, u.end,
                     u.channel, u.warp, str(u.raw or "")])  # fmt: skip
    return sha256_of([json.dumps(rows)])


def _state_of(path: Path) -> str:
    if as_url(path) is not None:
        return "elsewhere"
    try:
        facts = path.stat()
    except OSError:
        return "missing"
    return f"{facts.st_size} {facts.st_mtime_ns}"


def files_digest(paths: Iterable[str | Path]) -> str:
    """Return the SHA-256 of the content of files and directories.

    Raises
    ------
    FormatError
        One of them is not there.
    """
    parts = []
    for path in map(Path, paths):
        for file in _files(path):
            facts = file.stat()
            digest = _digest(file, facts.st_size, facts.st_mtime_ns, facts.st_ino)
            parts += [file.relative_to(path).as_posix(), digest]
    return sha256_of(parts)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FormatError("no such file or directory", where=str(path), fix="Check the path.")
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


@functools.lru_cache(maxsize=1024)
def _digest(file: Path, size: int, changed: int, number: int) -> str:
    with open(file, "rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_state(path: str | Path) -> str:
    """Return what tells a file or directory here from others, without reading it all.

    Names, sizes, dates and inode numbers: the same for all machines that see one file system.

    Raises
    ------
    FormatError
        It is not there.
    """
    rows = [(file.relative_to(path).as_posix(), file.stat()) for file in _files(Path(path))]
    return sha256_of([json.dumps([[n, s.st_size, s.st_mtime_ns, s.st_ino] for n, s in rows])])
