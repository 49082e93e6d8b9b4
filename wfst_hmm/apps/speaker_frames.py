"""From recordings of people to the frames that tell them apart.

In: audio, lists or folders of speakers. Out: frames with speech, normalized, by speaker.

Public names: `LEAST_FRAMES`, `SpeakerOptions`, `corpus_frames`, `find_speakers`,
`speaker_frames`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError, UsageError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.models.threads import map_threads
from wfst_hmm.options import check, option
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.containers import SUFFIXES
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.speech import SpeechOptions, speech_frames

__all__ = ["LEAST_FRAMES", "SpeakerOptions", "corpus_frames", "find_speakers", "speaker_frames"]

OnError = Callable[[str, WfstHmmError], None]

#: Frames of speech that a decision may rest on: half a second.
LEAST_FRAMES = 50


@dataclasses.dataclass(frozen=True)
class SpeakerOptions:
    """How speakers are modelled. Each field's metadata holds its ``help``.

    Features are cepstra 1 to n_ceps - 1 (loudness says little about who speaks) of frames with
    speech, their mean over the recording subtracted, with slopes.
    """

    n_components: int = option(64, "Gaussians of the background model.", least=1)
    n_iterations: int = option(10, "Passes of EM over the background's frames.", least=1)
    relevance: float = option(16.0, "Frames that a background mean counts for.")
    piece: float = option(5.0, "Seconds of speech in the pieces that find the threshold.")
    seed: int = option(0, "Of the background's start.")
    features: FeatureOptions = dataclasses.field(
        default_factory=lambda: FeatureOptions(
            resample=True, n_mels=26, n_ceps=20, cmvn="utterance", delta_order=1
        )
    )
    speech: SpeechOptions = dataclasses.field(default_factory=SpeechOptions)

    def __post_init__(self) -> None:
        check(self, "{name}")
        if not self.piece >= LEAST_FRAMES * self.features.frame_shift:
            raise UsageError("piece", got=self.piece, expected="0.5 s or more")

    @property
    def n_dims(self) -> int:
        """Dimension of the frames."""
        return (self.features.n_ceps - 1) * (self.features.delta_order + 1)


def speaker_frames(audio: Audio, options: SpeakerOptions) -> npt.NDArray[np.float32]:
    """Return the frames of `audio` that hold speech, shape (N, D).

    Raises
    ------
    DataError
        Another sampling rate, too short for a frame, or next to no speech.
    """
    spoken = _spoken(audio, options)
    _check_enough(int(spoken.mask.sum()), options)
    return spoken.frames(options)


class _Spoken(NamedTuple):
    """Cepstra (T, n) of a recording, and which of them are speech."""

    raw: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]

    @property
    def stats(self) -> CmvnStats:
        return CmvnStats.of(self.raw[self.mask])

    def frames(
        self, options: SpeakerOptions, stats: CmvnStats | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the finished frames with speech, normalized by their own statistics or others."""
        if options.features.cmvn != "none" and stats is None:
            stats = self.stats
        return np.asarray(options.features.finish(self.raw, stats).array[self.mask])


def _check_enough(n_speech: int, options: SpeakerOptions, what: str = "") -> None:
    shift = options.features.frame_shift
    if n_speech < LEAST_FRAMES:
        raise DataError(f"next to no speech{what}", got=f"{n_speech * shift:.2f} s",
                        expected=f"{LEAST_FRAMES * shift:g} s or more")  # fmt: skip


def _spoken(audio: Audio, options: SpeakerOptions) -> _Spoken:
    shift = options.features.frame_shift
    raw = options.features.cepstra(audio)[:, 1:]
    mask = np.zeros(len(raw), dtype=bool)
    loud = speech_frames(audio, options.speech, frame_shift=shift)[: len(raw)]
    mask[: len(loud)] = loud
    return _Spoken(raw, mask)


def find_speakers(path: str | Path) -> Corpus:
    """List recordings with their speakers: a data directory, a manifest, or a folder of folders.

    In a folder of folders, each sub-folder of `path` is named after a speaker and holds that
    speaker's recordings (``.wav``, ``.flac``, ``.mp3`` ...), however deep.

    Raises
    ------
    FormatError, DataError
        Nothing there is a recording, or the lists are wrong.
    """
    path = Path(path)
    if not path.is_dir() or (path / "wav.scp").exists():
        return read_corpus(path)
    utterances = [
        Utterance(file.relative_to(path).as_posix().replace(" ", "_"), file, None, folder.name,
                  where=str(file))
        for folder in sorted(p for p in path.iterdir() if p.is_dir())
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES
    ]  # fmt: skip
    if not utterances:
        raise FormatError("no recordings of speakers", where=str(path),
                          expected="one sub-folder for each speaker, or lists with speakers")  # fmt: skip
    return Corpus(tuple(utterances), str(path))


def _frames(utterance: Utterance, options: SpeakerOptions) -> _Spoken:
    try:
        audio = utterance.read(options.features.rate, resample=options.features.resample)
        return _spoken(audio, options)
    except WfstHmmError as error:
        what = error.what if error.where else f"{utterance.audio}: {error.what}"
        raise DataError(what, where=error.where or utterance.id, got=error.got,
                        expected=error.expected, fix=error.fix) from None  # fmt: skip


def corpus_frames(
    corpus: Corpus,
    options: SpeakerOptions,
    *,
    n_workers: int = 1,
    on_error: OnError | None = None,
) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Return the frames of every recording, by speaker; speakers without any are left out.

    Recordings with less than half a second of speech are taken together, if their speaker says
    enough in all of them: they share one normalization, and count as one recording.

    Parameters
    ----------
    on_error : callable, optional
        Called with the id and the error of a recording that cannot be used; without it the
        first is raised.
    """

    def attempt(utterance: Utterance) -> _Spoken | WfstHmmError:
        try:
            return _frames(utterance, options)
        except DataError as error:
            return error

    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    short: dict[str, list[tuple[Utterance, _Spoken]]] = {}
    wrong: list[tuple[Utterance, WfstHmmError]] = []
    for utterance, made in zip(
        corpus, map_threads(attempt, corpus.utterances, n_workers), strict=True
    ):
        if isinstance(made, WfstHmmError):
            wrong.append((utterance, made))
        elif made.mask.sum() >= LEAST_FRAMES:
            found.setdefault(utterance.speaker, []).append(made.frames(options))
        else:
            short.setdefault(utterance.speaker, []).append((utterance, made))
    for speaker, parts in short.items():
        heard = [(u, spoken) for u, spoken in parts if spoken.mask.any()]
        n_speech = sum(int(spoken.mask.sum()) for _, spoken in heard)
        if n_speech >= LEAST_FRAMES:
            stats = CmvnStats.merge(spoken.stats for _, spoken in heard)
            shared = None if options.features.cmvn == "none" else stats
            found.setdefault(speaker, []).append(
                np.concatenate([spoken.frames(options, shared) for _, spoken in heard])
            )
            parts = [(u, spoken) for u, spoken in parts if not spoken.mask.any()]
        for utterance, spoken in parts:
            try:
                _check_enough(int(spoken.mask.sum()), options, f": {utterance.audio}")
            except DataError as error:
                wrong.append((utterance, error))
    for utterance, problem in wrong:
        if on_error is None:
            raise problem
        on_error(utterance.id, problem)
    return found
