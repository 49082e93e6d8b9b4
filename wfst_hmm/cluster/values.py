"""Results as bytes and back, without loss and without pickle.

In: the frozen dataclasses that decoding, alignment and diarization return, made of numbers, texts,
tuples, arrays and each other. Out: compressed JSON, and equal values.

Public names: `pack`, `unpack`.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm import errors
from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.formats.rttm import Turn
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.answer import Alternative
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.models.mixtures import MixtureStats
from wfst_hmm.search.cross_check import CrossCheck
from wfst_hmm.search.result import Decoded, NoPath, Phone, Word
from wfst_hmm.signal.audio import RawFormat
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Utterance
from wfst_hmm.signal.features import Features
from wfst_hmm.training.passes import Statistics

__all__ = ["pack", "unpack"]


@dataclasses.dataclass(frozen=True)
class _Lattice:
    """A lattice on its way."""

    names: tuple[str, ...]
    fields: dict[str, Any]


_CLASSES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (_Lattice, Alternative, CmvnStats, CrossCheck, Decoded, Features, MixtureStats,
                 NoPath, Outcome, Phone, RawFormat, Statistics, Turn,
                 Utterance, Word)
}  # fmt: skip
_MANY = {Phone, Turn, Word}  # an utterance has dozens of them
_ERRORS = {name: getattr(errors, name) for name in errors.__all__ if name.endswith("Error")}
_ERROR_PARTS = ("what", "where", "got", "expected", "fix")
_LEVEL = 1  # of compression: arrays of labels shrink tenfold at once, more effort gains little


def pack(value: Any) -> bytes:
    """Return `value` as bytes; equal values give equal bytes.

    Raises
    ------
    TypeError
        It holds something that is no value of this package.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode("utf-8"), _LEVEL)


def unpack(data: bytes) -> Any:
    """Return what `pack` packed.

    Raises
    ------
    FormatError
        The bytes are damaged.
    """
    try:
        return _value(json.loads(zlib.decompress(data)))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error,
            RecursionError, WfstHmmError) as error:  # fmt: skip
        raise FormatError(f"damaged results ({type(error).__name__}: {error})") from None


def _plain(value: Any) -> Any:
    """Return `value` in JSON's terms: whatever JSON lacks is an object of one tag."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        kinds = {type(item) for item in value}
        if len(kinds) == 1 and kinds <= _MANY:
            return {"many": [kinds.pop().__name__, _columns(value)]}
        return {"tuple": [_plain(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, np.ndarray):
        raw = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"array": [np.lib.format.dtype_to_descr(value.dtype), list(value.shape), raw]}
    if isinstance(value, WfstHmmError):
        return {"error": [type(value).__name__, *(_text(getattr(value, p)) for p in _ERROR_PARTS)]}
    if isinstance(value, Lattice):
        return _plain(_compact(value))
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise TypeError(f"{name} is no value that results are made of")
    fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {"class": [name, fields]}


def _columns(values: tuple[Any, ...]) -> list[Any]:
    """Return the fields of many values of one class side by side: quick to write and to read."""
    columns: list[Any] = []
    for field in dataclasses.fields(values[0]):
        column = [getattr(value, field.name) for value in values]
        if all(isinstance(item, (str, float, int, type(None))) for item in column):
            columns.append(column)
        elif all(type(i) is tuple and all(type(n) is int for n in i) for i in column):
            columns.append({"tuples": column})
        else:
            columns.append({"mixed": [_plain(item) for item in column]})
    return columns


def _many(content: Any) -> tuple[Any, ...]:
    name, columns = content
    read = [column if isinstance(column, list) else _column(column) for column in columns]
    kind = _CLASSES[name]
    return tuple(kind(*row) for row in zip(*read, strict=True))


def _column(column: dict[str, Any]) -> list[Any]:
    if "tuples" in column:
        return [tuple(item) for item in column["tuples"]]
    return [_value(item) for item in column["mixed"]]


def _compact(lattice: Lattice) -> _Lattice:
    """Return what stands for a lattice: with its own words instead of the whole graph's."""
    used = np.union1d(lattice.word, [0])
    names = tuple(lattice.words[int(word)] for word in used)
    own = np.searchsorted(used, lattice.word).astype(np.int32)
    fields = {f.name: getattr(lattice, f.name) for f in dataclasses.fields(lattice)}
    return _Lattice(names, fields | {"word": own, "words": None})


def _lattice(names: tuple[str, ...], fields: dict[str, Any]) -> Lattice:
    return Lattice(**(fields | {"words": Symbols(names)}))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((tag, content),) = plain.items()
    return _MAKERS[tag](content)


def _array(content: Any) -> Any:
    descr, shape, raw = content
    dtype = np.lib.format.descr_to_dtype(_descr(descr))
    array = np.frombuffer(base64.b64decode(raw), dtype=dtype).reshape(shape)
    return array


def _descr(plain: Any) -> Any:
    """Give structured types their tuples back, which JSON has made lists."""
    return [tuple(_descr(v) for v in field) if isinstance(field, list) else field
            for field in plain] if isinstance(plain, list) else plain  # fmt: skip


def _error(content: Any) -> WfstHmmError:
    name, what, *rest = content
    made: WfstHmmError = _ERRORS[name](what, **dict(zip(_ERROR_PARTS[1:], rest, strict=True)))
    return made


def _made(name: str, fields: dict[str, Any]) -> Any:
    return _lattice(**fields) if name == "_Lattice" else _CLASSES[name](**fields)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "many": _many,
    "tuple": lambda content: tuple(_value(item) for item in content),
    "dict": lambda content: {_value(key): _value(item) for key, item in content},
    "path": Path,
    "array": _array,
    "error": _error,
    "class": lambda content: _made(content[0], {k: _value(v) for k, v in content[1].items()}),
}
