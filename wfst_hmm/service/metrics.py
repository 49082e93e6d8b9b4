"""Numbers about a running service, in Prometheus' text form.

In: what happens. Out: lines for ``GET /metrics``
(https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).

Public names: `Metrics`, `resident_mb`.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

__all__ = ["Metrics", "resident_mb"]

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0)
_HELP = {
    "sessions_active": ("gauge", "Sessions and uploads that are worked on."),
    "sessions_total": ("counter", "Sessions and uploads by how they ended."),
    "audio_seconds_total": ("counter", "Seconds of audio taken."),
    "segments_total": ("counter", "Segments finished."),
    "step_seconds": ("histogram", "From a message's arrival to the words it led to."),
    "resident_megabytes": ("gauge", "Memory of the process."),
}


class Metrics:
    """Counters that several threads may move."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.active = 0
        self._ended: dict[str, int] = {}
        self._audio = 0.0
        self._segments = 0
        self._steps = [0] * (len(_BUCKETS) + 1)
        self._step_sum = 0.0

    def begin(self) -> None:
        """Count a session that begins."""
        with self._lock:
            self.active += 1

    def end(self, how: str) -> None:
        """Count a session that ended: ``done``, or the code of its error."""
        with self._lock:
            self.active -= 1
            self._ended[how] = self._ended.get(how, 0) + 1

    def refuse(self, why: str) -> None:
        """Count a session that was never begun."""
        with self._lock:
            self._ended[why] = self._ended.get(why, 0) + 1

    def took(self, audio_seconds: float, n_segments: int, step_seconds: float) -> None:
        """Count a piece of audio that was worked on."""
        with self._lock:
            self._audio += audio_seconds
            self._segments += n_segments
            self._step_sum += step_seconds
            place = next((i for i, b in enumerate(_BUCKETS) if step_seconds <= b), len(_BUCKETS))
            self._steps[place] += 1

    def text(self) -> str:
        """Return all numbers."""
        with self._lock:
            lines = [*_head("sessions_active"), f"wfst_hmm_sessions_active {self.active}"]
            lines += _head("sessions_total")
            lines += [f'wfst_hmm_sessions_total{{ended="{how}"}} {count}'
                      for how, count in sorted(self._ended.items())]  # fmt: skip
            lines += _head("audio_seconds_total")
            lines += [f"wfst_hmm_audio_seconds_total {self._audio:.3f}"]
            lines += [*_head("segments_total"), f"wfst_hmm_segments_total {self._segments}"]
            lines += _head("step_seconds")
            total = 0
            for bound, count in zip((*_BUCKETS, None), self._steps, strict=True):
                total += count
                shown = "+Inf" if bound is None else f"{bound:g}"
                lines.append(f'wfst_hmm_step_seconds_bucket{{le="{shown}"}} {total}')
            lines += [f"wfst_hmm_step_seconds_sum {self._step_sum:.6f}",
                      f"wfst_hmm_step_seconds_count {total}"]  # fmt: skip
            lines += _head("resident_megabytes")
            lines += [f"wfst_hmm_resident_megabytes {resident_mb():.1f}"]
        return "\n".join(lines) + "\n"


def _head(name: str) -> list[str]:
    kind, text = _HELP[name]
    return [f"# HELP wfst_hmm_{name} {text}", f"# TYPE wfst_hmm_{name} {kind}"]


def resident_mb() -> float:
    """Return the resident memory of this process in megabytes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
