"""Stages of a compilation kept on disk, found again by what they were made from.

In: a folder, a key and a way to make a stage. Out: the stage, made or read; each is kept as
``KEY.fst`` (OpenFst ``const``) with its length and SHA-256 in ``KEY.json``. What does not fit them
is made again and replaced, with a note. A folder may be deleted at any time, and several builds
may share it.

Public names: `StageCache`, `context_key`, `spelling_key`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wfst_hmm import __version__
from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.files import read_json, sha256_of, write_json
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.stages import Stages
from wfst_hmm.graph.units import AnyModel

__all__ = ["StageCache", "context_key", "spelling_key"]

#: Raised when a stage is made differently from the same things.
_VERSION = 1
_FORMAT = "wfst_hmm stage"


def spelling_key(
    model: AnyModel, lexicon: Lexicon, grammar: Grammar, options: Any, n_positions: int
) -> str:
    """Return the key of L∘G: SHA-256 over all that it is made from.

    Of the model only the names of its phones matter, of the lexicon only the words of the grammar,
    of the entries not the line they stand in. `options` is a dataclass of JSON values.
    """
    entries = [
        [e.word, *e.phones, repr(e.probability), repr(e.silence)]
        for e in lexicon.restricted(grammar.spoken)
    ]
    chosen = dataclasses.asdict(options)
    # these change nothing that is kept: a budget that is checked on reading, and H
    for name in ("max_memory_mb", "transition_scale"):
        chosen.pop(name, None)
    made_from = [
        "L∘G", __version__, _VERSION, n_positions, chosen,
        list(model.phones), list(model.silence_phones), entries,
        list(grammar.isymbols), list(grammar.osymbols),
    ]  # fmt: skip
    return sha256_of([json.dumps(made_from), grammar.fst.to_bytes()])


def context_key(spelling: str, model: AnyModel) -> str:
    """Return the key of C∘L∘G: that of its L∘G and the model, whose contexts it holds."""
    return sha256_of(["C∘L∘G", spelling, model.hash])


class StageCache:
    """A folder of stages.

    Parameters
    ----------
    folder : path
        Made where it does not exist.

    Attributes
    ----------
    notes : list of str
        Entries that were damaged and made again, and those that could not be written.

    Raises
    ------
    UsageError
        The folder cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.notes: list[str] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"the cache cannot be a folder there ({reason})",
                             where=str(folder)) from None  # fmt: skip

    def stage(self, key: str, name: str, stages: Stages, make: Callable[[], Fst]) -> Fst:
        """Return the stage `key`, read where it is kept whole, else made and kept.

        `make` notes its own rows in `stages`; a stage that was read is one row, `name`.
        """
        fst = self._read(key)
        if fst is not None:
            return stages.done(name, fst, from_cache=True)
        fst = make()
        if fst.n_states:
            self._write(key, name, fst)
        return fst

    def _read(self, key: str) -> Fst | None:
        data_path, about_path = self._paths(key)
        if not data_path.exists() and not about_path.exists():
            return None
        try:
            about = read_json(about_path)
            data = data_path.read_bytes()
            if not isinstance(about, dict) or about.get("format") != _FORMAT:
                raise ValueError("its JSON is not that of a stage")
            if about.get("key") != key:
                raise ValueError("it is another stage under this name")
            if about.get("bytes") != len(data):
                raise ValueError(f"{len(data)} bytes instead of {about.get('bytes')}")
            if about.get("sha256") != hashlib.sha256(data).hexdigest():
                raise ValueError("its SHA-256 differs")
            kept = Fst.from_bytes(data, where=str(data_path))
            # copied, for kernels are compiled for aligned arrays; and checked as any machine is
            return Fst.from_runs(kept.start, kept.states["n_arcs"], kept.arcs.copy(),
                                 kept.states["final"])  # fmt: skip
        except (WfstHmmError, OSError, ValueError) as error:
            what = getattr(error, "what", None) or getattr(error, "strerror", None) or error
            self.notes.append(f"{data_path}: a damaged entry of the cache ({what}); made again")
            return None

    def _write(self, key: str, name: str, fst: Fst) -> None:
        data_path, about_path = self._paths(key)
        try:
            fst.write(data_path)
            data = fst.to_bytes()
            write_json(about_path, {
                "format": _FORMAT, "key": key, "stage": name, "wfst_hmm": __version__,
                "states": fst.n_states, "arcs": fst.n_arcs,
                "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
            })  # fmt: skip
        except OSError as error:
            self.notes.append(f"{data_path}: not kept in the cache ({error.strerror})")

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.fst", self.folder / f"{key}.json"
