"""Kaldi's decoding graphs (``HCLG.fst``), in and out.

In: a graph directory of Kaldi and the model that it was made for. Out: a `Graph` whose input
labels are the transition-ids, ready for every search. The other way, a graph of this package is
rewritten from state labels to transition-ids.

Public names: `read_kaldi_graph`, `export_graph`, `write_graph_files`, `to_transition_ids`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm import orthography
from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.files import atomic_directory, read_lines
from wfst_hmm.formats.kaldi.lang import read_lang, write_silence_phones
from wfst_hmm.formats.kaldi.model import KaldiModel
from wfst_hmm.formats.kaldi.transitions import TransitionModel
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.binary import read_fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.trim import trim
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.scores import ACOUSTIC_SCALE

__all__ = ["export_graph", "read_kaldi_graph", "to_transition_ids", "write_graph_files"]


def read_kaldi_graph(
    path: str | Path,
    model: KaldiModel,
    *,
    model_hash: str = "",
    frame_shift: float = 0.01,
    acoustic_scale: float = ACOUSTIC_SCALE,
    frame_offset: float = 0.0,
) -> Graph:
    """Read a graph directory: ``HCLG.fst``, ``words.txt``, ``phones/align_lexicon.txt``.

    Parameters
    ----------
    model : KaldiModel
        Whose transition-ids the graph uses.
    model_hash : str
        Of the imported model that will be used with the graph.
    frame_shift, acoustic_scale, frame_offset : float
        Of that model.

    Raises
    ------
    FormatError
        A file is missing or damaged, or the graph uses transition-ids or words that there are
        not.
    """
    path = Path(path)
    lang = read_lang(path)
    fst = read_fst(path / "HCLG.fst")
    where = str(path / "HCLG.fst")
    for name, limit, what in (
        ("ilabel", model.transitions.n_ids + 1, "a transition-id that the model does not have"),
        ("olabel", len(lang.words), "a word that words.txt does not have"),
    ):
        if fst.n_arcs and fst.arcs[name].max() >= limit:
            raise FormatError(what, where=where, got=int(fst.arcs[name].max()),
                              expected=f"below {limit}")  # fmt: skip
    labels, info = model.state_labels(), {"made_by": "Kaldi"}
    if _loops_come_first(fst, model.transitions):
        fst = _with_entries(fst, model.transitions)
        labels = model.transitions.state_labels(model.phones, reordered=False)
        info["self_loops"] = "before the transition out of their state"
    # Kaldi numbers phones from 1; index i of these names is its phone i + 1.
    phones = tuple(list(model.phones)[1:])
    return Graph(
        fst, labels, lang.words, phones, lang.silence_phones or model.silence_phones,
        _lexicon(path / "phones" / "align_lexicon.txt"), model_hash, frame_shift,
        info, acoustic_scale, frame_offset,
    )  # fmt: skip


def _loops_come_first(fst: Fst, transitions: TransitionModel) -> bool:
    """Tell the order of a graph's ids: whether self-loops stand before the way out of their state.

    A loop stands on an FST state. Where loops come first, the way out of the same HMM state is on
    an arc that leaves that FST state; in graphs that were reordered, Kaldi's usual ones, it is on
    an arc that has led there.
    """
    sources, ids, goals = fst.sources(), fst.arcs["ilabel"], fst.arcs["nextstate"]
    loop = transitions.is_self_loop[ids]
    stays = loop & (sources == goals)
    leaves = (ids > 0) & ~loop
    n_states = len(transitions.tuples)
    place = sources.astype(np.int64) * n_states + transitions.state_of[ids]
    came = goals.astype(np.int64) * n_states + transitions.state_of[ids]
    before = np.isin(place[stays], place[leaves]).sum()
    after = np.isin(place[stays], came[leaves]).sum()
    return bool(before > after)


def _with_entries(fst: Fst, transitions: TransitionModel) -> Fst:
    """Return the graph with other labels, ``id + n_ids``, for the first frame of each phone.

    Every state is split by whether the id before it ended a phone; then its arcs carry first
    frames. (In graphs whose self-loops come first, an id by itself does not tell.)
    """
    sources, arcs, n = fst.sources(), fst.arcs, transitions.n_ids
    ids = arcs["ilabel"].astype(np.int64)
    rows = []
    for ended in (0, 1):
        goes = np.where(ids > 0, transitions.is_final[ids], ended)
        rows.append((2 * sources + ended, np.where(ids > 0, ids + n * ended, 0), arcs["olabel"],
                     arcs["weight"], 2 * arcs["nextstate"] + goes))  # fmt: skip
    columns = [np.concatenate(pair) for pair in zip(*rows, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    source, label, word, cost, goal = (column[order] for column in columns)
    final = np.repeat(fst.states["final"], 2)
    return trim(Fst.from_arcs(2 * fst.start + 1, source, label, word, cost, goal, final))


def _lexicon(path: Path) -> Lexicon:
    """Read ``word word phone ...``; the entry of ``<eps>`` is the optional silence."""
    entries = []
    for number, line in read_lines(path):
        fields = orthography.fields(line)
        if len(fields) < 3:
            raise FormatError("not two words and their phones", where=f"{path}:{number}",
                              got=repr(line[:60]))  # fmt: skip
        if fields[0] != "<eps>":
            entries.append(Entry(fields[1], tuple(fields[2:]), 1.0, f"{path}:{number}"))
    return Lexicon(entries)


def to_transition_ids(graph: Graph, transitions: TransitionModel) -> Fst:
    """Rewrite a graph from state labels to transition-ids.

    A state label tells the HMM state of a frame; a transition-id tells also where the path goes
    from there, which only the next label tells. So every arc carries the id of the frame before
    it, and the last frame's id stands on an arc of its own. Costs and words stay. The ids come
    in the order of graphs that were not reordered (self-loops first).

    Parameters
    ----------
    graph : Graph
        Of a monophone model that `export_model` wrote.
    transitions : TransitionModel
        As read from its ``final.mdl``.

    Raises
    ------
    GraphError
        A move of the graph is none of the model's.
    """
    ids = _Ids(graph, transitions)
    start = (graph.fst.start, 0)
    numbers = {start: 0}
    waiting = [start]
    rows: list[tuple[int, int, int, float, int]] = []
    ends: list[tuple[int, int, float]] = []  # state, last id (0: none), final cost
    while waiting:
        state, last = here = waiting.pop()
        cost = float(graph.fst.states["final"][state])
        if cost < np.inf:
            ends.append((numbers[here], ids.leaving(last) if last else 0, cost))
        for arc in graph.fst.arcs_of(state):
            label = int(arc["ilabel"])
            tid = ids.between(last, label) if last and label else 0
            there = (int(arc["nextstate"]), label or last)
            if there not in numbers:
                numbers[there] = len(numbers)
                waiting.append(there)
            rows.append(
                (numbers[here], tid, int(arc["olabel"]), float(arc["weight"]), numbers[there])
            )
    final = np.full(len(numbers) + 1, np.inf)
    for number, tid, cost in ends:
        if tid:
            rows.append((number, tid, 0, cost, len(numbers)))
            final[-1] = 0.0
        else:
            final[number] = cost
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    whole: list[npt.NDArray[np.int64]] = [table[:, i].astype(np.int64) for i in (0, 1, 2, 4)]
    return Fst.from_arcs(0, whole[0], whole[1], whole[2], table[:, 3], whole[3], final)


class _Ids:
    """Finds the transition-id of a move between two state labels."""

    def __init__(self, graph: Graph, transitions: TransitionModel) -> None:
        self.labels = graph.labels
        self.names = graph.phones
        self.number: dict[tuple[int, int, int, int], int] = {}
        n_states = {
            p: len(transitions.topologies.of(p)) - 1 for p in transitions.topologies.entry_of
        }
        for tid in range(1, transitions.n_ids + 1):
            phone, goal = int(transitions.phone_of[tid]), int(transitions.destination_of[tid])
            goal = -1 if goal == n_states[phone] else goal
            key = (
                phone - 1,
                int(transitions.hmm_state_of[tid]),
                int(transitions.pdf_of[tid]),
                goal,
            )
            self.number[key] = tid

    def _find(self, label: int, goal: int) -> int:
        row = label - 1
        phone, state, column = (
            int(array[row]) for array in (self.labels.phone, self.labels.state, self.labels.column)
        )
        found = self.number.get((phone, state, column, goal))
        if found is None:
            target = "its exit" if goal < 0 else f"state {goal}"
            raise GraphError("a move that the model does not have",
                             got=f"{self.names[phone]}, state {state} to {target}",
                             fix="Export the model that the graph was built for.")  # fmt: skip
        return found

    def leaving(self, label: int) -> int:
        """Return the id of leaving the phone after a frame with this label."""
        return self._find(label, -1)

    def between(self, label: int, following: int) -> int:
        """Return the id of a frame with `label` when the next one has `following`."""
        if self.labels.is_entry[following - 1]:
            return self.leaving(label)
        return self._find(label, int(self.labels.state[following - 1]))


def export_graph(graph: Graph, transitions: TransitionModel, path: str | Path) -> None:
    """Write a directory with ``HCLG.fst``, ``words.txt``, ``phones.txt`` and silence lists.

    Parameters
    ----------
    graph : Graph
        Imported from Kaldi, and then written as it came, or one of this package's.
    transitions : TransitionModel
        Of the model in Kaldi's form.
    """
    with atomic_directory(path) as folder:
        write_graph_files(graph, transitions, folder)
        Symbols(graph.phones).write(folder / "phones.txt")


def write_graph_files(graph: Graph, transitions: TransitionModel, folder: Path) -> None:
    """Write into a folder what `export_graph` writes, but for ``phones.txt``."""
    n_ids = transitions.n_ids
    if graph.info.get("made_by") == "Kaldi" and len(graph.labels) in (n_ids, 2 * n_ids):
        arcs = graph.fst.arcs.copy()
        arcs["ilabel"] -= np.where(arcs["ilabel"] > n_ids, n_ids, 0).astype(np.int32)
        counts = graph.fst.states["n_arcs"]
        fst = Fst.from_runs(graph.fst.start, counts, arcs, graph.fst.states["final"])
    else:
        fst = to_transition_ids(graph, transitions)
    fst.write(folder / "HCLG.fst")
    graph.words.write(folder / "words.txt")
    (folder / "phones").mkdir(exist_ok=True)
    lines = [f"{e.word} {e.word} {' '.join(e.phones)}\n" for e in graph.lexicon.entries]
    if graph.silence_phones:
        lines.insert(0, f"<eps> <eps> {graph.silence_phones[0]}\n")
    (folder / "phones" / "align_lexicon.txt").write_text("".join(lines), encoding="utf-8")
    write_silence_phones(graph.silence_phones, folder)
