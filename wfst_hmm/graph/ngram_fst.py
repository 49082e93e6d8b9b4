"""A backoff n-gram model as a grammar transducer G.

In: an `NgramModel`. Out: an `Fst` over words in which every history that continues is a state,
every listed n-gram an arc, and backing off an arc with the input ``#0``.

Public names: `ngram_to_fst`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF, Symbols
from wfst_hmm.graph.ngram import NgramModel

__all__ = ["ngram_to_fst"]

Ints = npt.NDArray[np.int64]
_MAX_COPIED = 50_000_000
Floats = npt.NDArray[np.float64]


def ngram_to_fst(model: NgramModel, words: Symbols | None = None) -> Fst:
    """Build G, deterministic over words and ``#0``.

    ``<s>`` is no label: its history is the start state. ``</s>`` is none either: its cost is the
    final cost of its history. An n-gram that no longer one continues is no state: its arc leads to
    the longest suffix that is, and carries the backoff weights on the way; the same machine as
    Kaldi's ``arpa2fst --disambig-symbol=#0`` after its removal of redundant states.

    Parameters
    ----------
    model : NgramModel
    words : Symbols, optional
        A table to number words by; it must hold ``#0`` and every word of the model except ``<s>``
        and ``</s>``. By default the model's own words without these two, then ``#0``.

    Returns
    -------
    Fst
        Costs in nats. A word may be reached past a backoff arc although it is listed before it:
        the usual approximation by epsilons, never cheaper than a proper model by much. Only what
        the model gives no probability after a history (-inf) cannot be reached there by backing
        off either, as `NgramModel.sentence_log_prob` has it: such a history backs off to a copy
        of the shorter one without these words.

    Raises
    ------
    GraphError
        The model has no ``</s>``, so that no sentence could end; or `words` lacks a word; or so
        many n-grams are -inf that the copies would be too large.
    """
    bos, eos = (model.words.id(w) if w in model.words else -1 for w in (model.bos, model.eos))
    if eos < 0:
        raise GraphError(
            "the n-gram model has no </s>: no sentence could end", got=repr(model),
            fix="Add </s> to its 1-grams.",
        )  # fmt: skip
    table, label = _labels(model, words)
    n_states, state, start = _states(model, bos)
    to_state, to_cost, suffix_state, suffix_cost = _destinations(model, state)
    final = np.full(n_states, np.inf)
    parts: list[tuple[Ints, Ints, Ints, Floats, Ints]] = []
    for k, entries in enumerate(model.tables):
        source = state[k - 1][entries.context] if k else np.zeros(len(entries), dtype=np.int64)
        cost = -entries.log_prob
        ends = entries.word == eos
        final[source[ends]] = cost[ends]
        plain = ~ends & (entries.word != bos)
        parts.append((source[plain], label[entries.word[plain]], label[entries.word[plain]],
                      (cost + to_cost[k])[plain], to_state[k][plain]))  # fmt: skip
        own = np.flatnonzero(state[k] >= 0)
        hash_zero = np.full(len(own), table.id(BACKOFF))
        parts.append((state[k][own], hash_zero, np.zeros(len(own), dtype=np.int64),
                      suffix_cost[k][own] - entries.backoff[own], suffix_state[k][own]))  # fmt: skip
    source, ilabel, olabel, weight, target = (
        np.concatenate([part[i] for part in parts]) for i in range(5)
    )
    real = np.isfinite(weight)  # a probability of zero is no arc
    made = Fst.from_arcs(start, source[real], ilabel[real], olabel[real], weight[real],
                         target[real], final, table, table)  # fmt: skip
    never: dict[int, set[int]] = {}  # by state: labels that may not follow, -1 for the end
    for k, entries in enumerate(model.tables[1:], start=1):
        for i in np.flatnonzero(np.isneginf(entries.log_prob)).tolist():
            word = int(entries.word[i])
            never.setdefault(int(state[k - 1][entries.context[i]]), set()).add(
                -1 if word == eos else int(label[word]))  # fmt: skip
    return _without(made, never, table.id(BACKOFF)) if never else made


def _without(fst: Fst, never: dict[int, set[int]], backoff: int) -> Fst:
    """Return the machine in which states of `never` cannot back off to what they forbid."""
    base = [fst.arcs_of(state) for state in range(fst.n_states)]
    rows, final = list(base), fst.states["final"].tolist()
    copies: dict[tuple[int, frozenset[int]], int] = {}
    waiting = [(state, frozenset(labels)) for state, labels in never.items()]
    n_arcs = fst.n_arcs
    while waiting:
        state, labels = waiting.pop()
        rows[state] = rows[state].copy()
        for at in np.flatnonzero(rows[state]["ilabel"] == backoff).tolist():
            shorter = int(rows[state]["nextstate"][at])
            copy = copies.setdefault((shorter, labels), len(rows))
            if copy == len(rows):
                rows.append(base[shorter][~np.isin(base[shorter]["ilabel"], list(labels))])
                final.append(np.inf if -1 in labels else final[shorter])
                # behind it, what the shorter history forbids is forbidden as well
                waiting.append((copy, labels | never.get(shorter, set())))
                n_arcs += len(rows[copy])
            if n_arcs > _MAX_COPIED:
                raise GraphError(
                    "the n-gram model forbids too much: G would not fit",
                    got=f"-inf after {len(never)} histories",
                    expected=f"at most {_MAX_COPIED} arcs with copies",
                    fix="Write a low probability (-99) for -inf.",
                )
            rows[state]["nextstate"][at] = copy
    return Fst.from_runs(fst.start, [len(row) for row in rows], np.concatenate(rows), final,
                         fst.isymbols, fst.osymbols)  # fmt: skip


def _labels(model: NgramModel, words: Symbols | None) -> tuple[Symbols, Ints]:
    """Return the table of labels and the label of each of the model's words (0: none)."""
    edges = (model.bos, model.eos)
    spoken = [word for word in model.words if word not in edges]
    table = words if words is not None else Symbols([*spoken, BACKOFF])
    missing = [word for word in [*spoken, BACKOFF] if word not in table]
    if missing:
        raise GraphError(
            f"the given word table lacks {len(missing)} words of the model",
            got=" ".join(missing[:5]), fix="Call model.restricted_to(words), or extend the table.",
        )  # fmt: skip
    return table, np.array([0 if word in edges else table.id(word) for word in model.words])


