"""L∘G, deterministic and minimal, built directly: the grammar spelled out in phones.

In: a deterministic acceptor over items (`Items`) and how each item is pronounced. Out: an `Fst`
from phones to words, the one that composition, determinization and minimization would reach
after making ten times as many states on the way.

Why it can be built directly: L is a loop over pronunciations that disambiguation symbols keep
apart, so after determinization the machine is one prefix tree of pronunciations for each state
of the grammar, whose leaves lead to the roots of other trees. Trees are built from sorted
pronunciations; a node that has its arcs for good is looked up among earlier nodes and shared,
which minimizes on the way. Disambiguation symbols are never made.

Public names: `Pauses`, `spell_grammar`, `phone_labels`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import ARC, Fst
from wfst_hmm.graph.items import Items
from wfst_hmm.graph.lexicon import Entry
from wfst_hmm.graph.lexicon_fst import phone_numbers, silence_costs
from wfst_hmm.graph.spelling_kernels import build_trees, count_nodes
from wfst_hmm.models.context import WORD_POSITIONS

__all__ = ["Pauses", "phone_labels", "spell_grammar"]

_Ints = npt.NDArray[np.int64]
_Labels = npt.NDArray[np.int32]
_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Pauses:
    """Optional silence before the first word and after every word.

    Attributes
    ----------
    phone : int
        Number of the silence phone, from 0; -1 when there is no optional silence.
    silence, none : ndarrays of float64, shape (K,)
        Costs of a pause and of no pause after the words of each of K classes; class 0 also
        holds before the first word.
    class_of : ndarray of int64, shape (n pronunciations,)
        Class of every entry of the lexicon.
    initial : bool
        Whether there may be a pause before the first word.
    """

    phone: int
    silence: _Floats
    none: _Floats
    class_of: _Ints
    initial: bool = True

    @classmethod
    def alike(cls, silence: tuple[int, float, float] | None, n_entries: int) -> Pauses:
        """Return the same pauses after all words.

        Parameters
        ----------
        silence : tuple or None
            As `lexicon_fst.optional_silence` returns it.
        n_entries : int
        """
        phone, cost, none = (-1, math.inf, 0.0) if silence is None else silence
        return cls(phone, np.array([cost]), np.array([none]), np.zeros(n_entries, dtype=np.int64))

    @classmethod
    def after(
        cls,
        silence: tuple[int, float, float] | None,
        entries: Sequence[Entry],
        *,
        initial: bool = True,
    ) -> Pauses:
        """Return the pauses that entries ask for; class 0 is that of all others.

        Parameters
        ----------
        silence : tuple or None
            As `lexicon_fst.optional_silence` returns it.
        entries : sequence of Entry
        initial : bool
            Whether there may be a pause before the first word.
        """
        if silence is None:
            return cls.alike(None, len(entries))
        costs = {(silence[1], silence[2]): 0}
        class_of = [
            costs.setdefault(silence_costs(entry, silence), len(costs)) for entry in entries
        ]
        pause, none = zip(*costs, strict=True)
        classes = np.array(class_of, dtype=np.int64)
        return cls(silence[0], np.array(pause), np.array(none), classes, initial)

    @property
    def at_start(self) -> bool:
        """Whether there is silence, and before the first word, too."""
        return self.initial and self.phone >= 0

    @property
    def paid(self) -> _Floats:
        """What the last arc of a word pays in advance: the cheaper of the two, shape (K,)."""
        return np.minimum(self.silence, self.none)


def phone_labels(phones: tuple[int, ...], n_phones: int, n_positions: int) -> list[int]:
    """Return the input labels of a pronunciation.

    Parameters
    ----------
    phones : tuple of int
        Numbers from 0.
    n_phones, n_positions : int
        With four positions (`WORD_POSITIONS`), label ``1 + phone + n_phones * position``.
    """
    if n_positions == 1:
        return [1 + phone for phone in phones]
    inside, begin, end, single = (n_phones * i for i in range(len(WORD_POSITIONS)))
    if len(phones) == 1:
        return [1 + phones[0] + single]
    middle = [1 + phone + inside for phone in phones[1:-1]]
    return [1 + phones[0] + begin, *middle, 1 + phones[-1] + end]


def spell_grammar(
    items: Items,
    phones: tuple[str, ...],
    pauses: Pauses,
    *,
    n_positions: int = 1,
    minimize: bool = True,
    max_states: int,
) -> Fst:
    """Return the transducer from phones to what the items print.

    Parameters
    ----------
    items : Items
        All of its acceptor's states must lie on paths from start to end.
    phones : tuple of str
        The P phones of the model.
    pauses : Pauses
        For the entries of ``items.lexicon``.
    n_positions : int
        4 to tell phones apart by their place in the word (silence between words is a word of
        its own, place ``single``), else 1. See `phone_labels`.
    minimize : bool
        Share equal ends of trees. Without, the machine is only deterministic.
    max_states : int
        Budget; the states needed at most are counted before any is made.

    Returns
    -------
    Fst
        Deterministic but for epsilons: backing off, and words that end where others go on.
        Costs and outputs stand as early as the sharing of beginnings allows. No symbol tables.

    Raises
    ------
    GraphError
        The budget would not be enough.

    Notes
    -----
    Mohri, Pereira & Riley (2008), section 4: determinization of L∘G. Sharing finished nodes
    while building from sorted strings: Daciuk, Mihov, Watson & Watson (2000), "Incremental
    construction of minimal acyclic finite-state automata".
    """
    prons = _Pronunciations.of(items, phones, n_positions)
    ends = _Ends.of(items.acceptor, prons, pauses)
    roots = _Roots.of(items.acceptor, ends, len(items.lexicon.words), pauses)
    n_nodes, widest = count_nodes(ends.start, ends.rank, prons.start, prons.labels)
    if len(roots.state) + n_nodes > max_states:
        raise GraphError(
            "the grammar spelled in phones exceeds the budget of states",
            got=f"up to {len(roots.state) + n_nodes}", expected=f"at most {max_states}",
            fix="Raise max_states, or make the grammar or the lexicon smaller.",
        )  # fmt: skip
    return _assembled(items, prons, ends, roots, pauses, (n_nodes, widest),
                      (len(phones), n_positions, minimize))  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class _Pronunciations:
    """All pronunciations, sorted by their labels."""

    start: _Ints
    labels: _Labels
    entry: _Ints  # index of each among the lexicon's entries
    cost: _Floats
    item_start: _Ints  # the pronunciations of item i: item_prons[item_start[i] : ...]
    item_prons: _Ints

    @classmethod
    def of(cls, items: Items, phones: tuple[str, ...], n_positions: int) -> _Pronunciations:
        numbers = phone_numbers(phones, items.lexicon)
        entries = items.lexicon.entries
        spelled = [
            phone_labels(tuple(numbers[p] for p in entry.phones), len(phones), n_positions)
            for entry in entries
        ]
        order = sorted(range(len(entries)), key=spelled.__getitem__)
        item = np.array([items.symbols.id(entries[i].word) for i in order], dtype=np.int64)
        lengths = np.array([0, *(len(spelled[i]) for i in order)], dtype=np.int64)
        counts = np.bincount(item, minlength=len(items.symbols))
        return cls(
            np.cumsum(lengths),
            np.array([label for i in order for label in spelled[i]], dtype=np.int32),
            np.array(order, dtype=np.int64),
            np.array([-math.log(entries[i].probability) + 0.0 for i in order]),
            np.concatenate([[0], np.cumsum(counts)]),
            np.argsort(item, kind="stable"),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Ends:
    """The leaves of all trees: each a pronunciation of an arc's item, sorted tree by tree."""

    start: _Ints  # per grammar state
    rank: _Ints  # pronunciation
    out: _Ints  # the arc of the grammar it stands for
    cost: _Floats
    target: _Ints  # grammar state behind
    pause: _Ints  # class of pauses

    @classmethod
    def of(cls, acceptor: Fst, prons: _Pronunciations, pauses: Pauses) -> _Ends:
        item = acceptor.arcs["ilabel"].astype(np.int64)
        first = prons.item_start[item]
        counts = prons.item_start[item + 1] - first
        arc = np.repeat(np.arange(len(item)), counts)
        within = np.arange(len(arc)) - np.repeat(np.cumsum(counts) - counts, counts)
        rank = prons.item_prons[first[arc] + within]
        source = acceptor.sources().astype(np.int64)[arc]
        order = np.argsort(source * (len(prons.cost) + 1) + rank, kind="stable")
        arc, rank, source = arc[order], rank[order], source[order]
        pause = pauses.class_of[prons.entry[rank]]
        cost = acceptor.arcs["weight"][arc] + prons.cost[rank] + pauses.paid[pause]
        per_state = np.bincount(source, minlength=acceptor.n_states)
        return cls(np.concatenate([[0], np.cumsum(per_state)]), rank, item[arc], cost,
                   acceptor.arcs["nextstate"].astype(np.int64)[arc], pause)  # fmt: skip


