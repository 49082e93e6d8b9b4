"""Token passing, one frame at a time: the inner loops of the beam search.

In: graph arrays, the tokens of one frame, the acoustic costs of the next. Out: the tokens of
the next frame. A frame of a graph with its HMMs written out runs in four steps, each a function
here (HMMs that are expanded on the way have steps of their own, in `wfst_hmm.search.instances`,
between the first and the last of these):

1. `gather`: prune the tokens beyond the cutoff, look up where the others' arcs are;
2. `expand`: follow their emitting arcs; whatever ends within the beam of the best so far is
   noted as a candidate, in order, without any look at the states it leads to;
3. `recombine`: give each state reached its cheapest candidate (Viterbi's maximum);
4. `close`: the epsilon closure, arcs that consume no frame.

Noting candidates first, without branches, means that the final cutoff of the frame is known
before any state is touched, and that the states to touch are known in advance and can be
prefetched.

With word machines (`machines` not None), a token's state is the number of a pair in `pairs`, and
an arc that puts out a word costs what the machines say, too. numba drops the branches of what is
None before it infers types: a search without machines is compiled without them.

Public names: `Closing`, `close`, `cutoff_for`, `expand`, `gather`, `grown`, `new_closing`,
`prefetch`, `recombine`, `smallest`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from wfst_hmm.graph.word_costs import MachineArrays, take_word
from wfst_hmm.search.pairs import MaybePairs, clear_pairs, pairs_with_room, place_of

__all__ = [
    "Closing", "close", "cutoff_for", "expand", "gather", "grown", "new_closing", "prefetch",
    "recombine", "smallest",
]  # fmt: skip

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_STATE_BYTES = 20
_ARC_BYTES = 16
_N_BINS = 512
_HUGE = np.float32(3e38)


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Start to load the cache line at `address` (an integer), for reading.

    Graphs are far larger than caches, and a search knows its next states in advance, so this
    hides most of the waiting (LLVM's ``llvm.prefetch``; it never faults, whatever the address).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        flag = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            (byte_pointer,),
            fnty=ir.FunctionType(ir.VoidType(), [byte_pointer, flag, flag, flag]),
        )
        pointer = builder.inttoptr(args[0], byte_pointer)
        # to be read (0), kept in all caches (3), data rather than code (1)
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@numba.njit(cache=True, nogil=True)
def grown(array: npt.NDArray[Any], n_used: int, n_wanted: int) -> npt.NDArray[Any]:
    """Return `array`, or a copy of its first `n_used` entries with room for `n_wanted`."""
    if n_wanted <= len(array):
        return array
    larger = np.empty(max(n_wanted, 2 * len(array)), dtype=array.dtype)
    larger[:n_used] = array[:n_used]
    return larger


@numba.njit(cache=True, nogil=True)
def smallest(values: Floats, k: int) -> float:
    """Return the k-th smallest of `values`, which are reordered (Hoare's quickselect)."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        # now values[low..j] <= pivot <= values[i..high]: go on where the k-th is
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return float(values[k - 1])


@numba.njit(cache=True, nogil=True)
def cutoff_for(
    cost: Floats, n: int, best: float, beam: float, max_active: int, min_active: int
) -> float:
    """Return the highest cost that a token may have to stay.

    The beam, made narrower where more than `max_active` tokens lie within it and wider where
    fewer than `min_active` do; +inf where there are no more than these. Narrowing counts in bins
    of a 512th of the beam, and never leaves fewer than `max_active`.
    """
    cutoff = best + beam
    n_within = 0
    for token in range(n):
        n_within += cost[token] <= cutoff
    if n_within < min_active:
        return smallest(cost[:n].copy(), min_active) if n > min_active else np.inf
    if max_active == 0 or n_within <= max_active:
        return cutoff
    width = beam
    if beam == np.inf:
        width = 1e-3
        for token in range(n):
            width = max(width, cost[token] - best)
    # A histogram is one pass over the costs, where selection would take several.
    counts = np.zeros(_N_BINS + 1, dtype=np.int64)
    per_nat = _N_BINS / width
    for token in range(n):
        if cost[token] <= cutoff:
            counts[int((cost[token] - best) * per_nat)] += 1
    total = 0
    for number in range(_N_BINS + 1):
        total += counts[number]
        if total >= max_active:
            return min(cutoff, best + (number + 1) / per_nat)
    return cutoff


@numba.njit(cache=True, nogil=True)
def gather(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    machines: MachineArrays | None,
    pairs: MaybePairs,
    state: Ints,
    cost: Floats,
    history: Ints,
    n: int,
    cutoff: float,
    best: float,
    first_arc: npt.NDArray[np.uint32],
    end_arc: npt.NDArray[np.uint32],
) -> tuple[int, int]:
    """Keep the tokens up to the cutoff, in place, costs relative to `best`; find their arcs.

    The best token comes first, so that its arcs set the pace for the next cutoff. Returns how
    many tokens stay and how many emitting arcs leave them.
    """
    kept = 0
    leader = 0
    for token in range(n):
        if cost[token] <= cutoff:
            if cost[token] <= best:
                leader = kept
            state[kept] = state[token]
            cost[kept] = cost[token] - best
            history[kept] = history[token]
            kept += 1
    if kept:
        state[0], state[leader] = state[leader], state[0]
        cost[0], cost[leader] = cost[leader], cost[0]
        history[0], history[leader] = history[leader], history[0]
    base = arcs.ctypes.data
    n_arcs = 0
    for token in range(kept):
        row = states[state[token] if machines is None else pairs.state[state[token]]]
        first, end = row.pos + row.n_input_eps, row.pos + row.n_arcs
        first_arc[token] = first
        end_arc[token] = end
        n_arcs += end - first
        for ahead in range(first, end, 4):  # four arcs to a cache line
            prefetch(base + _ARC_BYTES * np.intp(ahead))
    return kept, n_arcs


@numba.njit(cache=True, nogil=True)
def expand(
    arcs: npt.NDArray[Any],
    machines: MachineArrays | None,
    pairs: MaybePairs,
    state: Ints,
    cost: Floats,
    n: int,
    first_arc: npt.NDArray[np.uint32],
    end_arc: npt.NDArray[np.uint32],
    acoustic: Floats,
    beam: float,
    out_cost: Floats,
    out_arc: Ints,
    out_token: Ints,
    out_word: Longs,
) -> tuple[int, float]:
    """Follow emitting arcs; return the number of candidates and the cost of the best one.

    With machines, `out_word` gets the state in which they are behind the arc.
    """
    best = _HUGE
    cutoff = _HUGE  # finite, so that impossible arcs (+inf) never pass
    width = np.float32(min(beam, _HUGE))
    m = np.uint32(0)
    if machines is not None:
        least = machines.least
    for token in range(np.uint32(n)):
        so_far = cost[token]
        if machines is not None:
            word_state = pairs.word_state[state[token]]
        for arc in range(first_arc[token], end_arc[token]):
            # noted first, counted if within the beam: no branch, which nobody could predict
            new = so_far + arcs[arc].weight + acoustic[np.uint32(arcs[arc].ilabel)]
            if machines is not None:
                reached = word_state
                if arcs[arc].olabel:
                    if new + least[arcs[arc].olabel] > cutoff:
                        continue  # whatever came before: most words are too dear
                    added, reached = take_word(machines, word_state, arcs[arc].olabel)
                    new = np.float32(new + added)
                out_word[m] = reached
                # words are dear to look up: here, each good arc makes the cutoff tighter
                cutoff = min(cutoff, new + width)
            out_cost[m] = new
            out_arc[m] = arc
            out_token[m] = token
            best = new if new < best else best
            m += np.uint32(new <= cutoff)
        cutoff = min(best + width, _HUGE)
    return np.int64(m), best


@numba.njit(cache=True, nogil=True)
def recombine(
    arcs: npt.NDArray[Any],
    machines: MachineArrays | None,
    pairs: MaybePairs,
    n_candidates: int,
    cutoff: float,
    from_cost: Floats,
    from_state: Ints,
    from_arc: Ints,
    from_token: Ints,
    from_word: Longs,
    slot: Ints,
    state: Ints,
    cost: Floats,
    arc: Ints,
    source: Ints,
    rows: int,
) -> Any:
    """Give each state reached its cheapest candidate.

    Returns the number of tokens, the number of candidates up to the cutoff, which move to the
    front, and the pairs. `from_state`, without content before, tells the token that each of them
    reached.

    `slot` maps states to tokens. It is never cleared: an entry counts only when the token that
    it names has that very state. `rows` is where the graph's states are in memory. With machines,
    what `pairs` hold is forgotten, and new ones are numbered as the tokens that stand in them.
    """
    base = slot.ctypes.data
    limit = np.float32(cutoff)
    m = np.uint32(0)
    for candidate in range(np.uint32(n_candidates)):
        new, number = from_cost[candidate], from_arc[candidate]
        reached = arcs[np.uint32(number)].nextstate
        from_cost[m] = new
        from_state[m] = reached
        from_arc[m] = number
        from_token[m] = from_token[candidate]
        if machines is None:
            prefetch(base + 4 * np.intp(reached))
        else:
            from_word[m] = from_word[candidate]
        m += np.uint32(new <= limit)
    if machines is not None:
        pairs = clear_pairs(pairs, np.int64(m))
        table, mask = pairs.table, pairs.counts[1]
        pair_state, pair_word_state = pairs.state, pairs.word_state
    n = 0
    for candidate in range(m):
        new, reached = from_cost[candidate], from_state[candidate]
        if machines is None:
            token = slot[reached]
            known = 0 <= token < n and state[token] == reached
        else:
            word_state = from_word[candidate]
            at = place_of(table, mask, pair_state, pair_word_state, reached, word_state)
            token = table[at]
            known = token >= 0
        if known:
            if new < cost[token]:
                cost[token] = new
                arc[token] = from_arc[candidate]
                source[token] = from_token[candidate]
        else:
            if machines is None:
                prefetch(rows + _STATE_BYTES * np.intp(reached))
                slot[reached] = n
                state[n] = reached
            else:
                table[at] = n
                pair_state[n] = reached
                pair_word_state[n] = word_state
                pairs.token[n] = n
                state[n] = n
            cost[n] = new
            arc[n] = from_arc[candidate]
            source[n] = from_token[candidate]
            token = n
            n += 1
        from_state[candidate] = token
    if machines is not None:
        pairs.counts[0] = np.uint64(n)
    return n, np.int64(m), pairs


class Closing(NamedTuple):
    """Room for `close` to work in.

    Attributes
    ----------
    queue : ndarray of int32
        Tokens whose epsilon arcs are to be followed.
    expanded : ndarray of float32
        Cost of each token when its epsilon arcs were followed last.
    arc, source, cost, word
        Epsilon arcs within the cutoff, the token that each leaves, the cost that it leads to, the
        state of the word machines behind it.
    """

    queue: Ints
    expanded: Floats
    arc: Ints
    source: Ints
    cost: Floats
    word: Longs


@numba.njit(cache=True, nogil=True)
def new_closing(room: int) -> Closing:
    """Return room for as many tokens and arcs; `close` makes more where it is needed."""
    return Closing(np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.int32),
                   np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.int64))  # fmt: skip


