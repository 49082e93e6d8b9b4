"""Costs of words on top of a graph's own: boosted phrases, another language model.

In: phrases, language model files. Out: `WordCosts` for the search, or None where nothing is to be
added, and what the user should know.

Public names: `WordOptions`, `WordTools`, `word_costs`, `word_tools`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.biasing import read_boosts, spelled
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.graph.word_machine import Phrase, WordMachine, ngram_machine, phrase_machine
from wfst_hmm.kinds import read_as
from wfst_hmm.search.rejection import Filler

__all__ = ["WordOptions", "WordTools", "word_costs", "word_tools"]

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class WordOptions:
    """What is to be done about words beside the graph, as plain values.

    Attributes
    ----------
    bias : Path, optional
        A list of phrases (`graph.biasing.read_boosts`).
    boost : float
        Nats for phrases without a boost of their own.
    rescore_lm : Path, optional
        A language model whose costs are added.
    graph_lm : Path, optional
        The model that the graph was made from, whose place the other one takes.
    lm_scale : float
        Factor on `rescore_lm`.
    reject_weight : float, optional
        Weight of the filler (`search.rejection.Filler`); None: nothing is rejected.

    Raises
    ------
    UsageError
        `graph_lm` without `rescore_lm`.
    """

    bias: Path | None = None
    boost: float = 3.0
    rescore_lm: Path | None = None
    graph_lm: Path | None = None
    lm_scale: float = 1.0
    reject_weight: float | None = None

    def __post_init__(self) -> None:
        if self.graph_lm is not None and self.rescore_lm is None:
            raise UsageError("nothing to put in the place of the graph's model", got="--graph-lm",
                             fix="Name a language model with --rescore-lm.")  # fmt: skip

    def files(self) -> tuple[Path, ...]:
        """Return the files that are named."""
        return tuple(p for p in (self.bias, self.rescore_lm, self.graph_lm) if p is not None)


@dataclasses.dataclass(frozen=True, eq=False)
class WordTools:
    """What `WordOptions` ask for, ready for a graph; and what was left out, for the user."""

    costs: WordCosts | None = None
    filler: Filler | None = None
    warnings: tuple[str, ...] = ()


def word_tools(
    options: WordOptions,
    recognizer: Recognizer,
    *,
    located: Callable[[Path], Path] = lambda path: path,
) -> WordTools:
    """Read the files and build the phone loop.

    Parameters
    ----------
    options : WordOptions
    recognizer : Recognizer
    located : callable
        Where a file lies on this machine.

    Raises
    ------
    FormatError
        A file is missing or damaged.
    UsageError
        A boost, scale or weight is impossible.
    """
    warnings: list[str] = []
    phrases = read_boosts(located(options.bias), boost=options.boost) if options.bias else ()

    def model(path: Path | None) -> NgramModel | None:
        return None if path is None else read_as(located(path), "language model")

    costs = word_costs(
        recognizer.graph.words, phrases, language_model=model(options.rescore_lm),
        graph_model=model(options.graph_lm), scale=options.lm_scale, warn=warnings.append,
    )  # fmt: skip
    filler = None
    if options.reject_weight is not None:
        filler = Filler(phone_loop(recognizer.model), options.reject_weight)
    return WordTools(costs, filler, tuple(warnings))


def word_costs(
    words: Symbols,
    phrases: Sequence[Phrase] = (),
    *,
    language_model: NgramModel | None = None,
    graph_model: NgramModel | None = None,
    scale: float = 1.0,
    warn: Callable[[str], None] = lambda message: None,
) -> WordCosts | None:
    """Return the costs to add to a graph's words while it is searched.

    Parameters
    ----------
    words : Symbols
        The graph's words.
    phrases : sequence of Phrase
        Those that the graph cannot spell are reported and left out.
    language_model : NgramModel, optional
        Its costs are added; words that it lacks and has no ``<unk>`` for become impossible.
    graph_model : NgramModel, optional
        The model that the graph was made from, whose costs are taken off: the language model
        then stands in its place.
    scale : float
        Factor on the language model.
    warn : callable
        Told of phrases that cannot be spelled and of words that a model lacks.

    Returns
    -------
    WordCosts or None
        None where there is nothing to add: the search is then the plain one.

    Raises
    ------
    UsageError
        `graph_model` without `language_model`, or a scale that is not positive.
    """
    if graph_model is not None and language_model is None:
        raise UsageError("the graph's language model is to be taken off, but none put in its place",
                         fix="Name the other model, too.")  # fmt: skip
    if not 0 < scale < float("inf"):
        raise UsageError("the scale of the language model must be positive", got=scale)
    known, unknown = spelled(phrases, words)
    for left_out in unknown:
        warn(str(left_out))
    machines: list[tuple[float, WordMachine]] = []
    if known:
        machines.append((1.0, phrase_machine(known, words)))
    if language_model is not None:
        machine = ngram_machine(language_model, words)
        _tell_unknown(machine, language_model, "language model", warn)
        machines.append((scale, machine))
    if graph_model is not None:
        machine = ngram_machine(graph_model, words)
        _tell_unknown(machine, graph_model, "graph's language model", warn)
        machines.append((-1.0, machine))
    return WordCosts(words, machines) if machines else None


def _tell_unknown(
    machine: WordMachine, model: NgramModel, which: str, warn: Callable[[str], None]
) -> None:
    if not machine.unknown:
        return
    shown = " ".join(machine.unknown[:_SHOWN])
    more = len(machine.unknown) - _SHOWN
    fate = f"they count as {model.unknown}" if model.unknown else "they cannot be recognized"
    warn(f"the {which} lacks {len(machine.unknown)} of the graph's words, {fate}: {shown}"
         + (f" and {more} more" if more > 0 else ""))  # fmt: skip
