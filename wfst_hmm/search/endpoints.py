"""When a speaker has come to an end: rules about silence, length and how final a path is.

In: what the best path so far looks like. Out: whether the segment ends here.

Public names: `ENDPOINTS`, `EndpointRule`, `EndpointRules`, `Trail`, `pausing`.

Notes
-----
The five rules of Kaldi's ``online2/online-endpoint.h``, with its values.
"""

from __future__ import annotations

import dataclasses
import math

from wfst_hmm.errors import UsageError

__all__ = ["ENDPOINTS", "EndpointRule", "EndpointRules", "Trail", "pausing"]


@dataclasses.dataclass(frozen=True)
class Trail:
    """What the rules look at.

    Attributes
    ----------
    seconds : float
        Length of the segment so far.
    trailing_silence : float
        Seconds of silence at the end of the best path.
    speech : bool
        Whether the best path holds anything but silence.
    relative_cost : float
        Nats by which the best complete path is worse than the best path; +inf: no complete one.
    """

    seconds: float
    trailing_silence: float
    speech: bool
    relative_cost: float


@dataclasses.dataclass(frozen=True)
class EndpointRule:
    """One rule; it holds when all of its conditions do.

    Attributes
    ----------
    after_speech : bool
        Only where something was said.
    trailing_silence : float
        At least so many seconds of silence at the end.
    max_relative_cost : float
        The path must be about to be complete: within so many nats.
    min_seconds : float
        Only in segments of this length.
    """

    after_speech: bool = True
    trailing_silence: float = 1.0
    max_relative_cost: float = math.inf
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in ("trailing_silence", "max_relative_cost", "min_seconds"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} of an endpoint rule", got=getattr(self, name),
                                 expected="0 or more")  # fmt: skip
        if self.trailing_silence == 0 and self.min_seconds == 0:
            raise UsageError("an endpoint rule that always holds",
                             fix="Ask for some silence, or for some length.")  # fmt: skip

    def holds(self, trail: Trail) -> bool:
        """Tell whether the segment ends here by this rule."""
        return (
            (trail.speech or not self.after_speech)
            and trail.trailing_silence >= self.trailing_silence - 1e-9
            and trail.relative_cost <= self.max_relative_cost
            and trail.seconds >= self.min_seconds - 1e-9
        )


@dataclasses.dataclass(frozen=True)
class EndpointRules:
    """Several rules, one of which is enough.

    Attributes
    ----------
    nothing_said : EndpointRule
        Silence only, for long.
    likely_end, possible_end, any_end : EndpointRule
        Silence after speech: the more probable the end is by the grammar, the shorter.
    too_long : EndpointRule
        Whatever is said.

    Examples
    --------
    >>> ENDPOINTS.reached(Trail(3.0, 0.6, True, 1.0)), ENDPOINTS.reached(Trail(3.0, 0.6, True, 9.0))
    (True, False)
    """

    nothing_said: EndpointRule = EndpointRule(False, 5.0)
    likely_end: EndpointRule = EndpointRule(True, 0.5, 2.0)
    possible_end: EndpointRule = EndpointRule(True, 1.0, 8.0)
    any_end: EndpointRule = EndpointRule(True, 2.0)
    too_long: EndpointRule = EndpointRule(False, 0.0, math.inf, 20.0)

    def reached(self, trail: Trail) -> bool:
        """Tell whether any rule holds."""
        return any(getattr(self, f.name).holds(trail) for f in dataclasses.fields(self))


#: Kaldi's values.
ENDPOINTS = EndpointRules()


def pausing(seconds: float) -> EndpointRules:
    """Return rules by which so many seconds of silence after speech end a segment in any case.

    The rules that ask for a likely end ask for no more silence than that.
    """
    if not seconds > 0:
        raise UsageError("a pause of no length", where="pause", got=seconds, expected="seconds")
    return EndpointRules(
        likely_end=EndpointRule(True, min(0.5, seconds), 2.0),
        possible_end=EndpointRule(True, min(1.0, seconds), 8.0),
        any_end=EndpointRule(True, seconds),
    )
