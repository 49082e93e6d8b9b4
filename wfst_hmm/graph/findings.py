"""What a lint has to say: findings, each with its place and its remedy.

In: what the checks found. Out: `LintReport`, for people and as JSON.

Public names: `Finding`, `LintReport`, `SEVERITIES`, `shown`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

__all__ = ["SEVERITIES", "Finding", "LintReport", "shown"]

Severity = Literal["error", "warning", "note"]
#: From worst to mildest: the graph is wrong; it may be; worth knowing.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes
    ----------
    rule : str
        Name of the check, stable: ``unknown-phone``.
    severity : {"error", "warning", "note"}
    what : str
        What is wrong, in one sentence.
    where : str
        ``file:line``, a state, or the name of a machine.
    remedy : str
        What to do about it.
    """

    rule: str
    severity: Severity
    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{self.severity}: {place}{self.what}. {self.remedy} [{self.rule}]"


class LintReport(Sequence[Finding]):
    """Findings, the worst first.

    Examples
    --------
    >>> report = LintReport([Finding("unused-words", "note", "3 words", "lexicon", "Fine.")])
    >>> report.ok, [finding.rule for finding in report], report.to_json()["counts"]["note"]
    (True, ['unused-words'], 1)
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._findings = tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity)))

    def __len__(self) -> int:
        return len(self._findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def __getitem__(self, index: Any) -> Any:
        return self._findings[index]

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.of(s))} {s}s" for s in SEVERITIES)
        return f"LintReport({counts})"

    def __str__(self) -> str:
        return "\n".join(map(str, self._findings)) or "nothing found"

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of one severity."""
        return tuple(f for f in self._findings if f.severity == severity)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.of("error")

    def to_json(self) -> dict[str, Any]:
        """Return counts by severity and every finding, ready for JSON."""
        return {
            "counts": {severity: len(self.of(severity)) for severity in SEVERITIES},
            "findings": [dataclasses.asdict(finding) for finding in self._findings],
        }


def shown(items: Iterable[object], limit: int = 8) -> str:
    """Return the first items, separated by commas, and how many more there are."""
    listed = [str(item) for item in items]
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more} more" if more > 0 else "")
