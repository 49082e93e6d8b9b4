"""Random small n-gram models for property tests."""

import math

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.graph.ngram import NgramModel

Listed = dict[tuple[str, ...], tuple[float, float]]


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
