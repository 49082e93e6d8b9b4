"""Sphinx model definitions: phones, triphones and the senones of their states.

In: a ``mdef`` file, text or binary, either byte order. Out: `ModelDefinition`, and from it the
`ContextMap` with Sphinx's rules for triphones that the model has not seen.

Public names: `ModelDefinition`, `read_mdef`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.files import read_bytes
from wfst_hmm.formats.cursor import Cursor
from wfst_hmm.models.context import ContextMap, PhysicalHmm
from wfst_hmm.models.topology import Topology

__all__ = ["SILENCE", "ModelDefinition", "read_mdef"]

SILENCE = "SIL"
#: Columns of `ModelDefinition.phones`.
BASE, LEFT, RIGHT, POSITION, SEQUENCE, TMAT = range(6)
_INTERNAL, _BEGIN, _END, _SINGLE = range(4)
_POSITIONS = "ibes"
_KEYS = ("n_base", "n_tri", "n_state_map", "n_tied_state", "n_tied_ci_state", "n_tied_tmat")
_MAX_PHONES = 255  # the binary form stores contexts in bytes


@dataclasses.dataclass(frozen=True, eq=False)
class ModelDefinition:
    """What a ``mdef`` says.

    Attributes
    ----------
    names : tuple of str
        The context-independent phones.
    is_filler : tuple of bool
    phones : ndarray of int32, shape (n, 6)
        Base, left, right, position (internal, begin, end, single), senone sequence and
        transition matrix of each phone; the first ``len(names)`` are context-independent, with
        -1 for the contexts.
    sequences : ndarray of int32, shape (n_sequences, n_emit)
        Senones of the states.
    n_senones, n_ci_senones, n_tmats : int
    """

    __repr__ = brief

    names: tuple[str, ...]
    is_filler: tuple[bool, ...]
    phones: npt.NDArray[np.int32]
    sequences: npt.NDArray[np.int32]
    n_senones: int
    n_ci_senones: int
    n_tmats: int

    @property
    def n_emit(self) -> int:
        """Emitting states of every phone."""
        return int(self.sequences.shape[1])

    @property
    def silence_phones(self) -> tuple[str, ...]:
        """The fillers, silence itself first."""
        fillers = [n for n, f in zip(self.names, self.is_filler, strict=True) if f]
        return tuple(sorted(fillers, key=lambda name: name != SILENCE))

    def base_of_senones(self) -> npt.NDArray[np.int32]:
        """Return the context-independent phone of every senone, shape (n_senones,).

        Raises
        ------
        ModelError
            Phones of unlike bases share a senone.
        """
        base = np.full(self.n_senones, -1, dtype=np.int32)
        senones = self.sequences[self.phones[:, SEQUENCE]]
        bases = np.repeat(self.phones[:, BASE], self.n_emit)
        base[senones.ravel()] = bases
        if np.any(base[senones.ravel()] != bases):
            raise ModelError("phones of unlike bases share a senone",
                             fix="Such a model has no codebook for each phone.")  # fmt: skip
        return base

    def context_map(self, topologies: Sequence[Topology]) -> ContextMap:
        """Return the map from phones in context to HMMs.

        Parameters
        ----------
        topologies : sequence of Topology, length n_tmats

        Notes
        -----
        As PocketSphinx looks triphones up: fillers in the context count as silence; an unseen
        triphone is looked for at other places in the word; then with silence outside of the
        word; and last the context-independent phone stands in.
        """
        rows = self.phones[:, [BASE, TMAT, SEQUENCE]]
        kinds, hmm_of = np.unique(rows, axis=0, return_inverse=True)
        hmm_of = hmm_of.ravel().astype(np.int32)
        hmms = [PhysicalHmm(b, t, tuple(self.sequences[s].tolist())) for b, t, s in kinds.tolist()]
        nearest = _Nearest(self)

        def grid(centre: int, position: int) -> npt.NDArray[np.int32]:
            return np.asarray(hmm_of[nearest(centre, position)], dtype=np.int32)

        return ContextMap.build(self.names, list(topologies), hmms, grid, n_positions=4)  # fmt: skip


class _Nearest:
    """Answers for a centre phone and a place in the word, over all neighbours at once."""

    def __init__(self, definition: ModelDefinition) -> None:
        self.definition = definition
        n = len(definition.names)
        if SILENCE not in definition.names:
            raise ModelError(f"the model has no phone {SILENCE}")
        silence = definition.names.index(SILENCE)
        #: Each neighbour as a context; the last one is the utterance's edge.
        self.context = np.array(
            [silence if filler else i for i, filler in enumerate(definition.is_filler)] + [silence]
        )
        self.silence = silence
        self.is_filler = np.array([*definition.is_filler, True])
        self.by_base: dict[int, npt.NDArray[np.int32]] = {}
        triphones = definition.phones[n:]
        for base in range(n):
            table = np.full((4, n, n), -1, dtype=np.int32)
            own = np.flatnonzero(triphones[:, BASE] == base)
            t = triphones[own]
            table[t[:, POSITION], t[:, LEFT], t[:, RIGHT]] = own + n
            self.by_base[base] = table

    def __call__(self, centre: int, position: int) -> npt.NDArray[np.int32]:
        """Return phone numbers, shape (P + 1, P + 1), or (1, 1) for fillers."""
        if self.definition.is_filler[centre]:
            return np.array([[centre]], dtype=np.int32)
        table = self.by_base[centre]
        order = [position, *(q for q in range(4) if q != position)]
        left, right = self.context, self.context
        found = np.full((len(left), len(right)), -1, dtype=np.int32)
        outside_left = np.full_like(left, self.silence) if position in (_BEGIN, _SINGLE) else left
        outside_right = np.full_like(right, self.silence) if position in (_END, _SINGLE) else right
        for rows, columns in ((left, right), (outside_left, outside_right)):
            for place in order:
                answer = table[place][rows[:, None], columns[None, :]]
                found = np.where(found < 0, answer, found)
        return np.asarray(np.where(found < 0, centre, found), dtype=np.int32)


def read_mdef(path: str | Path) -> ModelDefinition:
    """Read a model definition, text (0.3) or binary.

    Raises
    ------
    FormatError
        The file is damaged, or a number in it leads nowhere: an unknown phone, a senone or
        transition matrix beyond the announced count, a triphone listed twice.
    """
    data = read_bytes(path)
    if data[:4] in (b"BMDF", b"FDMB"):
        return _read_binary(Cursor(data, str(path), order="<" if data[:1] == b"B" else ">"))
    return _read_text(data, str(path))


def _read_binary(cursor: Cursor) -> ModelDefinition:
    cursor.take(4, "magic")
    version = cursor.number("i", "version")
    if version not in (0, 1):
        raise cursor.error("another version of the format", got=version, expected="at most 1")
    cursor.take(cursor.count("length of the description"), "description")
    names = (
        "n_ci",
        "n_phone",
        "n_emit",
        "n_ci_sen",
        "n_sen",
        "n_tmat",
        "n_sseq",
        "n_ctx",
        "n_tree",
    )
    count = {name: int(cursor.number("i", name)) for name in names}
    cursor.number("i", "number of the silence phone")  # may be stale
    for name, value in count.items():
        if not (0 <= value <= cursor.left if name != "n_ctx" else value == 3):
            raise cursor.error(f"impossible {name}", got=value)
    if not 1 <= count["n_ci"] <= min(_MAX_PHONES, count["n_phone"]) or count["n_emit"] < 1:
        raise cursor.error("no phones, or phones without states", got=count)
    phone_names = _names(cursor, count["n_ci"])
    cursor.array("u1", (count["n_tree"], 8), "lookup tree")  # says what the phones say
    raw = cursor.array("u1", (count["n_phone"], 12), "phones")
    heads = raw[:, :8].copy().view(cursor.order + "i4").astype(np.int32)
    n_numbers = cursor.count("number of senones in sequences", each=2)
    if n_numbers != count["n_sseq"] * count["n_emit"] or not n_numbers:
        raise cursor.error("impossible number of senone sequences", got=n_numbers,
                           expected=count["n_sseq"] * count["n_emit"])  # fmt: skip
    sequences = cursor.array("u2", (count["n_sseq"], count["n_emit"]), "senone sequences")
    cursor.finish()
    n_ci = count["n_ci"]
    phones = np.full((len(raw), 6), -1, dtype=np.int32)
    phones[:n_ci, BASE] = np.arange(n_ci)
    phones[n_ci:, [POSITION, BASE, LEFT, RIGHT]] = raw[n_ci:, 8:]
    phones[:, [SEQUENCE, TMAT]] = heads
    found = ModelDefinition(
        phone_names, tuple(bool(f) for f in raw[:n_ci, 8]), phones, sequences.astype(np.int32),
        count["n_sen"], count["n_ci_sen"], count["n_tmat"],
    )  # fmt: skip
    _check(found, cursor.where)
    return found


def _names(cursor: Cursor, n: int) -> tuple[str, ...]:
    begin = cursor.at
    names = []
    for _ in range(n):
        stop = cursor.data.find(b"\0", cursor.at, cursor.end)
        raw = cursor.data[cursor.at : max(stop, cursor.at)]
        if stop < 0 or not raw or not raw.isascii() or len(raw) > 100:
            raise cursor.error("no name of a phone here", got=repr(raw[:20]))
        names.append(raw.decode("ascii"))
        cursor.at = stop + 1
    cursor.take(-(cursor.at - begin) % 4, "padding")
    return tuple(names)


def _read_text(data: bytes, where: str) -> ModelDefinition:
    lines = [
        (number, fields)
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1)
        if (fields := line.split()) and not fields[0].startswith("#")
    ]
    if not lines or lines[0][1] != ["0.3"]:
        raise FormatError("not a model definition", where=where,
                          got=repr(" ".join(lines[0][1])[:20]) if lines else "nothing",
                          expected="0.3 in the first line, or a binary one")  # fmt: skip
    count: dict[str, int] = {}
    for number, fields in lines[1 : 1 + len(_KEYS)]:
        if len(fields) != 2 or fields[1] not in _KEYS or fields[1] in count:
            raise FormatError("not one of the six counts", where=f"{where}:{number}",
                              got=repr(" ".join(fields)[:60]), expected=", ".join(_KEYS))  # fmt: skip
        count[fields[1]] = _number(fields[0], f"{where}:{number}")
    rows = lines[1 + len(_KEYS) :]
    n_phones = count.get("n_base", 0) + count.get("n_tri", 0)
    if len(count) != len(_KEYS) or len(rows) != n_phones or not count["n_base"]:
        raise FormatError("as many phone lines as announced are needed", where=where,
                          got=len(rows), expected=n_phones or "at least one")  # fmt: skip
    n_emit, rest = divmod(count["n_state_map"], n_phones)
    if rest or n_emit < 2 or count["n_base"] > _MAX_PHONES:
        raise FormatError("n_state_map does not fit the number of phones", where=where,
                          got=count["n_state_map"])  # fmt: skip
    return _text_phones(rows, count, n_emit - 1, where)


def _number(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FormatError("no whole number", where=where, got=repr(text[:20]))
    return int(text)


def _text_phones(
    rows: list[tuple[int, list[str]]], count: dict[str, int], n_emit: int, where: str
) -> ModelDefinition:
    n_base = count["n_base"]
    names = tuple(fields[0] for _, fields in rows[:n_base])
    index = {name: i for i, name in enumerate(names)}
    if len(index) != n_base:
        raise FormatError("a context-independent phone is listed twice", where=where)
    phones = np.full((len(rows), 6), -1, dtype=np.int32)
    sequences: dict[tuple[int, ...], int] = {}
    fillers = []
    for row, (number, fields) in enumerate(rows):
        here = f"{where}:{number}"
        if len(fields) != 7 + n_emit or fields[-1] != "N":
            raise FormatError("not a phone", where=here, got=repr(" ".join(fields)[:60]),
                              expected=f"base, contexts, place, kind, matrix, {n_emit} states, N")  # fmt: skip
        if fields[4] not in ("filler", "n/a"):
            raise FormatError("neither a filler nor a phone", where=here, got=repr(fields[4]))
        senones = tuple(_number(text, here) for text in fields[6:-1])
        phones[row, SEQUENCE] = sequences.setdefault(senones, len(sequences))
        phones[row, TMAT] = _number(fields[5], here)
        if row < n_base:
            if fields[1:4] != ["-"] * 3:
                raise FormatError("a triphone among the first phones", where=here,
                                  expected=f"{n_base} context-independent phones first")  # fmt: skip
            phones[row, BASE] = row
            fillers.append(fields[4] == "filler")
            continue
        for column, name in ((BASE, fields[0]), (LEFT, fields[1]), (RIGHT, fields[2])):
            if name not in index:
                raise FormatError("a phone that is not defined", where=here, got=repr(name))
            phones[row, column] = index[name]
        if len(fields[3]) != 1 or fields[3] not in _POSITIONS:
            raise FormatError("no place in a word", where=here, got=repr(fields[3]),
                              expected="b, e, i or s")  # fmt: skip
        phones[row, POSITION] = _POSITIONS.index(fields[3])
    found = ModelDefinition(
        names, tuple(fillers), phones, np.array(list(sequences), dtype=np.int32),
        count["n_tied_state"], count["n_tied_ci_state"], count["n_tied_tmat"],
    )  # fmt: skip
    _check(found, where)
    return found


def _check(found: ModelDefinition, where: str) -> None:
    n_ci = len(found.names)
    triphones = found.phones[n_ci:]
    limits = (("base phone", BASE, n_ci), ("left context", LEFT, n_ci), ("right context", RIGHT, n_ci),
              ("place in the word", POSITION, 4))  # fmt: skip
    for name, column, limit in limits:
        _in_range(triphones[:, column], limit, f"{name} of a triphone", where)
    _in_range(found.phones[:, SEQUENCE], len(found.sequences), "senone sequence of a phone", where)
    _in_range(found.phones[:, TMAT], found.n_tmats, "transition matrix of a phone", where)
    _in_range(found.sequences, found.n_senones, "senone of a state", where)
    if len(set(found.names)) != n_ci:
        raise FormatError("a phone is defined twice", where=where)
    if found.n_ci_senones > found.n_senones:
        raise FormatError("more context-independent senones than senones", where=where)
    keys = triphones[:, [BASE, LEFT, RIGHT, POSITION]].astype(np.int64) @ (256 ** np.arange(4))
    if len(np.unique(keys)) != len(keys):
        raise FormatError("a triphone is defined twice", where=where)


def _in_range(values: npt.NDArray[np.int32], limit: int, what: str, where: str) -> None:
    if values.size and not 0 <= values.min() <= values.max() < limit:
        wrong = values[(values < 0) | (values >= limit)]
        raise FormatError(f"{what} is out of range", where=where, got=int(wrong[0]),
                          expected=f"0 to {limit - 1}")  # fmt: skip
