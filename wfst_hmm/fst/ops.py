"""The algebra of weighted transducers: the one place that calls OpenFst.

In: `Fst` values. Out: new `Fst` values; nothing is changed in place. What OpenFst would only
report on the C++ error stream is checked here first and raised as a `GraphError`.

Public names: `Path`, `to_openfst`, `from_openfst`, `compose`, `determinize`, `minimize`,
`remove_epsilons`, `project`, `invert`, `union`, `concat`, `closure`, `reverse`, `connect`,
`arcsort`, `relabel`, `push_weights`, `shortest_path`, `best_path`, `shortest_distance`,
`equivalent`, `is_acyclic`, `is_deterministic`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import pywrapfst

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.cycles import negative_cycle
from wfst_hmm.fst.determinize import determinize_transducer
from wfst_hmm.fst.distance import log_distance
from wfst_hmm.fst.symbols import BACKOFF, Symbols

__all__ = [
    "MAX_STATES",
    "Path",
    "arcsort",
    "best_path",
    "closure",
    "compose",
    "concat",
    "connect",
    "determinize",
    "equivalent",
    "from_openfst",
    "invert",
    "is_acyclic",
    "is_deterministic",
    "minimize",
    "project",
    "push_weights",
    "relabel",
    "remove_epsilons",
    "reverse",
    "shortest_distance",
    "shortest_path",
    "to_openfst",
    "union",
]

#: States that `determinize` may make before it gives up.
MAX_STATES = 100_000_000

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Path(NamedTuple):
    """One path through a transducer, epsilons left out of the labels."""

    ilabels: npt.NDArray[np.int32]
    olabels: npt.NDArray[np.int32]
    cost: float


def _guarded(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn what OpenFst still complains about into a `GraphError`."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (pywrapfst.FstOpError, pywrapfst.FstArgError, pywrapfst.FstIOError) as error:
            raise GraphError(
                f"OpenFst could not {function.__name__} ({error})",
                fix="The reason stands on the error stream above.",
            ) from None

    return call


def to_openfst(
    fst: Fst, *, semiring: Literal["standard", "log"] = "standard", mutable: bool = False
) -> Any:
    """Return `fst` as a pywrapfst ``const`` FST (or a mutable ``vector`` one), without symbols.

    Parameters
    ----------
    fst : Fst
    semiring : {"standard", "log"}
        OpenFst's arc type: ``standard`` is the tropical semiring.
    mutable : bool
    """
    data = fst.to_bytes()
    if semiring == "log":
        data = data.replace(b"\x08\0\0\0standard", b"\x03\0\0\0log", 1)
    made = pywrapfst.Fst.read_from_string(data)
    return pywrapfst.convert(made, "vector") if mutable else made


def from_openfst(
    machine: Any, isymbols: Symbols | None = None, osymbols: Symbols | None = None
) -> Fst:
    """Return a pywrapfst FST over the tropical semiring as an `Fst`, arcs sorted by input.

    Symbol tables inside `machine` are left behind: labels mean what `isymbols` and `osymbols`
    say.
    """
    if machine.arc_type() != "standard":
        raise GraphError("an FST over another semiring", got=machine.arc_type(),
                         expected="standard (tropical)")  # fmt: skip
    sorted_already = machine.properties(pywrapfst.FstProperties.I_LABEL_SORTED, True)
    symbols = machine.input_symbols() is not None or machine.output_symbols() is not None
    if symbols or not sorted_already:
        machine = pywrapfst.convert(machine, "vector")
        machine.set_input_symbols(None)
        machine.set_output_symbols(None)
        if not sorted_already:
            machine.arcsort("ilabel")
    if machine.fst_type() != "const":
        machine = pywrapfst.convert(machine, "const")
    return Fst.from_bytes(machine.write_to_string(), isymbols, osymbols)


def _same_symbols(
    first: Symbols | None, second: Symbols | None, what: str, names: tuple[str, str]
) -> None:
    if first is None or second is None or first == second:
        return
    only = next((s for s in first if s not in second), None) or next(
        (s for s in second if s not in first), None
    )
    raise GraphError(
        f"cannot {what}: the {names[0]} and the {names[1]} use unlike symbol tables",
        got=f"{first!r} and {second!r}"
        + (f"; {only!r} is in one only" if only else "; the same symbols in another order"),
        fix="Build both over one table.",
    )


def _read_by_name(second: Fst, first: Fst) -> Fst:
    """Return `second` with inputs numbered as `first` numbers its outputs."""
    ours, theirs = first.osymbols, second.isymbols
    if ours is None or theirs is None:
        return second
    label = np.arange(len(theirs))
    if ours != theirs:
        common = [symbol for symbol in theirs if symbol in ours]
        if len(common) < 2 and len(ours) > 1 and len(theirs) > 1:  # epsilon is in both
            _same_symbols(ours, theirs, "compose",
                          ("first machine's outputs", "second one's inputs"))  # fmt: skip
        table = ours.extended(theirs)
        label = np.array([table.id(symbol) for symbol in theirs])
    if BACKOFF in theirs:
        number = ours.id(BACKOFF) if BACKOFF in ours else -1
        if not np.any(first.arcs["olabel"] == number):
            label[theirs.id(BACKOFF)] = 0
    if np.array_equal(label, np.arange(len(theirs))):
        return second
    return relabel(second, dict(enumerate(label.tolist())), isymbols=ours)


@_guarded
def compose(first: Fst, second: Fst) -> Fst:
    """Return ``first ∘ second``: outputs of the first read as inputs of the second.

    Only states on a successful path are kept, so an empty result has no states. Where both tables
    in the middle are given, labels are matched by name. A backoff arc ``#0`` of the second machine
    is an epsilon where the first one never writes ``#0``.

    Raises
    ------
    GraphError
        The tables in the middle have not one symbol in common.
    """
    second = _read_by_name(second, first)
    made = pywrapfst.compose(to_openfst(first), to_openfst(second))
    return from_openfst(made, first.isymbols, second.osymbols)


@_guarded
def determinize(fst: Fst, *, max_states: int = MAX_STATES, delta: float = 1e-6) -> Fst:
    """Return an equivalent machine in which no state has two arcs with one input label.

    Epsilon is treated like any other label; remove epsilons first where that matters. The
    machine must be functional (one output for each input) and must have the twins property.

    Parameters
    ----------
    fst : Fst
    max_states : int
        Give up, with a `GraphError`, once the result has more states: a machine that cannot be
        determinized would otherwise grow for ever.
    delta : float
        Residual costs closer than this count as equal.

    Notes
    -----
    Mohri (1997), "Finite-state transducers in language and speech processing".
    """
    machine = to_openfst(fst)
    acceptor = machine.properties(pywrapfst.FstProperties.ACCEPTOR, True)
    if not acceptor and not is_acyclic(fst):
        _no_negative_cycle(fst)
        return determinize_transducer(fst, max_states=max_states, delta=delta)
    if acceptor and not is_acyclic(fst):
        _no_negative_cycle(fst)
        # Acceptors can be determinized on the fly under a limit: it shows as a full result.
        made = pywrapfst.determinize(machine, delta=delta, nstate=max_states + 1)
    else:
        try:
            made = pywrapfst.determinize(machine, delta=delta)
        except pywrapfst.FstOpError:  # no function; the slower way shows two paths
            return determinize_transducer(fst, max_states=max_states, delta=delta)
    if made.num_states() > max_states:
        raise GraphError(
            "determinization exceeds its budget of states", expected=f"at most {max_states}",
            fix="Two paths may read the same input at unlike costs for ever; add disambiguation"
            " symbols, or raise max_states.",
        )  # fmt: skip
    found = from_openfst(made, fst.isymbols, fst.osymbols)
    if acceptor or is_deterministic(found):
        return found
    # OpenFst wrote what an end owes on an arc that reads nothing, beside another such arc.
    return determinize_transducer(fst, max_states=max_states, delta=delta)


@_guarded
def minimize(fst: Fst, *, delta: float = 1e-6, encode_weights: bool = True) -> Fst:
    """Return an equivalent deterministic machine with as few states as its labels allow.

    Parameters
    ----------
    fst : Fst
        Deterministic on its input side; checked.
    encode_weights : bool
        Take (input, output, cost) as one symbol, so that costs and outputs stay on the arcs
        where they are: no pushing. Otherwise OpenFst pushes both towards the start first.
    """
    machine = to_openfst(fst, mutable=True)
    if encode_weights:
        mapper = pywrapfst.EncodeMapper(machine.arc_type(), encode_labels=True, encode_weights=True)
        machine.encode(mapper)
        # Deterministic in (input, output, cost) follows from deterministic in input alone; a
        # machine that is neither is minimized as far as its arcs allow.
        machine.minimize(delta=delta, allow_nondet=True)
        machine.decode(mapper)
    else:
        if not is_deterministic(fst):
            raise GraphError("minimize needs a machine deterministic on its input side",
                             fix="Call determinize first.")  # fmt: skip
        machine.minimize(delta=delta)
    return from_openfst(machine, fst.isymbols, fst.osymbols)


@_guarded
def remove_epsilons(fst: Fst) -> Fst:
    """Return an equivalent machine without arcs that are epsilon on both sides."""
    machine = to_openfst(fst, mutable=True)
    _no_negative_cycle(fst, epsilon_only=True)
    machine.rmepsilon()
    return from_openfst(machine, fst.isymbols, fst.osymbols)


@_guarded
def project(fst: Fst, side: Literal["input", "output"]) -> Fst:
    """Return the acceptor of the input or output side."""
    if side not in ("input", "output"):
        raise GraphError("unknown side", got=side, expected="input or output")
    machine = to_openfst(fst, mutable=True)
    machine.project(side)
    symbols = fst.isymbols if side == "input" else fst.osymbols
    return from_openfst(machine, symbols, symbols)


@_guarded
def invert(fst: Fst) -> Fst:
    """Return the machine with its two sides exchanged."""
    machine = to_openfst(fst, mutable=True)
    machine.invert()
    return from_openfst(machine, fst.osymbols, fst.isymbols)


@_guarded
def union(first: Fst, *others: Fst) -> Fst:
    """Return the machine that does what any one of the given machines does."""
    for other in others:
        _both_sides_agree(first, other, "unite")
    machine = to_openfst(first, mutable=True)
    machine.union(*(to_openfst(other) for other in others))
    return from_openfst(machine, first.isymbols, first.osymbols)


@_guarded
def concat(first: Fst, second: Fst) -> Fst:
    """Return the machine that does the first and then the second."""
    _both_sides_agree(first, second, "concatenate")
    machine = to_openfst(first, mutable=True)
    machine.concat(to_openfst(second))
    return from_openfst(machine, first.isymbols, first.osymbols)


@_guarded
def closure(fst: Fst, kind: Literal["star", "plus"] = "star") -> Fst:
    """Return the machine that does `fst` any number of times (``plus``: at least once)."""
    machine = to_openfst(fst, mutable=True)
    machine.closure(kind)
    return from_openfst(machine, fst.isymbols, fst.osymbols)


@_guarded
def reverse(fst: Fst) -> Fst:
    """Return the machine that reads every path backwards."""
    return from_openfst(pywrapfst.reverse(to_openfst(fst)), fst.isymbols, fst.osymbols)


@_guarded
def connect(fst: Fst) -> Fst:
    """Return the machine without states that lie on no successful path."""
    machine = to_openfst(fst, mutable=True)
    machine.connect()
    return from_openfst(machine, fst.isymbols, fst.osymbols)


@_guarded
def arcsort(fst: Fst) -> Fst:
    """Return the machine with the arcs of every state sorted by (input, output) label."""
    machine = to_openfst(fst, mutable=True)
    machine.arcsort("ilabel")
    return from_openfst(machine, fst.isymbols, fst.osymbols)


def relabel(
    fst: Fst,
    inputs: Mapping[int, int] | None = None,
    outputs: Mapping[int, int] | None = None,
    *,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
) -> Fst:
    """Return the machine with labels renamed; those not mentioned stay as they are.

    Parameters
    ----------
    fst : Fst
    inputs, outputs : mapping from old to new labels, optional
    isymbols, osymbols : Symbols, optional
        The tables of the new labels; by default the machine's own.
    """
    columns = {}
    for side, mapping in (("ilabel", inputs), ("olabel", outputs)):
        labels = fst.arcs[side]
        if mapping and len(labels):
            table = np.arange(max(int(labels.max()), *mapping) + 1, dtype=np.int32)
            table[list(mapping)] = list(mapping.values())
            labels = table[labels]
        columns[side] = labels
    return Fst.from_arcs(
        fst.start, fst.sources(), columns["ilabel"], columns["olabel"], fst.arcs["weight"],
        fst.arcs["nextstate"], fst.states["final"],
        isymbols or fst.isymbols, osymbols or fst.osymbols,
    )  # fmt: skip


@_guarded
def push_weights(
    fst: Fst,
    *,
    to: Literal["initial", "final"] = "initial",
    semiring: Literal["standard", "log"] = "standard",
) -> Fst:
    """Return an equivalent machine whose costs come as early (or as late) as they can.

    With ``semiring="log"`` the probabilities out of every state sum to one afterwards (but for
    the machine's total, which the start pays); with the tropical one the cheapest way on costs
    nothing.

    Parameters
    ----------
    fst : Fst
    to : {"initial", "final"}
    semiring : {"standard", "log"}

    Raises
    ------
    GraphError
        A cycle of negative cost; in the log semiring, one around which the sum diverges.
    """
    if to not in ("initial", "final"):
        raise GraphError("unknown end", got=to, expected="initial or final")
    if semiring == "log":
        return _reweighted(fst, shortest_distance(fst, semiring="log", reverse=to == "initial"), to)
    _no_negative_cycle(fst)
    machine = to_openfst(fst, mutable=True)
    kind: Any = f"to_{to}"
    machine = pywrapfst.push(machine, push_weights=True, reweight_type=kind)
    return from_openfst(machine, fst.isymbols, fst.osymbols)


def _reweighted(fst: Fst, potential: npt.NDArray[np.float64], to: str) -> Fst:
    """Move the cost `potential` (S,) of each state over it, towards the start or the end.

    Notes
    -----
    Mohri, Pereira & Riley (2008), section 3.4. What is left at the start is put on its arcs and
    end; where arcs lead back to it, they must not pay it again: a new start does.
    """
    if not fst.n_states:
        return fst
    shift = np.where(np.isfinite(potential), potential, 0.0) * (1.0 if to == "initial" else -1.0)
    source, target = fst.sources(), fst.arcs["nextstate"]
    weight = fst.arcs["weight"] + shift[target] - shift[source]
    final = fst.states["final"] - shift
    left = float(shift[fst.start])
    ilabel, olabel = fst.arcs["ilabel"], fst.arcs["olabel"]
    start = fst.start
    if np.any(target == start) and abs(left) > 1e-9:
        start, final = fst.n_states, np.append(final, np.inf)
        source, target = np.append(source, start), np.append(target, fst.start)
        ilabel, olabel, weight = np.append(ilabel, 0), np.append(olabel, 0), np.append(weight, left)
    else:
        weight[source == start] += left
        final[start] += left
    return Fst.from_arcs(start, source, ilabel, olabel, weight, target, final,
                         fst.isymbols, fst.osymbols)  # fmt: skip


@_guarded
def shortest_path(fst: Fst, n: int = 1, *, unique: bool = False) -> Fst:
    """Return the machine of the `n` cheapest paths.

    Parameters
    ----------
    fst : Fst
    n : int
    unique : bool
        Count each label sequence once. Needs an acceptor, whose epsilons are removed and which
        is determinized on the way.
    """
    if n < 1:
        raise GraphError("the number of paths must be positive", got=n)
    if unique and not np.array_equal(fst.arcs["ilabel"], fst.arcs["olabel"]):
        raise GraphError("unique paths are counted on an acceptor", fix="Project it first.")
    _no_negative_cycle(fst)
    if unique and np.any(fst.arcs["ilabel"] == 0):
        fst = remove_epsilons(fst)  # OpenFst would tell "a" and "epsilon a" apart
    made = pywrapfst.shortestpath(to_openfst(fst), nshortest=n, unique=unique)
    return from_openfst(made, fst.isymbols, fst.osymbols)


def best_path(fst: Fst) -> Path | None:
    """Return the cheapest path, None when the machine accepts nothing."""
    line = shortest_path(fst)
    if line.start < 0:
        return None
    state, cost = line.start, 0.0
    ilabels, olabels = [], []
    while line.states["n_arcs"][state]:
        arc = line.arcs_of(state)[0]
        ilabels.append(int(arc["ilabel"]))
        olabels.append(int(arc["olabel"]))
        cost += float(arc["weight"])
        state = int(arc["nextstate"])
    cost += float(line.states["final"][state])
    both = [np.array([label for label in side if label], np.int32) for side in (ilabels, olabels)]
    return Path(both[0], both[1], cost)


@_guarded
def shortest_distance(
    fst: Fst, *, semiring: Literal["standard", "log"] = "standard", reverse: bool = False
) -> npt.NDArray[np.float64]:
    """Return the total cost of all ways from the start to each state.

    Parameters
    ----------
    fst : Fst
    semiring : {"standard", "log"}
        ``standard``: the cheapest way. ``log``: minus the logarithm of the summed probabilities.
    reverse : bool
        From each state to the end instead, final costs included.

    Returns
    -------
    ndarray of float64, shape (n_states,)
        +inf where there is no way.

    Raises
    ------
    GraphError
        A cycle makes the sum diverge.
    """
    if not fst.n_states:
        return np.zeros(0)
    _no_negative_cycle(fst)
    weights = pywrapfst.shortestdistance(to_openfst(fst), reverse=reverse)
    found = np.full(fst.n_states, np.inf)
    # OpenFst's list ends at the last state that it reached.
    found[: len(weights)] = [float(weight) for weight in weights]
    return found if semiring == "standard" else log_distance(fst, found, reverse=reverse)


@_guarded
def equivalent(first: Fst, second: Fst, *, delta: float = 1e-3, max_states: int = 1 << 20) -> bool:
    """Tell whether two machines give every sequence of (input, output) pairs the same cost.

    Epsilons on both sides are ignored. Two transducers that pair the same strings in unlike
    alignments are *not* equivalent in this sense.
    """
    _both_sides_agree(first, second, "compare")
    pairs = [
        fst.arcs["ilabel"].astype(np.int64) << 32 | fst.arcs["olabel"] for fst in (first, second)
    ]
    table = np.unique(np.concatenate([np.zeros(1, np.int64), *pairs]))  # 0: both epsilon
    machines = []
    for fst, pair in zip((first, second), pairs, strict=True):
        label = np.searchsorted(table, pair)
        plain = Fst.from_arcs(
            fst.start, fst.sources(), label, label, fst.arcs["weight"], fst.arcs["nextstate"],
            fst.states["final"],
        )  # fmt: skip
        plain = determinize(remove_epsilons(plain), max_states=max_states)
        machines.append(plain)
    if not all(machine.n_states for machine in machines):
        return not any(machine.n_states for machine in machines)
    left, right = (to_openfst(machine) for machine in machines)
    return bool(pywrapfst.equivalent(left, right, delta=delta))


def _both_sides_agree(first: Fst, second: Fst, what: str) -> None:
    names = ("first machine", "second one")
    _same_symbols(first.isymbols, second.isymbols, what, names)
    _same_symbols(first.osymbols, second.osymbols, what, names)


def is_acyclic(fst: Fst) -> bool:
    """Tell whether no state can be reached from itself."""
    return bool(to_openfst(fst).properties(pywrapfst.FstProperties.ACYCLIC, True))


def is_deterministic(fst: Fst) -> bool:
    """Tell whether no state has two arcs with the same input label (epsilon counts as one)."""
    source, label = fst.sources(), fst.arcs["ilabel"]
    return not bool(np.any((source[1:] == source[:-1]) & (label[1:] == label[:-1])))


def _no_negative_cycle(fst: Fst, *, epsilon_only: bool = False) -> None:
    keep = np.ones(fst.n_arcs, dtype=bool)
    if epsilon_only:
        keep = (fst.arcs["ilabel"] == 0) & (fst.arcs["olabel"] == 0)
    if not np.any(fst.arcs["weight"][keep] < 0) or is_acyclic(fst):
        return
    cycle = negative_cycle(
        fst.n_states, fst.sources()[keep], fst.arcs["nextstate"][keep], fst.arcs["weight"][keep]
    )
    if cycle is not None:
        raise GraphError(
            "a cycle of negative cost makes every path through it endlessly cheap",
            got="states " + " -> ".join(map(str, cycle[:12])),
            fix="Probabilities above one? Costs are minus logarithms and may not sum below zero"
            " around a cycle.",
        )
