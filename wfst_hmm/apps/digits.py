"""A small corpus of spoken English digits, made on the spot by a speech synthesizer.

In: a folder and a seed. Out: WAV files, a training and a test manifest and a lexicon, enough to
train and try a recognizer with no recording at hand.

Single digits and strings of three to seven, sixteen training voices, and six test voices of
which four are not heard in training; speeds, pitches and noise vary from utterance to utterance.

Public names: `DIGITS`, `DigitCorpus`, `Voice`, `make_digits`, `write_digit_lexicon`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.synthesizer import Synthesizer
from wfst_hmm.errors import UsageError
from wfst_hmm.files import atomic_directory, atomic_file, write_json
from wfst_hmm.formats.data import write_manifest
from wfst_hmm.signal.audio import Audio, write_wav
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["DIGITS", "DigitCorpus", "Voice", "make_digits", "refuse_foreign", "write_digit_lexicon"]

#: Words of the digits from 0 to 9 and their pronunciations in ARPAbet.
DIGITS: dict[str, tuple[str, ...]] = {
    "zero": ("Z IH R OW", "Z IY R OW"),
    "one": ("W AH N",),
    "two": ("T UW",),
    "three": ("TH R IY",),
    "four": ("F AO R", "F AO"),
    "five": ("F AY V",),
    "six": ("S IH K S",),
    "seven": ("S EH V AH N",),
    "eight": ("EY T",),
    "nine": ("N AY N",),
}
_MARK = "digits.json"
_RATE = 16000


@dataclasses.dataclass(frozen=True)
class Voice:
    """A speaker of the corpus: espeak-ng's voice, mean speed (words per minute) and pitch."""

    name: str
    voice: str
    speed: int
    pitch: int


_TRAINING_VOICES = (
    Voice("m1-us", "en-us+m1", 165, 50),
    Voice("m2-us", "en-us+m2", 180, 45),
    Voice("m3-gb", "en+m3", 160, 50),
    Voice("m4-rp", "en-gb-x-rp+m4", 175, 55),
    Voice("m5-us", "en-us+m5", 150, 40),
    Voice("m6-scotland", "en-gb-scotland+m6", 170, 50),
    Voice("andy-us", "en-us+Andy", 170, 50),
    Voice("lee-us", "en-us+Lee", 160, 45),
    Voice("gene-gb", "en+Gene", 165, 50),
    Voice("f1-us", "en-us+f1", 170, 50),
    Voice("f2-us", "en-us+f2", 160, 55),
    Voice("f3-gb", "en+f3", 175, 45),
    Voice("f4-rp", "en-gb-x-rp+f4", 165, 50),
    Voice("annie-us", "en-us+Annie", 180, 50),
    Voice("linda-us", "en-us+linda", 165, 50),
    Voice("alicia-caribbean", "en-029+Alicia", 160, 50),
)
_NEW_VOICES = (
    Voice("m7-us", "en-us+m7", 170, 50),
    Voice("denis-gb", "en+Denis", 165, 55),
    Voice("f5-us", "en-us+f5", 165, 50),
    Voice("andrea-rp", "en-gb-x-rp+Andrea", 175, 45),
)


@dataclasses.dataclass(frozen=True)
class DigitCorpus:
    """Where a corpus of digits lies: two manifests and a lexicon."""

    train: Path
    test: Path
    lexicon: Path


