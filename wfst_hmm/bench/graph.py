"""Compilation of decoding graphs beside plain OpenFst and kaldifst, and at full size.

In: options. Out: rows: seconds, arcs, memory, and the largest difference of sentence costs.

Public names: `bench_graph`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.bench import kaldi_graph_peer
from wfst_hmm.bench.graph_build import Material, material
from wfst_hmm.bench.report import Row
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.trim import trim
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.compiler import GraphOptions, build_compact
from wfst_hmm.graph.context import context_table
from wfst_hmm.graph.context_composition import compose_context
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.hmm_fst import hmm_fst
from wfst_hmm.graph.items import Items, grammar_items
from wfst_hmm.graph.lexicon_fst import LexiconFst, lexicon_fst
from wfst_hmm.graph.units import Units

__all__ = ["bench_graph"]

_PEER_PYTHON = "WFST_HMM_KALDI_PYTHON"
_BUDGET = 100_000_000
#: Words at most, order, kind; the targets, seconds and MB.
_FULL = (
    (5_000, 3, "HCLG", 200.0, 4_000.0),
    (100_000, 3, "CLG", 900.0, 14_000.0),
)


def bench_graph(
    n_words: int = 20_000,
    *,
    n_sentences: int = 20,
    plain: bool = True,
    full: bool = False,
    peer_words: int = 5_000,
    peer_python: str | None = None,
    seed: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Measure compilation from the files of the pocketsphinx package.

    Parameters
    ----------
    n_words : int
        Words of the first measurement: 2-grams, phones without context.
    n_sentences : int
        Random sentences whose costs are compared.
    plain : bool
        Also build the same by OpenFst's composition, determinization and minimization alone,
        which takes minutes.
    full : bool
        Also the large graphs of triphones; gigabytes.
    peer_words : int
        Words of the comparison with kaldifst.
    peer_python : str, optional
        An interpreter that has kaldifst; by default the environment variable
        WFST_HMM_KALDI_PYTHON, or this interpreter.
    seed : int
    progress : callable

    Notes
    -----
    Our builds run in processes of their own after a small one has compiled the kernels. Seconds
    from files to saved graph are by the clock, those beside a peer processor time.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for kind in ("HLG", "CLG"):
            _built(100, 2, kind, place / "warm")
        rows = _from_files(n_words, n_sentences, plain, seed, place, progress)
        rows += _beside_kaldifst(peer_words, n_sentences, peer_python, seed, place, progress)
        for words, order, kind, seconds, megabytes in _FULL if full else ():
            progress(f"{kind} of {words:,} words")
            made = _built(words, order, kind, place / kind)
            name = f"{kind}, {words:,} words at most, {order}-grams, triphones"
            rows += _build_rows(name, made, seconds, megabytes)
            rows.append(_loading_row(name, place / kind, kind))
    return rows


def _built(n_words: int, order: int, kind: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "wfst_hmm.bench.graph_build", str(n_words), str(order),
               kind, str(folder)]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _build_rows(name: str, made: dict[str, Any], seconds: float, megabytes: float) -> list[Row]:
    note = f"{made['states']:,} states, {made['arcs']:,} arcs"
    work = f"{made['cpu_seconds']:.0f} s of processor time"
    rows = [Row(f"{name}: files to saved graph", "s", made["seconds"], target=seconds,
                less_is_better=True, note=f"{note}; {work}")]  # fmt: skip
    if made["peak_mb"] is not None:
        rows.append(Row(f"{name}: most memory", "MB", made["peak_mb"], target=megabytes,
                        less_is_better=True))  # fmt: skip
    return rows


def _loading_row(name: str, folder: Path, kind: str) -> Row:
    begin = time.perf_counter()
    (CompactGraph if kind == "CLG" else Graph).load(folder)
    return Row(f"{name}: loading", "s", time.perf_counter() - begin, target=0.2,
               less_is_better=True)  # fmt: skip


def _from_files(
    n_words: int,
    n_sentences: int,
    plain: bool,
    seed: int,
    place: Path,
    progress: Callable[[str], None],
) -> list[Row]:
    progress(f"HLG of {n_words:,} words")
    name = f"HLG, {n_words:,} words, 2-grams"
    made = _built(n_words, 2, "HLG", place / "hlg")
    rows = _build_rows(name, made, 35.0, 4_000.0)
    rows.append(_loading_row(name, place / "hlg", "HLG"))
    if not plain:
        return rows
    progress("the same by plain OpenFst")
    from_files = time.perf_counter()
    given = material(n_words, 2)
    items = _items(given)
    slow, seconds = _plain_hlg(given, items)
    rows[0] = dataclasses.replace(
        rows[0], theirs=time.perf_counter() - from_files, peer="plain OpenFst (pynini)",
        target=0.43,  # 35 of 81 seconds
    )  # fmt: skip
    rows.append(Row(f"{name}: arcs", "arcs", made["arcs"], slow.n_arcs, "plain OpenFst (pynini)",
                    1.1, True, f"OpenFst alone {seconds:.0f} s"))  # fmt: skip
    quick = Graph.load(place / "hlg")
    sentences = _sentences(items, n_sentences, seed)
    words = [[str(items.words[label]) for label in sentence] for sentence in sentences]
    ours = _costs(quick.fst, [[quick.words.id(w) for w in sentence] for sentence in words])
    rows.append(_cost_row(name, ours, _costs(slow, sentences), "plain OpenFst (pynini)"))
    return rows


def _items(given: Material) -> Items:
    items = grammar_items(given.grammar, given.lexicon, max_states=_BUDGET)
    return dataclasses.replace(items, acceptor=trim(items.acceptor))


def _lexicon_and_grammar(given: Material, items: Items) -> tuple[LexiconFst, Fst]:
    """Return L with disambiguation symbols and G, words on its output side."""
    l_fst = lexicon_fst(items.lexicon, given.phones, words=items.symbols, unspoken=items.unspoken)
    arcs = items.acceptor.arcs.copy()
    arcs["olabel"] = items.word_of[arcs["olabel"]]
    acceptor = items.acceptor
    return l_fst, Fst.from_runs(acceptor.start, acceptor.states["n_arcs"], arcs,
                                acceptor.states["final"])  # fmt: skip


def _plain_hlg(given: Material, items: Items) -> tuple[Fst, float]:
    """Compose, determinize, minimize, compose: the recipe of the books, all in OpenFst."""
    begin = time.process_time()
    l_fst, g_fst = _lexicon_and_grammar(given, items)
    made = ops.minimize(ops.determinize(ops.compose(l_fst.fst.with_symbols(None, None), g_fst)))
    labels = given.phones.state_labels()
    units = Units.of_phones(given.phones.topologies, labels)
    h_fst = hmm_fst(units, labels.symbols, l_fst.phones).with_symbols(None, None)
    made = ops.compose(h_fst, made)
    arcs = made.arcs.copy()
    arcs["ilabel"][arcs["ilabel"] > len(labels)] = 0
    made = Fst.from_runs(made.start, made.states["n_arcs"], arcs, made.states["final"])
    return made, time.process_time() - begin


def _sentences(items: Items, n_sentences: int, seed: int, longest: int = 12) -> list[list[int]]:
    """Return random walks through the grammar as labels of its words, backing off at times."""
    rng = np.random.default_rng(seed)
    acceptor = items.acceptor
    found: list[list[int]] = []
    while len(found) < n_sentences:
        state = acceptor.start
        words: list[int] = []
        while len(words) < longest:
            arcs = acceptor.arcs_of(state)
            if not len(arcs):
                break
            arc = arcs[rng.integers(len(arcs))] if rng.random() < 0.8 else arcs[-1]
            state = int(arc["nextstate"])
            word = int(items.word_of[arc["ilabel"]])
            words += [word] if word else []
        if words and len(words) >= 2:
            found.append(words)
    return found


def _costs(fst: Fst, sentences: Sequence[Sequence[int]]) -> list[float | None]:
    """Return the cost of the cheapest path that prints each sentence."""
    plain = fst.with_symbols(None, None)
    found: list[float | None] = []
    for words in sentences:
        n = len(words)
        line = Fst.from_arcs(0, np.arange(n), words, words, np.zeros(n), np.arange(1, n + 1),
                             [*[np.inf] * n, 0.0])  # fmt: skip
        best = ops.best_path(ops.compose(plain, line))
        found.append(None if best is None else best.cost)
    return found


def _cost_row(
    name: str, ours: Sequence[float | None], theirs: Sequence[float | None], peer: str
) -> Row:
    pairs = list(zip(ours, theirs, strict=True))
    same = all((a is None) == (b is None) for a, b in pairs)
    gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    worst = max(gaps, default=float("inf")) if same else float("inf")
    spoken = f"{len(gaps)} of {len(pairs)} random sentences can be said; beside {peer}"
    return Row(f"{name}: largest difference of costs", "nats", worst, target=1e-4,
               less_is_better=True, note=spoken)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _EveryTriphone:
    """A context rule under which every triphone is an HMM of its own, as kaldifst numbers them."""

    n_labels: int
    n_left: int = 1
    n_right: int = 1

    def neighbour(self, label: int) -> int:
        return label

    def hmms(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> Any:
        n = self.n_labels + 1
        return (left[-1] * n + centre) * n + np.arange(n)

    def name(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> str:
        return f"{left[-1]}-{centre}"


def _beside_kaldifst(
    n_words: int,
    n_sentences: int,
    python: str | None,
    seed: int,
    place: Path,
    progress: Callable[[str], None],
) -> list[Row]:
    """Optimize one L∘G on both sides, then bring its phones into context."""
    progress(f"L∘G and C∘L∘G of {n_words:,} words beside kaldifst")
    given = material(n_words, 2)
    items = _items(given)
    sentences = _sentences(items, n_sentences, seed)
    l_fst, g_fst = _lexicon_and_grammar(given, items)
    for name, fst in (("L.fst", l_fst.fst), ("G.fst", g_fst)):
        ops.to_openfst(fst, mutable=True).write(str(place / name))
    marks = list(range(l_fst.n_phones + 1, len(l_fst.phones)))
    (place / "job.json").write_text(json.dumps({"marks": marks, "sentences": sentences}))
    command = [python or os.environ.get(_PEER_PYTHON) or sys.executable,
               kaldi_graph_peer.__file__,
               *(str(place / name) for name in ("L.fst", "G.fst", "job.json"))]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    answer = json.loads(done.stdout) if done.returncode == 0 else None
    peer = f"kaldifst {answer['version']}" if answer else ""

    begin = time.process_time()
    compact = build_compact(given.phones, given.lexicon, given.grammar,
                            GraphOptions(max_states=_BUDGET))  # fmt: skip
    seconds = time.process_time() - begin
    lg = compact.fst
    begin = time.process_time()
    clg = compose_context(context_table(_EveryTriphone(l_fst.n_phones)), lg, max_states=_BUDGET)
    in_context = time.process_time() - begin
    to_ours = [[compact.words.id(items.words[w]) for w in sentence] for sentence in sentences]
    rows = []
    for name, fst, taken in (("LG", lg, seconds), ("CLG", clg, in_context)):
        theirs = answer[name] if answer else {}
        what = f"{n_words:,} words, 2-grams: {name}"
        note = f"{fst.n_arcs:,} arcs" + (f", theirs {theirs['arcs']:,}" if theirs else "")
        rows.append(Row(what, "s", taken, theirs.get("seconds"), peer,
                        less_is_better=True, note=note))  # fmt: skip
        if answer:
            rows.append(_cost_row(what, _costs(fst, to_ours), theirs["costs"], peer))
    return rows
