"""The US-English model, dictionary and language model that the pocketsphinx wheel carries.

In: nothing but the installed packages. Out: paths.

Public names: `WheelModel`, `en_us`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

from wfst_hmm.errors import DataError, UsageError

__all__ = ["WheelModel", "en_us"]


@dataclasses.dataclass(frozen=True)
class WheelModel:
    """Where the parts of a model lie.

    Attributes
    ----------
    acoustic : Path
        Directory for `read_sphinx_model`.
    dictionary : Path
        Pronunciations in CMUdict form.
    language : Path
        A 3-gram in Sphinx's binary form.
    """

    acoustic: Path
    dictionary: Path
    language: Path


def en_us() -> WheelModel:
    """Return the paths of the ``en-us`` model; pocketsphinx itself is not imported.

    Raises
    ------
    UsageError
        The wheel is not installed.
    DataError
        It is laid out in another way.
    """
    found = importlib.util.find_spec("pocketsphinx")
    fix = "pip install pocketsphinx"
    if found is None or not found.submodule_search_locations:
        raise UsageError("the model en-us is not installed", fix=fix)
    folder = Path(found.submodule_search_locations[0]) / "model" / "en-us"
    model = WheelModel(folder / "en-us", folder / "cmudict-en-us.dict", folder / "en-us.lm.bin")
    for path in (model.acoustic / "mdef", model.dictionary, model.language):
        if not path.is_file():
            raise DataError(
                "the pocketsphinx wheel lacks a part of its model", where=str(path), fix=fix
            )
    return model
