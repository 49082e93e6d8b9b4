"""What a service grants its clients at most.

In: numbers. Out: `Limits`, each field with the sentence of help that is shown.

Public names: `Limits`.
"""

from __future__ import annotations

import dataclasses

from wfst_hmm.options import check, option

__all__ = ["Limits"]


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds on size, time, sessions and memory.

    Raises
    ------
    UsageError
        A bound is not positive.
    """

    max_sessions: int = option(
        32, "Sessions and uploads at a time; others are told to wait.", above=0
    )
    max_connections: int = option(256, "Connections at a time, idle ones included.", above=0)
    max_seconds: float = option(3600.0, "Seconds of audio of one session or recording.", above=0)
    max_segment: float = option(30.0, "Seconds after which a segment ends at the latest.", above=0)
    max_message: int = option(1 << 18, "Bytes of one message.", above=0)
    max_upload: int = option(64 << 20, "Bytes of one recording.", above=0)
    idle_seconds: float = option(
        30.0, "Seconds that a client may be silent on the network.", above=0
    )
    start_seconds: float = option(
        10.0, "Seconds from the connection to the first message.", above=0
    )
    send_seconds: float = option(15.0, "Seconds that a client may take to fetch a result.", above=0)
    max_memory_mb: float = option(
        0.0, "Refuse new sessions above so much memory; 0: no bound.", least=0
    )
    grace_seconds: float = option(
        20.0, "Seconds that sessions may go on after a signal to stop.", above=0
    )

    def __post_init__(self) -> None:
        check(self, "{name} must be positive", where=True, expected=False)
