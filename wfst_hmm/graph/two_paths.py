"""Two paths that read the same input and yet differ: why a machine is no function or has no end.

In: a transducer. Out: a `Comparison`, with a `Clash` when one input has two outputs, or when two
loops over one input drift apart so that determinization would never stop.

Public names: `Clash`, `Comparison`, `compare_paths`.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

from wfst_hmm.fst.arrays import Fst

__all__ = ["Clash", "Comparison", "compare_paths"]

_TOLERANCE = 1e-4  # nats around a loop; single precision leaves less
_Delay = tuple[tuple[int, ...], tuple[int, ...]]
_NONE: _Delay = ((), ())


@dataclasses.dataclass(frozen=True)
class Clash:
    """Two paths over one input.

    Attributes
    ----------
    kind : {"outputs", "loop"}
        The paths end with unlike outputs; or each ends in a loop, and the two loops differ.
    inputs : tuple of int
        What both read, epsilons left out; up to the loop, if there is one.
    outputs : pair of tuples of int
        What they write meanwhile.
    loop_inputs : tuple of int
        What both loops read; empty without one.
    loop_outputs : pair of tuples of int
    loop_costs : pair of float
        Nats once around each loop.
    """

    kind: Literal["outputs", "loop"]
    inputs: tuple[int, ...]
    outputs: _Delay
    loop_inputs: tuple[int, ...] = ()
    loop_outputs: _Delay = _NONE
    loop_costs: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What comparing all pairs of paths has shown.

    Attributes
    ----------
    clash : Clash or None
    complete : bool
        Whether all pairs of states were seen; if so and there is no clash, the machine is a
        function and can be determinized.
    n_pairs : int
        Pairs of states that were visited.
    """

    clash: Clash | None
    complete: bool
    n_pairs: int


class _Edge(NamedTuple):
    """One step of both paths: pair of states to pair of states."""

    source: int
    target: int
    label: int
    outputs: tuple[int, int]
    costs: tuple[float, float]


def compare_paths(fst: Fst, *, max_pairs: int = 50_000) -> Comparison:
    """Look for two paths that read the same and write, or cost in loops, something else.

    Parameters
    ----------
    fst : Fst
        Epsilon inputs count as a label, as determinization takes them. States that lead nowhere
        should have been removed.
    max_pairs : int
        Stop, with ``complete=False``, after so many pairs of states and 20 times as many steps.

    Notes
    -----
    Squaring: Béal, Carton, Prieur & Sakarovitch (2003), "Squaring transducers: an efficient
    procedure for deciding functionality and sequentiality". The loops are those of the twins
    property, Mohri (1997). Where a loop can be walked in several ways with one output at unlike
    costs, the cheapest of them counts only if they share their states.
    """
    square = _Square(fst, max_pairs)
    clash = square.two_outputs() or square.two_loops()
    return Comparison(clash, square.complete, len(square.pairs))


