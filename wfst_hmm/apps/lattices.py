"""Files of lattices of any kind, and what is done to all lattices of one.

In: paths. Out: lattices by utterance, oracle scores, lattices with another language model.

Public names: `OracleScore`, `oracle_score`, `read_any_lattices`, `replace_language_model`, `write_any_lattices`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.errors import DataError, FormatError, UsageError, WfstHmmError
from wfst_hmm.files import read_head, read_lines
from wfst_hmm.formats.htk.slf import lattice_from_slf, read_slf, slf_from_lattice, write_slf
from wfst_hmm.formats.kaldi.lattice_values import lattice_from_kaldi
from wfst_hmm.formats.kaldi.lattices import read_lattices as read_kaldi
from wfst_hmm.fst.symbols import EPSILON, Symbols
from wfst_hmm.graph.grammar import built_in, is_spec, read_grammar
from wfst_hmm.kinds import kind_of, read_as, wrong_kind
from wfst_hmm.lattice.kaldi_text import read_kaldi_lattices, write_kaldi_lattices
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.oracle import oracle
from wfst_hmm.lattice.rescore import rescored
from wfst_hmm.lattice.scorers import GrammarScorer, NgramScorer
from wfst_hmm.lattice.store import read_lattices, write_lattices

#: Suffixes that promise something else.
_OTHERS = frozenset(
    (".html", ".htm", ".svg", ".png", ".pdf", ".dot", ".json", ".fst", ".wav", ".zip")
)

__all__ = [
    "OracleScore",
    "oracle_score",
    "read_any_lattices",
    "replace_language_model",
    "write_any_lattices",
]


def read_any_lattices(
    path: str | Path, words: Symbols | None = None, *, frame_shift: float = 0.01
) -> dict[str, Lattice]:
    """Read ``lattices.npz``, an archive of Kaldi, text or binary, or a lattice of HTK.

    Parameters
    ----------
    path : path
    words : Symbols, optional
        What Kaldi's word numbers mean (``words.txt``); text archives may have words instead.
    frame_shift : float
        Seconds per frame, which Kaldi's formats do not tell.

    Raises
    ------
    FormatError
        The file is missing, damaged or of another kind, or word numbers have no table.
    """
    path = Path(path)
    if not read_head(path, 1):
        return {}
    kind = kind_of(path)
    if "lattices" not in kind.readers and kind.marked:
        raise wrong_kind(kind, path, "lattices", "lattices.npz, or an archive of Kaldi's")
    if kind.name == "lattices":
        return read_lattices(path)
    if kind.name == "HTK lattice":
        slf = read_slf(path)
        return {slf.utterance or path.stem: lattice_from_slf(slf, frame_shift=frame_shift)}
    form = _form_of(path)
    if form == "compact":
        found = read_kaldi_lattices(path, words, frame_shift=frame_shift)
        if words is None:
            _refuse_numbers(path, found)
        return found
    if words is None:
        raise FormatError("word numbers without a table", where=str(path),
                          fix="Name the words.txt of the graph (--words).")  # fmt: skip
    return {
        id_: lattice_from_kaldi(lattice, words, frame_shift=frame_shift, where=f"{path}: {id_}")
        for id_, lattice in read_kaldi(path).items()
    }


def _form_of(path: Path) -> str:
    """Return ``compact``, ``plain`` (an arc carries one transition-id) or ``binary``."""
    lines = read_lines(path)
    try:
        for _, line in lines:
            fields = line.split()
            if len(fields) > 2:
                return "plain" if len(fields) == 5 and fields[-1].count(",") == 1 else "compact"
    except FormatError as error:
        if "NUL" in error.what or "UTF-8" in error.what or "too long" in error.what:
            return "binary"
        raise
    return "compact"


def _refuse_numbers(path: Path, lattices: Mapping[str, Lattice]) -> None:
    tables = {lattice.words for lattice in lattices.values()}
    names = [name for table in tables for name in table if name != EPSILON]
    if names and all(name.isdigit() for name in names):
        raise FormatError("word numbers without a table", where=str(path),
                          fix="Name the words.txt of the graph (--words).")  # fmt: skip


def write_any_lattices(
    path: str | Path, lattices: Mapping[str, Lattice], *, numbers: Symbols | None = None
) -> None:
    """Write ``.npz`` as such, ``.slf`` and ``.lat`` as HTK's lattice, else Kaldi's text archive.

    Raises
    ------
    UsageError
        The suffix is that of something else, or more than one lattice is to be HTK's.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _OTHERS:
        raise UsageError("lattices have no such form", where=str(path), got=suffix,
                         expected=".npz, .slf (HTK), or any other name for Kaldi's text",
                         fix="wfst-hmm draw makes pictures." if suffix != ".json" else None)  # fmt: skip
    if suffix == ".npz":
        write_lattices(path, lattices)
    elif suffix in (".slf", ".lat"):
        if len(lattices) != 1:
            raise UsageError("an SLF file holds one lattice", where=str(path), got=len(lattices),
                             fix="Take one: --utterance ID; or write .npz.")  # fmt: skip
        for utterance, lattice in lattices.items():
            write_slf(path, slf_from_lattice(lattice, utterance))
    else:
        write_kaldi_lattices(path, lattices, numbers=numbers)


