"""Machines of others from their files, with the symbol tables that lie beside them.

In: a path to an FST, binary or text, and perhaps to its tables. Out: `FoundFst`: the machine, its
sides named, and how the names were found.

Public names: `FoundFst`, `read_any_fst`.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np

from wfst_hmm.files import read_head
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.binary import FST_MAGIC, read_fst
from wfst_hmm.fst.symbols import read_numbers, renumbered
from wfst_hmm.fst.text import read_fst_text
from wfst_hmm.kinds import Look, kind_for

__all__ = ["FoundFst", "read_any_fst"]


@dataclasses.dataclass(frozen=True, eq=False)
class FoundFst:
    """A machine and what a person should know about how it was read.

    Attributes
    ----------
    fst : Fst
    notes : tuple of str
    """

    fst: Fst
    notes: tuple[str, ...] = ()


def read_any_fst(
    path: str | Path,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
    *,
    acceptor: bool | None = None,
) -> FoundFst:
    """Read an FST of any form, and name its labels.

    Parameters
    ----------
    path : path
        An OpenFst file (`fst.binary.read_fst`) or its text (`fst.text.read_fst_text`).
    isymbols, osymbols : path, optional
        Tables for an FST that carries none; of an acceptor one is enough. By default
        ``isymbols.txt`` and ``osymbols.txt`` beside the file are taken; else ``words.txt`` for the output side, and for
        the input side of an acceptor; and Kaldi's ``phones.txt`` for the input side of its
        ``L*.fst``.
    acceptor : bool, optional
        Of text: whether arcs have one label, not an input and an output.

    Raises
    ------
    FormatError
        The file, or a table, is missing, damaged or of another kind.
    """
    path = Path(path)
    is_binary = read_head(path, 4) == FST_MAGIC
    first = () if is_binary else Look(path).rows[:1]
    if not is_binary and not all(field.isdigit() for row in first for field in row[:2]):
        kind_for(path, "fst", "an FST, binary or as text")
    fst = read_fst(path) if is_binary else read_fst_text(path, acceptor=acceptor)
    notes = []
    if not is_binary and acceptor is None and _costs_as_labels(fst):
        notes.append(f"{path}: four columns are an input and an output label, as fstcompile has it:"
                     " the numbers in the last are taken for words. Are they costs? Then say"
                     " --acceptor.")  # fmt: skip
    same = bool(np.all(fst.arcs["ilabel"] == fst.arcs["olabel"]))
    given = (isymbols or osymbols, osymbols or isymbols) if same else (isymbols, osymbols)
    chosen: list[Path | None] = []
    for side, name, inside in zip("io", given, (fst.isymbols, fst.osymbols), strict=True):
        chosen.append(None if name is None else Path(name))
        if name is None and inside is None and (found := _beside(path, side, same)):
            chosen[-1] = found
            notes.append(f"{path}: its {'input' if side == 'i' else 'output'} symbols are those "
                         f"of {found}")  # fmt: skip
    if same and len(notes) == 2:
        notes = [f"{path}: its symbols are those of {chosen[0]}"]
    if chosen == [None, None]:
        return FoundFst(fst, tuple(notes))
    tables = [None if name is None else read_numbers(name) for name in chosen]
    if not is_binary and fst.isymbols is not None:
        return FoundFst(read_fst_text(path, *tables, acceptor=acceptor), tuple(notes))
    labels, symbols = [], []
    for column, old, table in zip(
        ("ilabel", "olabel"), (fst.isymbols, fst.osymbols), tables, strict=True
    ):
        side_labels = fst.arcs[column]
        if old is None and table is not None:
            side_labels, old = renumbered(side_labels, {n: s for n, s in table.items() if n})
        labels.append(side_labels)
        symbols.append(old)
    made = Fst.from_arcs(
        fst.start, fst.sources(), labels[0], labels[1], fst.arcs["weight"],
        fst.arcs["nextstate"], fst.states["final"], symbols[0], symbols[1],
    )  # fmt: skip
    return FoundFst(made, tuple(notes))


def _beside(path: Path, side: str, same: bool) -> Path | None:
    """Return the table of a side that lies beside an FST."""
    names = [f"{side}symbols.txt"]
    if side == "o" or same:
        names.append("words.txt")
    elif path.name.startswith("L"):
        names.append("phones.txt")
    return next((path.parent / n for n in names if (path.parent / n).is_file()), None)


def _costs_as_labels(fst: Fst) -> bool:
    """Tell whether the output labels, and only they, are numbers with a point."""
    if fst.isymbols is None or fst.osymbols is None:
        return False
    inputs, outputs = (
        table.strings(np.unique(fst.arcs[side]))
        for side, table in (("ilabel", fst.isymbols), ("olabel", fst.osymbols))
    )
    number = re.compile(r"-?\d*\.?\d*(?:e[-+]?\d+)?")
    return (any("." in name for name in outputs) and all(map(number.fullmatch, outputs))
            and not all(map(number.fullmatch, inputs)))  # fmt: skip
