"""Walking about in a machine of any size: what the widget and the interactive page show.

In: a machine and what the user asks for: a state's neighbours, a symbol, a path. Out: scenes,
JSON-ready: places, texts and the arcs of every state in view. Nothing here knows of a browser.

Public names: `Explorer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from wfst_hmm.draw.labels import shown, symbol_of
from wfst_hmm.draw.machines import Drawable, Machine, machine_of
from wfst_hmm.draw.picture import DrawOptions, Picture, fst_picture, nearest_states, sources_of
from wfst_hmm.draw.placement import place
from wfst_hmm.draw.view import arcs_into, arcs_with, matching_symbols, path_of
from wfst_hmm.errors import GraphError, WfstHmmError

__all__ = ["Explorer"]

_NEW = 12  # states that one expansion adds
_ROWS = 40  # arcs of a state that are listed
_HITS = 8  # arcs of a symbol that are brought into view
_LENGTH = 200  # characters of a symbol in lists


class Explorer:
    """The part of a machine that is in view.

    Parameters
    ----------
    value : Fst, Graph, CompactGraph, Lattice, Chain, DiscreteHmm or GmmHmm
    options : DrawOptions, optional
        ``max_states`` bounds what is ever in view at once.
    states : sequence of int, optional
        In view at first; by default up to `first` states nearest to the start.
    path : sequence of int
        Arcs that are marked, and in view, at first.
    first : int

    Attributes
    ----------
    machine : Machine
    states : list of int
        In view, in the order in which they came.
    marked : list of int
        Arcs drawn as a path.
    """

    def __init__(
        self,
        value: Drawable,
        options: DrawOptions | None = None,
        *,
        states: Sequence[int] | None = None,
        path: Sequence[int] = (),
        first: int = 24,
        using: str | None = None,
    ) -> None:
        self.machine: Machine = machine_of(value)
        self._options = options or DrawOptions(max_states=400, max_arcs=1500, legend=False)
        self._using = using
        self.marked = [int(arc) for arc in path]
        limit = min(first, self._options.max_states)
        fst = self.machine.fst
        self.states = (
            [int(state) for state in states]
            if states is not None
            else nearest_states(fst, max(limit, len(self.marked) + 1), self.marked)
        )
        self._at_first = (list(self.states), list(self.marked))

    def expand(self, state: int) -> list[int]:
        """Bring up to 12 more neighbours of `state` into view; return them, targets first."""
        fst = self.machine.fst
        self._check(state)
        ahead = fst.arcs_of(state)["nextstate"].tolist()
        behind = sources_of(fst, arcs_into(fst, state)).tolist()
        return self._show([state, *ahead, *behind], _NEW)

    def hide(self, state: int) -> None:
        """Take `state` out of view."""
        self._check(state)
        self.states = [other for other in self.states if other != state]

    def find(self, text: str) -> list[dict[str, Any]]:
        """Return the symbols that contain `text`, on either side, the best matches first."""
        rows = []
        for side, symbol, count in matching_symbols(self.machine.fst, text):
            rows.append({"symbol": symbol, "text": shown(symbol, _LENGTH), "side": side,
                         "arcs": count})  # fmt: skip
        return rows

    def go_to(self, symbol: str, side: str | None = None) -> list[int]:
        """Mark arcs with `symbol` and bring their ends into view; return these."""
        fst = self.machine.fst
        arcs = arcs_with(fst, symbol, side=side)[:_HITS]
        self.marked = arcs.tolist()
        ends = [s for arc, source in zip(arcs, sources_of(fst, arcs), strict=True)
                for s in (int(source), int(fst.arcs[arc]["nextstate"]))]  # fmt: skip
        self._show(ends)
        return list(dict.fromkeys(ends))

    def go_to_state(self, state: int) -> list[int]:
        """Bring `state` and its neighbours into view."""
        self.marked = []
        return [state, *self.expand(state)]

    def follow(self, symbols: Sequence[str]) -> dict[str, Any]:
        """Mark the cheapest path that reads or writes just `symbols`; return its cost and arcs.

        Raises
        ------
        DataError, GraphError
            As `view.path_of`.
        """
        fst = self.machine.fst
        self.marked = path_of(fst, symbols)
        targets = fst.arcs["nextstate"][self.marked].tolist()
        self._show([fst.start, *targets])
        last = targets[-1] if targets else fst.start
        weights = fst.arcs["weight"][self.marked].sum(dtype=np.float64)
        cost = float(weights + fst.states["final"][last])
        return {"cost": round(cost, 6), "n_arcs": len(self.marked), "ends": [fst.start, last]}

    def picture(self) -> Picture:
        """Return what is in view as a picture without places."""
        return fst_picture(
            self.machine.fst, self._options, path=self._marked_in_view(), states=self.states,
            names=self.machine.names,
        )  # fmt: skip

    def scene(self) -> dict[str, Any]:
        """Return all that is in view, JSON-ready."""
        fst, picture = self.machine.fst, self.picture()
        placed = place(picture, using=self._using)
        nodes = []
        for node in picture.nodes:
            x, y = placed.at[node.key]
            nodes.append({
                "key": node.key, "x": round(x, 1), "y": round(y, 1),
                "r": round(placed.radius[node.key], 1), "text": node.text, "hint": node.hint,
                "start": node.is_start, "final": node.is_final, "stub": node.is_stub,
                "marked": node.is_marked,
            })  # fmt: skip
        edges = []
        for edge, path, label in zip(picture.edges, placed.curves, placed.labels, strict=True):
            edges.append({
                "source": edge.source, "target": edge.target, "lines": list(edge.lines),
                "hint": edge.hint, "kind": edge.kind, "marked": edge.is_marked, "path": path,
                "x": round(label[0], 1), "y": round(label[1], 1),
            })  # fmt: skip
        return {
            "kind": self.machine.kind, "nodes": nodes, "edges": edges,
            "captions": list(picture.captions), "start": fst.start,
            "arcs": {str(state): self._rows(state) for state in self.states},
            "n_states": fst.n_states, "n_arcs": fst.n_arcs,
        }  # fmt: skip

    def answer(self, message: Any) -> dict[str, Any]:
        """Do what a message from the browser asks for; errors become an answer, too.

        Parameters
        ----------
        message : dict
            ``ask``: ``expand``, ``hide``, ``find``, ``go``, ``follow``, ``reset``; with
            ``state``, ``text``, ``symbol`` and ``side`` as they need them.

        Returns
        -------
        dict
            ``ask``, and ``scene`` where the view has changed, ``focus`` (states to look at),
            ``found`` (symbols), or ``error``.
        """
        asked = message if isinstance(message, dict) else {}
        ask = str(asked.get("ask", ""))
        try:
            return {"ask": ask, **self._answer(ask, asked)}
        except WfstHmmError as error:
            return {"ask": ask, "error": shown(str(error), 400)}

    def _answer(self, ask: str, message: dict[str, Any]) -> dict[str, Any]:
        text = str(message.get("text", ""))
        if ask == "find":
            return {"found": self.find(text)}
        if ask == "expand":
            state = _number(message.get("state"))
            new = self.expand(state)
            return {"scene": self.scene(), "focus": [state], "new": new}
        if ask == "hide":
            self.hide(_number(message.get("state")))
            return {"scene": self.scene(), "focus": []}
        if ask == "go":
            if "state" in message:
                return {"focus": self.go_to_state(_number(message["state"]))[:1],
                        "scene": self.scene()}  # fmt: skip
            side = message.get("side")
            ends = self.go_to(str(message.get("symbol", "")), side if side is None else str(side))
            return {"scene": self.scene(), "focus": ends}
        if ask == "follow":
            path = self.follow(text.split())
            return {"scene": self.scene(), "focus": path["ends"], "path": path}
        if ask == "reset":
            self.states, self.marked = (list(numbers) for numbers in self._at_first)
            return {"scene": self.scene(), "focus": []}
        raise GraphError("no such request", got=shown(ask, 40))

    def _show(self, states: Iterable[int], limit: int | None = None) -> list[int]:
        """Add states to the view, at most `limit` new ones; where it is full, the oldest leave."""
        wanted = dict.fromkeys(int(state) for state in states)
        here = set(self.states)
        new = [state for state in wanted if state not in here][:limit]
        first = [state for state in wanted if state in here or state in set(new)]
        ranked = dict.fromkeys([*first, *reversed(self.states)])
        stays = set(list(ranked)[: self._options.max_states])
        self.states = [state for state in [*self.states, *new] if state in stays]
        return [state for state in new if state in stays]

    def _marked_in_view(self) -> list[int]:
        inside = set(self.states)
        fst = self.machine.fst
        return [
            arc
            for arc, source in zip(self.marked, sources_of(fst, self.marked).tolist(), strict=True)
            if source in inside and int(fst.arcs[arc]["nextstate"]) in inside
        ]

    def _rows(self, state: int) -> dict[str, Any]:
        """Return the first arcs of a state for a list: what is read, written, its cost, its end."""
        fst = self.machine.fst
        rows = [
            {
                "in": symbol_of(int(arc["ilabel"]), fst.isymbols, _LENGTH),
                "out": symbol_of(int(arc["olabel"]), fst.osymbols, _LENGTH),
                "cost": _finite(float(arc["weight"])), "target": int(arc["nextstate"]),
            }
            for arc in fst.arcs_of(state)[:_ROWS]
        ]  # fmt: skip
        final = float(fst.states[state]["final"])
        return {"rows": rows, "more": max(0, int(fst.states[state]["n_arcs"]) - _ROWS),
                "final": _finite(final)}  # fmt: skip

    def _check(self, state: int) -> None:
        if not 0 <= state < self.machine.fst.n_states:
            raise GraphError("no such state", got=state,
                             expected=f"0 to {self.machine.fst.n_states - 1}")  # fmt: skip


def _finite(cost: float) -> float | None:
    return round(cost, 6) if np.isfinite(cost) else None


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise GraphError("not the number of a state", got=shown(str(value), 40)) from None
