"""A hidden Markov model's chain as a picture, the way textbooks draw it.

In: priors and transitions. Out: a `Picture` with a node for each state, arcs with probabilities.

Public names: `chain_picture`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wfst_hmm.draw.labels import shown, weight_text
from wfst_hmm.draw.picture import DrawOptions, Edge, Node, Picture
from wfst_hmm.errors import UsageError
from wfst_hmm.models.chain import Chain

__all__ = ["chain_picture"]


def chain_picture(
    chain: Chain, options: DrawOptions | None = None, *, names: Sequence[str] | None = None
) -> Picture:
    """Return the picture of a chain: its states, the moves that are allowed, the priors.

    Parameters
    ----------
    chain : Chain
        Of more states than ``options.max_states``, the first ones are drawn.
    options : DrawOptions, optional
        By default weights are probabilities.
    names : sequence of str, optional
        Of the states; default: their numbers.

    Raises
    ------
    UsageError
        There are not as many names as states.
    """
    options = options or DrawOptions(weights="probabilities")
    if names is not None and len(names) != chain.n_states:
        raise UsageError("one name a state is needed", where="names", got=len(names),
                         expected=chain.n_states)  # fmt: skip
    n = min(chain.n_states, options.max_states)
    full = [str(i) for i in range(n)] if names is None else [str(name) for name in names[:n]]
    nodes = [Node(n, "start", "before the first frame", is_start=True)]
    nodes += [Node(i, shown(full[i], options.label_length), f"state {i}") for i in range(n)]
    moves = [(n, i, float(chain.initial[i])) for i in range(n)]
    moves += [(i, j, float(chain.transitions[i, j])) for i in range(n) for j in range(n)]
    moves = [move for move in moves if move[2] > 0.0]  # a zero is a forbidden move
    edges = [
        Edge(source, target, _text(p, options.weights), f"probability {p:.6g}",
             "loop" if source == target else "plain")
        for source, target, p in moves[: options.max_arcs]
    ]  # fmt: skip
    captions = [shown(options.title, 200)] if options.title else []
    if n < chain.n_states or len(edges) < len(moves):
        captions.append(f"{n:,} of {chain.n_states:,} states and {len(edges):,} of their "
                        f"{len(moves):,} moves are drawn.")  # fmt: skip
    return Picture(tuple(nodes), tuple(edges), tuple(captions))


def _text(probability: float, unit: str) -> tuple[str, ...]:
    if unit == "probabilities":
        return (f"{probability:.3g}",)
    text = weight_text(-float(np.log(probability)), unit)
    return (text,) if text else ()