class _Square:
    """The machine of pairs of states that one input reaches, as far as the budget allows."""

    def __init__(self, fst: Fst, max_pairs: int) -> None:
        self._fst = fst
        self._by_label: dict[int, dict[int, list[tuple[int, float, int]]]] = {}
        start = (fst.start, fst.start)
        self.number: dict[tuple[int, int], int] = {start: 0} if fst.n_states else {}
        self.pairs = list(self.number)
        self.way_in: list[_Edge | None] = [None for _ in self.pairs]
        self.out: list[list[_Edge]] = []
        self.complete = True
        budget = 20 * max_pairs
        while len(self.out) < len(self.pairs):
            edges = []
            for edge_to, label, outputs, costs in self._steps(*self.pairs[len(self.out)]):
                target = self.number.get(edge_to)
                budget -= 1
                if budget < 0 or (target is None and len(self.pairs) >= max_pairs):
                    self.complete = False
                    break
                source = len(self.out)
                edge = _Edge(source, len(self.pairs) if target is None else target, label,
                             outputs, costs)  # fmt: skip
                edges.append(edge)
                if target is None:
                    self.number[edge_to] = len(self.pairs)
                    self.pairs.append(edge_to)
                    self.way_in.append(edge)
            self.out.append(edges)
            if budget < 0:
                break
        self.out += [[] for _ in range(len(self.pairs) - len(self.out))]

    def _arcs(self, state: int) -> dict[int, list[tuple[int, float, int]]]:
        """Return the arcs of a state by input label, of parallel ones the cheapest."""
        if state not in self._by_label:
            best: dict[tuple[int, int, int], float] = {}
            for ilabel, olabel, weight, target in self._fst.arcs_of(state).tolist():
                key = (ilabel, olabel, target)
                best[key] = min(weight, best.get(key, weight))
            found: dict[int, list[tuple[int, float, int]]] = {}
            for (ilabel, olabel, target), weight in best.items():
                found.setdefault(ilabel, []).append((olabel, weight, target))
            self._by_label[state] = found
        return self._by_label[state]

    def _steps(
        self, p: int, q: int
    ) -> Iterable[tuple[tuple[int, int], int, tuple[int, int], tuple[float, float]]]:
        others = self._arcs(q)
        for label, arcs in self._arcs(p).items():
            for i, (output, cost, target) in enumerate(arcs):
                # from one state, the pair (a, b) says all that (b, a) would
                for other in others.get(label, ())[i if p == q else 0 :]:
                    yield (target, other[2]), label, (output, other[0]), (cost, other[1])

    def two_outputs(self) -> Clash | None:
        """Return two complete paths of one input and unlike outputs, if there are any."""
        to_end = self._ways_to_end()
        if not self.pairs or to_end[0] is None:
            return None
        delays: dict[int, _Delay] = {0: _NONE}
        queue = deque([0])
        while queue:
            pair = queue.popleft()
            for edge in self.out[pair]:
                if to_end[edge.target] is None:
                    continue
                delay = _moved(delays[pair], edge)
                known = delays.get(edge.target)
                if known == delay and not (delay[0] and delay[1]):
                    continue
                candidates = [[*self._path_to(edge.source), edge]]
                if known is not None:
                    candidates.append(self._path_to(edge.target))
                elif not (delay[0] and delay[1]):
                    delays[edge.target] = delay
                    queue.append(edge.target)
                    if not (self._is_end(edge.target) and delay != _NONE):
                        continue
                for path in candidates:
                    whole = [*path, *self._path_on(edge.target, to_end)]
                    outputs = _outputs(whole)
                    if outputs[0] != outputs[1]:
                        return Clash("outputs", _inputs(whole), outputs)
        return None

    def two_loops(self) -> Clash | None:
        """Return two loops over one input that write or cost something else, if there are any."""
        component = _components(self.out)
        done: set[int] = set()
        for root in range(len(self.pairs)):
            if component[root] in done:
                continue
            done.add(component[root])
            found = self._loop_from(root, component)
            if found:
                way = self._path_to(root)
                costs = (sum(e.costs[0] for e in found), sum(e.costs[1] for e in found))
                return Clash("loop", _inputs(way), _outputs(way), _inputs(found),
                             _outputs(found), costs)  # fmt: skip
        return None

    def _loop_from(self, root: int, component: list[int]) -> list[_Edge] | None:
        """Return a loop through `root` whose two sides differ."""
        first = _NONE
        for edge in self._path_to(root):
            first = _moved(first, edge)
        gaps: dict[int, tuple[float, _Delay]] = {root: (0.0, first)}
        ways: dict[int, _Edge] = {}
        queue = deque([root])
        while queue:
            pair = queue.popleft()
            for edge in self.out[pair]:
                if component[edge.target] != component[root]:
                    continue
                gap = (gaps[pair][0] + edge.costs[0] - edge.costs[1], _moved(gaps[pair][1], edge))
                known = gaps.get(edge.target)
                if known is None:
                    gaps[edge.target], ways[edge.target] = gap, edge
                    queue.append(edge.target)
                elif abs(known[0] - gap[0]) > _TOLERANCE or known[1] != gap[1]:
                    back = self._within(edge.target, root, component)
                    tree_to = {
                        pair: _walk(ways, root, pair),
                        edge.target: _walk(ways, root, edge.target),
                    }
                    for way in ([*tree_to[pair], edge], tree_to[edge.target]):
                        loop = [*way, *back]
                        if loop and self._differs(loop, first):
                            return loop
        return None

    @staticmethod
    def _differs(loop: list[_Edge], delay: _Delay) -> bool:
        after = delay
        for edge in loop:
            after = _moved(after, edge)
        gap = sum(edge.costs[0] - edge.costs[1] for edge in loop)
        return after != delay or abs(gap) > _TOLERANCE

    def _within(self, source: int, target: int, component: list[int]) -> list[_Edge]:
        ways: dict[int, _Edge] = {}
        queue = deque([source])
        while queue and target not in ways and source != target:
            for edge in self.out[queue.popleft()]:
                if component[edge.target] == component[source] and edge.target not in ways:
                    ways[edge.target] = edge
                    queue.append(edge.target)
        return _walk(ways, source, target)

    def _is_end(self, pair: int) -> bool:
        p, q = self.pairs[pair]
        finals = self._fst.states["final"]
        return bool(finals[p] < float("inf") and finals[q] < float("inf"))

    def _ways_to_end(self) -> list[_Edge | bool | None]:
        """Return, for each pair, the first step of a shortest way to the end (True: is one)."""
        back: list[list[_Edge]] = [[] for _ in self.pairs]
        for edges in self.out:
            for edge in edges:
                back[edge.target].append(edge)
        ways: list[_Edge | bool | None] = [self._is_end(i) or None for i in range(len(self.pairs))]
        queue = deque(i for i, way in enumerate(ways) if way)
        while queue:
            for edge in back[queue.popleft()]:
                if ways[edge.source] is None:
                    ways[edge.source] = edge
                    queue.append(edge.source)
        return ways

    def _path_to(self, pair: int) -> list[_Edge]:
        path = []
        while (edge := self.way_in[pair]) is not None:
            path.append(edge)
            pair = edge.source
        return path[::-1]

    @staticmethod
    def _path_on(pair: int, ways: list[_Edge | bool | None]) -> list[_Edge]:
        path = []
        while isinstance(edge := ways[pair], _Edge):
            path.append(edge)
            pair = edge.target
        return path


