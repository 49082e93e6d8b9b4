"""The directory of a model: a header in JSON, arrays beside it, a hash over both.

In: what a model is made of. Out: a directory, whole or not at all; and the model again, or what is
wrong with the directory.

Public names: `HEADER`, `Form`, `read_folder`, `read_header`, `write_folder`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError, ModelError, UsageError
from wfst_hmm.files import atomic_directory, may_replace, read_arrays, read_json, write_json

__all__ = ["HEADER", "Form", "read_folder", "read_header", "write_folder"]

HEADER = "model.json"
Arrays = Mapping[str, npt.NDArray[Any]]


class Form(NamedTuple):
    """What a header says it is, the version of its layout, and the file of the arrays."""

    name: str
    version: int
    arrays: str


class _Hashed(Protocol):
    @property
    def hash(self) -> str: ...


M = TypeVar("M", bound=_Hashed)


def write_folder(
    path: str | Path, form: Form, model: _Hashed, facts: Mapping[str, Any], arrays: Arrays
) -> None:
    """Write a model as a directory, whole or not at all; an older one is replaced.

    Raises
    ------
    ModelError
        `path` is something else than an earlier model or an empty directory.
    """
    path = Path(path)
    if not may_replace(path, HEADER):
        raise ModelError("is there already and is no model", where=str(path),
                         fix="Choose another name for the model.")  # fmt: skip
    header = {"format": form.name, "version": form.version, "hash": model.hash}
    with atomic_directory(path) as temporary:
        np.savez(temporary / form.arrays, allow_pickle=False, **arrays)
        write_json(temporary / HEADER, {**header, **facts})


def read_header(path: str | Path) -> dict[str, Any]:
    """Read the header of any model.

    Raises
    ------
    FormatError
        There is none, or it is damaged.
    """
    path = Path(path)
    if not (path / HEADER).is_file():
        raise FormatError(f"no acoustic model (it has no {HEADER})", where=str(path),
                          fix="Name a directory that training or wfst-hmm import wrote.")  # fmt: skip
    header = read_json(path / HEADER)
    return header if isinstance(header, dict) else {}


def read_folder(path: str | Path, form: Form, made: Callable[[dict[str, Any], Arrays], M]) -> M:
    """Read what `write_folder` wrote.

    Parameters
    ----------
    path : path
    form : Form
    made : callable
        Makes the model from its header and its arrays.

    Raises
    ------
    FormatError
        A file is missing or damaged, of another format or version.
    ModelError
        The content is contradictory, or not what was saved (by its hash).
    """
    path = Path(path)
    where = str(path / HEADER)
    header = read_header(path)
    if header.get("format") != form.name:
        raise FormatError("another kind of model", where=where, got=header.get("format"),
                          expected=f"format {form.name!r}")  # fmt: skip
    if header.get("version") != form.version:
        raise FormatError("another version of the format", where=where,
                          got=header.get("version"), expected=form.version,
                          fix="Use the package version that wrote it.")  # fmt: skip
    try:
        model = made(header, read_arrays(path / form.arrays))
    except KeyError as error:
        raise FormatError(f"a part is missing: {error}", where=str(path)) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"damaged ({type(error).__name__}: {error})", where=str(path)) from None
    except (ModelError, UsageError) as error:
        raise ModelError(error.what, where=str(path), got=error.got,
                         expected=error.expected) from None  # fmt: skip
    if header.get("hash") != model.hash:
        raise ModelError("changed since it was saved: its hash is another one",
                         where=str(path), fix="Copy, train or import it again.")  # fmt: skip
    return model
