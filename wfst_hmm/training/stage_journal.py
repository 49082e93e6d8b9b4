"""The journal of one stage of tied-state training: its whole state after the last pass.

In: parameters, alignment, transforms and reports. Out: one file, replaced as a whole after every
pass, and the same values, to the bit, when the stage begins again.

Public names: `StageJournal`.
"""

from __future__ import annotations

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

__all__ = ["StageJournal"]

_FORMAT = "wfst_hmm stage journal 1"
_ARRAYS = ("log_weights", "means", "variances", "offsets")

Restored = tuple[
    Parameters,
    npt.NDArray[np.int32],
    "npt.NDArray[np.float32] | None",
    "dict[str, npt.NDArray[np.float64]]",
    "list[PassReport]",
]


class StageJournal:
    """A file in the stage's directory.

    Parameters
    ----------
    path : path
    fingerprint : str
        Of everything that the stage depends on; a journal with another one is not used.
    """

    def __init__(self, path: str | Path, fingerprint: str) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint

    def load(self) -> Restored | str | None:
        """Return the state so far; a sentence why not; None when there is no file."""
        if not self.path.is_file():
            return None
        try:
            arrays = read_arrays(self.path)
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != _FORMAT or header["fingerprint"] != self.fingerprint:
                return (f"{self.path} belongs to a training with other data or options: the "
                        "stage begins anew")  # fmt: skip
            mixtures = MixtureSet(**{name: arrays[name] for name in _ARRAYS})
            topologies = tuple(Topology.from_dict(value) for value in header["topologies"])
            adapted = dict(zip(header["speakers"], arrays["adapted"], strict=True))
            reports = [PassReport.from_dict(value) for value in header["passes"]]
            return (Parameters(mixtures, topologies), arrays["path"], arrays.get("matrix"),
                    adapted, reports)  # fmt: skip
        except (ValueError, KeyError, TypeError, RecursionError, WfstHmmError) as error:
            return f"{self.path} is damaged ({error}): the stage begins anew"

    def save(
        self,
        parameters: Parameters,
        path: npt.NDArray[np.int32],
        matrix: npt.NDArray[np.float32] | None,
        adapted: Mapping[str, npt.NDArray[np.float64]],
        reports: Sequence[PassReport],
    ) -> None:
        """Replace the journal by the state after the last of `reports`."""
        header = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "topologies": [topology.to_dict() for topology in parameters.topologies],
            "passes": [report.to_dict() for report in reports],
            "speakers": list(adapted),
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            "path": path,
            "adapted": np.array(list(adapted.values())),
            **parameters.mixtures.to_arrays(),
        }
        if matrix is not None:
            arrays["matrix"] = matrix
        with atomic_file(self.path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
