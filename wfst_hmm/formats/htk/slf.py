"""HTK's Standard Lattice Format (SLF).

In: a ``.slf`` or ``.lat`` file, plain or gzip. Out: `SlfLattice`: nodes with times and words,
links with log-likelihoods; and back.

Public names: `LINK`, `SlfLattice`, `lattice_from_slf`, `read_slf`, `slf_from_lattice`, `write_slf`.

Notes
-----
Format: The HTK Book (3.5), chapter 20. Words may stand on nodes or on links; here they stand on
links, a node's word on the links that lead into it, which is how a transducer holds them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows

__all__ = ["LINK", "NULL_WORD", "SlfLattice", "lattice_from_slf", "read_slf", "slf_from_lattice",
           "write_slf"]  # fmt: skip

#: Natural log-likelihoods; ``word`` indexes `SlfLattice.words`.
LINK = np.dtype([("start", "<i4"), ("end", "<i4"), ("word", "<i4"), ("variant", "<i4"),
                 ("acoustic", "<f8"), ("language", "<f8")])  # fmt: skip
NULL_WORD = "!NULL"
_FIELD = re.compile(
    r"""([A-Za-z]\w*)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)(?:\s+|$)"""
)
_LONG = {
    "NODES": "N", "LINKS": "L", "time": "t", "WORD": "W", "var": "v", "START": "S", "END": "E",
    "acoustic": "a", "language": "l", "ngram": "n", "UTTERANCE": "U", "VERSION": "V",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class SlfLattice:
    """A word lattice.

    Attributes
    ----------
    utterance : str
    times : ndarray of float64, shape (n_nodes,)
        Seconds; NaN where a node has none.
    links : ndarray of `LINK`
    words : tuple of str
        Word table; number 0 is ``!NULL``.
    start, end : int
        Nodes.
    lm_scale, word_penalty, acoustic_scale : float
        A path costs ``-(acoustic_scale * acoustic + lm_scale * language + word_penalty)``
        summed over links, the penalty (natural logarithm) for links with a word only.
    """

    utterance: str
    times: npt.NDArray[np.float64]
    links: npt.NDArray[Any]
    words: tuple[str, ...]
    start: int
    end: int
    lm_scale: float = 1.0
    word_penalty: float = 0.0
    acoustic_scale: float = 1.0

    def best_path(self) -> tuple[tuple[str, ...], float]:
        """Return the words of the most likely path and its scaled log-likelihood.

        Raises
        ------
        GraphError
            The lattice has a cycle, or no path from start to end.
        """
        n = len(self.times)
        score = (
            self.acoustic_scale * self.links["acoustic"] + self.lm_scale * self.links["language"]
        )
        score = score + self.word_penalty * (self.links["word"] > 0)
        leaving: list[list[int]] = [[] for _ in range(n)]
        degree = np.bincount(self.links["end"], minlength=n)
        for index, source in enumerate(self.links["start"].tolist()):
            leaving[source].append(index)
        best = np.full(n, -np.inf)
        best[self.start] = 0.0
        back = np.full(n, -1, dtype=np.int64)
        ready = [int(node) for node in np.flatnonzero(degree == 0)]
        done = 0
        while ready:
            node = ready.pop()
            done += 1
            for index in leaving[node]:
                target = int(self.links["end"][index])
                if best[node] + score[index] > best[target]:
                    best[target], back[target] = best[node] + score[index], index
                degree[target] -= 1
                if not degree[target]:
                    ready.append(target)
        if done < n:
            raise GraphError("the lattice has a cycle", where=self.utterance or None)
        if not np.isfinite(best[self.end]):
            raise GraphError("the lattice has no path to its end", where=self.utterance or None)
        found, node = [], self.end
        while node != self.start:
            link = self.links[back[node]]
            found += [self.words[link["word"]]] if link["word"] else []
            node = int(link["start"])
        return tuple(reversed(found)), float(best[self.end])


def read_slf(path: str | Path) -> SlfLattice:
    """Read a lattice.

    Raises
    ------
    FormatError
        Counts that do not match, a link to a node that does not exist, a node or link listed
        twice, several start or end nodes, or a sub-lattice.
    """
    header: dict[str, str] = {}
    nodes: dict[int, dict[str, str]] = {}
    links: dict[int, tuple[str, dict[str, str]]] = {}
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        fields = _fields(line, where)
        if "I" in fields:
            _insert(nodes, fields.pop("I"), fields, "node", where)
        elif "J" in fields:
            _insert(links, fields.pop("J"), (where, fields), "link", where)
        else:
            header |= fields
    if "N" not in header or "L" not in header:
        raise FormatError("no counts of nodes and links", where=str(path), expected="N= and L=")
    for name, found in (("N", len(nodes)), ("L", len(links))):
        if _whole(header[name], str(path)) != found:
            raise FormatError(f"{name} does not match what follows", where=str(path),
                              got=found, expected=header[name][:20])  # fmt: skip
    if set(nodes) != set(range(len(nodes))) or not nodes:
        raise FormatError("node numbers have gaps", where=str(path), expected="0, 1, 2 ...")
    return _assembled(header, nodes, links, str(path))


def _fields(line: str, where: str) -> dict[str, str]:
    """Split ``name=value`` fields; values may be quoted, and a backslash protects a character."""
    found: dict[str, str] = {}
    text = line.lstrip()
    if text.startswith("#"):
        return found
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None:
            raise FormatError("not a field", where=where, got=repr(text[at : at + 40]),
                              expected="name=value")  # fmt: skip
        key, value = match.groups()
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = value[1:-1]
        found[_LONG.get(key, key)] = re.sub(r"\\(.)", r"\1", value)
        at = match.end()
    if "SUBLAT" in found:
        raise FormatError("sub-lattices are not supported", where=where)
    return found


def _insert(table: dict[int, Any], number: str, value: Any, what: str, where: str) -> None:
    index = _whole(number, where)
    if index in table:
        raise FormatError(f"a {what} is listed twice", where=where, got=index)
    table[index] = value


def _whole(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FormatError("no whole number", where=where, got=repr(text[:20]))
    return int(text)


def _real(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError("no finite number", where=where, got=repr(text[:20]))
    return value


def _log(text: str | None, base: float, where: str) -> float:
    """Return a natural logarithm; ``base=0`` marks plain probabilities."""
    if text is None:
        return 0.0
    value = _real(text, where)
    if base == 0:
        if value <= 0:
            raise FormatError("a probability of 0 or less", where=where, got=text[:20])
        return math.log(value)
    return value * math.log(base)


def _assembled(
    header: dict[str, str],
    nodes: dict[int, dict[str, str]],
    links: dict[int, tuple[str, dict[str, str]]],
    where: str,
) -> SlfLattice:
    base = _real(header.get("base", str(math.e)), where)
    if base < 0 or base == 1:
        raise FormatError("an impossible base of logarithms", where=where, got=base)
    words: dict[str, int] = {NULL_WORD: 0}
    rows = []
    for index in sorted(links):
        here, fields = links[index]
        ends = [_whole(fields.get(key, ""), here) for key in ("S", "E")]
        if max(ends) >= len(nodes):
            raise FormatError("a link to a node that does not exist", where=here, got=max(ends),
                              expected=f"below {len(nodes)}")  # fmt: skip
        source = fields if "W" in fields else nodes[ends[1]]
        word = source.get("W", NULL_WORD)
        number = words.setdefault(NULL_WORD if word in ("!NULL", "") else word, len(words))
        variant = _whole(source.get("v", "0"), here)
        rows.append((*ends, number, variant, _log(fields.get("a"), base, here),
                     _log(fields.get("l"), base, here)))  # fmt: skip
    table = np.array(rows, dtype=LINK)
    times = [
        _real(nodes[i]["t"], where) if "t" in nodes[i] else math.nan for i in range(len(nodes))
    ]
    ends_of = [
        _terminal(header, name, table[column], len(nodes), where)
        for name, column in (("start", "end"), ("end", "start"))
    ]
    penalty = _real(header.get("wdpenalty", "0"), where) * (math.log(base) if base else 1.0)
    return SlfLattice(
        header.get("U", ""), np.array(times), table, tuple(words), ends_of[0], ends_of[1],
        _real(header.get("lmscale", "1"), where), penalty, _real(header.get("acscale", "1"), where),
    )  # fmt: skip


def _terminal(
    header: dict[str, str], name: str, others: npt.NDArray[Any], n_nodes: int, where: str
) -> int:
    """Return the node named in the header, or the only one without links on that side."""
    if name in header:
        node = _whole(header[name], where)
        if node < n_nodes:
            return node
        raise FormatError(f"{name} names a node that does not exist", where=where, got=node)
    free = np.setdiff1d(np.arange(n_nodes), others)
    if len(free) != 1:
        raise FormatError(f"not one {name} node", where=where, got=f"{len(free)} candidates",
                          fix=f"Name it in the header: {name}=")  # fmt: skip
    return int(free[0])


def write_slf(path: str | Path, lattice: SlfLattice) -> None:
    """Write a lattice with words on links, in natural logarithms."""
    lines = ["VERSION=1.0", f"base={math.e!r}", f"start={lattice.start}", f"end={lattice.end}"]
    if lattice.utterance:
        lines.insert(1, f"UTTERANCE={_escaped(lattice.utterance)}")
    lines.append(f"lmscale={lattice.lm_scale!r} wdpenalty={lattice.word_penalty!r} "
                 f"acscale={lattice.acoustic_scale!r}")  # fmt: skip
    lines.append(f"N={len(lattice.times)} L={len(lattice.links)}")
    for index, time in enumerate(lattice.times.tolist()):
        lines.append(f"I={index}" + ("" if math.isnan(time) else f" t={time!r}"))
    for index, link in enumerate(lattice.links):
        lines.append(
            f"J={index} S={link['start']} E={link['end']} W={_escaped(lattice.words[link['word']])}"
            f" v={link['variant']} a={float(link['acoustic'])!r} l={float(link['language'])!r}"
        )
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _escaped(text: str) -> str:
    protected = "".join("\\" + c if c.isspace() or c in "\"'\\" else c for c in text)
    return protected


def slf_from_lattice(lattice: Lattice, utterance: str) -> SlfLattice:
    """Return one of this package's lattices as HTK has them.

    Costs become log-likelihoods, acoustic ones as they were scaled in the search; the alignment
    within a word is lost. One more node, last, is where all final states lead.
    """
    n_states, end = lattice.n_states, lattice.n_states
    frames = np.zeros(n_states + 1, dtype=np.int64)
    lengths = np.diff(lattice.label_start)
    for source, target, length in zip(
        lattice.source.tolist(), lattice.target.tolist(), lengths.tolist(), strict=True
    ):  # states are in topological order
        frames[target] = max(frames[target], frames[source] + length)
    final = np.flatnonzero(np.isfinite(lattice.final))
    frames[end] = frames[final].max(initial=0)
    links = np.zeros(len(lattice.source) + len(final), dtype=LINK)
    inner, last = links[: len(lattice.source)], links[len(lattice.source) :]
    inner["start"], inner["end"], inner["word"] = lattice.source, lattice.target, lattice.word
    inner["acoustic"], inner["language"] = -lattice.acoustic_cost, -lattice.graph_cost
    last["start"], last["end"], last["language"] = final, end, -lattice.final[final]
    words = (NULL_WORD, *list(lattice.words)[1:])
    times = np.asarray(frames * lattice.frame_shift, dtype=np.float64)
    return SlfLattice(utterance, times, links, words, 0, end)


def lattice_from_slf(slf: SlfLattice, *, frame_shift: float = 0.01) -> Lattice:
    """Return a lattice of HTK as this package has them: scaled costs, frames without a state (0).

    Raises
    ------
    GraphError
        It has a cycle.
    """
    order = _topological(slf)
    place = {node: number for number, node in enumerate(order)}
    rows = []
    for link in slf.links:
        if int(link["start"]) not in place or int(link["end"]) not in place:
            continue
        times = slf.times[[link["start"], link["end"]]]
        n_frames = (
            round(float(times[1] - times[0]) / frame_shift) if np.isfinite(times).all() else 0
        )
        penalty = slf.word_penalty if link["word"] else 0.0
        rows.append((
            place[int(link["start"])], place[int(link["end"])], int(link["word"]),
            -slf.lm_scale * float(link["language"]) - penalty,
            -slf.acoustic_scale * float(link["acoustic"]), np.zeros(max(n_frames, 0), np.int32),
        ))  # fmt: skip
    final = np.full(len(order), np.inf)
    final[place[slf.end]] = 0.0
    return lattice_from_rows(rows, final, Symbols(slf.words[1:]), frame_shift=frame_shift)


def _topological(slf: SlfLattice) -> list[int]:
    """Return the nodes that the start reaches, each behind all that lead to it."""
    leaving: dict[int, list[int]] = {}
    for link in slf.links:
        leaving.setdefault(int(link["start"]), []).append(int(link["end"]))
    reached, waiting = {slf.start}, [slf.start]
    while waiting:
        for node in leaving.get(waiting.pop(), ()):
            if node not in reached:
                reached.add(node)
                waiting.append(node)
    degree = dict.fromkeys(reached, 0)
    for node in reached:
        for target in leaving.get(node, ()):
            degree[target] += 1
    order, ready = [], [node for node, count in degree.items() if not count]
    while ready:
        node = ready.pop()
        order.append(node)
        for target in leaving.get(node, ()):
            degree[target] -= 1
            if not degree[target]:
                ready.append(target)
    if len(order) < len(reached) or slf.end not in degree:
        raise GraphError("the lattice has a cycle, or no path to its end",
                         where=slf.utterance or None)  # fmt: skip
    return order
