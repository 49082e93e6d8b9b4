"""Arguments of the models, checked once, at the public edge.

In: what callers pass. Out: arrays of a known type and shape, or one error that names the
argument, what was got and what was expected.

Public names: `LEAST_FLOOR`, `as_frames`, `as_list`, `as_path`, `as_probabilities`, `as_sequences`, `as_states`,
`as_symbols`, `check_options`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_numbers
from wfst_hmm.errors import DataError, ModelError, UsageError, WfstHmmError

__all__ = [
    "LEAST_FLOOR",
    "as_frames",
    "as_list",
    "as_path",
    "as_probabilities",
    "as_sequences",
    "as_states",
    "as_symbols",
    "check_options",
]

#: Smallest floor of variances, as a share of the data's: below it, float64 sums have no digits left.
LEAST_FLOOR = 1e-12
_LARGEST = 1e150  # its square is still a float64
_LARGEST_SINGLE = 1e15  # its square, over a small variance, is still a float32
_TOLERANCE = 1e-6


def as_frames(
    data: npt.ArrayLike,
    n_dims: int | None = None,
    *,
    name: str = "data",
    dtype: type[np.float32] | type[np.float64] = np.float64,
    allow_empty: bool = False,
) -> npt.NDArray[Any]:
    """Return `data` as a C-contiguous array of finite numbers, shape (N, D).

    Raises
    ------
    DataError
        Not two-dimensional, without rows, of another dimension than `n_dims`, or an entry is
        NaN, infinite or too large to square (its frame and dimension are named).
    """
    given = as_numbers(data, name=name, dtype=dtype)
    if given.ndim != 2:
        raise DataError(f"{name} must have two dimensions", got=f"shape {given.shape}",
                        expected="one row a frame: (N, D)")  # fmt: skip
    array = np.ascontiguousarray(given)
    if n_dims is not None and array.shape[1] != n_dims:
        raise DataError(f"{name} has the wrong number of dimensions", got=f"D = {array.shape[1]}",
                        expected=f"D = {n_dims}")  # fmt: skip
    if array.shape[1] == 0 or (array.shape[0] == 0 and not allow_empty):
        raise DataError(f"{name} is empty", got=f"shape {array.shape}",
                        expected="at least one frame")  # fmt: skip
    largest = _LARGEST if dtype is np.float64 else _LARGEST_SINGLE
    if not _all_within(array.reshape(-1), largest):
        frame, dim = (int(i) for i in np.argwhere(~(np.abs(array) <= largest))[0])
        raise DataError(f"{name}: frame {frame}, dimension {dim} is not usable",
                        got=array[frame, dim], expected=f"a finite number below {largest:g}")  # fmt: skip
    return array


@numba.njit(cache=True, nogil=True)
def _all_within(values, largest):  # type: ignore[no-untyped-def]
    """Tell whether no value is NaN or beyond +-largest; one pass without a temporary."""
    n_good = 0
    for value in values:
        n_good += abs(value) <= largest  # no early way out: this form is vectorized
    return n_good == len(values)


def as_list(sequences: Any, n_axes: int, *, name: str = "sequences") -> list[Any]:
    """Return sequences as a list, whatever holds them: a list, a generator, an array of objects.

    Parameters
    ----------
    sequences : iterable of array_like
        Or one array with an axis more than `n_axes`: sequences of equal length.
    n_axes : int
        Of one sequence.

    Raises
    ------
    DataError
        There is no sequence, or one sequence was given for a list of them.
    """
    array = np.asarray(sequences) if isinstance(sequences, np.ndarray) else None
    stacked = array is not None and array.ndim == n_axes + 1
    if array is not None and not stacked and not (array.dtype.kind == "O" and array.ndim == 1):
        raise DataError(f"{name} must be a list with one array a sequence",
                        got=f"an array of shape {array.shape}", fix="Write [array].")  # fmt: skip
    if isinstance(sequences, (str, bytes, Mapping)) or not isinstance(sequences, Iterable):
        raise DataError(f"{name} must be a list with one array a sequence",
                        got=type(sequences).__name__)  # fmt: skip
    found = list(sequences if array is None else array)
    if not found:
        raise DataError(f"{name} is empty", expected="a list with at least one sequence")
    if isinstance(found[0], Number):
        raise DataError(f"{name} must be a list with one array a sequence",
                        got=f"a list of {type(found[0]).__name__}", fix="Write [sequence].")  # fmt: skip
    return found


def as_sequences(
    sequences: Iterable[npt.ArrayLike],
    n_dims: int | None = None,
    *,
    name: str = "sequences",
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Lay sequences (T_k, D) one after another.

    Returns
    -------
    frames : ndarray of float64, shape (N, D)
    bounds : ndarray of int64, shape (K + 1,)
        Sequence k is ``frames[bounds[k] : bounds[k + 1]]``.

    Raises
    ------
    DataError
        The list is empty, or a sequence is wrong as in `as_frames`; it is named.
    """
    arrays = [s if type(s) is np.ndarray and s.dtype.kind == "f" else as_frames(
        s, name=f"{name}[{k}]") for k, s in enumerate(as_list(sequences, 2, name=name))]  # fmt: skip
    wanted = n_dims if n_dims is not None or arrays[0].ndim != 2 else arrays[0].shape[1]
    good = all(a.ndim == 2 and a.shape[0] > 0 and a.shape[1] == wanted for a in arrays)
    if good:
        frames = np.concatenate(arrays, dtype=np.float64)
        if wanted and _all_within(frames.reshape(-1), _LARGEST):
            return frames, np.cumsum([0, *map(len, arrays)])
    for index, array in enumerate(arrays):  # something is wrong: say where
        as_frames(array, wanted, name=f"{name}[{index}]")
    raise DataError(f"{name} cannot be used")


