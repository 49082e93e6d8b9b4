"""Word grammars expanded by hand over phones in context: the obvious twin of a compiler.

Every arc of the grammar becomes one chain of HMMs for each left and right neighbour that it may
have, and chains meet where the neighbours agree.
"""

import numpy as np

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols

EDGE = None


class Expansion:
    """Grows the states of the search graph from the start of the grammar."""

    def __init__(
        self, arcs, start, finals, lexicon, context, silence=("<sil>", "SIL"), sil_cost=0.0
    ):
        self.context, self.silence = context, silence
        nodes = {start, *finals, *(a[0] for a in arcs), *(a[1] for a in arcs)}
        reach = {n: {n: 0.0} for n in nodes}
        for n in nodes:  # costs of going on without a word
            todo = [n]
            while todo:
                here = todo.pop()
                for source, target, word, cost in arcs:
                    new = reach[n][here] + cost if source == here and word is None else np.inf
                    if new < reach[n].get(target, np.inf):
                        reach[n][target] = new
                        todo.append(target)
        self.leaving = {
            n: [(target, word, tuple(pron), cost + more)
                for m, more in reach[n].items() for source, target, word, cost in arcs
                if source == m and word is not None for pron in lexicon[word]]
            + [(n, silence[0], (silence[1],), sil_cost)]
            for n in nodes
        }  # fmt: skip
        self.final = {
            n: min((c + finals[m] for m, c in r.items() if m in finals), default=np.inf)
            for n, r in reach.items()
        }
        self.words = Symbols([silence[0], *dict.fromkeys(a[2] for a in arcs if a[2] is not None)])
        self.rows, self.ends, self.junctions, self.n_states = [], {}, {}, 0
        self.todo = []
        first = {pron[0] for *_, pron, _ in self.leaving[start]}
        self.start = self.state()
        for right in sorted(first):
            self.rows.append((self.start, self.junction(start, EDGE, right), 0, 0, 0.0))
        while self.todo:
            self.grow(*self.todo.pop())

    def state(self):
        self.n_states += 1
        return self.n_states - 1

    def junction(self, node, left, right):
        """The state between words: at a node, after `left`, with `right` to come."""
        key = (node, left, right)
        if key not in self.junctions:
            self.junctions[key] = self.state()
            self.todo.append(key)
        return self.junctions[key]

    def grow(self, node, left, right):
        here = self.junctions[node, left, right]
        if right is EDGE:
            self.ends[here] = self.final[node]
            return
        for target, word, pron, cost in self.leaving[node]:
            if pron[0] != right:
                continue
            following = {p[0] for _, _, p, _ in self.leaving[target]}
            for after in [*sorted(following), *([EDGE] if np.isfinite(self.final[target]) else [])]:
                goal = self.junction(target, pron[-1], after)
                self.chain(here, goal, word, pron, cost, left, after)

    def chain(self, source, target, word, pron, cost, left, right):
        around = [left, *pron, right]
        exits = [(source, cost)]
        olabel = self.words.id(word)
        for i, phone in enumerate(pron):
            place = "single" if len(pron) == 1 else "begin" if i == 0 else "end" if i == len(pron) - 1 else "internal"  # fmt: skip
            hmm = self.context.hmms[self.context.hmm_index(phone, around[i], around[i + 2], place)]
            t = self.context.topologies[hmm.topology]
            states = [self.state() for _ in hmm.columns]
            for source_state, c in exits:
                for s in np.flatnonzero(t.initial):
                    self.rows.append((source_state, states[s], hmm.columns[s] + 1,
                                      olabel if i == 0 else 0, c - np.log(t.initial[s])))  # fmt: skip
            for a, b in np.argwhere(t.transitions):
                self.rows.append((states[a], states[b], hmm.columns[b] + 1, 0, -np.log(t.transitions[a, b])))  # fmt: skip
            exits = [(states[s], -np.log(t.final[s])) for s in np.flatnonzero(t.final)]
        for state, c in exits:
            self.rows.append((state, target, 0, 0, c))

    def fst(self):
        final = np.full(self.n_states, np.inf)
        for state, cost in self.ends.items():
            final[state] = cost
        source, target, ilabel, olabel, weight = zip(*self.rows, strict=True)
        return Fst.from_arcs(self.start, source, ilabel, olabel, weight, target, final)


def read_dictionary(path, words=None):
    """Pronunciations by word; ``word(2)`` is another one of ``word``."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, *phones = line.split()
        word = name.partition("(")[0]
        if words is None or word in words:
            found.setdefault(word, []).append(phones)
    return found


def read_fsg(path, scale):
    """Arcs (source, target, word or None, cost), start and final costs of an FSG file."""
    arcs, start, finals = [], 0, {}
    for line in path.read_text().splitlines():
        fields = line.split()
        if fields[:1] == ["TRANSITION"]:
            word = fields[4] if len(fields) > 4 else None
            arcs.append((int(fields[1]), int(fields[2]), word, -scale * np.log(float(fields[3]))))
        elif fields[:1] == ["START_STATE"]:
            start = int(fields[1])
        elif fields[:1] == ["FINAL_STATE"]:
            finals[int(fields[1])] = 0.0
    return arcs, start, finals