def replace_language_model(
    lattices: Mapping[str, Lattice],
    new: str | Path | None,
    old: str | Path | None,
    *,
    grammar: str | Path | None = None,
    scale: float = 1.0,
    unknown_cost: float | None = None,
    on_error: Callable[[str, WfstHmmError], None] | None = None,
) -> dict[str, Lattice]:
    """Take out the costs of the graph's grammar, and put in those of another model.

    Parameters
    ----------
    lattices : mapping of str to Lattice
    new : path, optional
        An n-gram model, ARPA or of Sphinx.
    old : path, optional
        The grammar that the graph was built with, of any kind.
    grammar : path, optional
        Instead of `new`: a grammar of any kind, or ``loop``, ``words``, ``length:5`` over the words
        of the lattices; what it does not accept is dropped.
    scale : float
        Factor on the new costs.
    unknown_cost : float, optional
        Nats for words that the new model lacks, when it has no ``<unk>``.
    on_error : callable, optional
        Called with the id and the error of an utterance that cannot be rescored, which is then
        left out. Without it the first error is raised.

    Raises
    ------
    DataError
        Lattices have words that the new model lacks, and no cost is given for them.
    GraphError
        The old grammar does not accept what a lattice holds.
    UsageError
        Both a new n-gram model and a grammar were given.
    """
    if new is not None and grammar is not None:
        raise UsageError("an n-gram model and a grammar at once", got=f"{new} and {grammar}",
                         fix="Rescore twice.")  # fmt: skip
    model = read_as(new, "language model") if new is not None else None
    words = tuple(dict.fromkeys(
        lattice.words[int(word)] for lattice in lattices.values()
        for word in np.unique(lattice.word) if word
    ))  # fmt: skip
    accepted, taken_out = (
        None if spec is None
        else (built_in(str(spec), words) if is_spec(str(spec)) else read_grammar(spec)).fst
        for spec in (grammar, old)
    )  # fmt: skip
    scorers: dict[Symbols, tuple[NgramScorer | GrammarScorer | None, GrammarScorer | None]] = {}
    unknown_word = model.unknown if model is not None else None
    made: dict[str, Lattice] = {}
    for id_, lattice in lattices.items():
        if lattice.words not in scorers:
            cost = float("inf") if unknown_cost is None else unknown_cost
            scorers[lattice.words] = (
                NgramScorer(model, lattice.words, unknown_cost=cost) if model
                else GrammarScorer(accepted, lattice.words) if accepted else None,
                GrammarScorer(taken_out, lattice.words) if taken_out else None,
            )  # fmt: skip
        scorer, taken = scorers[lattice.words]
        try:
            if isinstance(scorer, NgramScorer) and unknown_cost is None and not unknown_word:
                _check_known(id_, lattice, scorer, new)
            made[id_] = rescored(lattice, scorer, old=taken, scale=scale)
        except WfstHmmError as error:
            if on_error is None:
                raise
            on_error(id_, error)
    return made


def _check_known(id_: str, lattice: Lattice, scorer: NgramScorer, model: object) -> None:
    unknown = set(scorer.unknown)
    missing = sorted({lattice.words[int(word)] for word in set(lattice.word.tolist())} & unknown)
    if missing:
        shown = ", ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
        raise DataError(f"words of the lattice that the language model lacks: {shown}",
                        where=f"utterance {id_}", expected=f"words of {model}, or its <unk>",
                        fix="Give such words a cost (--unknown-cost), or add them.")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class OracleScore:
    """The fewest errors that any path of each lattice has.

    Attributes
    ----------
    n_errors, n_words : int
    utterances : dict of str to (errors, words of the reference, best words)
    missing : tuple of str
        Utterances without a lattice or a path in it; their words count as errors.
    """

    n_errors: int
    n_words: int
    utterances: dict[str, tuple[int, int, tuple[str, ...]]]
    missing: tuple[str, ...]

    @property
    def wer(self) -> float:
        """Errors per reference word."""
        return self.n_errors / max(self.n_words, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the score, JSON-ready."""
        return {"oracle_wer": self.wer, "errors": self.n_errors, "words": self.n_words,
                "utterances": len(self.utterances), "missing": list(self.missing)}  # fmt: skip


def oracle_score(
    lattices: Mapping[str, Lattice], references: Mapping[str, tuple[str, ...]]
) -> OracleScore:
    """Find the nearest path of each lattice.

    Raises
    ------
    DataError
        A lattice has no reference, or there is none at all.
    """
    unknown = [id_ for id_ in lattices if id_ not in references]
    if unknown or not references:
        raise DataError("no reference for an utterance", got=unknown[0] if unknown else "none",
                        fix="Name the transcripts of the same data.")  # fmt: skip
    found: dict[str, tuple[int, int, tuple[str, ...]]] = {}
    missing = []
    for id_, words in references.items():
        best = oracle(lattices[id_], words) if id_ in lattices else None
        if best is None:
            missing.append(id_)
            found[id_] = (len(words), len(words), ())
        else:
            found[id_] = (best.n_errors, len(words), best.hypothesis.words)
    return OracleScore(sum(row[0] for row in found.values()), sum(row[1] for row in found.values()),
                       found, tuple(missing))  # fmt: skip
