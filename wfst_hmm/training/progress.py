"""What a person sees of a training while it runs.

In: events of the recipe. Out: nothing (`Watcher`), or a progress bar and notes (`ProgressBar`).

Public names: `ProgressBar`, `Watcher`.
"""

from __future__ import annotations

from typing import Any

from wfst_hmm.training.passes import PassReport

__all__ = ["ProgressBar", "Watcher"]


class Watcher:
    """Hears of a training's progress and does nothing; subclasses show it.

    A context: entered when training begins, left when it ends in whatever way.
    """

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def stage(self, text: str) -> None:
        """Say what happens next: features, graphs ..."""

    def note(self, text: str) -> None:
        """Report something a person should know: a skipped utterance, a warning."""

    def begin(self, n_passes: int, n_done: int, n_frames: int) -> None:
        """Announce the passes; `n_done` of them were found in the journal."""

    def advanced(self, n_frames: int) -> None:
        """Hear that so many more frames of this pass are done."""

    def passed(self, report: PassReport) -> None:
        """Hear that a pass is done."""


class ProgressBar(Watcher):
    """A bar on standard error: pass, log-likelihood per frame, Gaussians, frames/s, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: Any = None
        self._n_passes = 0
        self._n_frames = 0

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def stage(self, text: str) -> None:
        """Print what happens next."""
        self._console.print(text, markup=False, highlight=False)

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self._console.print(text, markup=False, highlight=False, style="yellow")

    def begin(self, n_passes: int, n_done: int, n_frames: int) -> None:
        """Show the bar."""
        self._n_passes, self._n_frames = n_passes, n_frames
        self._task = self._bar.add_task(
            f"pass {n_done + 1}/{n_passes}", total=n_passes * n_frames, facts="",
            completed=n_done * n_frames,
        )  # fmt: skip

    def advanced(self, n_frames: int) -> None:
        """Move the bar."""
        self._bar.advance(self._task, n_frames)

    def passed(self, report: PassReport) -> None:
        """Show what the pass found."""
        speed = self._bar.tasks[self._task].speed or 0.0
        facts = (f"log-likelihood {report.log_likelihood:.3f}/frame, {report.n_gaussians} "
                 f"Gaussians, {speed / 1000:.0f}k frames/s")  # fmt: skip
        number = min(report.number + 1, self._n_passes)
        self._bar.update(self._task, description=f"pass {number}/{self._n_passes}", facts=facts,
                         completed=report.number * self._n_frames)  # fmt: skip
