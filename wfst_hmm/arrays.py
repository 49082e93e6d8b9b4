"""The public edge: what callers give becomes plain numbers, words, paths, or one clear error.

In: anything array-like: lists, generators, columns, subclasses of numpy's arrays; words, paths,
or several of them. Out: plain arrays of a known type; lists of words and paths; values whose
arrays stay read-only after a copy.

Public names: `Frozen`, `as_numbers`, `as_paths`, `as_words`, `brief`, `read_only`.
"""

from __future__ import annotations

import dataclasses
import datetime
import numbers
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, WfstHmmError

__all__ = ["Frozen", "as_numbers", "as_paths", "as_words", "brief", "read_only"]

_LONGEST = 60  # characters of a part in `brief`
#: kinds of numpy's types that are no numbers to us, by what they are
_FOREIGN = {
    "c": "complex numbers", "M": "dates", "m": "time differences", "U": "text", "S": "text",
    "V": "records",
}  # fmt: skip


def as_numbers(
    values: Any,
    *,
    name: str,
    dtype: npt.DTypeLike = np.float64,
    error: type[WfstHmmError] = DataError,
) -> npt.NDArray[Any]:
    """Return `values` as a plain array of numbers of `dtype`; not copied where it is one.

    Truth values count as 0 and 1, matrices and other subclasses as the arrays they hold, a
    generator as the list of what it gives. For an integer `dtype`, floats are taken when all are
    whole numbers.

    Parameters
    ----------
    values : array_like, or an iterator
    name : str
        For messages.
    dtype : dtype
        Floating or integer.
    error : type of error

    Raises
    ------
    WfstHmmError
        Of type `error`: rows of unlike lengths, text (digits too), complex numbers, dates,
        masked entries; or, for an integer `dtype`, a number that is not whole or does not fit.

    Examples
    --------
    >>> as_numbers((n * n for n in range(4)), name="squares", dtype=int)
    array([0, 1, 4, 9])
    >>> as_numbers(["1", "2"], name="digits")
    Traceback (most recent call last):
    wfst_hmm.errors.DataError: digits is no array of numbers: it holds text; got dtype <U1, expected numbers
    """
    wanted = np.dtype(dtype)
    if type(values) is np.ndarray and values.dtype == wanted:
        return np.asarray(values)  # the usual case costs nothing
    if isinstance(values, Iterator):
        values = list(values)
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        at = [int(i) for i in np.argwhere(np.ma.getmaskarray(values))[0]]
        raise error(f"{name}{at} is masked", expected="numbers in every place",
                    fix="Fill the masked entries, or leave their rows out.")  # fmt: skip
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            array = _of_objects(array, name, error)
        foreign = _FOREIGN.get(array.dtype.kind)
        if foreign is not None:
            raise error(
                f"{name} is no array of numbers: it holds {foreign}",
                got=f"dtype {array.dtype}",
                expected="numbers",
            )
        if wanted.kind in "iu":
            _check_whole(array, wanted, name, error)
        return array.astype(wanted, copy=False)
    except (TypeError, ValueError, RuntimeError, OverflowError) as problem:
        raise error(f"{name} is no array of numbers ({problem})") from None


def _of_objects(
    array: npt.NDArray[Any], name: str, error: type[WfstHmmError]
) -> npt.NDArray[np.float64]:
    """Return the numbers of an array of Python objects; numpy alone would take "3" for one."""
    for item in array.flat:
        if isinstance(item, (str, bytes)):
            raise error(
                f"{name} is no array of numbers: it holds text",
                got=repr(item)[:40],
                expected="numbers",
            )
        if isinstance(item, (datetime.date, datetime.time, datetime.timedelta)):
            raise error(
                f"{name} is no array of numbers: it holds dates", got=repr(item), expected="numbers"
            )
        if isinstance(item, numbers.Complex) and not isinstance(item, numbers.Real):
            raise error(
                f"{name} is no array of numbers: it holds complex numbers",
                got=repr(item),
                expected="numbers",
            )
    return array.astype(np.float64)


def _check_whole(
    array: npt.NDArray[Any], wanted: np.dtype[Any], name: str, error: type[WfstHmmError]
) -> None:
    """Raise when a number is not whole, or beyond what `wanted` holds."""
    if array.dtype.kind == "b" or not array.size or array.dtype == wanted:
        return
    limits = np.iinfo(wanted)
    if array.dtype.kind != "f" and limits.min <= array.min() <= array.max() <= limits.max:
        return
    with np.errstate(invalid="ignore"):
        # the upper limit as a float is one more than the limit itself: hence "less than"
        fits = (array >= limits.min) & (array < float(limits.max) + (limits.max < 1 << 53))
        whole = fits & (array == np.floor(array)) if array.dtype.kind == "f" else fits
    if not whole.all():
        at = tuple(int(i) for i in np.argwhere(~whole)[0])
        place = f"{name}{list(at)}" if at else name
        if fits[at] or not np.isfinite(array[at]):
            raise error(f"{place} is no whole number", got=array[at], expected="integers")
        raise error(f"{place} is out of range", got=array[at],
                    expected=f"{limits.min} to {limits.max}")  # fmt: skip


def as_words(words: str | Iterable[str]) -> list[str]:
    """Return words as a list: a text is split where it has white space, never into letters.

    Examples
    --------
    >>> as_words("one two"), as_words(("one two", "three"))
    (['one', 'two'], ['one two', 'three'])
    """
    return words.split() if isinstance(words, str) else list(words)


def as_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return paths as a list; one path is a list of one.

    Examples
    --------
    >>> [path.name for path in as_paths("in/a.wav")], as_paths([])
    (['a.wav'], [])
    """
    if isinstance(paths, (str, os.PathLike)):
        return [Path(paths)]
    return [Path(path) for path in paths]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of `array` that cannot be written to; the caller's own stays as it is."""
    view: npt.NDArray[Any] = array.view()
    view.flags.writeable = False
    return view


def brief(self: Any) -> str:
    """Represent a value in a line: kinds and shapes of its arrays, numbers of its parts.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Pair:
    ...     means: np.ndarray
    ...     names: tuple
    ...     __repr__ = brief
    >>> Pair(np.zeros((2, 3)), tuple("abcdefgh"))
    Pair(means=float64 (2, 3), names=8 x str)
    """
    names = [field.name for field in dataclasses.fields(self) if field.repr]
    parts = (f"{name}={_brief_part(getattr(self, name))}" for name in names)
    return f"{type(self).__name__}({', '.join(parts)})"


def _brief_part(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{'records' if value.dtype.names else value.dtype} {value.shape}"
    if isinstance(value, (tuple, list)) and (len(value) > 4 or len(repr(value)) > _LONGEST):
        return f"{len(value)} x {type(value[0]).__name__}"
    text = repr(value)
    if text.startswith("<"):  # nothing but an address
        return type(value).__name__
    return text if len(text) <= _LONGEST else f"{type(value).__name__}(...)"


class Frozen:
    """Base of values that hold read-only arrays: they stay so after ``copy`` and ``pickle``.

    (numpy hands out copies that can be written to; whoever wrote to one would change a value
    that others take for fixed.)
    """

    def __init_subclass__(cls) -> None:
        cls.__repr__ = cls.__dict__.get("__repr__", brief)  # type: ignore[method-assign]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        fields = dataclasses.fields(self) if dataclasses.is_dataclass(self) else None
        for name in state if fields is None else (field.name for field in fields):
            _freeze(state[name])


def _freeze(value: Any) -> None:
    """Make an array, or the arrays in a tuple or list, read-only."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, (tuple, list)):
        for item in value:
            _freeze(item)
