"""A transducer as two numpy arrays, laid out exactly as in OpenFst's ``const`` file.

In: arc lists, or the bytes of a ``const`` FST. Out: `Fst`, whose arrays kernels read directly
and whose bytes OpenFst loads directly; a file is mapped into memory, not parsed.

Public names: `ARC`, `STATE`, `Fst`.
"""

from __future__ import annotations

import dataclasses
import mmap
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, as_words
from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.files import atomic_file
from wfst_hmm.fst.symbols import Symbols

__all__ = ["ARC", "STATE", "Fst"]

#: One arc, 16 bytes: labels (0 is epsilon), cost in nats, index of the next state.
ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("weight", "<f4"), ("nextstate", "<i4")])
#: One state, 20 bytes: final cost (+inf: not final), its run of arcs, its epsilon counts.
STATE = np.dtype(
    [
        ("final", "<f4"),
        ("pos", "<u4"),
        ("n_arcs", "<u4"),
        ("n_input_eps", "<u4"),
        ("n_output_eps", "<u4"),
    ]
)

_MAGIC = 2125659606
_VERSION = 2
_EXPANDED = 0x1  # OpenFst's property bit kExpanded; nothing else is claimed
_HAS_SYMBOLS = 0x1 | 0x2
_ALIGNED = 0x4
_HEADER_TAIL = struct.Struct("<iiQqqq")  # version, flags, properties, start, n_states, n_arcs


