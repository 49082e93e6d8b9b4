"""What a sentence means: the tags of the grammar's rules that it was made by.

In: a grammar of rules (JSGF or SRGS) whose phrases have tags ``{...}``; words. Out: a small machine
from words to tags, JSON-ready, which a graph keeps among its notes; the tags of a sentence.

Public names: `tag_machine`, `tags_of`.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.graph.jsgf import JsgfGrammar
from wfst_hmm.graph.jsgf_parser import (
    Choice,
    Expansion,
    Optional,
    Repeat,
    Rule,
    Tagged,
    Word,
    walk,
)
from wfst_hmm.graph.jsgf_parser import Sequence as Phrase

__all__ = ["tag_machine", "tags_of"]

_MAX_ARCS = 100_000  # of a machine that is kept with a graph
_MARK = "{}"  # begins the names of tags, which no word can have


def tag_machine(grammar: JsgfGrammar) -> dict[str, Any] | None:
    """Return the machine from the words of a grammar to its tags; None where it has none.

    Returns
    -------
    dict
        ``tags``: their texts; ``start``; ``arcs``: source, word or the number of a tag, cost and
        target of each; ``final``: state and cost of each final state.
    """
    tags: dict[str, int] = {}

    def told(item: Expansion) -> Expansion:
        """Put each tag behind its phrase, as a word with a mark."""
        if isinstance(item, Tagged):
            found = [tags.setdefault(tag, len(tags)) for tag in item.tags]
            return Phrase((told(item.item), *(Word(f"{_MARK}{number}") for number in found)))
        if isinstance(item, (Phrase, Choice)):
            return dataclasses.replace(item, items=tuple(map(told, item.items)))
        if isinstance(item, (Optional, Repeat)):
            return dataclasses.replace(item, item=told(item.item))
        return item

    if not any(isinstance(p, Tagged) for r in grammar.rules.values() for p in walk(r.expansion)):
        return None
    rules = {name: Rule(rule.name, told(rule.expansion), rule.public, rule.place)
             for name, rule in grammar.rules.items()}  # fmt: skip
    try:
        fst = dataclasses.replace(grammar, rules=rules).to_fst()
    except (
        FormatError,
        GraphError,
    ):  # with a tag behind its recursion a rule is none that a machine can follow
        return None
    if fst.n_arcs > _MAX_ARCS or fst.isymbols is None:
        return None
    names = [*fst.isymbols]
    arcs = [
        [state, int(name[len(_MARK) :]) if name.startswith(_MARK) else name, cost, target]
        for state, label, cost, target in zip(
            fst.sources().tolist(), fst.arcs["ilabel"].tolist(), fst.arcs["weight"].tolist(),
            fst.arcs["nextstate"].tolist(), strict=True,
        )
        for name in [names[label] if label else ""]
    ]  # fmt: skip
    ends = fst.states["final"].tolist()
    return {"tags": list(tags), "start": fst.start, "arcs": arcs,
            "final": [[state, cost] for state, cost in enumerate(ends) if cost < float("inf")]}  # fmt: skip


def tags_of(machine: Mapping[str, Any], words: Sequence[str]) -> tuple[str, ...]:
    """Return the tags of a sentence, in the order in which they stand behind its words.

    Of several ways to say it, that of the greatest probability counts; a sentence that the grammar
    does not have has no tags.

    Examples
    --------
    >>> from wfst_hmm.graph.jsgf import jsgf_from_text
    >>> text = "#JSGF V1.0; grammar g; public <a> = turn (on {1} | off {0}) [now] {done};"
    >>> machine = tag_machine(jsgf_from_text(text))
    >>> tags_of(machine, ["turn", "off", "now"]), tags_of(machine, ["now"])
    (('0', 'done'), ())
    """
    leaving: dict[int, list[tuple[str | int, float, int]]] = {}
    for source, name, cost, target in machine["arcs"]:
        leaving.setdefault(source, []).append((name, cost, target))
    final = dict(machine["final"])
    # cheapest first (Dijkstra) over pairs of a position in the sentence and a state
    heap: list[tuple[float, int, int, tuple[Any, ...]]] = [(0.0, 0, machine["start"], ())]
    done: set[tuple[int, int]] = set()
    while heap:
        cost, at, state, told = heapq.heappop(heap)
        if at > len(words):  # the end, the final cost included
            found: list[str] = []
            while told:
                told, tag = told
                found.append(machine["tags"][tag])
            return tuple(reversed(found))
        if (at, state) in done:
            continue
        done.add((at, state))
        if at == len(words) and state in final:
            heapq.heappush(heap, (cost + final[state], at + 1, -1, told))
        for name, more, target in leaving.get(state, ()):
            if isinstance(name, int):
                heapq.heappush(heap, (cost + more, at, target, (told, name)))
            elif not name or (at < len(words) and name == words[at]):
                heapq.heappush(heap, (cost + more, at + bool(name), target, told))
    return ()
