"""What ``score`` compares: transcripts of any kind, told by their content and brought together.

In: a Kaldi ``text``, a data directory, a manifest, NIST's trn, stm or ctm, a TextGrid or a folder of
them, a folder of results. Out: for each utterance what was said, and what was heard.

Public names: `Source`, `paired`, `read_source`; and the readers of single kinds: `ctm_source`,
`folder_source`, `stm_source`, `text_source`, `textgrid_source`, `trn_source`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import read_head
from wfst_hmm.formats.ctm import CtmRow
from wfst_hmm.formats.data import read_transcripts
from wfst_hmm.formats.nist import (
    Segment,
    Token,
    Transcript,
    heard_token,
    in_segments,
    read_stm,
    read_timed,
    read_trn,
)
from wfst_hmm.formats.text import read_table, read_text
from wfst_hmm.formats.textgrid import read_textgrid
from wfst_hmm.kinds import read_as
from wfst_hmm.orthography import fields

__all__ = [
    "Source",
    "ctm_source",
    "folder_source",
    "paired",
    "read_source",
    "stm_source",
    "text_source",
    "textgrid_source",
    "trn_source",
]

_NUMBER = re.compile(r"^[0-9]+(\.[0-9]*)?$|^\.[0-9]+$")
#: Labels of intervals in which nothing is said.
_QUIET = ("", "sil", "sp", "spn", "<sil>", "<eps>", "<p:>", "_")


@dataclasses.dataclass(frozen=True)
class Source:
    """What a file or folder says.

    Attributes
    ----------
    kind : str
        For messages.
    utterances : mapping of str to Transcript
    segments : sequence of Segment
        Where the utterances lie, if that is known.
    timed : mapping of (recording, channel) to sequence of CtmRow
        Words with times, of a ctm.
    """

    kind: str
    utterances: Mapping[str, Transcript] = dataclasses.field(default_factory=dict)
    segments: Sequence[Segment] = ()
    timed: Mapping[tuple[str, str], Sequence[CtmRow]] | None = None

    def said(self, *, all_kinds: bool = False) -> dict[str, Transcript]:
        """Return the utterances; of a ctm what was said in every channel.

        `all_kinds`: noises of a ctm count as words.
        """
        if self.timed is None or self.utterances:
            return dict(self.utterances)
        return {id_: Transcript(_heard(rows, all_kinds))
                for id_, rows in _by_recording(self.timed).items()}  # fmt: skip


def _heard(rows: Sequence[CtmRow], all_kinds: bool) -> tuple[Token, ...]:
    return tuple(heard_token(row) for row in rows if all_kinds or row.is_word)


def read_source(path: str | Path) -> Source:
    """Read transcripts, by what the file or folder holds, whatever its name (`kinds`).

    Raises
    ------
    FormatError, DataError
        Nothing lies there, or what lies there is something else or cannot be understood.
    """
    path = Path(path)
    if path.is_file() and not read_head(path, 1 << 12).strip():
        return Source("text")
    return read_as(path, "transcripts")  # type: ignore[no-any-return]


def text_source(path: str | Path) -> Source:
    """Read a Kaldi ``text`` or a manifest."""
    return Source("text", {id_: Transcript(words) for id_, words in read_transcripts(path).items()})


def trn_source(path: str | Path) -> Source:
    """Read a trn."""
    return Source("trn", read_trn(path))


def stm_source(path: str | Path) -> Source:
    """Read an stm."""
    segments = read_stm(path)
    said = {s.id: s.transcript for s in segments if s.transcript is not None}
    return Source("stm", said, segments)


def ctm_source(path: str | Path) -> Source:
    """Read a ctm."""
    return Source("ctm", timed=read_timed(path))


def textgrid_source(path: str | Path) -> Source:
    """Read a TextGrid, whose name is the utterance's id."""
    return Source("TextGrid", {Path(path).stem: _spoken(Path(path))})


