"""Random small n-gram models for property tests."""

from hypothesis import strategies as st


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
