"""Sphinx's finite-state grammars (``.fsg``).

In: a text file. Out: the grammar as a transducer, probabilities as costs in nats.

``FSG_BEGIN [name]``, ``NUM_STATES n`` (or ``N``), ``START_STATE s`` (``S``), ``FINAL_STATE s``
(``F``), ``TRANSITION from to probability [word]`` (``T``; without a word nothing is said) and
``FSG_END``; ``#`` begins a comment.

Public names: `read_fsg`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from wfst_hmm import orthography
from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols

__all__ = ["read_fsg"]

_KEYS = {"N": "NUM_STATES", "S": "START_STATE", "F": "FINAL_STATE", "T": "TRANSITION"}
_MAX_STATES = 10_000_000


def read_fsg(path: str | Path) -> Fst:
    """Read a grammar; both sides of the transducer have the words as symbols.

    Raises
    ------
    FormatError
        A line is not understood (it is named), a number is out of range, a part is missing, or
        something stands outside of ``FSG_BEGIN`` and ``FSG_END``.
    """
    numbers: dict[str, int] = {}
    rows: list[tuple[int, int, int, float]] = []
    words: dict[str, int] = {}
    inside = done = False
    for number, line in read_lines(path):
        fields = orthography.fields(line.partition("#")[0])
        where = f"{path}:{number}"
        if not fields:
            continue
        key = _KEYS.get(fields[0], fields[0])
        if key == "FSG_BEGIN" and not inside and not done:
            inside = True
        elif key == "FSG_END" and inside:
            inside, done = False, True
        elif not inside:
            raise FormatError("a line outside of the grammar", where=where, got=repr(line[:60]),
                              expected="FSG_BEGIN first, FSG_END last")  # fmt: skip
        elif key == "TRANSITION" and len(fields) in (4, 5):
            label = words.setdefault(fields[4], len(words) + 1) if len(fields) == 5 else 0
            ends = [_state(text, numbers, where) for text in fields[1:3]]
            rows.append((ends[0], ends[1], label, _cost(fields[3], where)))
        elif key in _KEYS.values() and key != "TRANSITION" and len(fields) == 2:
            if key in numbers:
                raise FormatError(f"{key} is given twice", where=where)
            numbers[key] = _state(fields[1], {} if key == "NUM_STATES" else numbers, where)
        else:
            raise FormatError("a line that is not understood", where=where, got=repr(line[:60]),
                              expected="NUM_STATES, START_STATE, FINAL_STATE, TRANSITION")  # fmt: skip
    if not done or len(numbers) < 3:
        raise FormatError("an incomplete grammar", where=str(path), got=sorted(numbers),
                          expected="NUM_STATES, START_STATE, FINAL_STATE and FSG_END")  # fmt: skip
    named = [
        numbers["START_STATE"],
        numbers["FINAL_STATE"],
        *(end for row in rows for end in row[:2]),
    ]
    if max(named) >= numbers["NUM_STATES"]:  # some may have been named before the number was
        raise FormatError("not a number of a state", where=str(path), got=max(named),
                          expected=f"0 to {numbers['NUM_STATES'] - 1}")  # fmt: skip
    final = np.full(numbers["NUM_STATES"], np.inf)
    final[numbers["FINAL_STATE"]] = 0.0
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    sources, targets, labels = (table[:, i].astype(np.int64) for i in range(3))
    symbols = Symbols(words)
    return Fst.from_arcs(numbers["START_STATE"], sources, labels, labels, table[:, 3], targets,
                         final, symbols, symbols)  # fmt: skip


def _state(text: str, numbers: dict[str, int], where: str) -> int:
    """Read a state, below NUM_STATES once that is known; or that number itself."""
    limit = numbers.get("NUM_STATES", _MAX_STATES)
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) < limit):
        raise FormatError("not a number of a state", where=where, got=repr(text[:20]),
                          expected=f"0 to {limit - 1}")  # fmt: skip
    return int(text)


def _cost(text: str, where: str) -> float:
    try:
        probability = float(text)
    except ValueError:
        probability = math.nan
    if not 0.0 < probability <= 1.0:
        raise FormatError("not a probability", where=where, got=repr(text[:20]),
                          expected="above 0, at most 1")  # fmt: skip
    return -math.log(probability) + 0.0
