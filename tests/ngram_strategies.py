"""Random small n-gram models for property tests, and ways to write and list them."""

import math
import struct

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.graph.ngram import NgramModel

Listed = dict[tuple[str, ...], tuple[float, float]]
UNIT = math.log10(1.0001)


@st.composite
def backoff_models(
    draw: st.DrawFn, *, max_order: int = 4, whole: bool = False
) -> dict[tuple[str, ...], tuple[float, float]]:
    """Return ``{n-gram: (log10 probability, log10 backoff)}``, 1-grams of every word included.

    Unless `whole`, contexts and suffixes of listed n-grams may be missing.
    """
    spoken = ["a", "b", "c"][: draw(st.integers(1, 3))]
    order = draw(st.integers(1, max_order))
    value = st.integers(-300, -1).map(lambda n: n / 100)
    weight = st.integers(-100, 50).map(lambda n: n / 100)
    model = {(word,): (draw(value), draw(weight)) for word in [*spoken, "<s>", "</s>"]}
    for k in range(2, order + 1):
        texts = st.lists(st.sampled_from(spoken), min_size=k, max_size=k)
        for text in draw(st.lists(texts, max_size=6)):
            edge = draw(st.integers(0, 3))
            if edge & 1:
                text = ["<s>", *text[1:]]
            if edge & 2:
                text = [*text[:-1], "</s>"]
            if whole:
                for n in range(2, k):
                    model.setdefault(tuple(text[:n]), (draw(value), draw(weight)))
            model[tuple(text)] = (draw(value), draw(weight) if k < order else 0.0)
    longest = max(map(len, model))
    return {text: (p, b if len(text) < longest else 0.0) for text, (p, b) in model.items()}


def arpa_text(model: dict[tuple[str, ...], tuple[float, float]]) -> str:
    """Write the n-grams of `backoff_models` as ARPA, in the order given."""
    longest = max(map(len, model))
    lines = ["\\data\\"]
    sections = []
    for k in range(1, longest + 1):
        rows = [(text, value) for text, value in model.items() if len(text) == k]
        lines.append(f"ngram {k}={len(rows)}")
        sections += ["", f"\\{k}-grams:"]
        for text, (log_prob, backoff) in rows:
            tail = f"\t{backoff}" if k < longest and backoff else ""
            sections.append(f"{log_prob}\t{' '.join(text)}{tail}")
    return "\n".join([*lines, *sections, "", "\\end\\", ""])


def flat(listed: Listed) -> dict[tuple[str, ...], float]:
    """Give the two values of an n-gram keys of their own, so that `pytest.approx` takes them."""
    return {(*text, name): value for text, pair in listed.items()
            for name, value in zip(("=prob", "=backoff"), pair, strict=True)}  # fmt: skip


def listed_of(model: NgramModel) -> dict[tuple[str, ...], float]:
    found: Listed = {}
    for order, table in enumerate(model.tables, start=1):
        texts = [tuple(model.words.strings(row)) for row in model.rows(order)]
        pairs = np.stack([table.log_prob, table.backoff], axis=1) / math.log(10)
        found.update(zip(texts, map(tuple, pairs.tolist()), strict=True))
    return flat(found)


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


SMALL: Listed = with_suffixes(
    {("<s>",): (-1, -0.5), ("</s>",): (-1, 0), ("a",): (-1, -0.3), ("<s>", "a", "</s>"): (-0.1, 0)}
)
