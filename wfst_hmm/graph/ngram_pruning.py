"""Smaller n-gram models that predict nearly as well.

In: an `NgramModel`. Out: one without the n-grams that matter least.

Public names: `prune_ngrams`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.graph.ngram import NgramModel, NgramTable

__all__ = ["prune_ngrams"]

Floats = npt.NDArray[np.float64]
_TINY = 1e-12


def prune_ngrams(model: NgramModel, threshold: float) -> NgramModel:
    """Remove every n-gram whose loss raises the model's perplexity by less than `threshold`.

    Each n-gram is judged by itself (Stolcke 1998, "Entropy-based pruning of backoff language
    models"): the relative entropy between the model with and without it, its history weighted by
    the history's probability. From the longest n-grams down; those that longer ones continue
    stay. Backoff weights are computed anew, so that probabilities sum to one again.

    Parameters
    ----------
    model : NgramModel
    threshold : float
        Relative, for example 1e-7; 0 removes nothing.

    Returns
    -------
    NgramModel
        Its order is lower when no n-gram of the highest order is left.
    """
    if not 0 <= threshold < np.inf:
        raise UsageError("not a threshold of pruning", got=threshold, expected="0 or more")
    tables = list(model.tables)
    for k in range(model.order, 1, -1):
        loss = _losses(dataclasses.replace(model, tables=tuple(tables)), k)
        table = tables[k - 1]
        keep = np.expm1(loss) >= threshold
        if k < model.order:
            keep[tables[k].context] = True
            number = np.cumsum(keep) - 1
            tables[k] = dataclasses.replace(
                tables[k], context=number[tables[k].context].astype(np.int32)
            )
        tables[k - 1] = NgramTable(table.context[keep], table.word[keep], table.log_prob[keep],
                                   table.backoff[keep], table.n_words)  # fmt: skip
    while len(tables) > 1 and not len(tables[-1]):
        tables.pop()
    return _renormalized(
        dataclasses.replace(model, tables=tuple(tables), info={**model.info, "pruned": threshold})
    )


def _renormalized(model: NgramModel) -> NgramModel:
    """Compute all backoff weights from the listed probabilities, shorter histories first."""
    for k in range(1, model.order + 1):
        tables = list(model.tables)
        weight = np.zeros(len(tables[k - 1]))
        if k < model.order:
            longer = tables[k]
            shorter = np.exp(model.log_probs(model.rows(k + 1)[:, 1:]))
            above, below = _left(longer.context, np.exp(longer.log_prob), shorter, len(weight))
            weight = np.log(above / below)
        tables[k - 1] = dataclasses.replace(tables[k - 1], backoff=weight)
        model = dataclasses.replace(model, tables=tuple(tables))
    return model


def _losses(model: NgramModel, order: int) -> Floats:
    """Return, for each n-gram of one order, the relative entropy (nats) of removing it alone."""
    table = model.tables[order - 1]
    rows = model.rows(order)
    listed = np.exp(table.log_prob)
    shorter = np.exp(model.log_probs(rows[:, 1:]))
    above, below = _left(table.context, listed, shorter, len(model.tables[order - 2]))
    weight = np.log(above / below)[table.context]
    above, below = above[table.context], below[table.context]
    new_weight = np.log((above + listed) / (below + shorter))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(listed > 0, listed * (np.log(shorter) + new_weight - np.log(listed)), 0.0)
    seen = _history_probability(model, order - 1)[table.context]
    loss: Floats = -seen * (own + above * (new_weight - weight))
    return loss


def _left(
    context: npt.NDArray[np.int32], listed: Floats, shorter: Floats, n_contexts: int
) -> tuple[Floats, Floats]:
    """Return the probability that histories leave to unlisted words, and what these have below."""
    above = 1.0 - np.bincount(context, listed, n_contexts)
    below = 1.0 - np.bincount(context, shorter, n_contexts)
    return np.maximum(above, _TINY), np.maximum(below, _TINY)


def _history_probability(model: NgramModel, order: int) -> Floats:
    """Return the probability that a sentence's text shows each n-gram of `order`, shape (n,)."""
    rows = model.rows(order)
    total = np.zeros(len(rows))
    bos = model.words.id(model.bos) if model.bos in model.words else -1
    for k in range(1, order + 1):
        step = model.log_probs(rows[:, :k])
        total += np.where((k == 1) & (rows[:, 0] == bos), 0.0, step)
    return np.exp(total)
