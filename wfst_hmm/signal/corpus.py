"""What a corpus is: utterances, who speaks them and where their audio lies.

In: values that a reader or a synthesizer gives. Out: `Utterance`, `Corpus`.

Public names: `Corpus`, `Utterance`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from wfst_hmm.errors import DataError
from wfst_hmm.signal.audio import Audio, AudioInfo, RawFormat, audio_info, read_audio

__all__ = ["Corpus", "Utterance"]


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One stretch of speech.

    Attributes
    ----------
    id : str
        Unique within its corpus, without white space.
    audio : Path
        The recording.
    words : tuple of str, or None
        The transcript; None when it is not known, () when nothing is said.
    speaker : str
        Who speaks; the utterance's own id when nobody says.
    start, end : float, optional
        The stretch of the recording in seconds; None is its beginning and its end.
    where : str
        ``file:line`` that defines the utterance, for error messages.
    channel : int, optional
        Channel of the recording, from 0; None wants a recording with one channel.
    warp : float
        How the speaker's frequency axis is stretched before features are computed (vocal tract
        length normalization); 1: not at all.
    raw : RawFormat, optional
        How its samples are stored if the file has no header.
    recording : str
        Name of the recording that it is a stretch of, as its list has it; ``""`` where no list
        names recordings.
    """

    id: str
    audio: Path
    words: tuple[str, ...] | None
    speaker: str
    start: float | None = None
    end: float | None = None
    where: str = ""
    channel: int | None = None
    warp: float = 1.0
    raw: RawFormat | None = None
    recording: str = ""

    @property
    def recording_name(self) -> str:
        """What times are counted in: its recording's name, which is its own if it is all of it."""
        if self.recording or (self.start, self.end) == (None, None):
            return self.recording or self.id
        return "_".join(self.audio.stem.split()) or self.id

    def read(self, rate: int | None = None, *, resample: bool = True) -> Audio:
        """Return its stretch and channel of the recording, as `signal.audio.read_audio` does."""
        return read_audio(self.audio, rate=rate, channel=self.channel, start=self.start,
                          end=self.end, resample=resample, raw=self.raw)  # fmt: skip

    def header(self) -> AudioInfo:
        """Return what the header of the whole recording says."""
        return audio_info(self.audio, raw=self.raw)

    @property
    def place(self) -> str:
        """How error messages name it: ``utterance <id> (file:line)``."""
        return f"utterance {self.id} ({self.where})" if self.where else f"utterance {self.id}"


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Utterances in a fixed order, with unique ids.

    Attributes
    ----------
    utterances : tuple of Utterance
    where : str
        The directory or file it was read from, for error messages.

    Raises
    ------
    DataError
        Two utterances share an id; the message names both places.
    """

    utterances: tuple[Utterance, ...]
    where: str = ""

    def __post_init__(self) -> None:
        utterances = tuple(self.utterances)
        object.__setattr__(self, "utterances", utterances)
        seen: dict[str, Utterance] = {}
        for utterance in utterances:
            if utterance.id in seen:
                first = seen[utterance.id].where
                raise DataError(
                    f"utterance id {utterance.id!r} twice" + (f", first in {first}" * bool(first)),
                    where=utterance.where or self.where or None,
                    expected="unique ids",
                    fix="Rename or remove one of them.",
                )
            seen[utterance.id] = utterance

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def by_id(self) -> dict[str, Utterance]:
        """Utterances by their id, in the corpus's order."""
        return {utterance.id: utterance for utterance in self.utterances}

    def speakers(self) -> dict[str, tuple[Utterance, ...]]:
        """Utterances of every speaker; both in the corpus's order."""
        found: dict[str, list[Utterance]] = {}
        for utterance in self.utterances:
            found.setdefault(utterance.speaker, []).append(utterance)
        return {speaker: tuple(utterances) for speaker, utterances in found.items()}

    def recorded(self, channel: int | None = None, raw: RawFormat | None = None) -> Corpus:
        """Return the corpus with how its recordings are read, where its lists do not say.

        Parameters
        ----------
        channel : int, optional
            Of recordings that have several, from 0.
        raw : RawFormat, optional
            How samples are stored in files without a header.
        """
        return Corpus(
            tuple(
                dataclasses.replace(u, channel=channel if u.channel is None else u.channel,
                                    raw=u.raw or raw)
                for u in self.utterances
            ),
            self.where,
        )  # fmt: skip

    def warped(self, warps: Mapping[str, float]) -> Corpus:
        """Return the corpus with the warp factor of every speaker; 1 for speakers left out."""
        return Corpus(
            tuple(dataclasses.replace(u, warp=warps.get(u.speaker, 1.0)) for u in self.utterances),
            self.where,
        )

    def words(self) -> tuple[str, ...]:
        """Every word of the transcripts once, sorted."""
        return tuple(sorted({w for u in self.utterances if u.words is not None for w in u.words}))

    def subset(self, ids: Iterable[str]) -> Corpus:
        """Keep the utterances with these ids, in the corpus's order.

        Raises
        ------
        DataError
            An id is not in the corpus.
        """
        wanted = set(ids)
        unknown = wanted - {utterance.id for utterance in self.utterances}
        if unknown:
            raise DataError(
                f"no utterance {min(unknown)!r}"
                + (f" and {len(unknown) - 1} more" * (len(unknown) > 1)),
                where=self.where or None,
                fix="Check the list of ids.",
            )
        kept = tuple(utterance for utterance in self.utterances if utterance.id in wanted)
        return Corpus(kept, self.where)
