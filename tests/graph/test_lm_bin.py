"""Sphinx trie models: packed by hand here, read there; and the values that PocketSphinx gives."""

import math
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from ngram_strategies import backoff_models, flat, listed_of

from wfst_hmm.errors import FormatError
from wfst_hmm.graph.arpa import read_arpa, write_arpa
from wfst_hmm.graph.lm_bin import read_lm_bin

Listed = dict[tuple[str, ...], tuple[float, float]]
UNIT = math.log10(1.0001)


def pack(listed: Listed, surplus: int = 0) -> bytes:
    """Write a model whose n-grams have all their suffixes as a trie file.

    `surplus` is added to the count of 2-grams in the header, as in the en-us model.
    """
    order = max(map(len, listed))
    words = [text[0] for text in listed if len(text) == 1]
    number = {word: at for at, word in enumerate(words)}
    # reversed n-grams, sorted: children of an entry are one run of the next level
    levels = [
        sorted(tuple(number[w] for w in reversed(text)) for text in listed if len(text) == k)
        for k in range(1, order + 1)
    ]
    counts = [len(level) for level in levels]
    if order > 1:
        counts[1] += surplus

    def value(entry: tuple[int, ...], which: int) -> float:
        return listed[tuple(words[w] for w in reversed(entry))][which] / UNIT

    def first_children(k: int) -> list[int]:
        below = [entry[:-1] for entry in levels[k]] if k < order else []
        starts = [sum(prefix < entry for prefix in below) for entry in levels[k - 1]]
        return [*starts, len(below)]

    bins: list[bytes] = []
    index: list[dict[float, int]] = []
    for k in range(2, order + 1):
        for which in (0, 1) if k < order else (0,):
            values = sorted({value(entry, which) for entry in levels[k - 1]})
            padded = np.zeros(65536, dtype="<f4")
            padded[: len(values)] = values
            bins.append(padded.tobytes())
            index.append({v: at for at, v in enumerate(values)})
    out = [b"Trie Language Model", struct.pack(f"<B{order}I", order, *counts)]
    if order > 1:
        out.append(struct.pack("<i", 1))
    out += bins
    unigrams = levels[0]
    following = first_children(1)
    for entry, child in zip(unigrams, following, strict=False):
        out.append(struct.pack("<ffI", value(entry, 0), value(entry, 1), child))
    out.append(struct.pack("<ffI", 0, 0, following[-1]))
    for k in range(2, order + 1):
        middle = k < order
        widths = [counts[0].bit_length(), 16]
        if middle:
            widths += [16, counts[k].bit_length()]
        bits, at = 0, 0
        children = first_children(k)
        for i in range(counts[k - 1] + 1):
            entry = levels[k - 1][i] if i < len(levels[k - 1]) else None
            fields = [0] * len(widths)
            if entry is not None:
                prob_at, backoff_at = 2 * (k - 2), 2 * (k - 2) + 1
                prob = index[prob_at][value(entry, 0)]
                fields = [entry[-1], prob]
                if middle:
                    fields = [entry[-1], index[backoff_at][value(entry, 1)], prob, children[i]]
            elif middle:
                fields[3] = children[-1]
            for field, width in zip(fields, widths, strict=True):
                bits |= field << at
                at += width
        size = ((counts[k - 1] + 1) * sum(widths) + 7) // 8 + 8
        out.append(bits.to_bytes(size, "little"))
    text = b"".join(word.encode() + b"\0" for word in words)
    return b"".join([*out, struct.pack("<I", len(text)), text])


def with_suffixes(listed: Listed) -> Listed:
    """Add what the reversed trie and the forward tables need: all suffixes and prefixes."""
    result = dict(listed)
    for text in sorted(listed, key=len, reverse=True):
        for first in range(len(text)):
            for last in range(first + 1, len(text) + 1):
                result.setdefault(text[first:last], (-1.5, 0.0))
    return {text: result[text] for text in sorted(result, key=lambda t: (len(t), t))}