def folder_source(path: str | Path) -> Source:
    """Read a data directory, results, or a folder of TextGrids."""
    path = Path(path)
    for name in ("text", "hyp.txt", "words.ctm"):
        if not (path / name).is_file():
            continue
        if name == "words.ctm":
            return ctm_source(path / name)
        speakers = _second_fields(path / "utt2spk")
        said = {id_: Transcript(words, speakers.get(id_, ""))
                for id_, words in read_text(path / name).items()}  # fmt: skip
        timed = read_timed(path / "words.ctm") if (path / "words.ctm").is_file() else None
        return Source("text", said, _segments(path / "segments", said), timed)
    grids = sorted(path.rglob("*.TextGrid"))
    if not grids:
        raise FormatError("a directory without transcripts", where=str(path),
                          expected="text, hyp.txt, words.ctm or TextGrids")  # fmt: skip
    names = [grid.stem for grid in grids]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"two TextGrids are called {twice!r}", where=str(path))
    return Source("TextGrid", {grid.stem: _spoken(grid) for grid in grids})


def _second_fields(path: Path) -> dict[str, str]:
    return {key: rest for key, (rest, _) in read_table(path).items()} if path.is_file() else {}


def _is_time(row: Sequence[str], *places: int) -> bool:
    return len(row) > max(places) and all(_NUMBER.match(row[place]) for place in places)


def _segments(path: Path, said: Mapping[str, Transcript]) -> list[Segment]:
    """Return the segments of a Kaldi data directory."""
    found = []
    for id_, rest in _second_fields(path).items():
        row = fields(rest)
        if id_ in said and _is_time(row, 1, 2):
            channel = row[3] if len(row) > 3 else "1"
            found.append(Segment(id_, row[0], channel, float(row[1]), float(row[2]), said[id_]))
    return found


def _spoken(path: Path) -> Transcript:
    """Return the words of a TextGrid: of its tiers called words, else of the first one."""
    tiers = read_textgrid(path)
    named = [name for name in tiers if name.casefold().split()[-1:] in (["words"], ["word"])]
    labels = sorted((label for name in named or list(tiers)[:1] for label in tiers[name]),
                    key=lambda label: label.start)  # fmt: skip
    words = [word for label in labels if label.text.strip().casefold() not in _QUIET
             for word in fields(label.text)]  # fmt: skip
    return Transcript(tuple(words))


def paired(
    reference: str | Path, hypothesis: str | Path, *, all_kinds: bool = False
) -> tuple[dict[str, Transcript], dict[str, tuple[Token, ...]], list[str]]:
    """Return what was said and what was heard in each utterance, and notes.

    Words with times are given to the segments in which they lie, where the reference has some.

    Parameters
    ----------
    reference, hypothesis : path
        See `read_source`.
    all_kinds : bool
        Whether noises of a ctm (``non-lex``) count as words, as they do for sclite.

    Raises
    ------
    FormatError, DataError
        See `read_source`; or the hypothesis lacks the times that segments need.
    """
    said, heard = read_source(reference), read_source(hypothesis)
    notes: list[str] = []
    left_out = 0 if all_kinds else sum(
        not row.is_word for source in (said, heard) for rows in (source.timed or {}).values()
        for row in rows)  # fmt: skip
    if left_out:
        notes.append(f"{left_out} noises (non-lex, misc, noise) are left out")

    spoken = said.said(all_kinds=all_kinds)
    if said.segments and heard.timed is not None and not set(heard.utterances) & set(spoken):
        inside = in_segments(said.segments, heard.timed)
        recordings = {(s.recording, s.channel) for s in said.segments}
        for recording, channel in sorted(set(heard.timed) - recordings):
            notes.append(
                f"recording {recording!r}, channel {channel!r} has no segment in {reference}"
            )
        return spoken, {id_: _heard(rows, all_kinds) for id_, rows in inside.items()}, notes
    if said.kind == "stm" and not set(heard.utterances) & set(spoken):
        raise DataError("an stm is scored by times, which these hypotheses lack",
                        where=str(hypothesis), got=heard.kind, expected="a ctm",
                        fix="decode --form ctm writes one.")  # fmt: skip
    found = {id_: own.tokens for id_, own in heard.said(all_kinds=all_kinds).items()}
    return spoken, found, notes


def _by_recording(
    timed: Mapping[tuple[str, str], Sequence[CtmRow]],
) -> dict[str, Sequence[CtmRow]]:
    """Name the words of each channel by the recording, and by the channel where there are several."""
    recordings = [recording for recording, _ in timed]
    return {
        recording if recordings.count(recording) == 1 else f"{recording}-{channel}": rows
        for (recording, channel), rows in timed.items()
    }
