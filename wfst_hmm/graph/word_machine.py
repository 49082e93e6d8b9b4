"""Words to costs, one at a time: deterministic acceptors with failure arcs.

In: an n-gram model, or phrases with boosts. Out: `WordMachine`: from a state and a word to a
cost and the next state, by one walk along failure arcs and no search. Backoff is such an arc,
and so is what Aho and Corasick do when a phrase breaks off.

Public names: `WordMachine`, `Phrase`, `ngram_machine`, `phrase_machine`, `step`.

Notes
-----
Allauzen, Mohri & Roark (2003), *Generalized algorithms for constructing statistical language
models*: failure transitions represent backoff exactly, where epsilons may also be taken although
the n-gram is listed. Aho & Corasick (1975), *Efficient string matching*, for phrases.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF, Symbols
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.orthography import Spellings

__all__ = ["Phrase", "WordMachine", "ngram_machine", "phrase_machine", "step"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class WordMachine:
    """A deterministic acceptor over words, every state of which takes every word.

    A word that a state does not list is looked for along the failure arcs, whose costs add up;
    the root (the only state without one) has an entry for every label.

    Attributes
    ----------
    start : int
    label : ndarray of int32, shape (n_words,)
        Label of each word of the graph that the machine works for; 0: "any other word".
    first_arc : ndarray of int64, shape (n_states + 1,)
    arc_label, arc_next : ndarray of int32, shape (n_arcs,)
        Arcs of each state but the root, sorted by label.
    arc_cost : ndarray of float32, shape (n_arcs,)
        Nats; +inf: impossible.
    fail : ndarray of int32, shape (n_states,)
        -1 at the root.
    fail_cost : ndarray of float32, shape (n_states,)
    final : ndarray of float32, shape (n_states,)
        Cost of ending, failure arcs included.
    root_next : ndarray of int32, shape (n_labels,)
    root_cost : ndarray of float32, shape (n_labels,)
    unknown : tuple of str
        Words of the graph that the machine knows nothing of.
    """

    start: int
    label: Ints
    first_arc: npt.NDArray[np.int64]
    arc_label: Ints
    arc_cost: Floats
    arc_next: Ints
    fail: Ints
    fail_cost: Floats
    final: Floats
    root_next: Ints
    root_cost: Floats
    unknown: tuple[str, ...] = ()

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.fail)

    def step(self, state: int, word: int) -> tuple[float, int]:
        """Return the cost of a word (its number in the graph) and the state behind it."""
        cost, following = step(
            state, int(self.label[word]), self.first_arc, self.arc_label, self.arc_cost,
            self.arc_next, self.fail, self.fail_cost, self.root_next, self.root_cost,
        )  # fmt: skip
        return float(cost), int(following)

    def cost(self, words: Sequence[int]) -> float:
        """Return the cost of a whole sequence of words, its end included."""
        state, total = self.start, 0.0
        for word in words:
            cost, state = self.step(state, word)
            total += cost
        return total + float(self.final[state])


@numba.njit(cache=True, nogil=True)
def step(
    state: int,
    label: int,
    first_arc: npt.NDArray[np.int64],
    arc_label: Ints,
    arc_cost: Floats,
    arc_next: Ints,
    fail: Ints,
    fail_cost: Floats,
    root_next: Ints,
    root_cost: Floats,
) -> tuple[float, int]:
    """Take one label from one state; return the cost in nats and the next state."""
    total = 0.0
    while fail[state] >= 0:
        low, high = first_arc[state], first_arc[state + 1]
        while low < high:
            middle = (low + high) // 2
            if arc_label[middle] < label:
                low = middle + 1
            else:
                high = middle
        if low < first_arc[state + 1] and arc_label[low] == label:
            return total + arc_cost[low], arc_next[low]
        total += fail_cost[state]
        state = fail[state]
    return total + root_cost[label], root_next[label]


def ngram_machine(
    model: NgramModel, words: Symbols, *, unknown_cost: float = math.inf
) -> WordMachine:
    """Return an n-gram model as a machine over the words of a graph.

    Parameters
    ----------
    model : NgramModel
    words : Symbols
        The graph's words.
    unknown_cost : float
        Nats for a word that the model lacks, when it has no ``<unk>`` either; the history is
        then empty.

    Returns
    -------
    WordMachine
        Its costs are ``-log p(word | history)``, and those of ``</s>`` at the end.

    Raises
    ------
    GraphError
        The model has no ``</s>``.
    UsageError
        `unknown_cost` is negative or NaN.
    """
    if not unknown_cost >= 0:
        raise UsageError("the cost of an unknown word must not be negative", got=unknown_cost)
    fst = ngram_to_fst(model)
    assert fst.isymbols is not None  # ngram_to_fst always names its labels
    table = fst.isymbols
    backoff = table.id(BACKOFF)
    other = table.id(model.unknown) if model.unknown else 0
    own = frozenset((model.bos, model.eos, BACKOFF))
    known = Spellings(table)
    found = [known.find(word) for word in words]
    label = np.array(
        [table.id(word) if word is not None and word not in own else other for word in found],
        dtype=np.int32,
    )
    label[0] = 0
    unknown = tuple(word for word, spelling in zip(words, found, strict=True) if spelling is None)
    fail = np.full(fst.n_states, -1, dtype=np.int32)
    fail_cost = np.zeros(fst.n_states, dtype=np.float32)
    source = fst.sources()
    backs = fst.arcs["ilabel"] == backoff
    fail[source[backs]] = fst.arcs["nextstate"][backs]
    fail_cost[source[backs]] = fst.arcs["weight"][backs]
    roots = np.flatnonzero(fail < 0)
    assert len(roots) == 1  # every history backs off to the empty one
    root_next = np.full(len(table), roots[0], dtype=np.int32)
    root_cost = np.full(len(table), np.inf, dtype=np.float32)
    root_cost[0] = unknown_cost
    first = fst.arcs_of(int(roots[0]))
    root_next[first["ilabel"]], root_cost[first["ilabel"]] = first["nextstate"], first["weight"]
    keep = ~backs & (source != roots[0])
    counts = np.bincount(source[keep], minlength=fst.n_states)
    return WordMachine(
        fst.start, label, np.concatenate([[0], np.cumsum(counts)]),
        np.ascontiguousarray(fst.arcs["ilabel"][keep]),
        np.ascontiguousarray(fst.arcs["weight"][keep]),
        np.ascontiguousarray(fst.arcs["nextstate"][keep]),
        fail, fail_cost, _final_costs(fst, fail, fail_cost), root_next, root_cost, unknown,
    )  # fmt: skip


def _final_costs(fst: Fst, fail: Ints, fail_cost: Floats) -> Floats:
    """Return the cost of ending in each state, by way of failure arcs where it has none."""
    final = fst.states["final"].astype(np.float64)
    through, at = fail_cost.astype(np.float64), fail.copy()
    while (open_ := np.flatnonzero(np.isinf(final) & (at >= 0))).size:
        explicit = fst.states["final"][at[open_]].astype(np.float64)
        final[open_] = through[open_] + explicit
        through[open_] += fail_cost[at[open_]]
        at[open_] = fail[at[open_]]
    return final.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Phrase:
    """Words to listen for.

    Attributes
    ----------
    words : tuple of str
    boost : float
        Nats that every occurrence makes a path cheaper; negative: dearer.

    Raises
    ------
    UsageError
        There are no words, or the boost is not finite.
    """

    words: tuple[str, ...]
    boost: float

    def __post_init__(self) -> None:
        if not self.words:
            raise UsageError("a phrase without words", where="phrase")
        if not math.isfinite(self.boost):
            raise UsageError("a boost must be finite", where=" ".join(self.words), got=self.boost)


def phrase_machine(phrases: Sequence[Phrase], words: Symbols) -> WordMachine:
    """Return the machine that makes phrases cheaper wherever they occur.

    A whole sequence costs minus the boosts of all occurrences in it, overlapping ones included:
    while a phrase is under way, its boost is lent in equal shares, and given back where it
    breaks off.

    Parameters
    ----------
    phrases : sequence of Phrase
        The boosts of a phrase that is there twice add up.
    words : Symbols
        The graph's words.

    Raises
    ------
    DataError
        A phrase has a word that the graph lacks.
    """
    label = np.zeros(len(words), dtype=np.int32)
    names: dict[str, int] = {}
    children: list[dict[int, int]] = [{}]
    boost, credit = [0.0], [0.0]
    for phrase in phrases:
        at = 0
        for depth, word in enumerate(phrase.words, start=1):
            if word not in words or not words.id(word):
                raise DataError(f"the graph lacks the word {word!r}",
                                where=" ".join(phrase.words))  # fmt: skip
            name = names.setdefault(word, len(names) + 1)
            label[words.id(word)] = name
            if name not in children[at]:
                children[at][name] = len(children)
                children.append({})
                boost.append(0.0)
                credit.append(0.0)
            at = children[at][name]
            if depth < len(phrase.words):
                credit[at] = max(credit[at], phrase.boost * depth / len(phrase.words))
        boost[at] += phrase.boost
    return _with_failures(children, boost, credit, label)


def _with_failures(
    children: list[dict[int, int]], boost: list[float], credit: list[float], label: Ints
) -> WordMachine:
    """Aho & Corasick's failure arcs, breadth first; boosts and credits become costs."""
    n_states = len(children)
    fail = np.full(n_states, -1, dtype=np.int32)
    queue = collections.deque([0])
    while queue:
        state = queue.popleft()
        for word, child in children[state].items():
            queue.append(child)
            at = int(fail[state])
            while at >= 0 and word not in children[at]:
                at = int(fail[at])
            fail[child] = children[at][word] if at >= 0 else 0
            boost[child] += boost[fail[child]]  # phrases that end here as a suffix
            credit[child] = max(credit[child], credit[fail[child]])
    rows = [
        (state, word, credit[state] - credit[child] - boost[child], child)
        for state, below in enumerate(children)
        for word, child in sorted(below.items())
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    inner = table[table[:, 0] > 0]
    root = table[table[:, 0] == 0]
    counts = np.bincount(inner[:, 0].astype(np.int64), minlength=n_states)
    root_next = np.zeros(int(label.max()) + 1, dtype=np.int32)
    root_cost = np.zeros(len(root_next), dtype=np.float32)
    root_next[root[:, 1].astype(np.int64)] = root[:, 3]
    root_cost[root[:, 1].astype(np.int64)] = root[:, 2]
    owed = np.array(credit, dtype=np.float64)
    return WordMachine(
        0, label, np.concatenate([[0], np.cumsum(counts)]), inner[:, 1].astype(np.int32),
        inner[:, 2].astype(np.float32), inner[:, 3].astype(np.int32), fail,
        np.where(fail >= 0, owed - owed[fail], 0).astype(np.float32), owed.astype(np.float32),
        root_next, root_cost,
    )  # fmt: skip
