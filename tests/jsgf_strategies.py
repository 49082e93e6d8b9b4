"""Random JSGF grammars, and what they accept by the definition."""

import itertools
import math

from hypothesis import strategies as st

from wfst_hmm.graph.jsgf_parser import (
    Choice,
    Expansion,
    Optional,
    Place,
    Reference,
    Repeat,
    Sequence,
    Tagged,
    Word,
)

Language = dict[tuple[str, ...], float]
HERE = Place("test", 1, 1)
HALF = math.log(2)


def _expansions(references: list[str]) -> st.SearchStrategy[Expansion]:
    leaves: st.SearchStrategy[Expansion] = st.sampled_from(["x", "y", "z"]).map(Word)
    if references:
        leaves |= st.sampled_from(references).map(lambda name: Reference(name, HERE))
    leaves |= st.just(Reference("NULL", HERE))

    def larger(inner: st.SearchStrategy[Expansion]) -> st.SearchStrategy[Expansion]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        weights = st.lists(st.integers(0, 3).map(float), min_size=3, max_size=3).filter(
            lambda found: sum(found[:2]) > 0
        )
        return st.one_of(
            several.map(Sequence),
            several.map(lambda items: Choice(items, None)),
            st.tuples(several, weights).map(lambda p: Choice(p[0], tuple(p[1][: len(p[0])]))),
            inner.map(Optional),
            st.tuples(inner, st.integers(0, 1)).map(lambda p: Repeat(*p)),
            inner.map(lambda item: Tagged(item, ("a {tag}", "b"))),
        )

    return st.recursive(leaves, larger, max_leaves=6)


@st.composite
def jsgf_rules(draw: st.DrawFn) -> dict[str, Expansion]:
    """Return rules a, b, c: each may use later ones, and itself or an earlier one at its end."""
    rules: dict[str, Expansion] = {}
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    for i, name in enumerate(names):
        expansion = draw(_expansions(names[i + 1 :]))
        if draw(st.booleans()):
            again = Sequence((Word("x"), draw(_expansions([])), Reference(name, HERE)))
            expansion = Choice((again, expansion), None)
        rules[name] = expansion
    return rules


def render(item: Expansion) -> str:
    """Write an expansion as JSGF."""
    if isinstance(item, Word):
        return item.text
    if isinstance(item, Reference):
        return f"<{item.name}>"
    if isinstance(item, Sequence):
        return "(" + " ".join(map(render, item.items)) + ")"
    if isinstance(item, Choice):
        weights = [f"/{w}/ " for w in item.weights] if item.weights else [""] * len(item.items)
        return "(" + "|".join(w + render(x) for w, x in zip(weights, item.items, strict=True)) + ")"
    if isinstance(item, Optional):
        return f"[{render(item.item)}] /* maybe */"
    if isinstance(item, Repeat):
        return f"({render(item.item)}){'+' if item.at_least else '*'}"
    return f"({render(item.item)}) " + " ".join(
        "{" + tag.replace("{", "\\{").replace("}", "\\}") + "}" for tag in item.tags
    )


def grammar_text(rules: dict[str, Expansion], public: int = 1) -> str:
    """Write rules as a grammar whose first `public` rules are public."""
    lines = ["#JSGF V1.0;", "grammar test; // random"]
    for i, (name, expansion) in enumerate(rules.items()):
        lines.append(f"{'public ' if i < public else ''}<{name}> = {render(expansion)};")
    return "\n".join(lines)


def _add(language: Language, sentence: tuple[str, ...], cost: float) -> None:
    language[sentence] = min(cost, language.get(sentence, math.inf))


def _joined(first: Language, second: Language, longest: int) -> Language:
    result: Language = {}
    for (a, cost_a), (b, cost_b) in itertools.product(first.items(), second.items()):
        if len(a) + len(b) <= longest:
            _add(result, a + b, cost_a + cost_b)
    return result


def language_of(item: Expansion, rules: dict[str, Expansion], longest: int) -> Language:
    """Return every sentence of up to `longest` words with its least cost."""
    if isinstance(item, Word):
        return {(item.text,): 0.0} if longest > 0 else {}
    if isinstance(item, Reference):
        if item.name == "NULL":
            return {(): 0.0}
        return {} if item.name == "VOID" else language_of(rules[item.name], rules, longest)
    if isinstance(item, Sequence):
        result: Language = {(): 0.0}
        for part in item.items:
            shortest = min((len(sentence) for sentence in result), default=longest + 1)
            if shortest > longest:
                return {}
            result = _joined(result, language_of(part, rules, longest - shortest), longest)
        return result
    if isinstance(item, Choice):
        weights = item.weights or (1.0,) * len(item.items)
        result = {}
        for part, weight in zip(item.items, weights, strict=True):
            if weight:
                for sentence, cost in language_of(part, rules, longest).items():
                    _add(result, sentence, cost - math.log(weight / sum(weights)))
        return result
    if isinstance(item, Optional):
        result = {(): HALF}
        for sentence, cost in language_of(item.item, rules, longest).items():
            _add(result, sentence, cost + HALF)
        return result
    if isinstance(item, Tagged):
        return language_of(item.item, rules, longest)
    once = language_of(item.item, rules, longest)
    turns: Language = dict(once)
    result = {} if item.at_least else {(): HALF}
    enter = 0.0 if item.at_least else HALF
    for _ in range(longest + 2):
        for sentence, cost in turns.items():
            _add(result, sentence, enter + cost + HALF)
        turns = {s: c + HALF for s, c in _joined(turns, once, longest).items()}
    return result