def make_digits(
    folder: str | Path, *, seed: int = 0, n_train_strings: int = 8, n_test_strings: int = 6
) -> DigitCorpus:
    """Synthesize the corpus into a folder; the same seed gives the same files, byte for byte.

    Parameters
    ----------
    folder : path
        New, empty, or holding an older corpus of this function, which is replaced.
    seed : int
        Of strings, speeds, pitches and noise.
    n_train_strings, n_test_strings : int
        Strings of each voice. Beside them every training voice says each digit alone once, every
        test voice half of them.

    Returns
    -------
    DigitCorpus

    Raises
    ------
    UsageError
        The folder holds something else, or a number is below 1.
    """
    folder = Path(folder)
    if n_train_strings < 1 or n_test_strings < 1:
        raise UsageError(
            "strings per voice", got=f"{n_train_strings}, {n_test_strings}", expected="1 or more"
        )
    refuse_foreign(folder, _MARK)
    rng = np.random.default_rng(seed)
    heard = _TRAINING_VOICES[1], _TRAINING_VOICES[10]
    with Synthesizer(seed) as synthesizer, atomic_directory(folder) as new:
        _make_part(new, "train", _TRAINING_VOICES, 10, n_train_strings, synthesizer, rng)
        _make_part(new, "test", (*_NEW_VOICES, *heard), 5, n_test_strings, synthesizer, rng)
        write_digit_lexicon(new / "lexicon.txt")
        write_json(
            new / _MARK,
            {
                "seed": seed,
                "n_train_strings": n_train_strings,
                "n_test_strings": n_test_strings,
                "voices_not_in_training": [voice.name for voice in _NEW_VOICES],
            },
        )
    return DigitCorpus(folder / "train.tsv", folder / "test.tsv", folder / "lexicon.txt")


def write_digit_lexicon(path: str | Path) -> None:
    """Write the pronunciations of `DIGITS` as a Kaldi ``lexicon.txt``."""
    lines = [f"{word} {phones}\n" for word, ways in DIGITS.items() for phones in ways]
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def refuse_foreign(folder: Path, mark: str) -> None:
    """Refuse to replace a folder that does not hold `mark`, the sign of our own making."""
    if folder.exists() and not (folder / mark).is_file():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise UsageError(
            "the output folder holds something else",
            where=str(folder),
            expected="a new or an empty folder",
            fix="Name another one.",
        )


def _make_part(
    folder: Path,
    part: str,
    voices: tuple[Voice, ...],
    n_single: int,
    n_strings: int,
    synthesizer: Synthesizer,
    rng: np.random.Generator,
) -> None:
    """Write one manifest and its recordings."""
    names = tuple(DIGITS)
    utterances = []
    for voice in voices:
        singles = [(names[i],) for i in rng.permutation(10)[:n_single]]
        strings = [
            tuple(names[i] for i in rng.integers(10, size=rng.integers(3, 8)))
            for _ in range(n_strings)
        ]
        for number, words in enumerate([*singles, *strings]):
            id_ = f"{voice.name}-{part}-{number:02d}"
            path = folder / "audio" / part / f"{id_}.wav"
            write_wav(path, _spoken(words, voice, synthesizer, rng))
            utterances.append(Utterance(id_, path, words, voice.name))
    write_manifest(folder / f"{part}.tsv", Corpus(tuple(utterances)))


def _spoken(
    words: tuple[str, ...], voice: Voice, synthesizer: Synthesizer, rng: np.random.Generator
) -> Audio:
    """Say the words as a person would: never twice alike, sometimes with a pause, in a room."""
    import soxr

    text = words[0]
    for word in words[1:]:
        text += (", " if rng.random() < 0.15 else " ") + word  # espeak-ng pauses at a comma
    speech = synthesizer.say(
        text,
        voice=voice.voice,
        speed=round(voice.speed * rng.uniform(0.85, 1.2)),
        pitch=int(np.clip(round(voice.pitch + rng.normal(0.0, 8.0)), 0, 100)),
    )
    samples = soxr.resample(speech.samples, speech.rate, _RATE)
    level = rng.uniform(0.02, 0.1) / max(float(np.sqrt(np.mean(samples**2))), 1e-6)
    return Audio(_in_noise(level * samples, rng), _RATE)


def _in_noise(
    samples: npt.NDArray[np.floating], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Put 0.1 to 0.3 s of room around speech, and noise 20 to 35 dB below it over all."""
    before, after = (rng.uniform(0.1, 0.3, size=2) * _RATE).astype(int)
    padded = np.pad(samples, (before, after))
    power = float(np.mean(samples**2))
    sigma = np.sqrt(power) * 10 ** (-rng.uniform(20.0, 35.0) / 20)
    noisy = padded + sigma * rng.standard_normal(len(padded))
    return np.asarray(noisy, dtype=np.float32)