@numba.njit(cache=True, nogil=True)
def close(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    machines: MachineArrays | None,
    pairs: MaybePairs,
    slack: float,
    cutoff: float,
    slot: Ints,
    n: int,
    state: Ints,
    cost: Floats,
    arc: Ints,
    source: Ints,
    work: Closing,
) -> Any:
    """Take the epsilon closure: follow epsilon arcs within a frame until nothing gets cheaper.

    Returns the number of tokens, whether the cutoff dropped anything, and what may have grown:
    state, cost, arc, source, `work` and pairs. Tokens that an epsilon reached have
    ``source = -1 - token`` (the token within this frame). `arc` and `source` may not be shorter
    than `state`.
    """
    queue, expanded = grown(work.queue, 0, n + 1), grown(work.expanded, 0, len(state))
    e_arc, e_source, e_cost, e_word = work.arc, work.source, work.cost, work.word
    states_at, arcs_at, slot_at = states.ctypes.data, arcs.ctypes.data, slot.ctypes.data
    limit = np.float32(cutoff)
    n_queue = np.uint32(0)
    for token in range(np.uint32(n)):
        row = states[state[token] if machines is None else pairs.state[state[token]]]
        prefetch(arcs_at + _ARC_BYTES * np.intp(row.pos))
        queue[n_queue] = token
        expanded[token] = np.inf
        n_queue += np.uint32(row.n_input_eps > 0)
    n_possible = n_within = 0
    while n_queue:
        # All arcs of the queue first, their targets on the way into the cache; then the targets.
        m = np.uint32(0)
        for which in range(n_queue):
            token = queue[which]
            so_far = cost[token]
            if so_far >= expanded[token]:
                continue  # it is in the queue twice
            expanded[token] = so_far
            row = states[state[token] if machines is None else pairs.state[state[token]]]
            if m + row.n_input_eps >= len(e_arc):
                e_arc = grown(e_arc, m, m + row.n_input_eps + 1)
                e_source = grown(e_source, m, len(e_arc))
                e_cost = grown(e_cost, m, len(e_arc))
                e_word = grown(e_word, m, len(e_arc))
            for number in range(row.pos, row.pos + row.n_input_eps):
                new = np.float32(so_far + arcs[number].weight)
                if machines is None:
                    reached = np.intp(arcs[number].nextstate)
                    prefetch(slot_at + 4 * reached)
                    prefetch(states_at + _STATE_BYTES * reached)
                else:
                    word_state = pairs.word_state[state[token]]
                    if arcs[number].olabel:
                        added, word_state = take_word(machines, word_state, arcs[number].olabel)
                        new = np.float32(so_far + arcs[number].weight + added)
                    e_word[m] = word_state
                e_arc[m] = number
                e_source[m] = token
                e_cost[m] = new
                n_possible += new < np.inf
                within = new <= limit and new < np.inf
                n_within += within
                m += np.uint32(within)
        if machines is not None:
            pairs = pairs_with_room(pairs, np.int64(m))
            table, mask, n_pairs = pairs.table, pairs.counts[1], np.int64(pairs.counts[0])
            pair_state, pair_word_state = pairs.state, pairs.word_state
        n_queue = np.uint32(0)
        for which in range(m):
            new = e_cost[which]
            own = arcs[e_arc[which]].nextstate
            if machines is None:
                here = own
                other = slot[here]
            else:
                at = place_of(table, mask, pair_state, pair_word_state, own, e_word[which])
                here = table[at]
                if here < 0:
                    here = n_pairs
                    n_pairs += 1
                    table[at] = here
                    pair_state[here] = own
                    pair_word_state[here] = e_word[which]
                    pairs.token[here] = -1
                other = pairs.token[here]
            if 0 <= other < n and state[other] == here:
                # the slack keeps rounding from running round a cycle for ever
                if new >= cost[other] - slack * (1 + abs(new)):
                    continue
            else:
                other = n
                if machines is None:
                    slot[here] = n
                else:
                    pairs.token[here] = n
                if n == len(state):
                    state = grown(state, n, n + 1)
                    cost = grown(cost, n, len(state))
                    arc = grown(arc, n, len(state))
                    source = grown(source, n, len(state))
                    expanded = grown(expanded, n, len(state))
                state[n] = here
                expanded[n] = np.inf
                n += 1
            cost[other] = new
            arc[other] = e_arc[which]
            source[other] = -1 - e_source[which]
            if n_queue + 1 >= len(queue):
                queue = grown(queue, n_queue, n_queue + 2)
            queue[n_queue] = other
            n_queue += np.uint32(states[own].n_input_eps > 0)
        if machines is not None:
            pairs.counts[0] = np.uint64(n_pairs)
    work = Closing(queue, expanded, e_arc, e_source, e_cost, e_word)
    return n, n_within < n_possible, state, cost, arc, source, work, pairs
