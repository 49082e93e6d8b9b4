"""What each step of a compilation made, how long it took and how much memory there was.

In: machines as they are made. Out: rows ready for JSON, kept in ``Graph.info["stages"]``.

Public names: `OnStage`, `Stages`, `megabytes_in_use`, `peak_megabytes`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst

__all__ = ["OnStage", "Stages", "megabytes_in_use", "peak_megabytes"]

#: Is told the row of each stage that is done.
OnStage = Callable[[Mapping[str, Any]], None]


def peak_megabytes() -> float | None:
    """Return the most memory that this process has held so far (MB), None where unknown.

    Linux tells it in ``/proc``; what `resource` tells there includes the parent's memory.
    """
    told = _told_by_linux("VmHWM:")
    if told is not None:
        return told
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def megabytes_in_use() -> float | None:
    """Return the memory that this process holds now (MB); where unknown, the most it has held."""
    told = _told_by_linux("VmRSS:")
    return peak_megabytes() if told is None else told


def _told_by_linux(field: str) -> float | None:
    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            lines = [line.split() for line in stream if line.startswith(field)]
        return round(int(lines[0][1]) / 1024, 1) if lines else None
    except (OSError, ValueError, IndexError):
        return None


class Stages:
    """Times each step and counts what it made; stops a build that holds too much memory.

    Parameters
    ----------
    rows : iterable of mappings, optional
        Those of earlier steps.
    max_megabytes : float, optional
        Memory that the process may hold after a step.
    on_stage : callable, optional
        Called with each new row.

    Attributes
    ----------
    rows : list of dict
        ``name``, ``states``, ``arcs``, ``seconds``, ``peak_mb`` of every step so far; and
        ``from_cache``, True, of those that were read instead of made.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]] = (),
        *,
        max_megabytes: float | None = None,
        on_stage: OnStage | None = None,
    ) -> None:
        self._on_stage = on_stage
        self.max_megabytes = max_megabytes
        self.rows: list[dict[str, Any]] = [dict(row) for row in rows]
        self._since = time.perf_counter()

    def done(self, name: str, fst: Fst, *, from_cache: bool = False) -> Fst:
        """Note that a step ended with `fst`; return it.

        Raises
        ------
        GraphError
            The process holds more memory than the budget.
        """
        now = time.perf_counter()
        self.rows.append({"name": name, "states": fst.n_states, "arcs": fst.n_arcs,
                          "seconds": round(now - self._since, 4), "peak_mb": peak_megabytes(),
                          **({"from_cache": True} if from_cache else {})})  # fmt: skip
        self._since = now
        if self._on_stage is not None:
            self._on_stage(self.rows[-1])
        self.afford(name, 0)
        return fst

    def afford(self, name: str, n_bytes: int) -> None:
        """Raise a `GraphError` unless a step may take `n_bytes` more than is in use now."""
        if self.max_megabytes is None:
            return
        needed = (megabytes_in_use() or 0.0) + n_bytes / (1 << 20)
        if needed > self.max_megabytes:
            would = "would exceed" if n_bytes else "exceeds"
            raise GraphError(
                f"this stage {would} the budget of memory", where=f"stage {name!r}",
                got=f"{needed:,.0f} MB", expected=f"at most {self.max_megabytes:,.0f} MB",
                fix="Raise max_memory_mb (--max-memory), make the grammar or the lexicon smaller, "
                "or leave H to be expanded during search (build_compact).",
            )  # fmt: skip
