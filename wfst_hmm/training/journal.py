"""The journal of a training: its state after the last whole pass, so that it can go on.

In: parameters and reports. Out: one file, replaced as a whole after every pass, and the same
parameters, to the bit, when training begins again.

Public names: `Journal`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wfst_hmm.errors import WfstHmmError
from wfst_hmm.files import atomic_file, read_arrays
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.training.passes import Parameters, PassReport

__all__ = ["Journal"]

_FORMAT = "wfst_hmm training journal 1"
_ARRAYS = ("log_weights", "means", "variances", "offsets")


class Journal:
    """A file beside the model: ``MODEL.journal``.

    Parameters
    ----------
    model : path
        The directory that training will write.
    fingerprint : str
        Of everything that the training depends on; a journal with another one is not used.
    """

    def __init__(self, model: str | Path, fingerprint: str) -> None:
        model = Path(model)
        self.path = model.parent / (model.name + ".journal")
        self.fingerprint = fingerprint

    def load(self) -> tuple[Parameters, list[PassReport]] | str | None:
        """Return parameters and reports so far; a sentence why not; None when there is no file."""
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
        except (ValueError, KeyError, TypeError, RecursionError, WfstHmmError) as error:
            return f"{self.path} is damaged ({error}): training begins anew"
        return Parameters(mixtures, topologies), reports

    def save(self, parameters: Parameters, reports: Sequence[PassReport]) -> None:
        """Replace the journal by the state after the last of `reports`."""
        header = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "topologies": [topology.to_dict() for topology in parameters.topologies],
            "passes": [report.to_dict() for report in reports],
        }
        data = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        with atomic_file(self.path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, allow_pickle=False, header=data, **parameters.mixtures.to_arrays())

    def discard(self) -> None:
        """Delete the file: the training is finished."""
        self.path.unlink(missing_ok=True)
