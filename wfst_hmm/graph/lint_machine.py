"""Checks of one transducer, put into words.

In: an `Fst` and what to call it. Out: findings about loops, dead states, sums of probabilities,
and paths that clash.

Public names: `clash_told`, `machine_findings`, `path_findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.findings import Finding, shown
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lint_lexicon import with_entries
from wfst_hmm.graph.machine_checks import (
    backoff_sums,
    dead_ends,
    free_loop,
    state_sums,
    unreachable_states,
)
from wfst_hmm.graph.two_paths import Clash, compare_paths

__all__ = ["clash_told", "machine_findings", "path_findings"]

_SUM_TOLERANCE = 0.01


def machine_findings(
    fst: Fst, name: str, state: Callable[[int], str], backoff: int | None = None,
    *, sums: bool = True,
) -> Iterator[Finding]:  # fmt: skip
    """Yield epsilon loops, dead states and, with `sums`, where probabilities do not sum to one.

    `state` names a state for people; `backoff` is the label of ``#0``, if the machine backs off.
    """
    if not fst.n_states:
        yield Finding("empty", "error", "there are no states", name, "Look at what it was made of.")
        return
    silent = np.isin(fst.arcs["ilabel"], [0] if backoff is None else [0, backoff])
    loop = free_loop(fst, silent)
    if loop is not None:
        cycle, cost = loop
        negative = cost < -1e-6
        yield Finding("epsilon-loop", "error" if negative else "warning",
                      f"a loop that reads nothing costs {cost:.4g} nats: states "
                      + " -> ".join(map(str, [*cycle[:12], cycle[0]])), state(cycle[0]),
                      "Remove it, or give it a cost above zero."
                      + (" Probabilities above one?" if negative else ""))  # fmt: skip
    for rule, found, what in (
        ("unreachable-states", unreachable_states(fst), "cannot be reached from the start"),
        ("dead-ends", dead_ends(fst), "lead to no final state"),
    ):
        if len(found):
            yield Finding(rule, "warning", f"{len(found)} of {fst.n_states} states {what}: "
                          f"{shown(found)}", state(int(found[0])),
                          "Remove them (fst.ops.connect); they only take room.")  # fmt: skip
    if sums:
        yield from _stochasticity(fst, name, state, backoff)


def _stochasticity(
    fst: Fst, name: str, state: Callable[[int], str], backoff: int | None
) -> Iterator[Finding]:
    backs = np.zeros(fst.n_arcs, bool) if backoff is None else fst.arcs["ilabel"] == backoff
    one_each = len(np.unique(fst.sources()[backs])) == backs.sum()
    proper = backoff is not None and one_each
    total = backoff_sums(fst, int(backoff or 0)) if proper else state_sums(fst)
    off = np.flatnonzero(~(np.abs(total - 1.0) <= _SUM_TOLERANCE))
    if len(off):
        worst = int(off[np.argmax(np.abs(np.log(np.maximum(total[off], 1e-300))))])
        yield Finding("stochasticity", "warning" if proper else "note",
                      f"the probabilities of {len(off)} of {fst.n_states} states do not sum to "
                      f"one{' (with backing off)' if proper else ''}: {total.min():.4g} to "
                      f"{total.max():.4g}, median {np.median(total):.4g}", state(worst),
                      "Normalize the model." if proper else
                      "Nothing to do where costs are not meant as probabilities.")  # fmt: skip


def path_findings(
    fst: Fst, name: str, lexicon: Lexicon | None, max_pairs: int
) -> Iterator[Finding]:
    """Yield the first two paths that make the machine no function or without an end."""
    found = compare_paths(fst, max_pairs=max_pairs)
    if found.clash is not None:
        told = clash_told(found.clash, fst)
        words = {w for side in (*found.clash.outputs, *found.clash.loop_outputs) for w in side}
        if lexicon is not None and fst.osymbols is not None:
            told += with_entries(lexicon, fst.osymbols.strings(sorted(words)))
        if found.clash.kind == "outputs":
            yield Finding("two-outputs", "error",
                          f"one input has two outputs, so it cannot be determinized: {told}", name,
                          "Homophones and words that begin other words need disambiguation "
                          "symbols #1, #2 ... after their last phone.")  # fmt: skip
        else:
            yield Finding("not-determinizable", "error",
                          f"determinization would never end: {told}", name,
                          "Disambiguation symbols must tell the two apart before the loop.")  # fmt: skip
    elif not found.complete:
        yield Finding("not-proven", "note",
                      f"no two paths with one input differ among {found.n_pairs} pairs of states; "
                      "the rest was not looked at", name,
                      "Raise the budget of pairs for a proof.")  # fmt: skip


def clash_told(clash: Clash, fst: Fst) -> str:
    """Return the two paths of a clash in words, labels by the machine's tables."""
    inputs, loop = (_text(labels, fst.isymbols) for labels in (clash.inputs, clash.loop_inputs))
    one, other = (_text(labels, fst.osymbols) for labels in clash.outputs)
    if clash.kind == "outputs":
        return f"{inputs or 'nothing'!r} gives {one!r} and {other!r}"
    way = f"after {inputs!r}, " if inputs else ""
    text = f"{way}two loops read {loop!r} for {clash.loop_costs[0]:.4g} and "
    text += f"{clash.loop_costs[1]:.4g} nats"
    if clash.loop_outputs[0] != clash.loop_outputs[1] or one != other:
        round_ = [_text(labels, fst.osymbols) for labels in clash.loop_outputs]
        text += f", writing {f'{one} ({round_[0]})*'!r} and {f'{other} ({round_[1]})*'!r}"
    return text


def _text(labels: Sequence[int], symbols: Symbols | None, limit: int = 30) -> str:
    names = [str(label) if symbols is None else symbols[label] for label in labels[:limit]]
    return " ".join(names) + (" ..." if len(labels) > limit else "")