def _states(model: NgramModel, bos: int) -> tuple[int, list[Ints], int]:
    """Number the histories that continue; return how many, their numbers and the start state.

    State 0 is the empty history. ``<s>`` is a state as well when leaving it costs something.
    """
    n_states, numbers = 1, []
    start = 0
    for k, entries in enumerate(model.tables):
        continues = np.zeros(len(entries), dtype=bool)
        if k + 1 < model.order:
            continues[model.tables[k + 1].context] = True
        if k == 0 and bos >= 0:
            at = np.flatnonzero(entries.word == bos)
            continues[at] |= entries.backoff[at] != 0
        number = np.where(continues, n_states + np.cumsum(continues) - 1, -1)
        if k == 0 and bos >= 0 and continues[at].any():
            start = int(number[at][0])
        numbers.append(number)
        n_states += int(continues.sum())
    return n_states, numbers, start


def _destinations(
    model: NgramModel, state: list[Ints]
) -> tuple[list[Ints], list[Floats], list[Ints], list[Floats]]:
    """Return, per order, where each n-gram leads: state and cost; the same for its suffix.

    The suffix of "a b c" is the longest of "b c", "c", "" that is an n-gram; it is a child of the
    suffix of its context, or of a suffix of that, and so on.
    """
    to_state: list[Ints] = []
    to_cost: list[Floats] = []
    suffixes: list[tuple[Ints, Ints]] = []  # order and entry of each n-gram's suffix
    of_suffix: list[tuple[Ints, Floats]] = []
    for k, entries in enumerate(model.tables):
        n = len(entries)
        order = np.zeros(n, dtype=np.int64)  # order and entry of the suffix, (0, 0) is the root
        entry = np.zeros(n, dtype=np.int64)
        if k:
            at_order, at = (part[entries.context] for part in suffixes[k - 1])
            open_ = np.arange(n)
            for j in range(k - 1, -1, -1):
                here = open_[at_order[open_] == j]
                child = model.tables[j].find(at[here], entries.word[here])
                hit = here[child >= 0]
                order[hit], entry[hit] = j + 1, child[child >= 0]
                miss = here[child < 0]
                if j:
                    at_order[miss], at[miss] = (part[at[miss]] for part in suffixes[j - 1])
                    at_order[hit] = -1
        suffixes.append((order, entry))
        lands, costs = np.zeros(n, dtype=np.int64), np.zeros(n)
        for j in range(1, k + 1):
            here = order == j
            lands[here], costs[here] = to_state[j - 1][entry[here]], to_cost[j - 1][entry[here]]
        of_suffix.append((lands, costs))
        is_state = state[k] >= 0
        to_state.append(np.where(is_state, state[k], lands))
        to_cost.append(np.where(is_state, 0.0, costs - entries.backoff))
    return to_state, to_cost, [s for s, _ in of_suffix], [c for _, c in of_suffix]
