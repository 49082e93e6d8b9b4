"""A graph and the model it was made for, kept together.

In: a graph and a model of any kind, or the directory that holds both. Out: `Recognizer`.

The directory is a graph directory (of a `Graph` or a `CompactGraph`) with the model's directory
inside it under the name ``model``: it can be copied to another machine and decodes there.

Public names: `Recognizer`, `check_new`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wfst_hmm.arrays import brief
from wfst_hmm.errors import ModelError, UsageError
from wfst_hmm.files import atomic_directory, may_replace
from wfst_hmm.graph.compact import AnyGraph, is_compact, load_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.search.begin import expanded_of

__all__ = ["Recognizer", "check_new"]

_MODEL = "model"
_MARK = "graph.json"


def check_new(path: str | Path, mark: str, what: str) -> None:
    """Raise a `UsageError` when `path` holds something that must not be replaced.

    Parameters
    ----------
    path : path
        Where a directory is to be written.
    mark : str
        The file that tells an older directory of the same kind, which may be replaced.
    what : str
        What is to be written, for the message.
    """
    path = Path(path)
    if not may_replace(path, mark):
        raise UsageError(f"is there already and is no {what}", where=str(path),
                         fix=f"Choose another name for the {what}.")  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Recognizer:
    """All that turns audio into words.

    Attributes
    ----------
    graph : Graph or CompactGraph
    model : AcousticModel or ContextModel

    Raises
    ------
    ModelError
        The graph was made for another model.
    """

    __repr__ = brief

    graph: AnyGraph
    model: SpeechModel

    def __post_init__(self) -> None:
        self.graph.check_model(self.model.hash)
        offset = self.model.frame_offset
        if self.graph.frame_offset != offset:  # graphs of older versions do not say
            made = dataclasses.replace(self.graph, frame_offset=offset)
            object.__setattr__(self, "graph", made)

    @property
    def searched(self) -> Graph:
        """The graph with the states of its HMMs, for searches that need them in it."""
        return expanded_of(self.graph)

    def save(self, path: str | Path) -> None:
        """Write graph and model as one directory; an older graph there is replaced.

        Raises
        ------
        UsageError
            `path` holds something else.
        """
        if not is_compact(path):
            check_new(path, _MARK, "graph")
        with atomic_directory(path) as folder:
            self.graph.save(folder)
            self.model.save(folder / _MODEL)

    @classmethod
    def load(cls, path: str | Path, model: str | Path | None = None) -> Recognizer:
        """Load a directory that `save` wrote, or a bare graph directory and its model.

        Parameters
        ----------
        path : path
            The graph directory.
        model : path, optional
            A model directory; by default the one inside the graph directory.

        Raises
        ------
        FormatError
            A directory is missing or damaged.
        ModelError
            The graph was made for another model, or no model is at hand.
        """
        graph = load_graph(path)
        inside = Path(path) / _MODEL
        if model is None and not inside.is_dir():
            raise ModelError("the graph carries no acoustic model", where=str(path),
                             fix="Name one with --model, or build it with wfst-hmm graph.")  # fmt: skip
        where = inside if model is None else Path(model)
        acoustic = load_model(where)
        try:
            return cls(graph, acoustic)
        except ModelError as error:
            raise ModelError(error.what, where=f"{path} with {where}", got=error.got,
                             expected=error.expected, fix=error.fix) from None  # fmt: skip
