"""What every measurement returns, and how it is shown.

In: timings of us and a peer. Out: rows, a table on the terminal or JSON.

Public names: `Progress`, `Row`, `best_seconds`, `machine`, `print_rows`, `rows_to_json`, `silent`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from wfst_hmm.errors import UsageError

__all__ = ["Progress", "Row", "best_seconds", "machine", "print_rows", "rows_to_json", "silent"]

#: hears what is being done
Progress = Callable[[str], None]


def silent(text: str) -> None:
    """Hear what is being done, and say nothing."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison, both sides measured in one run.

    Attributes
    ----------
    work : str
        What was done.
    unit : str
        Of `ours` and `theirs`, such as ``frames/s`` or ``% errors``.
    ours, theirs : float or None
        None: not measured.
    peer : str
        Name and version of the other side.
    ratio : float or None
        Ours over the peer's.
    target : float or None
        What `ratio` should be at least (or at most, for units where less is better).
    less_is_better : bool
    note : str
    """

    work: str
    unit: str
    ours: float
    theirs: float | None = None
    peer: str = ""
    target: float | None = None
    less_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over theirs; None where there is nothing to compare, or theirs is zero."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached: of the ratio, or of `ours` where it stands alone."""
        value = self.ratio if self.theirs is not None else self.ours
        if self.target is None or value is None:
            return None
        return value <= self.target if self.less_is_better else value >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return the row with its ratio, ready for JSON."""
        return {**dataclasses.asdict(self), "ratio": self.ratio, "reached": self.reached}


def best_seconds(
    *works: tuple[Callable[[], AbstractContextManager[object]], Callable[[], object]],
    repeat: int = 3,
) -> list[float]:
    """Return the least wall-clock time of each of `works`, run in turns.

    Turns, because other processes slow a shared machine down for seconds at a time: what
    disturbs one side disturbs the other as well.

    Parameters
    ----------
    works : pairs of callables
        One that makes the context to work in (such as a limit of threads), which is not timed,
        and the work.
    repeat : int
    """
    if repeat < 1:
        raise UsageError("repeat must be positive", got=repeat)
    best = [float("inf")] * len(works)
    for _ in range(repeat):
        for index, (context, work) in enumerate(works):
            with context():
                begin = time.perf_counter()
                work()
                best[index] = min(best[index], time.perf_counter() - begin)
    return best


def machine() -> dict[str, Any]:
    """Return what figures depend on: processor, cores, load, Python."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": os.cpu_count() or 0,
        "load": [round(v, 2) for v in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


def rows_to_json(rows: Sequence[Row], facts: Mapping[str, Any] | None = None) -> str:
    """Return machine, rows and, where there are any, facts about the run as one JSON object."""
    value = {"machine": machine(), **({"facts": facts} if facts else {}),
             "rows": [row.to_dict() for row in rows]}  # fmt: skip
    return json.dumps(value, indent=2, ensure_ascii=False)


def print_rows(
    rows: Sequence[Row],
    title: str,
    *,
    as_json: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Print rows as a table and facts in a line each, or both as JSON."""
    if as_json:
        print(rows_to_json(rows, facts))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in ("work", "unit", "ours", "peer's", "ratio", "target", "peer"):
        table.add_column(name, justify="left" if name in ("work", "unit", "peer") else "right")
    for row in rows:
        bound = (
            "" if row.target is None else ("≤ " if row.less_is_better else "≥ ") + f"{row.target:g}"
        )
        mark = {None: "", True: " ✓", False: " ✗"}[row.reached]
        table.add_row(
            row.work + (f" ({row.note})" if row.note else ""), row.unit, _number(row.ours),
            "" if row.theirs is None else _number(row.theirs),
            "" if row.ratio is None else f"{row.ratio:.2f}", bound + mark, row.peer,
        )  # fmt: skip
    console = Console()
    Console(width=None if console.is_terminal else 160, highlight=False).print(table)
    for name, value in (facts or {}).items():
        print(f"{name}: {value}")


def _number(value: float) -> str:
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1e}"
