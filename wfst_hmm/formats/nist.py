"""What NIST's scoring tools read: transcripts (trn), segments with times (stm), and choices in both.

In: ``.trn``, ``.stm`` and ``.ctm`` files as of sclite. Out: `Transcript`: what was said, word by word,
with alternatives ``{ uh-huh / yes / @ }`` and words that may be missing, ``(uh)``.

Source: the manual of NIST's Scoring Toolkit, "sclite", section *File formats*.

Public names: `Choice`, `Deletable`, `Segment`, `Silent`, `Token`, `Transcript`, `heard_token`, `in_segments`,
`read_stm`, `read_timed`, `read_trn`, `speaker_of`, `tokens_of`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.formats.ctm import CtmRow, ctm_rows
from wfst_hmm.orthography import fields

__all__ = [
    "Choice",
    "Deletable",
    "Segment",
    "Silent",
    "Token",
    "Transcript",
    "heard_token",
    "in_segments",
    "read_stm",
    "read_timed",
    "read_trn",
    "speaker_of",
    "tokens_of",
]

_ID = re.compile(r"\(([^()\s]+)(?:\s+-?[\d.]+)?\)\s*$")  # PocketSphinx puts a score behind the id
_IGNORED = "ignore_time_segment_in_scoring"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several ways to say something, each a row of tokens."""

    ways: tuple[tuple[Token, ...], ...]


class Deletable(str):
    """A word that may be missing, ``(uh)``; the string is without its parentheses."""

    __slots__ = ()


class Silent(str):
    """``@``: nothing is said."""

    __slots__ = ()


#: A word, one that may be missing, nothing at all, or a choice.
Token = str | Choice


def _token(text: str) -> str:
    if text == "@":
        return Silent(text)
    optional = len(text) > 2 and text.startswith("(") and text.endswith(")")
    return Deletable(text[1:-1]) if optional else text


