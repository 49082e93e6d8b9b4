"""Where recognized words go: into files, one form printed as a whole, or a line an utterance.

In: `Outcome`s, one after the other. Out: stdout, or a folder.

Public names: `Output`, `report`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wfst_hmm.cli.shell import say, warn
from wfst_hmm.errors import UsageError

if TYPE_CHECKING:
    from wfst_hmm.apps.recognize import Outcome
    from wfst_hmm.search.result import Decoded
    from wfst_hmm.signal.corpus import Corpus

__all__ = ["Output", "report"]


class Output:
    """The results of one command; a context that leaves no temporary file behind.

    Parameters
    ----------
    out : path or None
        Folder of the results; None: they are printed.
    form : list of str or None
        Forms asked for.
    as_json : bool
    lattice : bool
        Whether lattices are asked for.

    Raises
    ------
    UsageError
        An unknown form, no folder where there are files to be written, or `out` is none.
    """

    def __init__(
        self, out: Path | None, form: list[str] | None, as_json: bool, lattice: bool
    ) -> None:
        from wfst_hmm.apps.results import check_folder, check_forms

        self.forms = check_forms(form or (("ctm", "json") if out is not None else ()))
        #: The form that is printed as a whole, if any.
        self.printed = "json" if as_json else self.forms[0] if self.forms and out is None else None
        if out is not None:
            check_folder(out)
        elif lattice or len(self.forms) > 1:
            raise UsageError("files need a place",
                             got="--lattice" if lattice else ", ".join(self.forms),
                             fix="Name a folder with --out.")  # fmt: skip
        self._out = out
        self._kept: list[Outcome] = []  # to be printed as a whole; else none outlives its turn

    def check(self, corpus: Corpus) -> None:
        """Raise a `UsageError` when the printed form could not hold this corpus; before hours of work."""
        from wfst_hmm.apps.results import check_printable

        if self.printed is not None:
            check_printable(self.printed, corpus)

    def __enter__(self) -> Output:
        from wfst_hmm.apps.results import results_writer

        self._writer = results_writer(self._out, self.forms) if self._out is not None else None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*exception)

    def take(self, outcome: Outcome, *, with_confidence: bool) -> None:
        """Write or print the next utterance's result."""
        if self._writer is not None:
            self._writer.add(outcome)
        if self.printed is None:
            _print_words(outcome, with_confidence)
        else:
            self._kept.append(outcome)

    def finish(self) -> None:
        """Print what is printed as a whole, and let the files appear."""
        from wfst_hmm.apps.results import printable

        if self.printed is not None:
            say(printable(self._kept, self.printed).rstrip("\n"))
        if self._writer is not None:
            self._writer.finish()


def report(outcome: Outcome, problems: list[str], told: set[str]) -> None:
    """Warn of what is wrong with an utterance, and list it if it has no result.

    What holds for the whole run is said once: `told` remembers.
    """
    from wfst_hmm.search.begin import A_FEW_KEPT, UNPRUNED

    if outcome.problem is not None:
        problems.append(outcome.problem)
        warn(f"skipped: {outcome.problem}")
    elif outcome.decoded is not None:
        for note in outcome.decoded.notes:
            if note not in told:
                general = note in (A_FEW_KEPT, UNPRUNED)
                warn(note if general else f"{outcome.utterance.place}: {note}")
                told |= {note} if general else set()


def _print_words(outcome: Outcome, with_confidence: bool) -> None:
    """Print what was recognized: the n-best list where there is one, else the best words."""
    if outcome.alternatives:
        for rank, other in enumerate(outcome.alternatives, start=1):
            words = _spelled(other.decoded, with_confidence)
            say(f"{outcome.utterance.id} {rank} {other.probability:.4f} {words}".rstrip())
    elif outcome.decoded is not None:
        words = _spelled(outcome.decoded, with_confidence)
        if outcome.decoded.rejected:
            words = "<rejected>"
        say(f"{outcome.utterance.id} {words}".rstrip())
    if outcome.check is not None:
        say(f"  {outcome.check.verdict}: {outcome.check.detail}")


def _spelled(decoded: Decoded, with_confidence: bool) -> str:
    if not with_confidence:
        return decoded.text
    return " ".join(
        word.text if word.confidence is None else f"{word.text}:{word.confidence:.3f}"
        for word in decoded.words
    )
