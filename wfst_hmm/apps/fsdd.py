"""Two test protocols on the Free Spoken Digit Dataset: speakers known, and speakers unknown.

In: its folder of recordings, ``{digit}_{speaker}_{index}.wav``. Out: manifests, recordings of
connected digits and a lexicon in a folder.

Connected digits are three to seven recordings of one speaker, joined with 50 to 200 ms of low
noise. Every recording of a set is used once a round, so the strings hold the same speech as the
single digits. Training sets hold the recordings and strings made of them: the recordings alone
have next to no silence to learn from.

Public names: `Protocol`, `Recording`, `find_recordings`, `make_known`, `make_unknown`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.digits import DIGITS, refuse_foreign, write_digit_lexicon
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.files import atomic_directory, write_json
from wfst_hmm.formats.data import write_manifest
from wfst_hmm.signal.audio import Audio, read_audio, write_wav
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["Protocol", "Recording", "find_recordings", "make_known", "make_unknown"]

TEST_INDICES = range(5, 10)
RATE = 8000
NOISE = 1e-3  # standard deviation between the recordings, full scale 1: 60 dB below it
_MARK = "fsdd.json"
_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[^_]+)_(?P<index>[0-9]+)\.wav")
_WORDS = tuple(DIGITS)


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recorded digit."""

    path: Path
    digit: int
    speaker: str
    index: int

    def utterance(self) -> Utterance:
        """Return it as an utterance whose id starts with the speaker."""
        id_ = f"{self.speaker}-{self.digit}-{self.index:02d}"
        path = self.path.absolute()
        return Utterance(id_, path, (_WORDS[self.digit],), self.speaker, where=str(path))


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Manifests of one training and its two tests, and the lexicon.

    Attributes
    ----------
    name : str
        ``known``, or the speaker that was left out.
    train, single, connected : Path
        Manifests: training, single digits, connected digits.
    lexicon : Path
    """

    name: str
    train: Path
    single: Path
    connected: Path
    lexicon: Path


def find_recordings(folder: str | Path) -> tuple[Recording, ...]:
    """List the recordings of a folder, sorted by speaker, digit and index.

    Raises
    ------
    DataError
        No file has such a name.
    """
    folder = Path(folder)
    found = []
    for path in sorted(folder.glob("*.wav")):
        match = _NAME.fullmatch(path.name)
        if match:
            found.append(
                Recording(path, int(match["digit"]), match["speaker"], int(match["index"]))
            )
    if not found:
        raise DataError(
            "no recording named {digit}_{speaker}_{index}.wav",
            where=str(folder),
            fix="Name the folder `recordings` of the Free Spoken Digit Dataset.",
        )
    return tuple(sorted(found, key=lambda r: (r.speaker, r.digit, r.index)))


def make_known(
    recordings: str | Path,
    folder: str | Path,
    *,
    seed: int = 0,
    n_train_rounds: int = 1,
    n_test_rounds: int = 2,
) -> Protocol:
    """Make the protocol of known speakers: indices 5 to 9 are the test, from 10 on the training.

    Parameters
    ----------
    recordings : path
    folder : path
        New, empty, or holding an older protocol, which is replaced.
    seed : int
    n_train_rounds, n_test_rounds : int
        How often each recording occurs in the strings.

    Raises
    ------
    DataError
        There are no recordings, or none for the training or the test.
    UsageError
        The folder holds something else, or a number of rounds is below 1.
    """
    folder = Path(folder)
    _check_rounds(n_train_rounds, n_test_rounds)
    refuse_foreign(folder, _MARK)
    found = find_recordings(recordings)
    test = [r for r in found if r.index in TEST_INDICES]
    train = [r for r in found if r.index >= TEST_INDICES.stop]
    if not test or not train:
        raise DataError(
            "no recordings for the training or the test",
            where=str(recordings),
            got=f"{len(train)} with indices from 10, {len(test)} from 5 to 9",
        )
    with atomic_directory(folder) as new:
        spoken = _strings(train, new / "audio" / "train", seed, n_train_rounds)
        tested = _strings(test, new / "audio" / "test", seed, n_test_rounds)
        protocol = _write(new, "known", train, spoken, test, tested)
        _finish(new, seed, n_train_rounds, n_test_rounds)
    return _moved(protocol, new, folder)


def make_unknown(
    recordings: str | Path,
    folder: str | Path,
    *,
    seed: int = 0,
    n_train_rounds: int = 1,
    n_test_rounds: int = 1,
) -> tuple[Protocol, ...]:
    """Make one protocol for each speaker, who is the test and is left out of the training.

    Parameters are those of `make_known`; all recordings are used on both sides. The
    names of a fold's manifests start with the speaker; the strings are shared by all folds.

    Raises
    ------
    DataError
        There are no recordings, or of one speaker only.
    UsageError
        The folder holds something else, or a number of rounds is below 1.
    """
    folder = Path(folder)
    _check_rounds(n_train_rounds, n_test_rounds)
    refuse_foreign(folder, _MARK)
    found = find_recordings(recordings)
    speakers = sorted({r.speaker for r in found})
    if len(speakers) < 2:
        raise DataError(
            "one speaker cannot be left out of one", where=str(recordings), got=speakers[0]
        )
    protocols = []
    with atomic_directory(folder) as new:
        spoken = _strings(found, new / "audio", seed, max(n_train_rounds, n_test_rounds))
        for speaker in speakers:
            protocol = _write(
                new,
                speaker,
                [r for r in found if r.speaker != speaker],
                [u for u in spoken if u.speaker != speaker and _round_of(u) < n_train_rounds],
                [r for r in found if r.speaker == speaker],
                [u for u in spoken if u.speaker == speaker and _round_of(u) < n_test_rounds],
            )
            protocols.append(_moved(protocol, new, folder))
        _finish(new, seed, n_train_rounds, n_test_rounds)
    return tuple(protocols)


def _check_rounds(n_train_rounds: int, n_test_rounds: int) -> None:
    if n_train_rounds < 1 or n_test_rounds < 1:
        raise UsageError("rounds", got=f"{n_train_rounds}, {n_test_rounds}", expected="1 or more")


def _round_of(utterance: Utterance) -> int:
    return int(utterance.id.split("-")[-2].removeprefix("string"))


def _strings(
    recordings: Sequence[Recording], folder: Path, seed: int, n_rounds: int
) -> list[Utterance]:
    """Join the recordings of each speaker to strings; write them; return their utterances."""
    utterances = []
    for speaker in sorted({r.speaker for r in recordings}):
        own = [r for r in recordings if r.speaker == speaker]
        # A generator for each speaker: a fold does not depend on the others.
        rng = np.random.default_rng([seed, *speaker.encode()])
        samples = {r: read_audio(r.path, rate=RATE).samples for r in own}
        for turn in range(n_rounds):
            for number, part in enumerate(_parts(own, rng)):
                id_ = f"{speaker}-string{turn}-{number:03d}"
                path = folder / f"{id_}.wav"
                write_wav(path, Audio(_joined([samples[r] for r in part], rng), RATE))
                words = tuple(_WORDS[r.digit] for r in part)
                utterances.append(Utterance(id_, path, words, speaker))
    return utterances


def _parts(recordings: Sequence[Recording], rng: np.random.Generator) -> list[list[Recording]]:
    """Shuffle and cut into parts of 3 to 7; a rest of one or two goes to the parts before it."""
    shuffled = [recordings[i] for i in rng.permutation(len(recordings))]
    parts = []
    at = 0
    while at < len(shuffled):
        length = int(rng.integers(3, 8))
        parts.append(shuffled[at : at + length])
        at += length
    if len(parts) > 1 and len(parts[-1]) < 3:
        both = parts[-2] + parts.pop()
        parts[-1:] = [both] if len(both) <= 7 else [both[: len(both) // 2], both[len(both) // 2 :]]
    return parts


def _joined(
    pieces: Sequence[npt.NDArray[np.float32]], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    out = [pieces[0]]
    for piece in pieces[1:]:
        n_samples = int(rng.uniform(0.050, 0.200) * RATE)
        out += [(NOISE * rng.standard_normal(n_samples)).astype(np.float32), piece]
    return np.concatenate(out)


def _write(
    root: Path,
    name: str,
    train: Sequence[Recording],
    train_strings: Sequence[Utterance],
    test: Sequence[Recording],
    test_strings: Sequence[Utterance],
) -> Protocol:
    """Write one protocol's manifests beside the folder of strings."""
    prefix = "" if name == "known" else f"{name}-"
    protocol = Protocol(
        name,
        root / f"{prefix}train.tsv",
        root / f"{prefix}single.tsv",
        root / f"{prefix}connected.tsv",
        root / "lexicon.txt",
    )
    alone = [r.utterance() for r in train]
    write_manifest(protocol.train, Corpus((*alone, *train_strings)))
    write_manifest(protocol.single, Corpus(tuple(r.utterance() for r in test)))
    write_manifest(protocol.connected, Corpus(tuple(test_strings)))
    return protocol


def _finish(folder: Path, seed: int, n_train_rounds: int, n_test_rounds: int) -> None:
    write_digit_lexicon(folder / "lexicon.txt")
    values = {"seed": seed, "n_train_rounds": n_train_rounds, "n_test_rounds": n_test_rounds}
    write_json(folder / _MARK, values)


def _moved(protocol: Protocol, old: Path, new: Path) -> Protocol:
    """Name the place that the temporary directory takes in the end."""
    fields = ("train", "single", "connected", "lexicon")
    moved = {field: new / getattr(protocol, field).relative_to(old) for field in fields}
    return dataclasses.replace(protocol, **moved)
