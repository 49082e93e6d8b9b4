"""The compiled loops of `graph.spelling`: prefix trees of pronunciations, their ends shared.

In and out: flat arrays.

Public names: `build_trees`, `count_nodes`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.kernels import put_arc

__all__ = ["build_trees", "count_nodes"]


@numba.njit(cache=True, nogil=True)
def _common(
    first: int, second: int, start: npt.NDArray[np.int64], labels: npt.NDArray[np.int32]
) -> int:  # fmt: skip
    """Return how many labels two pronunciations share at their beginnings."""
    most = min(start[first + 1] - start[first], start[second + 1] - start[second])
    n = 0
    while n < most and labels[start[first] + n] == labels[start[second] + n]:
        n += 1
    return n


@numba.njit(cache=True, nogil=True)
def count_nodes(
    tree_start: npt.NDArray[np.int64],
    rank: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """Return the number of nodes of all trees, roots excluded, and the most leaves of one."""
    total = 0
    widest = 0
    for tree in range(len(tree_start) - 1):
        widest = max(widest, tree_start[tree + 1] - tree_start[tree])
        for end in range(tree_start[tree], tree_start[tree + 1]):
            total += start[rank[end] + 1] - start[rank[end]]
            if end > tree_start[tree]:
                total -= _common(rank[end - 1], rank[end], start, labels)
    return total, widest


@numba.njit(cache=True, nogil=True)
def _hash_of(bits, begin, end):  # type: ignore[no-untyped-def]
    """Mix the labels, costs and destinations of a run of arcs."""
    key = np.uint64(1469598103934665603)
    prime = np.uint64(1099511628211)
    for at in range(begin, end):
        for word in range(4):
            key = (key ^ np.uint64(np.uint32(bits[4 * at + word]))) * prime
            key ^= key >> np.uint64(29)
    return key


@numba.njit(cache=True, nogil=True)
def _found(bits, node_start, table, n_nodes):  # type: ignore[no-untyped-def]
    """Return the earlier node with the arcs of the newest one, else enter the newest."""
    begin, end = node_start[n_nodes], node_start[n_nodes + 1]
    mask = np.uint64(len(table) - 1)
    slot = _hash_of(bits, begin, end) & mask
    while table[slot] >= 0:
        other = table[slot]
        at = node_start[other]
        if node_start[other + 1] - at == end - begin:
            same = True
            for i in range(4 * (end - begin)):
                if bits[4 * at + i] != bits[4 * begin + i]:
                    same = False
                    break
            if same:
                return other
        slot = (slot + np.uint64(1)) & mask
    table[slot] = n_nodes
    return n_nodes


@numba.njit(cache=True, nogil=True)
def build_trees(  # type: ignore[no-untyped-def]
    tree_start, rank, out, cost, behind, pron_start, labels, quiet_start, quiet, roots_of, may_pause,
    extra, silence, closed, most_nodes, widest, share, arcs, root_arcs,
):  # fmt: skip
    """Build all trees; return the nodes' arcs and the roots' arcs, both with their starts.

    Leaves are given tree by tree (`tree_start`), sorted by pronunciation (`rank`), with what
    they print (`out`), cost and root behind (`behind`). `quiet` holds, tree by tree, the arcs
    that read nothing. The roots of a tree (`roots_of`) differ in the cost of going on
    (``extra[0]``) and in whether a pause may be made (`may_pause`, at ``extra[1]``, to the root
    in `closed`). `share` says whether equal nodes become one.
    """
    n_roots = len(may_pause)
    size = 16
    while share and size < 2 * most_nodes:
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    bits = arcs.view(np.int32)
    node_start = np.zeros(most_nodes + 2, dtype=np.int64)
    root_start = np.zeros(n_roots + 1, dtype=np.int64)
    n_nodes = 0
    n_root_arcs = 0
    # The arcs of unfinished nodes, deeper ones behind shallower ones; an arc pays what its
    # destination's arcs have in common.
    wide = widest + 1
    s_label = np.zeros(wide, dtype=np.int32)
    s_out = np.zeros(wide, dtype=np.int32)
    s_cost = np.zeros(wide, dtype=np.float64)
    s_next = np.zeros(wide, dtype=np.int32)
    longest = 0
    for pron in range(len(pron_start) - 1):
        longest = max(longest, pron_start[pron + 1] - pron_start[pron])
    opened = np.zeros(longest + 1, dtype=np.int64)
    for tree in range(len(tree_start) - 1):
        top = 0
        depth = 0
        first_end, last_end = tree_start[tree], tree_start[tree + 1]
        for end in range(first_end, last_end + 1):
            shared = 0
            if first_end < end < last_end:
                shared = _common(rank[end - 1], rank[end], pron_start, labels)
            while depth > shared:  # close the nodes that no further pronunciation goes through
                begin = opened[depth]
                label = labels[pron_start[rank[end - 1]] + depth - 1]
                word = s_out[begin]
                least = s_cost[begin]
                for at in range(begin + 1, top):
                    least = min(least, s_cost[at])
                    if s_out[at] != word:
                        word = 0
                following = s_next[begin]
                if top > begin + 1 or s_label[begin] != 0:
                    at_arc = node_start[n_nodes]
                    for at in range(begin, top):
                        put_arc(arcs, at_arc, s_label[at], 0 if word else s_out[at],
                                s_cost[at] - least, s_next[at])  # fmt: skip
                        at_arc += 1
                    node_start[n_nodes + 1] = at_arc
                    node = n_nodes
                    if share:
                        node = _found(bits, node_start, table, n_nodes)
                    if node == n_nodes:
                        n_nodes += 1
                    following = n_roots + node
                s_label[begin], s_out[begin], s_cost[begin] = label, word, least
                s_next[begin] = following
                top = begin + 1
                depth -= 1
            if end < last_end:
                length = pron_start[rank[end] + 1] - pron_start[rank[end]]
                while depth < length:
                    depth += 1
                    opened[depth] = top
                s_label[top], s_out[top], s_cost[top] = 0, out[end], cost[end]
                s_next[top] = behind[end]
                top += 1
        n_quiet = quiet_start[tree + 1] - quiet_start[tree]
        for root in range(roots_of[tree], roots_of[tree + 1]):
            if n_root_arcs + n_quiet + top + 1 > len(root_arcs):
                more = np.empty(2 * (n_root_arcs + n_quiet + top + 1), dtype=root_arcs.dtype)
                more[:n_root_arcs] = root_arcs[:n_root_arcs]
                root_arcs = more
            at_arc = n_root_arcs
            for at in range(quiet_start[tree], quiet_start[tree + 1]):
                root_arcs[at_arc] = quiet[at]
                root_arcs[at_arc].weight += extra[0, root]
                at_arc += 1
            paused = not (may_pause[root] and silence > 0)
            for at in range(top + 1):
                if not paused and (at == top or s_label[at] > silence):
                    put_arc(root_arcs, at_arc, silence, 0, extra[1, root], closed[tree])
                    at_arc += 1
                    paused = True
                if at < top:
                    put_arc(root_arcs, at_arc, s_label[at], s_out[at], s_cost[at] + extra[0, root],
                            s_next[at])  # fmt: skip
                    at_arc += 1
            n_root_arcs = at_arc
            root_start[root + 1] = n_root_arcs
    return node_start, arcs, n_nodes, root_start, root_arcs
