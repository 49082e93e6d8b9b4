"""Which rules of a grammar refer to themselves, and whether a finite machine can follow them.

In: expansions by name. Out: the groups of rules that refer to each other, or an error that shows
the cycle: recursion at the end of a rule is a loop, any other is no finite machine.

Public names: `check_recursion`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wfst_hmm.errors import FormatError
from wfst_hmm.graph.jsgf_parser import Choice, Expansion, Optional, Reference, Repeat, Tagged
from wfst_hmm.graph.jsgf_parser import Sequence as Phrase

__all__ = ["check_recursion"]


class _Mention(NamedTuple):
    """A reference within a rule: at its end? possibly at its beginning?"""

    reference: Reference
    last: bool
    first: bool


def check_recursion(rules: Mapping[str, Expansion]) -> dict[str, int]:
    """Number the groups of rules that refer to themselves or to each other.

    Raises
    ------
    FormatError
        A rule refers to itself other than at its end; the cycle is shown.

    Notes
    -----
    A rule may refer to itself at its end before any word, as in ``<a> = [x] <a> | y``: going round
    without a word is of no use, and does no harm.
    """
    empty = _nullable(rules)
    mentions = {name: _mentions(rule, empty) for name, rule in rules.items()}
    component = _components(
        {name: [m.reference.name for m in found] for name, found in mentions.items()}
    )
    for name, found in mentions.items():
        for mention in found:
            target = mention.reference.name
            if name in component and component.get(target) == component[name] and not mention.last:
                raise _recursion_error(name, mention, mentions, "is recursive before its end")
    return component


def _recursion_error(
    name: str, mention: _Mention, mentions: Mapping[str, Sequence[_Mention]], what: str
) -> FormatError:
    """Show the shortest way from the offending reference back to its rule."""
    came_from: dict[str, str] = {}
    waiting = [mention.reference.name]
    for at in waiting:
        if at == name:
            break
        for other in mentions.get(at, ()):
            if other.reference.name not in came_from:
                came_from[other.reference.name] = at
                waiting.append(other.reference.name)
    back = [name]
    while back[-1] != mention.reference.name:
        back.append(came_from[back[-1]])
    cycle = [name, *reversed(back)]
    return FormatError(
        f"rule <{name.rpartition('.')[2]}> {what}", where=str(mention.reference.place),
        got=" -> ".join(f"<{rule.rpartition('.')[2]}>" for rule in cycle[:12]),
        expected="recursion at the very end of a rule, after a word",
        fix="Write a repetition as x* or x+.",
    )  # fmt: skip


def _mentions(expansion: Expansion, empty: set[str]) -> list[_Mention]:
    found: list[_Mention] = []

    def visit(item: Expansion, last: bool, first: bool) -> None:
        if isinstance(item, Reference):
            found.append(_Mention(item, last, first))
        elif isinstance(item, Phrase):
            for i, part in enumerate(item.items):
                visit(part, last and i == len(item.items) - 1, first)
                first = first and _may_be_empty(part, empty)
        elif isinstance(item, Choice):
            for part in item.items:
                visit(part, last, first)
        elif isinstance(item, Repeat):
            visit(item.item, False, first)
        elif isinstance(item, (Optional, Tagged)):
            visit(item.item, last, first)

    visit(expansion, True, True)
    return found


def _may_be_empty(item: Expansion, empty: set[str]) -> bool:
    if isinstance(item, Reference):
        return item.name == "NULL" or item.name in empty
    if isinstance(item, Phrase):
        return all(_may_be_empty(part, empty) for part in item.items)
    if isinstance(item, Choice):
        return any(_may_be_empty(part, empty) for part in item.items)
    if isinstance(item, Repeat):
        return item.at_least == 0 or _may_be_empty(item.item, empty)
    if isinstance(item, Tagged):
        return _may_be_empty(item.item, empty)
    return isinstance(item, Optional)


def _nullable(rules: Mapping[str, Expansion]) -> set[str]:
    """Return the rules that accept the empty phrase."""
    users: dict[str, list[str]] = {}
    for name, rule in rules.items():
        for mention in _mentions(rule, set()):
            users.setdefault(mention.reference.name, []).append(name)
    empty: set[str] = set()
    waiting = list(rules)
    while waiting:
        name = waiting.pop()
        if name not in empty and _may_be_empty(rules[name], empty):
            empty.add(name)
            waiting += users.get(name, [])
    return empty


def _components(edges: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Number the strongly connected components that hold a cycle (Tarjan 1972, without recursion).

    Names on no cycle are left out.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    component: dict[str, int] = {}
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, rest = work[-1]
            for target in rest:
                if target not in edges:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in on_stack:
                    low[name] = min(low[name], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    group: list[str] = []
                    while not group or group[-1] != name:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    if len(group) > 1 or name in edges[name]:
                        component.update(dict.fromkeys(group, index[name]))
    return component
