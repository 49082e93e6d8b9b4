"""Growing decision trees: which states of phones in context share a density.

In: `ContextStats` of an alignment. Out: a `Tree`.

Questions are made from the data: phones are merged bottom-up, the two nearest first, and every
cluster on the way is asked for as a neighbour (Kaldi's recipes make their questions in the same
spirit, top-down). The trees of all states then grow together: the leaf that gains most
likelihood by its best question is split first, until there are enough leaves or none gains
enough (Young, Odell & Woodland 1994).

Public names: `TreeOptions`, `automatic_questions`, `build_tree`, `variance_floor_of`.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.context import WORD_POSITIONS
from wfst_hmm.models.moments import floor_of
from wfst_hmm.models.tree import PLACES, Question, Tree, answers_of
from wfst_hmm.options import check, option
from wfst_hmm.training.tree_statistics import ContextStats, gaussian_log_likelihood

__all__ = ["TreeOptions", "automatic_questions", "build_tree", "variance_floor_of"]

Array = npt.NDArray[np.float64]

EDGE = "<edge>"
_FLOOR = 0.01  # smallest variance, as a share of that of all frames


@dataclasses.dataclass(frozen=True)
class TreeOptions:
    """When trees stop growing."""

    max_leaves: int = option(1200, "Of all trees together; each tree has one at least.", least=1)
    min_gain: float = option(200.0, "Log-likelihood (nats) that a question must gain.", least=0)
    min_occupancy: float = option(60.0, "Frames that each side of a question must have.", least=1)
    positions: bool = option(True, "Whether places in the word are told apart.")

    def __post_init__(self) -> None:
        check(self, "tree option {name}")


def variance_floor_of(stats: ContextStats, share: float = _FLOOR) -> Array:
    """Return `share` of the variance of all frames, shape (D,), always positive."""
    total, d = stats.moments.sum(axis=0), stats.n_dims
    count = max(float(total[-1]), 1.0)
    variance = total[d:-1] / count - (total[:d] / count) ** 2
    return floor_of(variance, total[:d] / count, share, dtype=np.float32)


def automatic_questions(
    stats: ContextStats,
    phones: Sequence[str],
    silence_phones: Sequence[str],
    *,
    positions: bool = True,
) -> tuple[Question, ...]:
    """Return questions about neighbours, from clusters of phones, and about places in the word.

    Phones are clustered by their last states for questions about the phone before (that is the
    end that is heard), by their first states for the phone behind, and by their middle states
    for both. Silence and the utterance's edge are one phone.
    """
    quiet = [*silence_phones, EDGE]
    found: dict[Question, None] = {}
    for place, which in (("left", "last"), ("right", "first"), ("left", "middle"),
                         ("right", "middle")):  # fmt: skip
        for cluster in [tuple(quiet), *_clusters(stats, phones, silence_phones, which)]:
            found[Question(place, cluster)] = None
    if positions:
        internal, begin, end, single = WORD_POSITIONS
        for members in ((begin,), (end,), (single,), (internal,), (begin, single), (end, single)):
            found[Question("position", members)] = None
    return tuple(found)


def _clusters(
    stats: ContextStats, phones: Sequence[str], silence_phones: Sequence[str], which: str
) -> list[tuple[str, ...]]:
    """Return all clusters of a bottom-up clustering of the spoken phones, but that of all."""
    sums: dict[tuple[str, ...], Array] = {}
    for number, phone in enumerate(phones):
        own = stats.context[:, 1] == number
        if phone in silence_phones or not own.any():
            continue
        states = stats.context[own, 4]
        wanted = {"first": 0, "last": states.max(), "middle": states.max() // 2}[which]
        sums[phone,] = stats.moments[own][states == wanted].sum(axis=0)
    floor = variance_floor_of(stats)
    names, rows = list(sums), np.array(list(sums.values()))
    made = list(names)
    while len(names) > 2:
        alone = gaussian_log_likelihood(rows, floor)
        together = gaussian_log_likelihood(rows[:, None] + rows[None, :], floor)
        loss = alone[:, None] + alone[None, :] - together
        loss[np.tril_indices(len(names))] = np.inf
        a, b = (int(i) for i in np.unravel_index(np.argmin(loss), loss.shape))
        order = {phone: i for i, phone in enumerate(phones)}
        union = tuple(sorted(names[a] + names[b], key=order.__getitem__))
        rows[a] += rows[b]
        names[a] = union
        del names[b]
        rows = np.delete(rows, b, axis=0)
        made.append(union)
    return made


def build_tree(
    stats: ContextStats,
    phones: Sequence[str],
    silence_phones: Sequence[str],
    n_states: Sequence[int],
    options: TreeOptions | None = None,
    questions: Sequence[Question] | None = None,
) -> Tree:
    """Grow the trees of all states of all phones.

    Parameters
    ----------
    stats : ContextStats
    phones : sequence of str, length P
        Neighbours and phones of the contexts by number; P stands for the utterance's edge.
    silence_phones : sequence of str
        Their states are not split.
    n_states : sequence of int, length P
        HMM states of each phone.
    options : TreeOptions, optional
    questions : sequence of Question, optional
        By default `automatic_questions`.
    """
    options = options or TreeOptions()
    if questions is None:
        questions = automatic_questions(stats, phones, silence_phones, positions=options.positions)
    growth = _Growth(stats, phones, tuple(questions), options)
    roots = []
    for number, (phone, n) in enumerate(zip(phones, n_states, strict=True)):
        here = stats.context[:, 1] == number
        row = []
        for state in range(n):
            own = np.flatnonzero(here & (stats.context[:, 4] == state))
            row.append(growth.root(own, splits=phone not in silence_phones))
        roots.append(tuple(row))
    growth.run(options.max_leaves)
    return growth.tree(tuple(phones), tuple(roots))


class _Growth:
    """Nodes so far, and the leaves that may be split, the best first."""

    def __init__(
        self, stats: ContextStats, phones: Sequence[str], questions: tuple[Question, ...],
        options: TreeOptions,
    ) -> None:  # fmt: skip
        self.stats, self.questions, self.options = stats, questions, options
        self.floor = variance_floor_of(stats)
        answers = answers_of(questions, phones)
        place = np.array([PLACES.index(q.place) for q in questions], dtype=np.int64)
        column = np.array([0, 2, 3])[place]  # of the context rows
        #: (Q, M): whether the context's answer to the question is yes
        self.says_yes = answers[np.arange(len(questions))[:, None], place[:, None],
                                stats.context.T[column]]  # fmt: skip
        self.rows: list[npt.NDArray[np.intp]] = []
        self.links: list[tuple[int, int, int, float]] = []  # question, yes, no, gain
        self.heap: list[tuple[float, int, int]] = []

    def root(self, rows: npt.NDArray[np.intp], *, splits: bool) -> int:
        return self._node(rows, splits)

    def _node(self, rows: npt.NDArray[np.intp], splits: bool) -> int:
        number = len(self.rows)
        self.rows.append(rows)
        self.links.append((-1, -1, -1, 0.0))
        if splits and len(rows) > 1:
            gain, question = self.best_question(rows)
            if gain >= self.options.min_gain and gain > 0:
                heapq.heappush(self.heap, (-gain, number, question))
        return number

    def best_question(self, rows: npt.NDArray[np.intp]) -> tuple[float, int]:
        """Return the largest gain of log-likelihood and its question; (-inf, -1): none may be."""
        moments = self.stats.moments[rows]
        total = moments.sum(axis=0)
        yes = self.says_yes[:, rows].astype(np.float64) @ moments
        no = total - yes
        gains = (gaussian_log_likelihood(yes, self.floor) + gaussian_log_likelihood(no, self.floor)
                 - gaussian_log_likelihood(total, self.floor))  # fmt: skip
        least = self.options.min_occupancy
        gains[(yes[:, -1] < least) | (no[:, -1] < least)] = -np.inf
        if not len(gains):
            return -np.inf, -1
        best = int(np.argmax(gains))
        return float(gains[best]), best

    def run(self, max_leaves: int) -> None:
        """Split leaves, the one that gains most first."""
        n_leaves = len(self.rows)
        while self.heap and n_leaves < max_leaves:
            negative, node, question = heapq.heappop(self.heap)
            rows = self.rows[node]
            member = self.says_yes[question, rows]
            yes, no = self._node(rows[member], True), self._node(rows[~member], True)
            self.links[node] = (question, yes, no, -negative)
            n_leaves += 1

    def tree(self, phones: tuple[str, ...], roots: tuple[tuple[int, ...], ...]) -> Tree:
        """Number the leaves tree by tree."""
        n = len(self.rows)
        question, yes, no = np.array([link[:3] for link in self.links], dtype=np.int32).T
        leaf = np.full(n, -1, dtype=np.int32)
        n_leaves = 0
        for root in (root for row in roots for root in row):
            agenda = [root]
            while agenda:
                node = agenda.pop()
                if question[node] < 0:
                    leaf[node] = n_leaves
                    n_leaves += 1
                else:
                    agenda += [int(no[node]), int(yes[node])]
        occupancy = np.array([self.stats.occupancy[rows].sum() for rows in self.rows])
        gain = np.array([link[3] for link in self.links])
        n_positions = len(WORD_POSITIONS) if self.options.positions else 1
        return Tree(phones, n_positions, self.questions, roots, question, yes, no, leaf,
                    occupancy, gain)  # fmt: skip
