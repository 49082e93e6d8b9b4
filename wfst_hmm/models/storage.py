"""One model, one ``.npz`` file: arrays by name, and a JSON header that says what they are.

In: arrays and JSON-ready values. Out: a file written whole or not at all, never a pickle.

Public names: `load_arrays`, `save_arrays`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_arrays

__all__ = ["load_arrays", "save_arrays"]

_HEADER = "header"


def save_arrays(
    path: str | Path, kind: str, arrays: Mapping[str, npt.NDArray[Any]], info: Mapping[str, Any]
) -> None:
    """Write `arrays` and `info` to `path`, marked as a model of `kind`."""
    header = json.dumps({"kind": kind, "version": 1, **info}, allow_nan=False)
    with atomic_file(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, allow_pickle=False, **{_HEADER: np.array(header), **arrays})


def load_arrays(
    path: str | Path, kind: str, names: tuple[str, ...]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Read what `save_arrays` wrote.

    Raises
    ------
    FormatError
        The file is missing, damaged, of another kind, or lacks one of `names`.
    """
    where = str(path)
    arrays = read_arrays(path)
    try:
        header = json.loads(str(arrays.pop(_HEADER)))
    except (ValueError, KeyError, RecursionError) as error:
        raise FormatError(f"is no model file ({error})", where=where) from None
    if not isinstance(header, dict) or header.get("kind") != kind:
        got = header.get("kind") if isinstance(header, dict) else header
        raise FormatError("is another kind of model", where=where, got=got, expected=kind)
    if header.get("version") != 1:
        raise FormatError("is of another version", where=where, got=header.get("version"),
                          expected=1)  # fmt: skip
    missing = [name for name in names if name not in arrays]
    if missing:
        raise FormatError(f"lacks the array {missing[0]!r}", where=where)
    return arrays, header
