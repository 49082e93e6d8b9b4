"""Spoken digits with a model and a graph, made on the spot, for measurements of whole commands.

In: a folder. Out: `Target`: the paths of graph, model, lexicon and corpus.

Public names: `Target`, `digit_target`, `repeated`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from wfst_hmm.formats.data import read_corpus, write_manifest
from wfst_hmm.signal.corpus import Corpus

__all__ = ["Target", "digit_target", "repeated"]


@dataclasses.dataclass(frozen=True)
class Target:
    """What the commands work on."""

    graph: Path
    model: Path
    lexicon: Path
    corpus: Path


def digit_target(
    folder: Path, n_utterances: int, tell: Callable[[str], None] = lambda text: None
) -> Target:
    """Synthesize digits, train and build; the corpus repeats its utterances under other ids."""
    from wfst_hmm.apps.building import build, train_model
    from wfst_hmm.apps.digits import make_digits
    from wfst_hmm.training.options import TrainingOptions

    tell("making a corpus of digits and a model")
    digits = make_digits(folder / "digits", n_train_strings=2, n_test_strings=2)
    options = TrainingOptions(n_passes=10, n_gaussians=200, n_workers=1)
    train_model(digits.train, digits.lexicon, folder / "model", options)
    build(folder / "model", digits.lexicon, "loop", folder / "graph")
    return Target(folder / "graph", folder / "model", digits.lexicon,
                  repeated(digits.test, folder / "corpus.tsv", n_utterances))  # fmt: skip


def repeated(corpus: Path, out: Path, n_utterances: int) -> Path:
    """Write a manifest of so many utterances with the recordings of a smaller corpus."""
    some = read_corpus(corpus).utterances
    chosen = [some[i % len(some)] for i in range(n_utterances)]
    utterances = tuple(
        dataclasses.replace(
            u, id=f"{u.id}-{i // len(some)}", speaker=f"{u.speaker}-{i // len(some)}",
            audio=u.audio.absolute(),
        )
        for i, u in enumerate(chosen)
    )  # fmt: skip
    write_manifest(out, Corpus(utterances))
    return out
