"""The journal of a training: its whole state after the last pass, so that it can go on.

In: parameters and reports; of tied states also alignment and transforms. Out: one file, replaced
as a whole after every pass, and the same values, to the bit, when training begins again.

Public names: `Journal`, `Saved`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import WfstHmmError
from wfst_hmm.files import atomic_file, read_arrays
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.training.passes import Parameters, PassReport

__all__ = ["Journal", "Saved"]

_FORMAT = "wfst_hmm training journal 2"
_ARRAYS = ("log_weights", "means", "variances", "offsets")


@dataclasses.dataclass(frozen=True, eq=False)
class Saved:
    """A training after one of its passes.

    Attributes
    ----------
    parameters : Parameters
    reports : sequence of PassReport
        Of all passes so far.
    path : ndarray of int32, shape (F,), or None
        Arc that each frame passes, where passes need not align anew.
    matrix : ndarray of float32 or None
        Transform of the features.
    adapted : mapping of str to ndarray of float64, shape (m, m + 1)
        Transforms of the speakers.
    """

    parameters: Parameters
    reports: Sequence[PassReport]
    path: npt.NDArray[np.int32] | None = None
    matrix: npt.NDArray[np.float32] | None = None
    adapted: Mapping[str, npt.NDArray[np.float64]] = dataclasses.field(default_factory=dict)


class Journal:
    """One file.

    Parameters
    ----------
    path : path
    fingerprint : str
        Of everything that the training depends on; a journal with another one is not used.
    """

    def __init__(self, path: str | Path, fingerprint: str) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint

    @classmethod
    def beside(cls, model: str | Path, fingerprint: str) -> Journal:
        """Return the journal of a directory that training will write: ``MODEL.journal``."""
        model = Path(model)
        return cls(model.parent / f"{model.name}.journal", fingerprint)

    def load(self) -> Saved | str | None:
        """Return the state so far; a sentence why not; None when there is no file."""
        if not self.path.is_file():
            return None
        try:
            arrays = read_arrays(self.path)
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != _FORMAT or header["fingerprint"] != self.fingerprint:
                return (f"{self.path} belongs to a training with other data or options: "
                        "training begins anew")  # fmt: skip
            mixtures = MixtureSet(**{name: arrays[name] for name in _ARRAYS})
            topologies = tuple(Topology.from_dict(value) for value in header["topologies"])
            reports = [PassReport.from_dict(value) for value in header["passes"]]
            adapted = dict(zip(header["speakers"], arrays["adapted"], strict=True))
        except (ValueError, KeyError, TypeError, RecursionError, WfstHmmError) as error:
            return f"{self.path} is damaged ({error}): training begins anew"
        return Saved(Parameters(mixtures, topologies), reports, arrays.get("path"),
                     arrays.get("matrix"), adapted)  # fmt: skip

    def save(self, state: Saved) -> None:
        """Replace the journal by the state after the last of its reports."""
        header = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "topologies": [topology.to_dict() for topology in state.parameters.topologies],
            "passes": [report.to_dict() for report in state.reports],
            "speakers": list(state.adapted),
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            "adapted": np.array(list(state.adapted.values())),
            **state.parameters.mixtures.to_arrays(),
        }
        for name, array in (("path", state.path), ("matrix", state.matrix)):
            if array is not None:
                arrays[name] = array
        with atomic_file(self.path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    def discard(self) -> None:
        """Delete the file: the training is finished."""
        self.path.unlink(missing_ok=True)