def _moved(delay: _Delay, edge: _Edge) -> _Delay:
    """Return what each side has written beyond what both have."""
    sides = [
        (*behind, output) if output else behind
        for behind, output in zip(delay, edge.outputs, strict=True)
    ]
    common = 0
    for one, other in zip(*sides, strict=False):
        if one != other:
            break
        common += 1
    return sides[0][common:], sides[1][common:]


def _walk(ways: dict[int, _Edge], source: int, target: int) -> list[_Edge]:
    path: list[_Edge] = []
    while target != source:
        path.append(ways[target])
        target = ways[target].source
    return path[::-1]


def _inputs(path: Iterable[_Edge]) -> tuple[int, ...]:
    return tuple(edge.label for edge in path if edge.label)


def _outputs(path: list[_Edge]) -> _Delay:
    first, second = (
        tuple(edge.outputs[side] for edge in path if edge.outputs[side]) for side in (0, 1)
    )
    return first, second


def _components(out: list[list[_Edge]]) -> list[int]:
    """Return the number of the strongly connected component of each pair (Kosaraju, Sharir)."""
    order: list[int] = []
    seen = [False] * len(out)
    for root in range(len(out)):
        if seen[root]:
            continue
        seen[root] = True
        stack = [(root, iter(out[root]))]
        while stack:
            pair, edges = stack[-1]
            fresh = next((e.target for e in edges if not seen[e.target]), None)
            if fresh is None:
                order.append(pair)
                stack.pop()
            else:
                seen[fresh] = True
                stack.append((fresh, iter(out[fresh])))
    back: list[list[int]] = [[] for _ in out]
    for edges_of in out:
        for edge in edges_of:
            back[edge.target].append(edge.source)
    component = [-1] * len(out)
    for root in reversed(order):
        if component[root] >= 0:
            continue
        component[root] = root
        waiting = [root]
        while waiting:
            for source in back[waiting.pop()]:
                if component[source] < 0:
                    component[source] = root
                    waiting.append(source)
    return component
