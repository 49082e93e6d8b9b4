"""Subtitles: words with times become cues that people can read, in SRT or WebVTT.

In: words with times of one recording. Out: `Cue`s, and the text of a file; and back.

Public names: `Cue`, `SubtitleOptions`, `cues_of`, `read_srt`, `read_vtt`, `srt_text`, `vtt_text`.

Notes
-----
WebVTT: W3C, "WebVTT: The Web Video Text Tracks Format". SRT has no specification; written is
what players agree on: a number, ``00:00:01,000 --> 00:00:02,000``, one or two lines, a blank one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.options import check, option
from wfst_hmm.search.result import Word

__all__ = [
    "Cue",
    "SubtitleOptions",
    "cues_of",
    "read_srt",
    "read_vtt",
    "srt_text",
    "vtt_text",
]

_TIMES = re.compile(
    r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)[.,](\d{3})\s+-->\s+(?:(\d{2,}):)?([0-5]\d):([0-5]\d)[.,](\d{3})(\s.*)?"
)
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


@dataclasses.dataclass(frozen=True)
class SubtitleOptions:
    """How words are laid out as subtitles.

    Raises
    ------
    UsageError
        A number that no cue could satisfy.
    """

    max_chars: int = option(42, "Of a line; a longer word stands alone.", above=0)
    max_lines: int = option(2, "Of a cue.", above=0)
    max_seconds: float = option(6.0, "A cue lasts no longer, unless one word does.", above=0)
    pause: float = option(0.6, "Seconds without a word that end a cue.", above=0)
    min_seconds: float = option(
        1.0,
        "A cue stays at least so long, when the next one leaves room.",
        least=0,
        what="min_seconds must not be negative",
    )

    def __post_init__(self) -> None:
        check(self, "{name} must be above zero", where="subtitles", expected=False)


@dataclasses.dataclass(frozen=True)
class Cue:
    """Lines that are shown together."""

    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines with blanks between them."""
        return " ".join(self.lines)


def cues_of(words: Iterable[Word], options: SubtitleOptions | None = None) -> list[Cue]:
    """Lay words out as cues.

    A cue ends at a pause, or where the next word would make it too long in time or text.

    Parameters
    ----------
    words : iterable of Word
        In order of time, seconds from the beginning of the recording.
    options : SubtitleOptions, optional

    Raises
    ------
    DataError
        A word has no text, a time that is none, ends before it starts, or starts before the
        one in front of it.
    """
    options = options or SubtitleOptions()
    groups: list[list[Word]] = []
    before = 0.0
    for word in words:
        _check(word, before)
        before = word.start
        group = groups[-1] if groups else []
        if not group or word.start - group[-1].end >= options.pause or not _fits(
            [*group, word], options
        ):  # fmt: skip
            groups.append([word])
        else:
            group.append(word)
    made = []
    for number, group in enumerate(groups):
        start, end = group[0].start, max(word.end for word in group)
        room = groups[number + 1][0].start if number + 1 < len(groups) else float("inf")
        end = min(max(end, start + options.min_seconds), max(room, start))
        made.append(Cue(start, end, _lines(group, options)))
    return made


def _check(word: Word, before: float) -> None:
    if not word.text.strip() or "\n" in word.text or "\r" in word.text:
        raise DataError("a subtitle word without text, or with a line end", got=repr(word.text))
    if not before <= word.start <= word.end < float("inf"):
        raise DataError(f"word {word.text!r} out of order",
                        got=f"{word.start} to {word.end} s after a word at {before} s",
                        expected="words in order of time")  # fmt: skip


def _fits(group: Sequence[Word], options: SubtitleOptions) -> bool:
    short = max(word.end for word in group) - group[0].start <= options.max_seconds
    return short and len(_lines(group, options)) <= options.max_lines


def _lines(group: Sequence[Word], options: SubtitleOptions) -> tuple[str, ...]:
    """Break greedily; two lines are then balanced, which reads better than 42 and 3 letters."""
    texts = [word.text for word in group]
    made = _wrapped(texts, options.max_chars)
    if len(made) == 2:
        splits = [(" ".join(texts[:i]), " ".join(texts[i:])) for i in range(1, len(texts))]
        return min(splits, key=lambda pair: (max(map(len, pair)), len(pair[0])))
    return tuple(made)


def _wrapped(texts: Sequence[str], width: int) -> list[str]:
    lines = [texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + 1 + len(text) <= width:
            lines[-1] += " " + text
        else:
            lines.append(text)
    return lines


def srt_text(cues: Iterable[Cue]) -> str:
    """Return the text of an ``.srt`` file."""
    return "".join(
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n"
        + "\n".join(cue.lines) + "\n\n"
        for number, cue in enumerate(cues, start=1)
    )  # fmt: skip


def vtt_text(cues: Iterable[Cue]) -> str:
    """Return the text of a ``.vtt`` file; ``&``, ``<`` and ``>`` become entities."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n"
        + "\n".join(_escaped(line) for line in cue.lines) + "\n\n"
        for cue in cues
    )  # fmt: skip


def _escaped(text: str) -> str:
    for character, entity in _ENTITIES:
        text = text.replace(character, entity)
    return text


def _unescaped(text: str) -> str:
    for character, entity in reversed(_ENTITIES):
        text = text.replace(entity, character)
    return text


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def read_srt(path: str | Path) -> list[Cue]:
    """Read an ``.srt`` file.

    Raises
    ------
    FormatError
        A block without a line of times, or one that ends before it starts; the message names
        ``path:line``.
    """
    return [_cue(path, block) for block in _blocks(path)]


def read_vtt(path: str | Path) -> list[Cue]:
    """Read a ``.vtt`` file; notes, styles, regions and settings of cues are passed over.

    Raises
    ------
    FormatError
        The first line is not ``WEBVTT``, a block without a line of times, or one that ends
        before it starts; the message names ``path:line``.
    """
    blocks = list(_blocks(path))
    if not blocks or not re.match(r"WEBVTT(\s|$)", blocks[0][0][1]):
        raise FormatError("not a WebVTT file", where=f"{path}:1", expected="WEBVTT")
    made = []
    for block in blocks[1:]:
        if re.match(r"(NOTE|STYLE|REGION)(\s|$)", block[0][1]):
            continue
        cue = _cue(path, block)
        made.append(dataclasses.replace(cue, lines=tuple(map(_unescaped, cue.lines))))
    return made


def _blocks(path: str | Path) -> Iterable[list[tuple[int, str]]]:
    """Yield runs of lines between blank ones, with their numbers."""
    block: list[tuple[int, str]] = []
    for number, line in read_lines(path):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _cue(path: str | Path, block: list[tuple[int, str]]) -> Cue:
    at = next((i for i, (_, line) in enumerate(block[:2]) if "-->" in line), None)
    match = _TIMES.fullmatch(block[at][1].strip()) if at is not None else None
    if at is None or match is None:
        raise FormatError("no times of a subtitle", where=f"{path}:{block[0][0]}",
                          got=repr(block[0][1][:40]),
                          expected="00:00:01.000 --> 00:00:02.000")  # fmt: skip
    parts = [int(part or 0) for part in match.groups()[:8]]
    start, end = (3600 * h + 60 * m + s + ms / 1000 for h, m, s, ms in (parts[:4], parts[4:]))
    if end < start:
        raise FormatError("a subtitle that ends before it starts",
                          where=f"{path}:{block[at][0]}", got=block[at][1][:60])  # fmt: skip
    return Cue(start, end, tuple(line for _, line in block[at + 1 :]))
