"""How long a look into a machine of any size takes.

In: a number of states. Out: seconds of processor time for every question that the widget asks of
a random machine of that size, and for a film.

Public names: `bench_draw`, `random_machine`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from wfst_hmm.bench.report import Row
from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.recording import record
from wfst_hmm.draw.view import arcs_with, path_of, view
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import ARC, STATE, Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.search.beam import beam_path
from wfst_hmm.search.options import SearchOptions

__all__ = ["bench_draw", "random_machine"]

_ARCS = 2  # of a state
_WORDS = 100_000
_FRAMES, _COLUMNS = 200, 50
_TARGET = "below 1 s asked for"


def random_machine(n_states: int, seed: int = 0) -> Fst:
    """Return a machine of random arcs, two a state; every tenth writes one of 100,000 words."""
    rng = np.random.default_rng(seed)
    n = n_states * _ARCS
    states, arcs = np.zeros(n_states, STATE), np.zeros(n, ARC)
    states["n_arcs"], states["pos"] = _ARCS, np.arange(n_states) * _ARCS
    states["final"] = np.where(np.arange(n_states) % 1000 == 0, 0.0, np.inf)
    arcs["nextstate"] = rng.integers(0, n_states, n)
    labels = np.sort(rng.integers(1, _COLUMNS + 1, (n_states, _ARCS)), axis=1)
    arcs["ilabel"] = labels.ravel()
    arcs["olabel"] = np.where(rng.random(n) < 0.1, rng.integers(1, _WORDS + 1, n), 0)
    arcs["weight"] = rng.exponential(size=n).astype(np.float32)
    inputs = Symbols([f"S.{i}" for i in range(_COLUMNS)])
    return Fst(0, states, arcs, inputs, Symbols([f"w{i}" for i in range(_WORDS)]))


def bench_draw(n_states: int = 5_000_000) -> list[Row]:
    """Ask every question once more than once; the second answer is timed.

    Parameters
    ----------
    n_states : int
        At least 1,000.
    """
    if n_states < 1000:
        raise UsageError("too small to measure", where="--states", got=n_states, expected="1000")
    fst = random_machine(n_states)
    word = fst.osymbols[int(fst.arcs["olabel"].max())] if fst.osymbols is not None else ""
    path = _words_of_a_walk(fst)
    explorer = Explorer(fst)
    questions: dict[str, Callable[[], Any]] = {
        "the surroundings of a state": lambda: view(fst, n_states // 2),
        "the surroundings of a word": lambda: view(fst, word),
        "the arcs with a word": lambda: arcs_with(fst, word),
        "the cheapest path with given phones": lambda: path_of(fst, path, side="input"),
        "widget: expand a state": lambda: explorer.answer({"ask": "expand", "state": 7}),
        "widget: search a word": lambda: explorer.answer({"ask": "find", "text": word}),
        "widget: go to a word": lambda: explorer.answer({"ask": "go", "symbol": word}),
    }
    rows = []
    for name, ask in questions.items():
        ask()
        rows.append(Row(name, "s", _seconds(ask), less_is_better=True, note=_TARGET))
    return [*rows, _recording_row()]


def _words_of_a_walk(fst: Fst) -> list[str]:
    """Return the input symbols of a short path to a final state, found by walking at random."""
    rng = np.random.default_rng(1)
    for _ in range(1000):
        state, labels = fst.start, []
        for _ in range(12):
            arc = fst.arcs_of(state)[int(rng.integers(_ARCS))]
            labels.append(int(arc["ilabel"]))
            state = int(arc["nextstate"])
            if np.isfinite(fst.states["final"][state]) and fst.isymbols is not None:
                return fst.isymbols.strings(labels)
    return []


def _recording_row() -> Row:
    """Compare the search that writes everything down with the one that does not."""
    fst = random_machine(20_000)
    rng = np.random.default_rng(2)
    scores = rng.normal(scale=3.0, size=(_FRAMES, _COLUMNS)).astype(np.float32)
    columns = np.arange(_COLUMNS, dtype=np.int32)
    options = SearchOptions(beam=6.0)
    beam_path(fst, scores, columns, options)
    plain = _seconds(lambda: beam_path(fst, scores, columns, options))
    written = _seconds(lambda: record(fst, scores, columns, options))
    return Row("a search written down for a film", "frames/s", _FRAMES / written, _FRAMES / plain,
               "our beam search")  # fmt: skip


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return max(time.process_time() - begun, 1e-6)
