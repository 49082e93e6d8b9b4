"""A decoding graph and all that is needed to read its results, in memory and on disk.

In: what the compiler built, or a directory that it saved. Out: `Graph`.

A graph directory holds ``graph.fst`` (OpenFst ``const``, mapped into memory on loading, never
parsed), ``words.txt`` (OpenFst symbol table), ``labels.npz`` (what the input labels mean),
``lexicon.txt`` (Kaldi ``lexiconp.txt`` form) and ``graph.json`` (the header, with the length
and SHA-256 of the others).

Public names: `Graph`, `GRAPH_VERSION`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.files import atomic_directory, read_arrays, read_json, write_json
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.lexicon import Entry, Lexicon, WordLines, read_lexicon
from wfst_hmm.models.scores import ACOUSTIC_SCALE
from wfst_hmm.models.topology import StateLabels

__all__ = ["GRAPH_VERSION", "Graph"]

#: Version of the directory format, raised when old readers would misread it.
GRAPH_VERSION = 1
_FORMAT = "wfst_hmm graph"
_FILES = ("graph.fst", "words.txt", "labels.npz", "lexicon.txt")
_LABEL_ARRAYS = ("phone", "state", "column", "is_entry")


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A decoding graph: state labels in, words out.

    Attributes
    ----------
    fst : Fst
        Input labels are state labels (`labels`, 0 is epsilon), output labels are `words`; costs
        in nats hold grammar, pronunciation, silence and transition probabilities.
    labels : StateLabels
        What the input labels mean: phone, HMM state, score column, first frame of a phone.
    words : Symbols
    phones : tuple of str
        The model's phones; ``labels.phone`` indexes it.
    silence_phones : tuple of str
    lexicon : Lexicon
        The pronunciations that the graph was built from.
    model_hash : str
        `AcousticModel.hash` of the model whose states and transitions are inside.
    frame_shift : float
        Seconds from frame to frame.
    info : dict
        JSON-ready notes: ``stages`` (name, states, arcs, seconds of every step), options.
    acoustic_scale : float
        The model's: what searches multiply log-likelihoods by unless told otherwise. Graphs that
        were saved without one have that of models without one; what is made by hand has 1.
    frame_offset : float
        Seconds that the boundary before frame t lies behind ``t * frame_shift``.
    """

    fst: Fst
    labels: StateLabels
    words: Symbols
    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    lexicon: Lexicon
    model_hash: str
    frame_shift: float = 0.01
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    acoustic_scale: float = 1.0
    frame_offset: float = 0.0

    @property
    def columns(self) -> npt.NDArray[np.int32]:
        """Score column of every input label, shape (n_labels + 1,); -1 for epsilon."""
        return np.concatenate([np.full(1, -1, np.int32), self.labels.column])

    @property
    def n_columns(self) -> int:
        """Number of score columns that the labels refer to, at least."""
        return int(self.labels.column.max(initial=-1)) + 1

    def __repr__(self) -> str:
        return (f"Graph({self.fst.n_states} states, {self.fst.n_arcs} arcs, "
                f"{len(self.words) - 1} words, {len(self.phones)} phones)")  # fmt: skip

    def check_model(self, model_hash: str) -> None:
        """Raise a `ModelError` unless the graph was built for the model with this hash."""
        if model_hash != self.model_hash:
            raise ModelError(
                "this graph was made for another acoustic model",
                got=f"model {model_hash[:12]}", expected=f"model {self.model_hash[:12]}",
                fix="Build the graph again with this model, or take the model it was built for.",
            )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the graph directory; an older one is replaced as a whole, or not at all."""
        with atomic_directory(path) as folder:
            self.fst.write(folder / "graph.fst")
            self.words.write(folder / "words.txt")
            # Stored, not compressed, with the zip's fixed date: equal graphs, equal bytes.
            np.savez(folder / "labels.npz",
                     **{name: getattr(self.labels, name) for name in _LABEL_ARRAYS})  # fmt: skip
            self.lexicon.write(folder / "lexicon.txt")
            header = {
                "format": _FORMAT,
                "version": GRAPH_VERSION,
                "states": self.fst.n_states,
                "arcs": self.fst.n_arcs,
                "model_hash": self.model_hash,
                "frame_shift": self.frame_shift,
                "acoustic_scale": self.acoustic_scale,
                "frame_offset": self.frame_offset,
                "phones": list(self.phones),
                "silence_phones": list(self.silence_phones),
                "label_names": list(self.labels.symbols)[1:],
                "files": {
                    name: {
                        "bytes": (folder / name).stat().st_size,
                        "sha256": _sha256_of_file(folder / name),
                    }
                    for name in _FILES
                },
                "info": self.info,
            }
            write_json(folder / "graph.json", header)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> Graph:
        """Load a graph directory; ``graph.fst`` is mapped into memory, not read.

        Parameters
        ----------
        path : path
        verify : bool
            Also compare the SHA-256 of ``graph.fst``. Its length, and the SHA-256 of the small
            files, are compared always.

        Raises
        ------
        FormatError
            A file is missing, of another length than the header says, or not what it should be.
        """
        folder = Path(path)
        header = _read_header(folder)
        for name in _FILES:
            _check_file(folder / name, header["files"][name], verify or name != "graph.fst")
        words = _read_words(folder / "words.txt")
        stored = read_arrays(folder / "labels.npz")
        try:
            arrays = {name: stored[name] for name in _LABEL_ARRAYS}
            labels = StateLabels(**arrays, symbols=Symbols(header["label_names"]))
            phones = tuple(str(phone) for phone in header["phones"])
            lengths = {len(array) for array in (*arrays.values(), header["label_names"])}
            if len(lengths) != 1 or int(labels.phone.max(initial=0)) >= len(phones):
                raise ValueError("labels, their names and the phones do not fit together")
            fst = Fst.map(folder / "graph.fst", labels.symbols, words)
            if (fst.n_states, fst.n_arcs) != (header["states"], header["arcs"]):
                raise ValueError("the header counts other states and arcs")
            return cls(
                fst, labels, words, phones,
                tuple(str(phone) for phone in header["silence_phones"]),
                Lexicon.later(lambda: _entries_of(folder / "lexicon.txt"),
                              WordLines(folder / "lexicon.txt")),
                str(header["model_hash"]), float(header["frame_shift"]), dict(header["info"]),
                float(header.get("acoustic_scale", ACOUSTIC_SCALE)),
                float(header.get("frame_offset", 0.0)),
            )  # fmt: skip
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise FormatError(
                f"a damaged graph directory ({error})", where=str(folder),
                fix="Build the graph again.",
            ) from None  # fmt: skip


def _entries_of(path: Path) -> Iterable[Entry]:
    return read_lexicon(path, probabilities=True).entries if path.stat().st_size else ()


def _read_header(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise FormatError("no such graph directory", where=str(folder),
                          fix="Make one with wfst-hmm graph.")  # fmt: skip
    where = str(folder / "graph.json")
    if not (folder / "graph.json").is_file():
        raise FormatError("not a graph directory: it has no graph.json", where=str(folder),
                          fix="Make one with wfst-hmm graph.")  # fmt: skip
    header = read_json(folder / "graph.json")
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise FormatError("not the header of a graph", where=where,
                          expected=f'"format": "{_FORMAT}"')  # fmt: skip
    if header.get("version") != GRAPH_VERSION:
        raise FormatError(
            "another version of the graph format", where=where, got=header.get("version"),
            expected=GRAPH_VERSION, fix="Build the graph again with this version of wfst_hmm.",
        )  # fmt: skip
    files = header.get("files")
    if not isinstance(files, dict) or not all(isinstance(files.get(name), dict) for name in _FILES):
        raise FormatError("the header does not list its files", where=where, expected=_FILES)
    return header


def _check_file(path: Path, expected: dict[str, Any], verify: bool) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", where=str(path),
                          fix="The graph directory is incomplete: build it again.") from None  # fmt: skip
    if size != expected.get("bytes"):
        raise FormatError("wrong length", where=str(path), got=f"{size} bytes",
                          expected=f"{expected.get('bytes')} bytes",
                          fix="The graph directory is damaged: build it again.")  # fmt: skip
    if verify and _sha256_of_file(path) != expected.get("sha256"):
        raise FormatError("its content is not what was saved (SHA-256 differs)", where=str(path),
                          fix="The graph directory is damaged: build it again.")  # fmt: skip


def _sha256_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_words(path: Path) -> Symbols:
    """Read a table that `Symbols.write` wrote, quickly; anything else the thorough way."""
    try:
        fields = path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError:
        return Symbols.read(path)
    symbols = fields[0::2]
    if len(fields) % 2 or fields[1::2] != list(map(str, range(len(symbols)))):
        return Symbols.read(path)
    return Symbols(symbols)
