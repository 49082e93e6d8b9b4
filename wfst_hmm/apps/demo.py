"""The main job end to end on speech that the package makes: what ``wfst-hmm demo`` runs.

In: a folder. Out: below it a corpus of spoken digits, a model, a graph, results and pictures;
a `DemoReport` with what was said, what was recognized and how the three searches compare.

Public names: `DemoReport`, `DemoRow`, `run_demo`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wfst_hmm.apps.building import build, train_model
from wfst_hmm.apps.digits import make_digits
from wfst_hmm.apps.filming import film_recording
from wfst_hmm.apps.recognize import Outcome, decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.results import check_folder, write_results
from wfst_hmm.apps.wer import WordErrors, score_words
from wfst_hmm.draw.picture import DrawOptions, fst_picture
from wfst_hmm.draw.render import save, save_svg
from wfst_hmm.draw.timeline import decoded_svg
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.options import TrainingOptions

__all__ = ["DemoReport", "DemoRow", "run_demo"]

_SHOWN = 24  # utterances in the table
_PASSES = 16  # synthetic voices are learned quickly
_GAUSSIANS = 300


@dataclasses.dataclass(frozen=True)
class DemoRow:
    """One held-back utterance: said, recognized, cost by each search (None: no path).

    `frames_per_second` is the speed of scoring and beam search on one core.
    """

    id: str
    reference: str
    hypothesis: str
    costs: dict[str, float | None]
    verdict: str
    frames_per_second: float


@dataclasses.dataclass(frozen=True)
class DemoReport:
    """What the demo found.

    Attributes
    ----------
    rows : tuple of DemoRow
        One utterance of each kind, as many as a screen shows.
    errors : WordErrors
        Of all held-back utterances.
    verdicts : dict
        How many utterances the three searches agree on, tie on, differ on.
    problems : tuple of str
        Utterances without a result.
    seconds : dict
        Time of each step.
    files : dict
        What was written, by what it is.
    """

    rows: tuple[DemoRow, ...]
    errors: WordErrors
    verdicts: dict[str, int]
    problems: tuple[str, ...]
    seconds: dict[str, float]
    files: dict[str, Path]

    @property
    def n_unlike(self) -> int:
        """Utterances on which the searches differ."""
        return self.verdicts["differ"]

    @property
    def summary(self) -> str:
        """Two or three lines for the user."""
        errors, counts = self.errors, self.verdicts
        steps = ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        files = "\n".join(f"  {name:<12} {path}" for name, path in self.files.items())
        return (
            f"WER {100 * errors.wer:.2f} % ({errors.n_errors} of {errors.n_words} words wrong); "
            f"three searches: {counts['agree']} agree, {counts['tie']} tie, "
            f"{counts['differ']} differ\n"
            f"{steps}; {sum(self.seconds.values()):.1f} s in all\n{files}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report, JSON-ready."""
        return {
            "rows": [dataclasses.asdict(row) for row in self.rows],
            **self.errors.to_dict(),
            "cross_check": self.verdicts,
            "problems": list(self.problems),
            "seconds": self.seconds,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def run_demo(
    folder: str | Path,
    *,
    seed: int = 0,
    n_threads: int = 2,
    tell: Callable[[str], None] = lambda text: None,
) -> DemoReport:
    """Make a corpus, train, build a graph, decode held-back speech three ways, draw.

    Parameters
    ----------
    folder : path
        Gets ``corpus``, ``model``, ``graph``, ``results`` and the pictures; a demo that ran
        there before is replaced.
    seed : int
    n_threads : int
        Utterances decoded at a time.
    tell : callable
        Called with a line before each step.
    """
    folder = Path(folder)
    check_folder(folder)
    seconds: dict[str, float] = {}

    def step(name: str, text: str) -> _Clock:
        tell(text)
        return _Clock(name, seconds)

    with step("corpus", "making a corpus: spoken digits, many voices, some noise"):
        digits = make_digits(folder / "corpus", seed=seed, n_train_strings=5, n_test_strings=4)
    with step("training", "training monophones: flat start, then Viterbi training"):
        options = TrainingOptions(n_passes=_PASSES, n_gaussians=_GAUSSIANS, seed=seed)
        train_model(digits.train, digits.lexicon, folder / "model", options)
    with step("graph", "building H∘L∘G for any string of digits"):
        build(folder / "model", digits.lexicon, "loop", folder / "graph")
    recognizer = Recognizer.load(folder / "graph")
    with step("decoding", "decoding voices that training never heard, by three searches"):
        test = read_corpus(digits.test)
        outcomes = list(decode_corpus(recognizer, test, check=True, n_threads=n_threads))
        # Once more with the beam search alone, now compiled, for its speed.
        timed = list(decode_corpus(recognizer, test))
    write_results(outcomes, folder / "results")
    with step("pictures", "drawing"):
        pictures = _draw(recognizer, outcomes, test, folder)
    files = {"model": folder / "model", "graph": folder / "graph",
             "results": folder / "results", **pictures}  # fmt: skip
    return _report(outcomes, timed, seconds, files)


class _Clock:
    """Adds the time of a ``with`` block to a table."""

    def __init__(self, name: str, seconds: dict[str, float]) -> None:
        self._name, self._seconds, self._begun = name, seconds, 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._seconds[self._name] = round(time.perf_counter() - self._begun, 2)


def _draw(
    recognizer: Recognizer, outcomes: list[Outcome], corpus: Corpus, folder: Path
) -> dict[str, Path]:
    """Draw the graph with the path of one utterance in it, that utterance in time, and its film."""
    shown = _most_telling(outcomes)
    path = shown.decoded.arcs.tolist() if shown is not None and shown.decoded is not None else []
    title = "H∘L∘G: digits" + (f", and how “{shown.decoded.text}” runs through it"
                               if shown is not None and shown.decoded is not None else "")  # fmt: skip
    options = DrawOptions(title=title, max_states=150, max_arcs=400)
    files = {"graph.svg": save(fst_picture(recognizer.graph.fst, options, path=path),
                               folder / "graph.svg")}  # fmt: skip
    if shown is not None and shown.decoded is not None:
        svg = decoded_svg(
            shown.decoded, audio=shown.utterance.read(),
            reference=shown.utterance.words, title=shown.utterance.id,
        )  # fmt: skip
        files["path.svg"] = save_svg(svg, folder / "path.svg")
        film = film_recording(recognizer, shown.utterance, others=corpus, n_paths=12)
        files["film.html"] = film.save(folder / "film.html")
    return files


def _most_telling(outcomes: list[Outcome]) -> Outcome | None:
    """Return an utterance of a few words: short enough to read, long enough to be of interest."""
    found = [outcome for outcome in outcomes if outcome.decoded is not None]
    return min(found, key=lambda o: abs(len(o.utterance.words or ()) - 3), default=None)


def _report(
    outcomes: list[Outcome], timed: list[Outcome], seconds: dict[str, float], files: dict[str, Path]
) -> DemoReport:
    errors, rows = [], []
    for outcome, again in zip(outcomes, timed, strict=True):
        said = outcome.utterance.words or ()
        heard = [word.text for word in outcome.decoded.words] if outcome.decoded else []
        errors.append(score_words(said, heard))
        results = outcome.check.results if outcome.check else {}
        costs = {name: result.total_cost if isinstance(result, Decoded) else None
                 for name, result in results.items()}  # fmt: skip
        n_frames = outcome.result.n_frames if outcome.result else 0
        rows.append(DemoRow(
            outcome.utterance.id, " ".join(said), " ".join(heard), costs,
            outcome.check.verdict if outcome.check else "none",
            n_frames / max(again.seconds, 1e-9),
        ))  # fmt: skip
    verdicts = {name: sum(row.verdict == name for row in rows) for name in ("agree", "tie", "differ")}  # fmt: skip
    step = max(1, len(rows) // _SHOWN)
    problems = tuple(o.problem for o in outcomes if o.problem is not None)
    return DemoReport(tuple(rows[::step][:_SHOWN]), WordErrors.pool(errors), verdicts, problems,
                      seconds, files)  # fmt: skip