@dataclasses.dataclass(frozen=True, eq=False)
class Fst(Frozen):
    """A weighted transducer over the tropical semiring (costs in nats), read-only.

    Attributes
    ----------
    start : int
        Number of the start state, -1 when there are no states.
    states : ndarray of `STATE`, shape (n_states,)
    arcs : ndarray of `ARC`, shape (n_arcs,)
        The arcs of state ``s`` are ``arcs[states[s]["pos"] :][: states[s]["n_arcs"]]``, sorted
        by input label, so that epsilons come first.
    isymbols, osymbols : Symbols or None

    Notes
    -----
    Layout: OpenFst 1.8, ``const-fst.h``. Costs of +inf mean "no such path".
    """

    start: int
    states: npt.NDArray[Any]
    arcs: npt.NDArray[Any]
    isymbols: Symbols | None = None
    osymbols: Symbols | None = None

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.states)

    @property
    def n_arcs(self) -> int:
        """Number of arcs."""
        return len(self.arcs)

    def __repr__(self) -> str:
        return f"Fst({self.n_states} states, {self.n_arcs} arcs, start {self.start})"

    def arcs_of(self, state: int) -> npt.NDArray[Any]:
        """Return the arcs that leave `state`, a view of shape (n,)."""
        row = self.states[state]
        return self.arcs[int(row["pos"]) : int(row["pos"]) + int(row["n_arcs"])]

    def sources(self) -> npt.NDArray[np.int32]:
        """Return the source state of every arc, shape (n_arcs,)."""
        return np.repeat(np.arange(self.n_states, dtype=np.int32), self.states["n_arcs"])

    def with_symbols(self, isymbols: Symbols | None, osymbols: Symbols | None) -> Fst:
        """Return the same machine under other symbol tables."""
        return dataclasses.replace(self, isymbols=isymbols, osymbols=osymbols)

    @classmethod
    def from_arcs(
        cls,
        start: int,
        source: npt.ArrayLike,
        ilabel: npt.ArrayLike,
        olabel: npt.ArrayLike,
        weight: npt.ArrayLike,
        nextstate: npt.ArrayLike,
        final: npt.ArrayLike,
        isymbols: Symbols | None = None,
        osymbols: Symbols | None = None,
    ) -> Fst:
        """Build a machine from parallel arrays of arcs, in any order.

        Parameters
        ----------
        start : int
        source, ilabel, olabel, weight, nextstate : array_like, shape (A,)
            Of one length; a lone number stands for all arcs.
        final : array_like, shape (n_states,)
            Final cost of each state, +inf where it is not final; its length is `n_states`.

        Raises
        ------
        GraphError
            Columns of unlike lengths; a state number is out of range, a label negative, above
            2^31 - 1 or not whole, or a cost NaN or -inf.
        """
        src = np.ascontiguousarray(_column(source, "source", np.int64))
        finals = np.ascontiguousarray(_column(final, "final", np.float64), dtype=np.float32)
        arcs = np.empty(len(src), dtype=ARC)
        for name, column in (
            ("ilabel", ilabel), ("olabel", olabel), ("weight", weight), ("nextstate", nextstate),
        ):  # fmt: skip
            wanted = np.dtype(np.float64) if name == "weight" else np.dtype(np.int32)
            values = as_numbers(column, name=name, dtype=wanted, error=GraphError)
            if values.shape not in ((), src.shape):
                raise GraphError("columns of unlike lengths", got=f"{name} of shape {values.shape}",
                                 expected=f"{src.shape}, as source has")  # fmt: skip
            arcs[name] = values
        n_states = len(finals)
        if len(src) and (src.min() < 0 or src.max() >= n_states):
            raise GraphError("an arc leaves a state that does not exist", got=int(src.max()),
                             expected=f"0 to {n_states - 1}")  # fmt: skip
        if not _in_order(src, arcs["ilabel"]):
            order = np.lexsort((arcs["ilabel"], src))
            arcs, src = arcs[order], src[order]
        return cls._of_sorted(start, src, arcs, finals, isymbols, osymbols)

    @classmethod
    def from_string(
        cls, text: str | Iterable[str], out: str | Iterable[str] | None = None, cost: float = 0.0
    ) -> Fst:
        """Return the machine of one sequence of symbols, in place of `out` if that is given.

        Parameters
        ----------
        text, out : str or iterable of str
            Symbols; a text is split where it has white space. The shorter side is filled up
            with epsilons.
        cost : float
            Nats, at the end.

        Examples
        --------
        >>> fst = Fst.from_string("HH AY", "hi")
        >>> fst, list(fst.isymbols), list(fst.osymbols)
        (Fst(3 states, 2 arcs, start 0), ['<eps>', 'HH', 'AY'], ['<eps>', 'hi'])
        """
        sides = [as_words(text), as_words(text if out is None else out)]
        tables = [Symbols(dict.fromkeys(side)) for side in sides]
        n = max(map(len, sides))
        ilabel, olabel = (
            [*table.ids(side), *[0] * (n - len(side))]
            for table, side in zip(tables, sides, strict=True)
        )
        return cls.from_arcs(0, range(n), ilabel, olabel, 0.0, range(1, n + 1),
                             [np.inf] * n + [cost], tables[0], tables[1])  # fmt: skip

    @classmethod
    def from_text(cls, text: str, *, acceptor: bool | None = None) -> Fst:
        r"""Return the machine that a text in the form of ``fstprint`` describes.

        See `fst.text.read_fst_text`.

        Examples
        --------
        >>> Fst.from_text("0 1 a b 0.5\n0 1 c d\n1")
        Fst(2 states, 2 arcs, start 0)
        """
        from wfst_hmm.fst.text import read_fst_text

        return read_fst_text(text.splitlines(), acceptor=acceptor)

    @classmethod
    def read(cls, path: str | Path) -> Fst:
        """Read an OpenFst file, binary or text, with the tables inside or beside it."""
        from wfst_hmm.fst.tables import read_any_fst

        return read_any_fst(path).fst

    @classmethod
    def from_pynini(cls, machine: Any) -> Fst:
        """Return a machine of pynini or pywrapfst, with the symbol tables that it carries.

        Raises
        ------
        GraphError
            It is no such machine.
        FormatError
            Its semiring is another than the standard one, or a table lacks a label.
        """
        from wfst_hmm.fst.binary import fst_of_bytes

        write = getattr(machine, "write_to_string", None)
        if write is None:
            raise GraphError("not a machine of pynini or pywrapfst", got=type(machine).__name__)
        return fst_of_bytes(write(), f"the {type(machine).__name__}")

    @classmethod
    def from_runs(
        cls,
        start: int,
        n_arcs: npt.ArrayLike,
        arcs: npt.NDArray[Any],
        final: npt.ArrayLike,
        isymbols: Symbols | None = None,
        osymbols: Symbols | None = None,
    ) -> Fst:
        """Build a machine from arcs that stand state by state already.

        Parameters
        ----------
        start : int
        n_arcs : array_like, shape (n_states,)
            Number of arcs of each state.
        arcs : ndarray of `ARC`, shape (A,)
            Sorted by state and input label, else they are copied into that order. The array
            becomes the machine's own and read-only.
        final : array_like, shape (n_states,)

        Raises
        ------
        GraphError
            As `from_arcs`; or `n_arcs` does not add up.
        """
        counts = _column(n_arcs, "n_arcs", np.int64)
        finals = np.ascontiguousarray(_column(final, "final", np.float64), dtype=np.float32)
        if len(counts) != len(finals) or counts.sum() != len(arcs):
            raise GraphError("the numbers of arcs do not add up", got=int(counts.sum()),
                             expected=len(arcs))  # fmt: skip
        src = np.repeat(np.arange(len(finals), dtype=np.int32), counts)
        if not _in_order(src, arcs["ilabel"]):
            arcs = arcs[np.lexsort((arcs["ilabel"], src))]
        return cls._of_sorted(start, src, arcs, finals, isymbols, osymbols)

    @classmethod
    def _of_sorted(
        cls,
        start: int,
        src: npt.NDArray[Any],
        arcs: npt.NDArray[Any],
        finals: npt.NDArray[np.float32],
        isymbols: Symbols | None,
        osymbols: Symbols | None,
    ) -> Fst:
        n_states = len(finals)
        states = np.zeros(n_states, dtype=STATE)
        states["final"] = finals
        counts = np.bincount(src, minlength=n_states)
        states["n_arcs"] = counts
        states["pos"] = np.cumsum(counts) - counts
        for name, labels in (("n_input_eps", "ilabel"), ("n_output_eps", "olabel")):
            states[name] = np.bincount(src[arcs[labels] == 0], minlength=n_states)
        fst = cls(int(start), _frozen(states), _frozen(arcs), isymbols, osymbols)
        fst.validate()
        return fst

    def validate(self, where: str | None = None) -> None:
        """Check ranges and counts; a `GraphError` says which state or arc is wrong."""
        n_states, n_arcs = self.n_states, self.n_arcs
        if not (-1 <= self.start < n_states) or (n_states > 0) != (self.start >= 0):
            raise GraphError("bad start state", where=where, got=self.start,
                             expected=f"0 to {n_states - 1}")  # fmt: skip
        counts = self.states["n_arcs"].astype(np.int64)
        if counts.sum() != n_arcs or np.any(self.states["pos"] != np.cumsum(counts) - counts):
            raise GraphError("arcs are not stored state by state", where=where)
        if np.isnan(self.states["final"]).any() or np.isneginf(self.states["final"]).any():
            raise GraphError("a final cost is NaN or -inf", where=where)
        if not n_arcs:
            return
        following = self.arcs["nextstate"]
        if following.min() < 0 or following.max() >= n_states:
            arc = int(np.argmax((following < 0) | (following >= n_states)))
            raise GraphError(f"arc {arc} leads to a state that does not exist", where=where,
                             got=int(following[arc]), expected=f"0 to {n_states - 1}")  # fmt: skip
        if self.arcs["ilabel"].min() < 0 or self.arcs["olabel"].min() < 0:
            raise GraphError("a label is negative", where=where, expected="0 (epsilon) or more")
        if np.isnan(self.arcs["weight"]).any() or np.isneginf(self.arcs["weight"]).any():
            raise GraphError("an arc's cost is NaN or -inf", where=where)

    def to_bytes(self) -> bytes:
        """Return the machine as a ``const`` FST, without symbol tables."""
        header = struct.pack("<i", _MAGIC)
        for text in (b"const", b"standard"):
            header += struct.pack("<i", len(text)) + text
        header += _HEADER_TAIL.pack(_VERSION, 0, _EXPANDED, self.start, self.n_states, self.n_arcs)
        return b"".join((header, self.states.tobytes(), self.arcs.tobytes()))

    def write(self, path: str | Path) -> None:
        """Write the machine as a ``const`` FST file that OpenFst and `Fst.map` read."""
        with atomic_file(path) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def from_bytes(
        cls,
        data: bytes | memoryview | mmap.mmap,
        isymbols: Symbols | None = None,
        osymbols: Symbols | None = None,
        *,
        where: str = "const FST",
    ) -> Fst:
        """View the bytes of a ``const`` FST as a machine, without copying.

        Only files without symbol tables inside are viewed (``flags & 3 == 0``), which is how
        `to_bytes` and ``fst.ops`` write them.

        Raises
        ------
        FormatError
            The bytes are not a whole ``const`` FST over the standard semiring.
        """
        start, n_states, n_arcs, aligned, at = _read_header(data, where)
        if aligned:
            at = -(-at // 16) * 16
        states_at, at = at, at + n_states * STATE.itemsize
        if aligned:
            at = -(-at // 16) * 16
        arcs_at, end = at, at + n_arcs * ARC.itemsize
        if len(data) != end:
            raise FormatError("wrong length for its header", where=where, got=f"{len(data)} bytes",
                              expected=f"{end} bytes", fix="The file is damaged: rebuild it.")  # fmt: skip
        states = np.frombuffer(data, dtype=STATE, count=n_states, offset=states_at)
        arcs = np.frombuffer(data, dtype=ARC, count=n_arcs, offset=arcs_at)
        return cls(start, _frozen(states), _frozen(arcs), isymbols, osymbols)

    @classmethod
    def map(
        cls,
        path: str | Path,
        isymbols: Symbols | None = None,
        osymbols: Symbols | None = None,
    ) -> Fst:
        """Map a ``const`` FST file into memory: no parsing, pages are read when touched."""
        try:
            with open(path, "rb") as stream:
                data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise FormatError(f"cannot be mapped ({error})", where=str(path)) from None
        return cls.from_bytes(data, isymbols, osymbols, where=str(path))


def _read_header(
    data: bytes | memoryview | mmap.mmap, where: str
) -> tuple[int, int, int, bool, int]:
    try:
        at = 0
        (magic,) = struct.unpack_from("<i", data, at)
        if magic != _MAGIC:
            raise FormatError("not an OpenFst file", where=where)
        at = 4
        names = []
        for _ in range(2):
            (length,) = struct.unpack_from("<i", data, at)
            if not 0 <= length <= 64:
                raise FormatError("not an OpenFst header", where=where)
            names.append(bytes(data[at + 4 : at + 4 + length]))
            at += 4 + length
        version, flags, _, start, n_states, n_arcs = _HEADER_TAIL.unpack_from(data, at)
        at += _HEADER_TAIL.size
    except struct.error:
        raise FormatError("ends inside its header", where=where) from None
    if names != [b"const", b"standard"] or flags & _HAS_SYMBOLS or version not in (1, 2):
        raise FormatError(
            "another kind of FST", where=where,
            got=f"{names[0].decode('ascii', 'replace')} over {names[1].decode('ascii', 'replace')}"
            f", version {version}, flags {flags}",
            expected="const over standard, without symbol tables",
            fix="Read it with wfst_hmm.fst.ops.read_fst.",
        )  # fmt: skip
    if min(n_states, n_arcs) < 0 or max(n_states, n_arcs) > len(data):
        raise FormatError("impossible counts in its header", where=where)
    return start, n_states, n_arcs, bool(flags & _ALIGNED) or version == 1, at


def _column(values: npt.ArrayLike, name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    column = as_numbers(values, name=name, dtype=dtype, error=GraphError)
    if column.ndim != 1:
        raise GraphError(f"{name} is no column of numbers", got=f"shape {column.shape}",
                         expected="(n,)")  # fmt: skip
    return column


def _in_order(source: npt.NDArray[Any], label: npt.NDArray[Any]) -> bool:
    same = source[1:] == source[:-1]
    later = source[1:] > source[:-1]
    return bool(np.all(later | (same & (label[1:] >= label[:-1]))))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