def as_symbols(
    observations: npt.ArrayLike, n_symbols: int, *, name: str = "observations"
) -> npt.NDArray[np.int64]:
    """Return symbol numbers as a row, shape (T,).

    Parameters
    ----------
    observations : array_like, shape (T,) or (T, 1)
        Integers, or floats that are whole.
    n_symbols : int

    Raises
    ------
    DataError
        No such row, or a number below 0 or not below `n_symbols` (its place is named).
    """
    symbols = as_numbers(observations, name=name, dtype=np.int64)
    if symbols.ndim == 2 and symbols.shape[1] == 1:
        symbols = symbols[:, 0]
    if symbols.ndim != 1 or not len(symbols):
        raise DataError(f"{name} must be a row of symbol numbers", got=f"shape {symbols.shape}",
                        expected="(T,) or (T, 1) with T > 0")  # fmt: skip
    return _within(symbols, n_symbols, f"{name}[{{}}] is no symbol", DataError)


def as_states(
    states: npt.ArrayLike, n_states: int, *, name: str = "states"
) -> npt.NDArray[np.int64]:
    """Return numbers of states, shape (n,); a `ModelError` where there is no such state."""
    chosen = as_numbers(states, name=name, dtype=np.int64, error=ModelError)
    if chosen.ndim != 1:
        raise ModelError(f"{name} must be a row of numbers", got=f"shape {chosen.shape}")
    return _within(chosen, n_states, f"no such state: {name}[{{}}]", ModelError)


def as_path(states: npt.ArrayLike, n_frames: int, n_states: int) -> npt.NDArray[np.int64]:
    """Return the state of every frame, shape (T,); negative ones mean none.

    Raises
    ------
    DataError
        Another number of states than of frames, or a state that there is not.
    """
    path = np.ascontiguousarray(as_numbers(states, name="states", dtype=np.int64))
    if path.shape != (n_frames,):
        raise DataError("one state a frame is needed", got=f"{path.shape} states",
                        expected=f"({n_frames},)")  # fmt: skip
    if path.max(initial=-1) >= n_states:
        raise DataError("no such state", got=int(path.max()), expected=f"below {n_states}")
    return path


def _within(
    values: npt.NDArray[np.int64], n: int, what: str, error: type[WfstHmmError]
) -> npt.NDArray[np.int64]:
    if len(values) and not 0 <= values.min() <= values.max() < n:
        at = int(np.argmax((values < 0) | (values >= n)))
        raise error(what.format(at), got=values[at], expected=f"0 to {n - 1}")
    return values


def as_probabilities(
    values: npt.ArrayLike, shape: tuple[int, ...], *, name: str, normalized: bool = True
) -> npt.NDArray[np.float64]:
    """Return a copy of `values` as probabilities whose last axis sums to one.

    Parameters
    ----------
    values : array_like
    shape : tuple of int
        The shape wanted; -1 matches any length.
    name : str
        For messages.
    normalized : bool
        False: any non-negative numbers will do.

    Raises
    ------
    ModelError
        Wrong shape, a negative or non-finite entry, or a row that does not sum to one (the row
        and its sum are named).
    """
    array = np.array(as_numbers(values, name=name, error=ModelError))
    if array.ndim != len(shape) or any(
        want not in (-1, have) for want, have in zip(shape, array.shape, strict=False)
    ):
        wanted = ", ".join("any" if n == -1 else str(n) for n in shape)
        raise ModelError(f"{name} has the wrong shape", got=array.shape, expected=f"({wanted})")
    if array.size == 0:
        raise ModelError(f"{name} is empty", got=array.shape)
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ModelError(f"{name}{list(index)} is no probability", got=array[index],
                         expected="a finite number >= 0")  # fmt: skip
    if normalized:
        sums = array.sum(axis=-1)
        off = np.abs(sums - 1.0) > _TOLERANCE
        if off.any():
            row = int(np.argwhere(np.atleast_1d(off))[0][0])
            which = f"row {row} of {name}" if array.ndim > 1 else name
            raise ModelError(f"{which} does not sum to 1", got=np.atleast_1d(sums)[row],
                             expected="1 within 1e-6")  # fmt: skip
    return array


def check_options(cvtype: str, floor: float, **sizes: int) -> None:
    """Raise a `UsageError` for options that no Gaussian mixture could have.

    Parameters
    ----------
    cvtype : str
        ``"diag"`` or ``"full"``.
    floor : float
        Share of the data's variance, at least `LEAST_FLOOR` and below 1.
    **sizes : int
        Numbers that must be positive, by their names.
    """
    for name, value in sizes.items():
        if value < 1:
            raise UsageError(f"{name} must be positive", got=value)
    if cvtype not in ("diag", "full"):
        raise UsageError("unknown kind of covariance", got=repr(cvtype),
                         expected="'diag' or 'full'")  # fmt: skip
    if not LEAST_FLOOR <= floor < 1:
        raise UsageError("floor out of range", got=floor,
                         expected=f"a share of the data's variance, {LEAST_FLOOR:g} or more and below 1")  # fmt: skip
