"""Any acoustic model from its directory.

In: a directory whose ``model.json`` says what it holds. Out: `AcousticModel` or `ContextModel`.

Public names: `SpeechModel`, `load_model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_json
from wfst_hmm.models.acoustic import MODEL_FORMAT, AcousticModel
from wfst_hmm.models.context_model import CONTEXT_FORMAT, ContextModel

__all__ = ["SpeechModel", "load_model"]

#: What decodes, aligns and is built into graphs: phones without context or in context.
SpeechModel: TypeAlias = AcousticModel | ContextModel

_JSON = "model.json"


def load_model(path: str | Path) -> SpeechModel:
    """Read a model directory of either kind.

    Raises
    ------
    FormatError
        There is no model, or a file of it is missing, damaged or of another version.
    ModelError
        The content is contradictory, or not what was saved (by its hash).
    """
    path = Path(path)
    if not (path / _JSON).is_file():
        raise FormatError(f"no acoustic model (it has no {_JSON})", where=str(path),
                          fix="Name a directory that training or wfst-hmm import wrote.")  # fmt: skip
    header = read_json(path / _JSON)
    kind = header.get("format") if isinstance(header, dict) else None
    if kind == MODEL_FORMAT[0]:
        return AcousticModel.load(path)
    if kind == CONTEXT_FORMAT[0]:
        return ContextModel.load(path)
    raise FormatError("not an acoustic model", where=str(path / _JSON), got=kind,
                      expected=f"format {MODEL_FORMAT[0]!r} or {CONTEXT_FORMAT[0]!r}")  # fmt: skip
