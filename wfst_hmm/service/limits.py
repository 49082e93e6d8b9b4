"""What a service grants its clients at most.

In: numbers. Out: `Limits`, each field with the sentence of help that is shown.

Public names: `Limits`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from wfst_hmm.errors import UsageError

__all__ = ["Limits"]


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds on size, time, sessions and memory.

    Raises
    ------
    UsageError
        A bound is not positive.
    """

    max_sessions: int = _option(32, "Sessions and uploads at a time; others are told to wait.")
    max_connections: int = _option(256, "Connections at a time, idle ones included.")
    max_seconds: float = _option(3600.0, "Seconds of audio of one session or recording.")
    max_segment: float = _option(30.0, "Seconds after which a segment ends at the latest.")
    max_message: int = _option(1 << 18, "Bytes of one message.")
    max_upload: int = _option(64 << 20, "Bytes of one recording.")
    idle_seconds: float = _option(30.0, "Seconds that a client may be silent on the network.")
    start_seconds: float = _option(10.0, "Seconds from the connection to the first message.")
    send_seconds: float = _option(15.0, "Seconds that a client may take to fetch a result.")
    max_memory_mb: float = _option(0.0, "Refuse new sessions above so much memory; 0: no bound.")
    grace_seconds: float = _option(20.0, "Seconds that sessions may go on after a signal to stop.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            least = 0 if field.name == "max_memory_mb" else 1e-9
            if not getattr(self, field.name) >= least:
                raise UsageError(f"{field.name} must be positive", where=field.name,
                                 got=getattr(self, field.name))  # fmt: skip
