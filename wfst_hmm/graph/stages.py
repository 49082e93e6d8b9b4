"""What each step of a compilation made, how long it took and how much memory there was.

In: machines as they are made. Out: rows ready for JSON, kept in ``Graph.info["stages"]``.

Public names: `Stages`, `peak_megabytes`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from wfst_hmm.fst.arrays import Fst

__all__ = ["Stages", "peak_megabytes"]


def peak_megabytes() -> float | None:
    """Return the most memory that this process has held so far (MB), None where unknown.

    Linux tells it in ``/proc``; what `resource` tells there includes the parent's memory.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            lines = [line.split() for line in stream if line.startswith("VmHWM:")]
        if lines:
            return round(int(lines[0][1]) / 1024, 1)
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


class Stages:
    """Times each step and counts what it made.

    Attributes
    ----------
    rows : list of dict
        ``name``, ``states``, ``arcs``, ``seconds``, ``peak_mb`` of every step so far; and
        ``from_cache``, True, of those that were read instead of made.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rows: list[dict[str, Any]] = [dict(row) for row in rows]
        self._since = time.perf_counter()

    def done(self, name: str, fst: Fst, *, from_cache: bool = False) -> Fst:
        """Note that a step ended with `fst`; return it."""
        now = time.perf_counter()
        self.rows.append({"name": name, "states": fst.n_states, "arcs": fst.n_arcs,
                          "seconds": round(now - self._since, 4), "peak_mb": peak_megabytes(),
                          **({"from_cache": True} if from_cache else {})})  # fmt: skip
        self._since = now
        return fst
