import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from training_problems import WORDS, small_options, spoken

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.training.features import Take
from wfst_hmm.training.journal import Journal
from wfst_hmm.training.monophone import train_on
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.passes import PassReport
from wfst_hmm.training.progress import Watcher


class Notes(Watcher):
    """Remembers what it hears; may pull the plug after a pass."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.reports: list[PassReport] = []
        self.stop_after = stop_after

    def note(self, text: str) -> None:
        self.notes.append(text)

    def passed(self, report: PassReport) -> None:
        self.reports.append(report)
        if report.number == self.stop_after:
            raise KeyboardInterrupt


def test_training_finds_the_sounds() -> None:
    watcher = Notes()
    model = train_on(spoken(60), WORDS, None, small_options(n_gaussians=7), watcher=watcher)
    means = dict(zip(model.phones, model.columns, strict=True))
    for phone, wanted in (("A", (4, 0)), ("B", (1, 4)), ("C", (0, -4)), ("SIL", (-9, 0))):
        own = model.mixtures.means[means[phone]].mean(axis=0)
        np.testing.assert_allclose(own, np.array(wanted) + np.array([0.4, -0.4]), atol=0.7)
    assert [r.number for r in watcher.reports] == [1, 2, 3, 4, 5, 6]
    assert model.info["training"]["n_frames"] == watcher.reports[-1].n_frames
    zero = [t.transitions[1, 0] for t in model.topologies[1:]]
    assert zero == [0.0, 0.0, 0.0]


def test_the_likelihood_grows_or_its_fall_is_told() -> None:
    watcher = Notes()
    train_on(spoken(), WORDS, None, small_options(n_passes=12, growth=0.5), watcher=watcher)
    for before, after in zip(watcher.reports, watcher.reports[1:], strict=False):
        fell = after.log_likelihood < before.log_likelihood - 1e-5
        assert fell == any("fell from" in note for note in after.notes)
    assert not any("WARNING" in note for note in watcher.notes)
    assert watcher.reports[-1].n_gaussians > watcher.reports[0].n_gaussians


def test_a_fall_without_a_cause_is_a_warning() -> None:
    from wfst_hmm.training.monophone import _judged

    before = [PassReport(1, -3.0, 10, 4)]
    assert _judged(PassReport(2, -3.1, 10, 4), before, small_options(), ()).notes == (
        "WARNING: the log-likelihood fell from -3.000000 to -3.100000 a frame",
    )
    split = _judged(PassReport(2, -3.1, 10, 5), before, small_options(), ())
    assert split.notes[0].endswith("Gaussians were split")
    dropped = [PassReport(1, -3.0, 10, 4, n_removed=2)]
    assert (
        "2 Gaussians were dropped"
        in (_judged(PassReport(2, -3.1, 10, 2), dropped, small_options(), ()).notes[0])
    )


@pytest.mark.parametrize("n_workers", [2, 3])
def test_the_number_of_workers_changes_no_bit(n_workers: int, tmp_path: Path) -> None:
    train_on(spoken(), WORDS, tmp_path / "a", small_options())
    train_on(spoken(), WORDS, tmp_path / "b", small_options(n_workers=n_workers))
    same_files(tmp_path / "a", tmp_path / "b")


def same_files(a: Path, b: Path) -> None:
    for name in ("model.json", "mixtures.npz"):
        assert (a / name).read_bytes() == (b / name).read_bytes()


def test_the_seed_matters() -> None:
    hashes = {train_on(spoken(), WORDS, None, small_options(seed=s)).hash for s in (0, 0, 1)}
    assert len(hashes) == 2


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_an_interrupted_training_goes_on_to_the_same_model(stop: int, tmp_path: Path) -> None:
    whole = train_on(spoken(), WORDS, tmp_path / "whole", small_options())
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_on(spoken(), WORDS, out, small_options(), watcher=Notes(stop))
    assert not out.exists()
    assert (tmp_path / "model.journal").is_file()
    again = Notes()
    model = train_on(spoken(), WORDS, out, small_options(n_workers=2), watcher=again)
    assert again.notes[0] == f"goes on after pass {stop} of 6"
    assert [r.number for r in again.reports] == list(range(stop + 1, 7))
    assert model.hash == whole.hash
    same_files(out, tmp_path / "whole")
    assert not (tmp_path / "model.journal").exists()


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from training_problems import WORDS, small_options, spoken
from wfst_hmm.training.monophone import train_on
print("ready", flush=True)
train_on(spoken(60), WORDS, sys.argv[1], small_options(n_passes=60))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_training_goes_on_to_the_same_model(tmp_path: Path) -> None:
    out = tmp_path / "model"
    tests = str(Path(__file__).resolve().parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out), tests], stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    journal = tmp_path / "model.journal"
    patience = time.monotonic() + 120
    while not journal.exists() and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was too fast to be killed"
    assert not out.exists()
    watcher = Notes()
    options = small_options(n_passes=60)
    model = train_on(spoken(60), WORDS, out, options, watcher=watcher)
    assert watcher.notes[0].startswith("goes on after pass")
    assert model.hash == train_on(spoken(60), WORDS, None, options).hash


def test_another_trainings_journal_is_not_used(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_on(spoken(), WORDS, out, small_options(), watcher=Notes(2))
    watcher = Notes()
    model = train_on(spoken(), WORDS, out, small_options(seed=5), watcher=watcher)
    assert "other data or options" in watcher.notes[0]
    assert model.hash == train_on(spoken(), WORDS, None, small_options(seed=5)).hash


def test_a_damaged_journal_is_told_and_not_used(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_on(spoken(), WORDS, out, small_options(), watcher=Notes(2))
    journal = tmp_path / "model.journal"
    data = journal.read_bytes()
    for broken in (data[: len(data) // 2], b"", data[:300] + b"\xff" * 50 + data[350:]):
        journal.write_bytes(broken)
        found = Journal.beside(out, "").load()
        assert isinstance(found, str)
    watcher = Notes()
    train_on(spoken(), WORDS, out, small_options(), watcher=watcher)
    assert len(watcher.reports) == 6
    assert "begins anew" in watcher.notes[0]


def test_phones_that_may_skip_states_take_recordings_that_were_cut() -> None:
    takes = spoken(20)
    cut = dataclasses.replace(takes[0], id="cut", frames=takes[0].frames[:2], words=("ab",))
    strict = train_on([*takes, cut], WORDS, None, small_options(n_states=2))
    assert [id_ for id_, _ in strict.info["training"]["skipped"]] == ["cut"]
    model = train_on([*takes, cut], WORDS, None, small_options(n_states=2, skip=0.1))
    assert not model.info["training"]["skipped"]
    assert all(t.min_frames == 1 for p, t in zip(model.phones, model.topologies, strict=True)
               if p not in model.silence_phones)  # fmt: skip
    with pytest.raises(UsageError, match="skip"):
        TrainingOptions(skip=1.0)


def test_unknown_words_are_all_listed() -> None:
    takes = [*spoken(5), Take("x1", ("abb", "c"), spoken(1)[0].frames, "text:7"),
             Take("x2", ("zebra",), spoken(1)[0].frames)]  # fmt: skip
    with pytest.raises(DataError) as caught:
        train_on(takes, WORDS, None, small_options())
    message = str(caught.value)
    assert "lacks 2 words" in message
    assert "utterance x1 (text:7)" in message
    assert "abb (nearest: ab)" in message
    assert "zebra" in message
    assert "--on-oov skip" in message
    watcher = Notes()
    model = train_on(takes, WORDS, None, small_options(on_oov="skip"), watcher=watcher)
    assert watcher.notes[0].startswith(
        "2 words of the transcripts cannot be spoken: abb (nearest: ab"
    )
    assert [n.split(":")[1].strip() for n in watcher.notes[1:3]] == ["x1", "x2"]
    assert model.info["training"]["skipped"][0] == [
        "x1", "not in the lexicon: abb (nearest: ab)",
    ]  # fmt: skip
    assert model.hash == train_on(spoken(5), WORDS, None, small_options()).hash


def test_short_utterances_are_named_and_left_out() -> None:
    short = Take("short", ("ab", "ab"), np.zeros((5, 2), dtype=np.float32))
    watcher = Notes()
    model = train_on([short, *spoken(5)], WORDS, None, small_options(), watcher=watcher)
    assert watcher.notes[0] == "left out: short: 5 frames, but its shortest path takes 8"
    assert model.info["training"]["n_utterances"] == 5
    with pytest.raises(DataError, match=r"none of 1 utterances .* short: 5 frames.* takes 8"):
        train_on([short], WORDS, None, small_options())


def test_a_failed_training_leaves_the_old_model(tmp_path: Path) -> None:
    out = tmp_path / "model"
    old = train_on(spoken(), WORDS, out, small_options())
    with pytest.raises(DataError):
        train_on([Take("u", ("zebra",), spoken(1)[0].frames)], WORDS, out, small_options())
    with pytest.raises(KeyboardInterrupt):
        train_on(spoken(), WORDS, out, small_options(seed=1), watcher=Notes(2))
    assert AcousticModel.load(out).hash == old.hash


def test_phones_without_data_are_told() -> None:
    takes = [take for take in spoken() if take.words == ("c",)] * 1
    takes = [dataclasses.replace(take, id=f"{take.id}-{i}") for i in range(6) for take in takes]
    watcher = Notes()
    train_on(takes, WORDS, None, small_options(), watcher=watcher)
    assert watcher.notes[-1].endswith("no data for the states A.0 A.1 B.0 B.1")


def test_no_data_is_an_error() -> None:
    with pytest.raises(DataError, match="no utterance with a transcript"):
        train_on([], WORDS, None, small_options())
    with pytest.raises(DataError, match="another dimension"):
        train_on([Take("u", ("c",), np.zeros((9, 3), np.float32))], WORDS, None, small_options())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_passes": 0}, "n_passes"),
        ({"variance_floor": 0.0}, "variance_floor"),
        ({"on_oov": "maybe"}, "skip, guess or unk"),
        ({"perturb": (1.0,)}, "perturb"),
        ({"silence_probability": 1.0}, "silence_probability"),
        ({"silence_phone": "a b"}, "silence_phone"),
        ({"beam": float("nan")}, "beam"),
    ],
)
def test_impossible_options_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        TrainingOptions(**change)  # type: ignore[arg-type]


def test_every_option_has_its_sentence() -> None:
    for field in dataclasses.fields(TrainingOptions):
        assert field.metadata["help"].endswith((".", ")"))


def test_words_of_the_lexicon_only_need_phones() -> None:
    """A lexicon with words that nobody says gives the same sounds."""
    fewer = Lexicon(entry for entry in WORDS if entry.word != "ab")
    takes = [take for take in spoken(60) if "ab" not in take.words]
    wide, narrow = (train_on(takes, lex, None, small_options()) for lex in (WORDS, fewer))
    assert wide.phones == ("SIL", "A", "B", "C")
    assert narrow.phones == wide.phones


def test_the_lexicon_s_own_silence_is_used() -> None:
    """Kaldi's lexicons have a line <SIL> sil: sil became a phone beside SIL."""
    lexicon = Lexicon([*WORDS, Entry("<SIL>", ("sil",))])
    watcher = Notes()
    model = train_on(spoken(5), lexicon, None, small_options(), watcher=watcher)
    assert model.silence_phones == ("sil",)
    assert "SIL" not in model.phones
    assert "silence is the lexicon's own phone 'sil', not 'SIL'" in watcher.notes
