"""HTK label files and master label files (MLF).

In: a ``.lab`` or ``.mlf`` file. Out: by name a tuple of `Label` with times in seconds; and back.

Public names: `Label`, `read_mlf`, `read_labels`, `write_mlf`.

Notes
-----
Format: The HTK Book (3.5), sections 6.1-6.3. Times count 100 ns. Names may be quoted; inside of
quotes a backslash protects the next character.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_lines

__all__ = ["Label", "read_labels", "read_mlf", "split_htk", "write_mlf"]

_HEADER = "#!MLF!#"
_TICKS = 1e7


@dataclasses.dataclass(frozen=True)
class Label:
    """One segment.

    Attributes
    ----------
    name : str
    start, end : float or None
        Seconds.
    score : float or None
        Log-likelihood, of the recognizer.
    others : tuple of str
        What follows on the line: labels of higher levels (words over phones).
    """

    name: str
    start: float | None = None
    end: float | None = None
    score: float | None = None
    others: tuple[str, ...] = ()


def split_htk(line: str, where: str) -> list[str]:
    """Split a line at blanks, honouring HTK's quotes and backslashes."""
    words: list[str] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        quote = line[at] if line[at] in "\"'" else ""
        at += bool(quote)
        letters = []
        while at < len(line) and not (line[at] == quote if quote else line[at].isspace()):
            at += line[at] == "\\" and at + 1 < len(line)
            letters.append(line[at])
            at += 1
        if quote and at >= len(line):
            raise FormatError("a quote that does not end", where=where, got=repr(line[:60]))
        at += bool(quote)
        words.append("".join(letters))
    return words


def _quoted(name: str) -> str:
    if name and not any(c.isspace() or c in "\"'\\" for c in name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(words: Sequence[str], where: str) -> Label:
    times: list[float] = []
    rest = list(words)
    while rest and len(times) < 2 and len(rest) > 1 and _is_time(rest[0]):
        times.append(int(rest.pop(0)) / _TICKS)
    score = None
    others = rest[1:]
    if others and times:
        try:
            score = float(others[0])
            others = others[1:]
        except ValueError:
            pass
    if len(times) == 2 and times[1] < times[0]:
        raise FormatError("a label ends before it starts", where=where, got=times)
    start, end = (*times, None, None)[:2]
    return Label(rest[0], start, end, score, tuple(others))


def _is_time(text: str) -> bool:
    return text.isascii() and text.lstrip("-").isdigit() and len(text) < 19


def read_labels(path: str | Path) -> tuple[Label, ...]:
    """Read one ``.lab`` file: the first alternative, when there are several."""
    found: list[Label] = []
    for number, line in read_lines(path):
        words = split_htk(line, f"{path}:{number}")
        if words == ["///"]:
            break
        if words:
            found.append(_label(words, f"{path}:{number}"))
    return tuple(found)


def read_mlf(path: str | Path) -> dict[str, tuple[Label, ...]]:
    """Read a master label file.

    Returns
    -------
    dict
        Name of each label file without directory, ``*/`` and extension -> its labels (the first
        alternative, when there are several).

    Raises
    ------
    FormatError
        No ``#!MLF!#``, an entry without its closing full stop, a name that comes twice, or a
        pattern that points to other directories.
    """
    found: dict[str, tuple[Label, ...]] = {}
    lines = _meaningful(path)
    where, words = next(lines, (str(path), []))
    if words != [_HEADER]:
        raise FormatError("not a master label file", where=where, got=repr(" ".join(words)[:40]),
                          expected=_HEADER)  # fmt: skip
    for where, words in lines:
        if len(words) != 1:
            raise FormatError("not the name of a label file", where=where,
                              got=repr(" ".join(words)[:60]),
                              fix="Patterns that point elsewhere are not followed.")  # fmt: skip
        name = Path(words[0]).stem
        if name in found:
            raise FormatError(f"labels of {name!r} come twice", where=where)
        found[name] = tuple(_entry(lines, name, where))
    return found


def _meaningful(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        words = split_htk(line, where)
        if words:
            yield where, words


def _entry(lines: Iterator[tuple[str, list[str]]], name: str, where: str) -> Iterable[Label]:
    first_alternative = True
    for here, words in lines:
        if words == ["."]:
            return
        if words == ["///"]:
            first_alternative = False
        elif first_alternative:
            yield _label(words, here)
    raise FormatError(f"labels of {name!r} have no closing full stop", where=where)


def write_mlf(path: str | Path, labels: Mapping[str, Sequence[Label]]) -> None:
    """Write a master label file, as `read_mlf` reads it."""
    lines = [_HEADER]
    for name, entry in labels.items():
        if "/" in name or not name:
            raise FormatError("a name with a slash, or none", got=repr(name))
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'"*/{quoted}.lab"')
        for label in entry:
            words = [str(round(t * _TICKS)) for t in (label.start, label.end) if t is not None]
            words.append(_quoted(label.name))
            words += [repr(label.score)] if label.score is not None else []
            words += [_quoted(other) for other in label.others]
            if words[0] in (".", "///") or not label.name:
                raise FormatError("a label that HTK would misread", got=repr(label.name))
            lines.append(" ".join(words))
        lines.append(".")
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