#: Kinds of roots: before the first word, and between words when a pause is no longer open.
_FIRST, _CLOSED = -2, -1


@dataclasses.dataclass(frozen=True, eq=False)
class _Roots:
    """Places between words: a grammar state, and whether a pause may still be made there."""

    state: _Ints
    kind: _Ints  # class of the pause that is open, or _FIRST or _CLOSED
    behind: _Ints  # root that each leaf leads to
    closed: _Ints  # root of each grammar state once no pause is open, -1 for none

    @classmethod
    def of(cls, acceptor: Fst, ends: _Ends, n_spoken: int, pauses: Pauses) -> _Roots:
        n = acceptor.n_states
        kinds = len(pauses.none) + 2  # in the order first, closed, classes
        pausing = np.isfinite(pauses.silence)[ends.pause]
        quiet = acceptor.arcs["nextstate"][acceptor.arcs["ilabel"] > n_spoken].astype(np.int64)
        leaf = ends.target * kinds + np.where(pausing, ends.pause + 2, 1)
        after_pause = ends.target[pausing] * kinds + 1
        start = np.array([acceptor.start * kinds, acceptor.start * kinds + 1])
        keys = np.unique(np.concatenate([
            start if pauses.at_start else start[1:], leaf, after_pause, quiet * kinds + 1,
        ]))  # fmt: skip
        closed = np.full(n, -1)
        is_closed = keys % kinds == 1
        closed[keys[is_closed] // kinds] = np.flatnonzero(is_closed)
        return cls(keys // kinds, keys % kinds - 2, np.searchsorted(keys, leaf), closed)

    def start(self, acceptor: Fst, pauses: Pauses) -> int:
        kind = _FIRST if pauses.at_start else _CLOSED
        return int(np.flatnonzero((self.state == acceptor.start) & (self.kind == kind))[0])


def _assembled(
    items: Items,
    prons: _Pronunciations,
    ends: _Ends,
    roots: _Roots,
    pauses: Pauses,
    sizes: tuple[int, int],
    labelling: tuple[int, int, bool],
) -> Fst:
    acceptor, n_roots = items.acceptor, len(roots.state)
    n_phones, n_positions, minimize = labelling
    silence = -1
    extra = np.zeros((2, n_roots))  # cost of going on without a pause, and of a pause
    if pauses.phone >= 0:
        silence = phone_labels((pauses.phone,), n_phones, n_positions)[0]
        open_ = np.flatnonzero(roots.kind >= 0)
        kind = roots.kind[open_]
        extra[0, open_] = pauses.none[kind] - pauses.paid[kind]
        extra[1, open_] = pauses.silence[kind] - pauses.paid[kind]
        first = roots.kind == _FIRST
        extra[0, first], extra[1, first] = pauses.none[0], pauses.silence[0]
    out = items.word_of[ends.out].astype(np.int32)
    quiet = acceptor.arcs["ilabel"] > len(items.lexicon.words)
    unspoken = acceptor.arcs[quiet].copy()
    unspoken["ilabel"], unspoken["olabel"] = 0, items.word_of[unspoken["olabel"]]
    unspoken["nextstate"] = roots.closed[unspoken["nextstate"]]
    counts = np.bincount(acceptor.sources()[quiet], minlength=acceptor.n_states)
    n_nodes, widest = sizes
    by_state = np.searchsorted(roots.state, np.arange(acceptor.n_states + 1))
    node_start, node_arcs, n_made, root_start, root_arcs = build_trees(
        ends.start, ends.rank, out, ends.cost, roots.behind, prons.start, prons.labels,
        np.concatenate([[0], np.cumsum(counts)]), unspoken, by_state,
        (roots.kind != _CLOSED), extra, silence, roots.closed, n_nodes, widest, minimize,
        np.empty(n_nodes + len(ends.rank) + 1, dtype=ARC), np.empty(1024, dtype=ARC),
    )  # fmt: skip
    final = np.full(n_roots + n_made, np.inf)
    final[:n_roots] = acceptor.states["final"][roots.state] + extra[0]
    arcs = np.concatenate([root_arcs[: root_start[-1]], node_arcs[: node_start[n_made]]])
    n_arcs = np.concatenate([np.diff(root_start), np.diff(node_start[: n_made + 1])])
    return Fst.from_runs(roots.start(acceptor, pauses), n_arcs, arcs, final)
