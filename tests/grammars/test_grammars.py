"""Each grammar accepts, writes and rejects what it says it does, and becomes a grammar of ours."""

import importlib
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wfst_hmm.graph.grammar import read_grammar

FOLDER = Path(__file__).resolve().parents[2] / "grammars"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "spoken")
sys.path.append(str(FOLDER))  # the grammars import each other as neighbours
spoken = importlib.import_module("spoken")


@pytest.fixture(scope="module", params=NAMES)
def grammar(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_the_folder_holds_what_the_readme_lists():
    readme = (FOLDER / "README.md").read_text()
    assert len(NAMES) >= 9
    for name in NAMES:
        assert f"`{name}.py`" in readme


def test_examples(grammar: ModuleType, tmp_path: Path):
    machine = grammar.build()
    for phrase, text in grammar.ACCEPTED.items():
        assert spoken.written(machine, phrase) == text
    for phrase in grammar.REJECTED:
        assert not spoken.accepts(machine, phrase), phrase
        assert spoken.written(machine, phrase) is None
    path = tmp_path / "g.fst"
    spoken.acceptor(machine).write(str(path))
    found = read_grammar(path)
    fst = found.fst
    assert fst.isymbols is not None
    for phrase in [*grammar.ACCEPTED, *grammar.REJECTED]:
        state: int | None = fst.start
        for word in phrase.split():
            label = fst.isymbols.id(word) if word in fst.isymbols else -1
            state = next((int(a["nextstate"]) for a in fst.arcs_of(state)
                          if a["ilabel"] == label), None)  # fmt: skip
            if state is None:
                break
        final = state is not None and bool(fst.states[state]["final"] < float("inf"))
        assert final == (phrase in grammar.ACCEPTED), phrase


ONES = [
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(n: int) -> str:
    if n >= 1000:
        return f"{in_words(n // 1000)} thousand {in_words(n % 1000)}".strip()
    if n >= 100:
        return f"{ONES[n // 100]} hundred {in_words(n % 100)}".strip()
    return ONES[n] if n < 20 else f"{TENS[n // 10]} {ONES[n % 10]}".strip()


def test_every_kind_of_cardinal():
    machine = importlib.import_module("cardinals").build()
    rng = random.Random(0)
    for n in [*range(1, 130), *rng.sample(range(130, 1_000_000), 300), 100_000, 999_999]:
        assert spoken.written(machine, in_words(n)) == str(n)


def test_every_minute():
    machine = importlib.import_module("times").build()
    number = importlib.import_module("times").number
    for n in range(10, 60):
        assert spoken.written(machine, f"six {number(n)}") == f"6:{n}"


def test_from_the_command_line(tmp_path: Path):
    path = tmp_path / "n.fst"
    done = subprocess.run(
        [sys.executable, FOLDER / "cardinals.py", "--out", path, "twenty", "one"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "21\n"
    assert "hundred" in read_grammar(path).words