@dataclasses.dataclass(frozen=True)
class Transcript:
    """What was said in one utterance.

    Attributes
    ----------
    tokens : tuple of str or Choice
    speaker : str
    """

    tokens: tuple[Token, ...]
    speaker: str = ""

    def words(self) -> Iterator[str]:
        """Yield its words, of alternatives the first."""
        rest = list(reversed(self.tokens))
        while rest:
            token = rest.pop()
            if isinstance(token, Choice):
                rest += reversed(token.ways[0])
            elif not isinstance(token, Silent):
                yield str(token)


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of a recording and what was said in it.

    Attributes
    ----------
    id : str
        ``speaker-000``, counted for each speaker as sclite does.
    recording, channel : str
    start, end : float
        Seconds.
    transcript : Transcript, optional
        None where the stretch does not count.
    """

    id: str
    recording: str
    channel: str
    start: float
    end: float
    transcript: Transcript | None


def tokens_of(text: str, where: str | None = None) -> tuple[Token, ...]:
    """Return the words and choices of a transcript.

    Raises
    ------
    FormatError
        A brace without its partner.

    Examples
    --------
    >>> tokens_of("the { cat / @ } sat")
    ('the', Choice(ways=(('cat',), ('@',))), 'sat')
    """
    stack: list[list[list[Token]]] = [[[]]]
    for part in fields(re.sub(r"(?<!\S)([{}/])(?!\S)|([{}])", r" \1\2 ", text)):
        if part == "{":
            stack.append([[]])
        elif part == "/" and len(stack) > 1:
            stack[-1].append([])
        elif part == "}" and len(stack) > 1:
            ways = stack.pop()
            stack[-1][-1].append(Choice(tuple(tuple(way) or (Silent("@"),) for way in ways)))
        elif part == "}":
            raise FormatError("a brace that nothing opens", where=where, got=repr(text[:80]),
                              expected="{ one way / another }")  # fmt: skip
        else:
            stack[-1][-1].append(_token(part))
    if len(stack) > 1:
        raise FormatError("a brace that nothing closes", where=where, got=repr(text[:80]),
                          expected="{ one way / another }")  # fmt: skip
    return tuple(stack[0][0])


def speaker_of(id_: str) -> str:
    """Return the speaker of an utterance id: what stands before its first ``-``, else ``_``."""
    for mark in "-_":
        if mark in id_:
            return id_.partition(mark)[0]
    return id_


def read_trn(path: str | Path) -> dict[str, Transcript]:
    """Read ``words (utterance-id)`` lines; ``;;`` begins a comment.

    Raises
    ------
    FormatError
        A line without an id at its end, or with unpaired braces.
    DataError
        An id occurs twice.
    """
    found: dict[str, Transcript] = {}
    for number, line in _uncommented(path):
        where = f"{path}:{number}"
        match = _ID.search(line)
        if match is None:
            raise FormatError("no utterance id at the end", where=where, got=repr(line[-40:]),
                              expected="words (utterance-id)")  # fmt: skip
        if match[1] in found:
            raise DataError(f"id {match[1]!r} twice", where=where, expected="unique ids")
        tokens = tokens_of(line[: match.start()], where)
        found[match[1]] = Transcript(tokens, speaker_of(match[1]))
    return found


def read_stm(path: str | Path) -> list[Segment]:
    """Read ``recording channel speaker start end [<labels>] words`` lines.

    Raises
    ------
    FormatError
        A line is not that, or has unpaired braces.
    """
    segments: list[Segment] = []
    counts: dict[str, int] = {}
    for number, line in _uncommented(path):
        where = f"{path}:{number}"
        row = fields(line, 5)
        try:
            recording, channel, speaker, start, end = (*row[:3], float(row[3]), float(row[4]))
        except (IndexError, ValueError):
            start, end = 0.0, -1.0
        if not 0 <= start <= end < float("inf"):
            raise FormatError("no line of an stm file", where=where, got=repr(line[:80]),
                              expected="recording channel speaker start end [<labels>] words")  # fmt: skip
        text = row[5] if len(row) > 5 else ""
        if text.startswith("<") and ">" in fields(text, 1)[0]:
            text = text.partition(">")[2]
        transcript = None
        if text.strip().casefold() != _IGNORED:
            transcript = Transcript(tokens_of(text, where), speaker)
            counts[speaker] = counts.get(speaker, -1) + 1
        id_ = f"{speaker}-{counts.get(speaker, 0):03d}"
        segments.append(Segment(id_, recording, channel, start, end, transcript))
    return segments


def _uncommented(path: str | Path) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in read_lines(path)
            if line.strip() and not line.startswith(";;"))  # fmt: skip


def read_timed(path: str | Path) -> dict[tuple[str, str], list[CtmRow]]:
    """Read a ctm for scoring: what was heard in every (recording, channel), in order of time.

    Alternatives between ``<ALT_BEGIN>``, ``<ALT>`` and ``<ALT_END>`` become one row with `CtmRow.ways`.
    """
    found: dict[tuple[str, str], list[CtmRow]] = {}
    ways: list[list[CtmRow]] | None = None
    for row in ctm_rows(path):
        own = found.setdefault((row.recording, row.channel), [])
        mark = row.text.upper()
        if mark == "<ALT_BEGIN>":
            ways = [[]]
        elif mark == "<ALT>" and ways is not None:
            ways.append([])
        elif mark == "<ALT_END>" and ways is not None:
            if spoken := [r for way in ways for r in way]:
                texts = tuple(tuple(r.text for r in way) or ("@",) for way in ways)
                own.append(dataclasses.replace(spoken[0], ways=texts))
            ways = None
        else:
            (own if ways is None else ways[-1]).append(row)
    return {key: sorted(rows, key=lambda row: row.middle) for key, rows in found.items()}


def heard_token(row: CtmRow) -> Token:
    """Return the word of a row, or the choice among its ways."""
    if row.ways:
        return Choice(tuple(tuple(map(_token, way)) for way in row.ways))
    return _token(row.text)


def in_segments(
    segments: Sequence[Segment], rows: Mapping[tuple[str, str], Sequence[CtmRow]]
) -> dict[str, list[CtmRow]]:
    """Return the words that each segment hears, by segment id.

    As sclite does: a word belongs to the first segment of its channel that ends after the
    word's middle, words behind the last segment to that one; those of segments that do not count
    are left out.
    """
    heard: dict[str, list[CtmRow]] = {s.id: [] for s in segments if s.transcript is not None}
    channels: dict[tuple[str, str], list[Segment]] = {}
    for segment in segments:
        channels.setdefault((segment.recording, segment.channel), []).append(segment)
    for key, own in channels.items():
        own.sort(key=lambda segment: segment.start)
        at = 0
        for row in rows.get(key, ()):
            while at + 1 < len(own) and row.middle > own[at].end:
                at += 1
            if own[at].transcript is not None:
                heard[own[at].id].append(row)
    return heard
