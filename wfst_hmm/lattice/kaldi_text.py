"""Kaldi's text form of compact lattices, both ways.

In: a text lattice archive (``lattice-copy ark:- ark,t:-``). Out: `Lattice` values by utterance,
and back.

An utterance is its id on a line, then a line per arc, ``from to word graph,acoustic,labels``,
and per final state, ``state graph,acoustic,labels``, where labels are joined by ``_``; then a
blank line. A weight that is missing stands for ``0,0,``.

Public names: `read_kaldi_lattices`, `write_kaldi_lattices`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.fst.symbols import EPSILON, Symbols
from wfst_hmm.lattice.lattice import Ints, Lattice, lattice_from_rows

__all__ = ["read_kaldi_lattices", "write_kaldi_lattices"]

_Row = tuple[int, int, int, float, float, Ints]


def write_kaldi_lattices(
    path: str | Path, lattices: Mapping[str, Lattice], *, numbers: Symbols | None = None
) -> None:
    """Write lattices as a Kaldi text archive, words as strings, labels as they are.

    The labels are state labels of the graph, which Kaldi calls transition-ids; they mean what
    the graph that made the lattice says.

    Parameters
    ----------
    path : path
    lattices : mapping of str to Lattice
    numbers : Symbols, optional
        Write words as their numbers in this table, which Kaldi's own programs need.

    Raises
    ------
    DataError
        An utterance id is empty or holds white space, or `numbers` lacks a word.
    """
    for utterance in lattices:
        if utterance.split() != [utterance]:
            raise DataError("an id that is empty or holds white space", got=repr(utterance))
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for utterance, lattice in lattices.items():
            stream.write(f"{utterance} \n")
            stream.writelines(_lines(lattice, numbers))
            stream.write("\n")


def _lines(lattice: Lattice, numbers: Symbols | None) -> Iterator[str]:
    first = lattice.first_arcs()
    used = {int(word): lattice.words[int(word)] for word in np.unique(lattice.word)}
    name = {word: text if numbers is None else str(numbers.id(text)) for word, text in used.items()}
    for state in range(lattice.n_states):
        for arc in range(first[state], first[state + 1]):
            labels = "_".join(map(str, lattice.labels_of(arc).tolist()))
            yield (
                f"{state}\t{lattice.target[arc]}\t{name[int(lattice.word[arc])]}\t"
                f"{lattice.graph_cost[arc]:.9g},{lattice.acoustic_cost[arc]:.9g},{labels}\n"
            )
        if lattice.final[state] < np.inf:
            yield f"{state}\t{lattice.final[state]:.9g},0,\n"


def read_kaldi_lattices(
    path: str | Path, words: Symbols | None = None, *, frame_shift: float = 0.01
) -> dict[str, Lattice]:
    """Read a Kaldi text archive of compact lattices, plain or gzip.

    Parameters
    ----------
    path : path
    words : Symbols, optional
        The table that the words are numbered by; words may be written as strings or as
        numbers of this table. By default a table is made of the strings that occur.
    frame_shift : float
        Seconds per frame; the format does not tell.

    Raises
    ------
    FormatError
        Naming file and line: a line that is neither arc nor final state, a word that the table
        lacks, a cycle, an utterance twice.
    """
    lattices: dict[str, Lattice] = {}
    utterances = list(_utterances(path))
    if words is None:
        names = dict.fromkeys(
            fields[2] for _, _, lines in utterances for _, fields in lines if len(fields) > 2
        )
        words = Symbols(name for name in names if name not in (EPSILON, "0"))
    for utterance, where, lines in utterances:
        if utterance in lattices:
            raise FormatError(f"utterance {utterance!r} comes twice", where=where)
        lattices[utterance] = _parse(where, lines, words, frame_shift)
    return lattices


def _utterances(path: str | Path) -> Iterator[tuple[str, str, list[tuple[str, list[str]]]]]:
    """Yield id, place, and the (place, fields) of each line."""
    utterance, begin = "", ""
    lines: list[tuple[str, list[str]]] = []
    for number, line in read_lines(path):
        fields, where = line.split(), f"{path}:{number}"
        if not fields:
            if utterance:
                yield utterance, begin, lines
            utterance, lines = "", []
        elif not utterance:
            if len(fields) != 1:
                raise FormatError("an utterance id was expected", where=where, got=repr(line))
            utterance, begin, lines = fields[0], where, []
        else:
            lines.append((where, fields))
    if utterance:
        yield utterance, begin, lines


def _parse(
    where: str, lines: list[tuple[str, list[str]]], words: Symbols, frame_shift: float
) -> Lattice:
    rows: list[tuple[str, _Row]] = []
    ends: dict[int, tuple[float, float, Ints]] = {}
    for place, fields in lines:
        try:
            if len(fields) >= 3:
                graph, acoustic, labels = _weight(fields[3] if len(fields) == 4 else "0,0,")
                word = _word(fields[2], words)
                rows.append((place, (int(fields[0]), int(fields[1]), word,
                                     graph, acoustic, labels)))  # fmt: skip
            else:
                ends[int(fields[0])] = _weight(fields[1] if len(fields) == 2 else "0,0,")
        except (ValueError, KeyError):
            raise FormatError(
                "no line of a compact lattice", where=place, got=repr(" ".join(fields)),
                expected="from to word graph,acoustic,labels or state graph,acoustic,labels, "
                "the words of the table",
            ) from None  # fmt: skip
    return _build(where, rows, ends, words, frame_shift)


def _word(text: str, words: Symbols) -> int:
    if text in words:
        return words.ids([text])[0]
    number = int(text)
    if not 0 <= number < len(words):
        raise KeyError(text)
    return number


def _weight(text: str) -> tuple[float, float, Ints]:
    graph, acoustic, labels = text.split(",")
    numbers = [int(label) for label in labels.split("_")] if labels else []
    return float(graph), float(acoustic), np.array(numbers, dtype=np.int32)


def _build(
    where: str,
    rows: list[tuple[str, _Row]],
    ends: dict[int, tuple[float, float, Ints]],
    words: Symbols,
    frame_shift: float,
) -> Lattice:
    """Number states topologically; final weights that a number cannot hold become arcs."""
    states = {0, *ends, *(row[0] for _, row in rows), *(row[1] for _, row in rows)}
    number = _topological(where, sorted(states), [(row[0], row[1]) for _, row in rows])
    final = np.full(len(states) + 1, np.inf)
    end = len(states)
    built = [(number[row[0]], number[row[1]], *row[2:]) for _, row in rows]
    for state, (graph, acoustic, labels) in ends.items():
        if acoustic == 0 and not len(labels):
            final[number[state]] = graph
        else:
            built.append((number[state], end, 0, graph, acoustic, labels))
            final[end] = 0.0
    lattice = lattice_from_rows(built, final, words, frame_shift=frame_shift)
    return lattice.select(np.ones(lattice.n_arcs, dtype=bool))


def _topological(where: str, states: list[int], arcs: Iterable[tuple[int, int]]) -> dict[int, int]:
    following: dict[int, list[int]] = {state: [] for state in states}
    n_in = dict.fromkeys(states, 0)
    for source, target in arcs:
        following[source].append(target)
        n_in[target] += 1
    ready = [state for state in reversed(states) if n_in[state] == 0]
    order: dict[int, int] = {}
    while ready:
        state = ready.pop()
        order[state] = len(order)
        for target in following[state]:
            n_in[target] -= 1
            if not n_in[target]:
                ready.append(target)
    if len(order) < len(states) or order.get(0) != 0:
        raise FormatError("the lattice has a cycle, or arcs into its start state 0", where=where)
    return order
