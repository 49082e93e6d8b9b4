"""A job on a whole corpus, shard by shard, with a journal, on any engine.

In: a job, a corpus, an engine, the output's name. Out: results in the corpus's order.

Public names: `Work`, `absolute_spec`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wfst_hmm
from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.cluster.engine import Engine, Tell
from wfst_hmm.cluster.jobs import Job, needs_whole_speakers, pools, run_shard, sum_shard
from wfst_hmm.cluster.journal import ShardJournal
from wfst_hmm.cluster.mapping import Patience, run_shards
from wfst_hmm.cluster.shards import corpus_digest, divided
from wfst_hmm.cluster.values import pack, unpack
from wfst_hmm.errors import ClusterError
from wfst_hmm.files import sha256_of
from wfst_hmm.remote import as_url
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["Work", "absolute_spec"]

MAX_SIZE = 16  # utterances of a shard: what a killed worker has done in vain
_SHARES = 64  # at least as many shards where there are utterances for them
_WHOLE = 32  # a speaker of so many utterances is not cut: his statistics would cost a round


class Work:
    """One command's work; a context that lets go of the journal.

    Parameters
    ----------
    job : Job
        From `jobs.prepared`.
    corpus : Corpus
        Paths of recordings are made absolute: workers have directories of their own.
    out : path, optional
        The output; ``OUT.journal`` keeps what is done until `finish`. None: nothing is kept.
    size : int, optional
        Utterances of a shard; by default it follows from the size of the corpus.
    tell : callable
        Hears what a person should know.

    Raises
    ------
    UsageError
        Another process works on the same output.
    """

    def __init__(
        self,
        job: Job,
        corpus: Corpus,
        out: str | Path | None = None,
        *,
        size: int | None = None,
        tell: Tell = lambda text: None,
    ) -> None:
        self.corpus = corpus
        self.job = job
        self.pooled = pools(self.job)
        size = size or max(1, min(MAX_SIZE, len(corpus) // _SHARES))
        whole = _WHOLE if self.pooled else 0
        if needs_whole_speakers(self.job):
            whole = len(corpus)
        self.shards = divided(corpus, size, whole_speaker=whole)
        self.journal: ShardJournal | None = None
        self._tell = tell
        if out is not None:
            ids = [[corpus.utterances[i].id for i in shard] for shard in self.shards]
            self.journal = ShardJournal(out, self._fingerprint(), ids)
            if self.journal.note:
                tell(self.journal.note)

    def _fingerprint(self) -> str:
        options = {k: repr(v) for k, v in vars(self.job).items() if not isinstance(v, Path)}
        return sha256_of([wfst_hmm.__version__, type(self.job).__name__,
                          json.dumps(options, sort_keys=True), corpus_digest(self.corpus)])  # fmt: skip

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.journal is not None:
            self.journal.close()

    def finish(self) -> None:
        """Delete the journal: the results are written."""
        if self.journal is not None:
            self.journal.discard()
            self.journal = None

    def results(
        self, engine: Engine, patience: Patience | None = None
    ) -> Iterator[tuple[Utterance, Any]]:
        """Yield every utterance and its result, in the corpus's order, as soon as possible.

        What has to wait for others waits in the journal, if there is one, and not in memory.
        """
        home = {position: number for number, shard in enumerate(self.shards) for position in shard}
        ended: dict[int, bytes | None] = {}
        opened: dict[int, dict[int, Any]] = {}
        following = 0
        for number, data in self._ended(engine, patience):
            ended[number] = data
            while following in home and home[following] in ended:
                number = home[following]
                if number not in opened:
                    values = self._values(number, ended[number])
                    opened[number] = dict(zip(self.shards[number], values, strict=True))
                value = opened[number].pop(following)
                if not opened[number]:
                    del opened[number], ended[number]
                utterance = self.corpus.utterances[following]
                if isinstance(value, Outcome):  # paths as they were named here
                    value = dataclasses.replace(value, utterance=utterance)
                yield utterance, value
                following += 1

    def _values(self, number: int, data: bytes | None) -> list[Any]:
        if data is None and self.journal is not None:
            data = self.journal.read(number)
        if data is None:
            raise ClusterError("results have vanished from the journal", got=f"shard {number}",
                               fix="Give the same command again.")  # fmt: skip
        values: list[Any] = unpack(data)
        return values

    def _ended(
        self, engine: Engine, patience: Patience | None
    ) -> Iterator[tuple[int, bytes | None]]:
        """Yield every shard's number as it is finished, and its results unless the journal has them."""
        kept = set(self.journal.done()) if self.journal is not None else set()
        for number in sorted(kept):
            yield number, None
        left = {n: self._utterances(n) for n in range(len(self.shards)) if n not in kept}
        if not left:
            return
        files = self.job.files()

        def repair() -> None:
            engine.bring(files)

        engine.bring(files)
        stats = self._statistics(engine, left, patience, repair)
        arguments = {n: (self.job, some, pack(stats[n])) for n, some in left.items()}
        for number, data in run_shards(engine, run_shard, arguments, patience, repair=repair):
            if self.journal is not None:
                self.journal.write(number, data)
            yield number, None if self.journal is not None else data

    def _utterances(self, number: int) -> tuple[Utterance, ...]:
        return tuple(_absolute(self.corpus.utterances[i]) for i in self.shards[number])

    def _statistics(
        self, engine: Engine, left: dict[int, Any], patience: Patience | None, repair: Any
    ) -> dict[int, dict[str, CmvnStats]]:
        """Return for each shard the statistics of those speakers whom other shards hold, too."""
        none: dict[int, dict[str, CmvnStats]] = {number: {} for number in left}
        if not self.pooled:
            return none
        homes: dict[str, set[int]] = {}
        for number, shard in enumerate(self.shards):
            for position in shard:
                homes.setdefault(self.corpus.utterances[position].speaker, set()).add(number)
        cut = {s: numbers for s, numbers in homes.items() if len(numbers) > 1 and numbers & {*left}}
        wanted = sorted({number for numbers in cut.values() for number in numbers})
        if not wanted:
            return none
        self._tell(f"first the statistics of {len(cut)} speakers whose speech fills many shards")
        arguments = {
            n: (self.job, tuple(u for u in self._utterances(n) if u.speaker in cut)) for n in wanted
        }
        parts: dict[str, CmvnStats] = {}
        for _, data in run_shards(engine, sum_shard, arguments, patience, repair=repair):
            parts |= unpack(data)
        of_speaker: dict[str, list[CmvnStats]] = {}
        for utterance in self.corpus:  # in the corpus's order: sums to the last bit the same
            if utterance.speaker in cut and utterance.id in parts:
                of_speaker.setdefault(utterance.speaker, []).append(parts[utterance.id])
        merged = {speaker: CmvnStats.merge(some) for speaker, some in of_speaker.items()}
        return {
            n: {s: merged[s] for s in {u.speaker for u in some} if s in merged}
            for n, some in left.items()
        }


def _absolute(utterance: Utterance) -> Utterance:
    if as_url(utterance.audio) is not None or utterance.audio.is_absolute():
        return utterance
    return dataclasses.replace(utterance, audio=utterance.audio.absolute())


def absolute_spec(lexicon: str) -> str:
    """Return the specification of a lexicon with absolute paths of its files."""
    if Path(lexicon).exists():
        return str(Path(lexicon).absolute())
    parts = (str(Path(p).absolute()) if Path(p).is_file() else p for p in lexicon.split("+"))
    return "+".join(parts)