@given(listed=backoff_models())
@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_packed_by_hand(listed: Listed, tmp_path: Path):
    listed = with_suffixes(listed)
    path = tmp_path / "lm.bin"
    for surplus in (0, 3):
        path.write_bytes(pack(listed, surplus))
        model = read_lm_bin(path)
        assert listed_of(model) == pytest.approx(flat(listed), abs=1e-5)
    write_arpa(model, tmp_path / "lm.arpa")
    assert listed_of(read_arpa(tmp_path / "lm.arpa")) == pytest.approx(flat(listed), abs=1e-5)


SMALL: Listed = with_suffixes(
    {("<s>",): (-1, -0.5), ("</s>",): (-1, 0), ("a",): (-1, -0.3), ("<s>", "a", "</s>"): (-0.1, 0)}
)


def test_truncated_anywhere(tmp_path: Path):
    data = pack(SMALL)
    path = tmp_path / "lm.bin"
    last = 28 + 4 + 4 + 4 * 65536 * 3
    for size in [*range(40), *range(65536, last, 65536), *range(last, len(data))]:
        path.write_bytes(data[:size])
        with pytest.raises(FormatError, match=r"lm.bin: byte \d+: "):
            read_lm_bin(path)


def test_damage_is_named(tmp_path: Path):
    data = pack(SMALL)
    path = tmp_path / "lm.bin"
    for at, new, message in [
        (19, b"\0", "impossible order"),
        (20, b"\xff\xff\xff\xff", "the file ends inside its 1-grams"),
        (36, b"\0\0\xc0\x7f", "impossible 2-gram probabilities"),
        (len(data) - 2, b"\xff", "not UTF-8"),
        (len(data) - 1, b"x", "wrong number of words"),
    ]:
        path.write_bytes(data[:at] + new + data[at + len(new) :])
        with pytest.raises(FormatError, match=message):
            read_lm_bin(path)
    path.write_bytes(b"RIFF" + data[4:])
    with pytest.raises(FormatError, match="not a trie language model"):
        read_lm_bin(path)


def test_the_shared_models(shared: Path):
    model = read_lm_bin(shared / "sphinx" / "turtle.lm.bin")
    assert model.counts == (91, 212, 177)
    assert model.info["skipped"] == 0
    # a 1-gram model in 2-gram clothes: its one 2-gram, "</s> <s>", can follow nothing
    digits = read_lm_bin(shared / "sphinx" / "tidigits" / "lm" / "tidigits.lm.bin")
    assert (digits.counts, digits.info["skipped"]) == ((14, 0), 1)
    with pytest.raises(FormatError, match="byte 20"):
        read_lm_bin(shared / "sphinx" / "not-enough-ngrams.lm.bin")


def test_probabilities_are_pocketsphinx_s(shared: Path):
    pocketsphinx = pytest.importorskip("pocketsphinx")
    folder = Path(pocketsphinx.get_model_path()) / "en-us"
    for path in (shared / "sphinx" / "turtle.lm.bin", folder / "en-us-phone.lm.bin"):
        model = read_lm_bin(path)
        logs = pocketsphinx.LogMath(1.0001)
        peer = pocketsphinx.NGramModel(
            pocketsphinx.Config(lm=None, dict=None, hmm=None), logs, str(path)
        )
        rng = random.Random(5)
        spoken = [w for w in model.words if w[0] != "<"]
        for _ in range(300):
            text = rng.choices(spoken, k=rng.randint(1, 3))
            if rng.random() < 0.6:
                order = rng.randint(2, 3)
                rows = model.rows(order)
                text = model.words.strings(rows[rng.randrange(len(rows))])
                text[-1] = rng.choice([text[-1], rng.choice(spoken)])
            if "<UNK>" in text:
                continue
            theirs = peer.prob(text[::-1]) * math.log(1.0001)  # it wants the last word first
            assert model.log_prob(text[-1], text[:-1]) == pytest.approx(theirs, abs=3e-4)
