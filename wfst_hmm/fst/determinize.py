"""Determinization of transducers under a budget, with the reason when it cannot be done.

In: a transducer. Out: the equivalent one that never has a choice on its input; or a
`GraphError` that shows two paths over one input. OpenFst's own determinization, its twin in the
tests, knows no budget for transducers: on a machine that cannot be determinized it runs until
the memory is full.

Public names: `determinize_transducer`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.trim import trim

__all__ = ["determinize_transducer"]

_Text = tuple[int, ...]
_Tail = tuple[int, _Text]  # a state and the last outputs on the way to it
_MAX_SHOWN = 20


class _Member(NamedTuple):
    """A state that may have been reached, and what is still owed to it."""

    state: int
    text: _Text
    cost: float


class _Arc(NamedTuple):
    """An arc of the result before its outputs are spread over arcs of their own."""

    source: int
    ilabel: int
    text: _Text
    cost: float
    target: int


def determinize_transducer(fst: Fst, *, max_states: int, delta: float = 1e-6) -> Fst:
    """Return an equivalent machine in which no state has two arcs with one input label.

    Epsilon is treated like any other label. Outputs and costs come as early as all paths over
    the same input agree on them; where an arc owes several outputs, arcs that read nothing
    follow it, and so they do behind the last arc. Where a state both ends with outputs owed and
    goes on over epsilon, the end is one way on over epsilon among the others: no state has two
    arcs that read nothing.

    Parameters
    ----------
    fst : Fst
        A function from inputs to outputs.
    max_states : int
        Give up once the result has more states.
    delta : float
        Owed costs closer than this count as equal.

    Raises
    ------
    GraphError
        One input has two outputs; or what paths over one input owe grows beyond all bounds; or
        the budget is spent. Two paths over one input are shown.

    Notes
    -----
    Mohri (1997), "Finite-state transducers in language and speech processing", section 3. That
    in a machine of n states with the twins property nothing owed is longer than n² times the
    longest output (or costlier, likewise) is from its section 3.3 and Choffrut (1977).
    """
    fst = trim(fst)
    if not fst.n_states:
        return fst
    end = fst.n_states  # one more state, without arcs: an end of its own, see `_leave`
    fst = Fst.from_runs(fst.start, np.append(fst.states["n_arcs"], 0), fst.arcs,
                        np.append(fst.states["final"], 0.0), fst.isymbols, fst.osymbols)  # fmt: skip
    return _Subsets(fst, end, max_states, delta).run()


class _Subsets:
    """The subset construction at work."""

    def __init__(self, fst: Fst, end: int, max_states: int, delta: float) -> None:
        self.fst, self.end, self.max_states, self.delta = fst, end, max_states, delta
        n = fst.n_states
        weights = np.abs(fst.arcs["weight"].astype(np.float64))
        self.longest = n * n
        self.dearest = n * n * float(weights.max(initial=0.0)) + 1e-3
        first = _Member(fst.start, (), 0.0)
        self.subsets: list[list[_Member]] = [[first]]
        self.number: dict[tuple[tuple[int, _Text, int], ...], int] = {self._key([first]): 0}
        self.reached: list[tuple[int, int]] = [(-1, 0)]  # subset before, and label read
        self.arcs: list[_Arc] = []
        self.final: list[tuple[_Text, float] | None] = []
        self.deferred: list[int] = []  # subsets that end behind an epsilon of their own

    def _key(self, members: Iterable[_Member]) -> tuple[tuple[int, _Text, int], ...]:
        return tuple((m.state, m.text, round(m.cost / self.delta)) for m in members)

    def run(self) -> Fst:
        done = 0
        while done < len(self.subsets):
            if len(self.subsets) > self.max_states:
                raise self._drifting("determinization exceeds its budget of states",
                                     f"at most {self.max_states}")  # fmt: skip
            self._finish(done)
            self._leave(done)
            done += 1
        self._check_deferred()
        return self._result()

    def _finish(self, subset: int) -> None:
        """Work out with what the paths that may end here end."""
        ends = [
            (m.text, m.cost + float(self.fst.states["final"][m.state]), m.state)
            for m in self.subsets[subset]
            if np.isfinite(self.fst.states["final"][m.state])
        ]
        for text, _, state in ends[1:]:
            if text != ends[0][0]:
                raise self._two_outputs(self._read(subset), (ends[0][2], ends[0][0]),
                                        (state, text))  # fmt: skip
        self.final.append((ends[0][0], min(cost for _, cost, _ in ends)) if ends else None)

    def _leave(self, subset: int) -> None:
        by_label: dict[int, dict[int, tuple[_Text, float]]] = {}
        for member in self.subsets[subset]:
            for label, out, weight, target in self.fst.arcs_of(member.state).tolist():
                text = (*member.text, out) if out else member.text
                cost = member.cost + weight
                found = by_label.setdefault(label, {})
                other = found.get(target)
                if other is not None and other[0] != text:
                    raise self._two_outputs((*self._read(subset), label), (target, other[0]),
                                            (target, text))  # fmt: skip
                if other is None or cost < other[1]:
                    found[target] = (text, cost)
        ending = self.final[subset]
        if 0 in by_label and ending is not None and ending[0]:
            # What is written behind the end stands on an arc that reads nothing, and there is
            # such an arc already: both become one, to the states of both.
            by_label[0][self.end] = ending
            self.final[subset] = None
            self.deferred.append(subset)
        for label in sorted(by_label):
            found = by_label[label]
            prefix = _common([text for text, _ in found.values()])
            least = min(cost for _, cost in found.values())
            members = [
                _Member(state, text[len(prefix) :], cost - least)
                for state, (text, cost) in sorted(found.items())
            ]
            target = self._subset(members, subset, label)
            self.arcs.append(_Arc(subset, label, prefix, least, target))

    def _check_deferred(self) -> None:
        """Raise where epsilons lead round and round, and what an end owes is never written."""
        after = {arc.source: arc.target for arc in self.arcs if arc.ilabel == 0}
        waiting = set(self.deferred)
        for first in self.deferred:
            subset, passed = first, 0
            while subset in waiting:
                subset, passed = after[subset], passed + 1
                if passed > len(waiting):
                    raise GraphError(
                        "the machine ends with outputs owed where epsilons lead round a cycle",
                        got=f"over {self._names(self._read(first), 'in')}",
                        fix="Remove epsilons first.",
                    )

    def _subset(self, members: list[_Member], source: int, label: int) -> int:
        found = self.number.setdefault(self._key(members), len(self.subsets))
        if found == len(self.subsets):
            self.subsets.append(members)
            self.reached.append((source, label))
            if max(len(m.text) for m in members) > self.longest or (
                max(m.cost for m in members) > self.dearest
            ):
                raise self._drifting("the machine cannot be determinized", None)
        return found

    def _read(self, subset: int) -> _Text:
        labels = []
        while self.reached[subset][0] >= 0:
            subset, label = self.reached[subset]
            labels.append(label)
        return tuple(labels[::-1])

    def _drifting(self, what: str, expected: str | None) -> GraphError:
        """Explain with the subset whose members owe the most."""
        worst = max(
            range(len(self.subsets)),
            key=lambda i: (max(len(m.text) for m in self.subsets[i]),
                           max(m.cost for m in self.subsets[i])),
        )  # fmt: skip
        members = sorted(self.subsets[worst], key=lambda m: (len(m.text), m.cost))
        inputs = self._read(worst)
        shown = [self._path(inputs, members[0]), self._path(inputs, members[-1])]
        if len(members) == 1:
            return GraphError(what, expected=expected, fix="Raise max_states.")
        return GraphError(
            f"{what}: what is owed to paths over one input grows", expected=expected,
            got=f"over {self._names(inputs, 'in')}: {' and '.join(shown)}",
            fix="Add disambiguation symbols that tell the paths apart, or raise max_states.",
        )  # fmt: skip

    def _two_outputs(
        self, inputs: _Text, first: tuple[int, _Text], second: tuple[int, _Text]
    ) -> GraphError:
        shown = [self._path(inputs, _Member(*end, 0.0)) for end in (first, second)]
        return GraphError(
            "the machine is no function: two paths read the same and write differently",
            got=f"over {self._names(inputs, 'in')}: {' and '.join(shown)}",
            fix="Add disambiguation symbols that tell the paths apart.",
        )  # fmt: skip

    def _path(self, inputs: _Text, end: _Member) -> str:
        """Return a path over `inputs` to a state whose output ends with what is owed there."""
        start: _Tail = (self.fst.start, ())
        layers: list[dict[_Tail, tuple[_Tail, int, float]]] = [{start: (start, 0, 0.0)}]
        # Only what is written last can be owed: older outputs need not be told apart.
        keep = len(end.text) + 1
        for label in inputs:
            layer: dict[_Tail, tuple[_Tail, int, float]] = {}
            for at, (_, _, before) in layers[-1].items():
                final = float(self.fst.states["final"][at[0]])
                if label == 0 and final < np.inf:  # see `_leave`: an end behind an epsilon
                    layer.setdefault((self.end, at[1][-keep:]), (at, 0, before + final))
                for ilabel, out, weight, target in self.fst.arcs_of(at[0]).tolist():
                    if ilabel != label:
                        continue
                    key = (target, ((*at[1], out) if out else at[1])[-keep:])
                    if key not in layer or before + weight < layer[key][2]:
                        layer[key] = (at, out, before + weight)
            layers.append(layer)
        last = layers[-1]
        ends = [key for key in last if key[0] == end.state
                and key[1][len(key[1]) - len(end.text) :] == end.text]  # fmt: skip
        at = min(ends, key=lambda key: last[key][2])
        cost, states, written = last[at][2], [at[0]], []
        for layer in layers[:0:-1]:
            at, out, _ = layer[at]
            states.append(at[0])
            written += [out] if out else []
        path = " ".join(map(str, states[::-1][:_MAX_SHOWN]))
        path += " ..." * (len(states) > _MAX_SHOWN)
        return (
            f"states {path} writing {self._names(tuple(written[::-1]), 'out')} at {cost:.6g} nats"
        )

    def _names(self, labels: _Text, side: str) -> str:
        symbols = self.fst.isymbols if side == "in" else self.fst.osymbols
        shown = [str(x) if symbols is None else symbols[x] for x in labels[:_MAX_SHOWN]]
        return repr(" ".join(shown) + (" ..." if len(labels) > _MAX_SHOWN else ""))

    def _result(self) -> Fst:
        """Spread outputs over arcs: one each, the rest on arcs that read nothing."""
        n_states = len(self.subsets)
        behind: dict[tuple[_Text, int], int] = {}
        rows: list[tuple[int, int, int, float, int]] = []
        final = [np.inf if end is None or end[0] else end[1] for end in self.final]

        def writing(text: _Text, target: int) -> int:
            """Return a state from which `text` is written on the way to `target`."""
            if not text:
                return target
            state = behind.get((text, target))
            if state is None:
                state = behind[text, target] = len(final)
                final.append(np.inf)
                rows.append((state, 0, text[0], 0.0, writing(text[1:], target)))
            return state

        for arc in self.arcs:
            rows.append((arc.source, arc.ilabel, arc.text[0] if arc.text else 0, arc.cost,
                         writing(arc.text[1:], arc.target)))  # fmt: skip
        last = -1
        for state, end in enumerate(self.final[:n_states]):
            if end is not None and end[0]:
                if last < 0:
                    last = len(final)
                    final.append(0.0)
                rows.append((state, 0, end[0][0], end[1], writing(end[0][1:], last)))
        columns = list(zip(*rows, strict=True)) if rows else [()] * 5
        return Fst.from_arcs(0, columns[0], columns[1], columns[2], columns[3], columns[4], final,
                             self.fst.isymbols, self.fst.osymbols)  # fmt: skip


def _common(texts: list[_Text]) -> _Text:
    first, last = min(texts), max(texts)
    n = 0
    while n < min(len(first), len(last)) and first[n] == last[n]:
        n += 1
    return first[:n]
