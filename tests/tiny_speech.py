"""Speech of a toy language, made of humming and hissing: quick to make, easy to recognize.

Five phones, three words, two speakers, 8 kHz. Everything follows from the seed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
#: phone -> (its formants in Hz, seconds); without formants it is noise
PHONES = {
    "B": ((180.0,), 0.07),
    "S": ((), 0.10),
    "AA": ((700.0, 1150.0), 0.16),
    "IY": ((320.0, 2300.0), 0.16),
    "UW": ((350.0, 850.0), 0.16),
}
LEXICON = {"ba": ("B", "AA"), "bi": ("B", "IY"), "su": ("S", "UW")}


@dataclass(frozen=True)
class TinySpeech:
    """Where the files of the toy language lie."""

    root: Path
    train: Path
    test: Path
    lexicon: Path
    model: Path
    graph: Path


def sound(phone: str, seconds: float, rng: np.random.Generator, pitch: float = 1.0) -> np.ndarray:
    """Return samples of one phone: harmonics under its formants, or noise."""
    formants = PHONES[phone][0]
    time = np.arange(int(RATE * seconds)) / RATE
    if not formants:
        wave = np.diff(rng.standard_normal(len(time) + 1))
    else:
        tones = 120.0 * pitch * np.arange(1, int(RATE / 2 / 130.0))
        gains = 0.05 + sum(np.exp(-(((tones - f * pitch) / 150.0) ** 2)) for f in formants)
        wave = gains @ np.sin(2 * np.pi * np.outer(tones, time) + np.arange(len(tones))[:, None])
    return 0.2 * wave * np.minimum(1.0, 40 * np.minimum(time, time[::-1]))


def say(words: list[str], rng: np.random.Generator, pitch: float = 1.0) -> np.ndarray:
    """Return samples of `words` with pauses around and between them."""
    parts = [np.zeros(int(RATE * rng.uniform(0.10, 0.15)))]
    for word in words:
        for phone in LEXICON[word]:
            seconds = PHONES[phone][1] * rng.uniform(0.9, 1.2)
            parts.append(sound(phone, seconds, rng, pitch))
        parts.append(np.zeros(int(RATE * rng.uniform(0.02, 0.12))))
    parts.append(np.zeros(int(RATE * 0.1)))
    samples = np.concatenate(parts)
    return samples + 0.003 * rng.standard_normal(len(samples))


def write_corpus(folder: Path, n_utterances: int, seed: int) -> Path:
    """Write recordings and a Kaldi data directory; return the directory."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
    for number in range(n_utterances):
        speaker = number % 2
        words = [str(w) for w in rng.choice(list(LEXICON), size=1 + number % 4)]
        id_ = f"sp{speaker}-{number:02d}"
        soundfile.write(folder / f"{id_}.wav", say(words, rng, 1.0 + 0.05 * speaker), RATE)
        lines["wav.scp"].append(f"{id_} {id_}.wav")
        lines["text"].append(f"{id_} {' '.join(words)}")
        lines["utt2spk"].append(f"{id_} sp{speaker}")
    for name, rows in lines.items():
        (folder / name).write_text("".join(f"{row}\n" for row in sorted(rows)))
    return folder


def write_lexicon(path: Path) -> Path:
    """Write the pronunciations of the toy language."""
    path.write_text("".join(f"{word} {' '.join(phones)}\n" for word, phones in LEXICON.items()))
    return path


def make(root: Path) -> TinySpeech:
    """Make corpus, model and graph of the toy language, by the command line's own functions."""
    from wfst_hmm.apps.building import build, train_model
    from wfst_hmm.training.options import TrainingOptions

    train = write_corpus(root / "train", 24, 1)
    test = write_corpus(root / "test", 6, 2)
    lexicon = write_lexicon(root / "lexicon.txt")
    options = TrainingOptions(n_passes=6, n_gaussians=40, n_workers=1, split_occupancy=10)
    train_model(train, lexicon, root / "model", options)
    build(root / "model", lexicon, "loop", root / "graph")
    return TinySpeech(root, train, test, lexicon, root / "model", root / "graph")


def write_one_wrong(path: Path, graph: Path, data: Path, acoustic_scale: float) -> None:
    """Write a manifest of `data` in which the word is wrong that decoding is least sure of."""
    from wfst_hmm.apps.recognize import decode_corpus
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.formats.data import read_corpus
    from wfst_hmm.lattice.answer import AnswerOptions
    from wfst_hmm.search.options import SearchOptions

    corpus = read_corpus(data)
    options = SearchOptions(acoustic_scale=acoustic_scale)
    outcomes = list(decode_corpus(Recognizer.load(graph), corpus, options, answers=AnswerOptions()))
    unsure = min(
        (word.confidence, outcome.utterance.id, number)
        for outcome in outcomes
        for number, word in enumerate(outcome.decoded.words)
    )
    rows = ["id\taudio\ttext"]
    for utterance in corpus:
        words = list(utterance.words or ())
        if utterance.id == unsure[1]:
            words[unsure[2]] = "su" if words[unsure[2]] == "ba" else "ba"
        rows.append(f"{utterance.id}\t{utterance.audio}\t{' '.join(words)}")
    path.write_text("\n".join(rows) + "\n")
