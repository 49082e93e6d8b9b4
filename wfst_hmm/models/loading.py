"""Any acoustic model from its directory.

In: a directory whose ``model.json`` says what it holds. Out: `AcousticModel` or `ContextModel`.

Public names: `SpeechModel`, `load_model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from wfst_hmm.errors import FormatError
from wfst_hmm.models.acoustic import MODEL_FORMAT, AcousticModel
from wfst_hmm.models.context_model import CONTEXT_FORMAT, ContextModel
from wfst_hmm.models.folder import HEADER, read_header

__all__ = ["SpeechModel", "load_model"]

#: What decodes, aligns and is built into graphs: phones without context or in context.
SpeechModel: TypeAlias = AcousticModel | ContextModel


def load_model(path: str | Path) -> SpeechModel:
    """Read a model directory of either kind.

    Raises
    ------
    FormatError
        There is no model, or a file of it is missing, damaged or of another version.
    ModelError
        The content is contradictory, or not what was saved (by its hash).
    """
    kind = read_header(path).get("format")
    if kind == MODEL_FORMAT.name:
        return AcousticModel.load(path)
    if kind == CONTEXT_FORMAT.name:
        return ContextModel.load(path)
    raise FormatError("not an acoustic model", where=str(Path(path) / HEADER), got=kind,
                      expected=f"format {MODEL_FORMAT.name!r} or {CONTEXT_FORMAT.name!r}")  # fmt: skip
