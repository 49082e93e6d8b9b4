"""Options as data: a field of a dataclass carries its default, its sentence of help and its check.

In: what is allowed. Out: fields; a `UsageError` that names option and value where one is not. The command
line makes its options from the same fields (`wfst_hmm.cli.fields`).

Public names: `Rule`, `check`, `option`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from wfst_hmm.errors import UsageError

__all__ = ["Rule", "check", "option"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must be; NaN is never right, None (not given) always.

    Attributes
    ----------
    least, above : float, optional
        Lower bound, itself allowed or not.
    most, below : float, optional
        Upper bound, itself allowed or not.
    choices : tuple of str
        The only values, where there are any.
    finite : bool
    expected : str
        The rule in words; by default made from the bounds and choices.
    what : str
        What is wrong, where the class's words will not do (see `check`).
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    finite: bool = False
    expected: str = ""
    what: str = ""

    def allows(self, value: Any) -> bool:
        """Tell whether the value is right."""
        if value is None:
            return True
        if self.choices:
            return value in self.choices
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
            and not (self.finite and not math.isfinite(value))
        )

    def __str__(self) -> str:
        """Return the rule in words."""
        if self.expected:
            return self.expected
        if self.choices:
            return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
        if self.above is not None and self.below is not None:
            return f"between {self.above:g} and {self.below:g}"
        upper = f"at most {self.most:g}" if self.most is not None else ""
        upper = f"below {self.below:g}" if self.below is not None else upper
        if self.above is not None:
            return f"above {self.above:g}" + (f", {upper}" if upper else "")
        if self.least is None:
            return upper or "a finite number"
        return (
            f"{self.least:g} to {upper.removeprefix('at most ')}"
            if upper
            else f"{self.least:g} or more"
        )


def option(default: Any, help: str, **rule: Any) -> Any:  # noqa: A002 (as typer has it)
    """Return a field of a dataclass.

    Parameters
    ----------
    default : object
        A function without parameters is called for it.
    help : str
        A sentence for people.
    **rule
        Of `Rule`.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Passes:
    ...     n: int = option(3, "How often.", least=1)
    ...
    ...     def __post_init__(self) -> None:
    ...         check(self, "option {name}")
    >>> Passes(0)
    Traceback (most recent call last):
    wfst_hmm.errors.UsageError: option n; got 0, expected 1 or more
    """
    metadata = {"help": help, "rule": Rule(**rule)}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check(options: Any, what: str, *, where: bool | str = False, expected: bool = True) -> None:
    """Raise a `UsageError` for the first field whose value its rule does not allow.

    Parameters
    ----------
    options : dataclass
    what : str
        What is wrong, with ``{name}`` or ``{NAME}`` for the option.
    where : bool or str
        The place of the error; True: the option's name.
    expected : bool
        Whether to add the rule; False where `what` says it.
    """
    for field in dataclasses.fields(options):
        rule, value = field.metadata.get("rule"), getattr(options, field.name)
        if rule is None or rule.allows(value):
            continue
        told = (rule.what or what).format(name=field.name, NAME=field.name.upper())
        says_rule = expected if not rule.what else bool(rule.choices or rule.expected)
        raise UsageError(told, where=field.name if where is True else where or None, got=value,
                         expected=str(rule) if says_rule else None)  # fmt: skip
