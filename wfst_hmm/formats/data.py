"""Lists of recordings and transcripts: Kaldi data directories, TSV manifests, ``text`` files.

In: a directory with ``wav.scp`` (and ``text``, ``utt2spk``, ``segments``, ``spk2warp``), or a tab-separated
file with the header ``id audio [text] [speaker] [start] [end] [channel]`` (its warps beside it). Out: a `Corpus`; and back.

Public names: `read_corpus`, `read_transcripts`, `read_warps`, `warps_path`, `write_warps`; and from their own modules
`read_text`, `write_manifest`, `write_text`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.formats.manifest import (
    channel,
    check_audio_name,
    read_manifest,
    seconds,
    stretch,
    write_manifest,
)
from wfst_hmm.formats.text import read_table, read_text, write_text
from wfst_hmm.kinds import kind_of, wrong_kind
from wfst_hmm.orthography import fields, is_symbol
from wfst_hmm.remote import as_url, exists, is_folder
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = [
    "read_corpus",
    "read_text",
    "read_transcripts",
    "read_warps",
    "warps_path",
    "write_manifest",
    "write_text",
    "write_warps",
]

OnError = Callable[[str, WfstHmmError], None]


def read_corpus(path: str | Path, *, on_error: OnError | None = None) -> Corpus:
    """Read a Kaldi data directory or a TSV manifest.

    Paths of recordings are relative to the list that names them; when nothing lies there, to
    the current directory (Kaldi's habit). List and recordings may be URLs (`wfst_hmm.remote`);
    whether a recording lies there shows when it is read.

    Parameters
    ----------
    path : path
        A directory with ``wav.scp``, or a manifest.
    on_error : callable, optional
        Called with the id and the error of each utterance whose recording is missing or whose
        transcript has no recording; it is then left out. Without it the first is raised.

    Returns
    -------
    Corpus
        In the order of ``segments``, else ``wav.scp``, else the manifest. An utterance without
        a line in ``text``, or with an empty text in a manifest, has no known transcript; a
        bare id in ``text`` is a transcript of no words. Without speakers everyone is their own.

    Raises
    ------
    FormatError
        A line cannot be understood (message: ``file:line``), or a list is missing.
    DataError
        An id occurs twice, a recording is missing, a transcript has no recording, or nothing
        is left.
    """
    path = Path(path)
    if not exists(path):
        raise FormatError(
            "no such data",
            where=str(path),
            expected="a Kaldi data directory or a TSV manifest",
            fix="Check the path.",
        )
    if not is_folder(path) and as_url(path) is None and path.stat().st_size:
        kind = kind_of(path)
        if kind.marked and "corpus" not in kind.readers and "header" not in kind.name:
            raise wrong_kind(kind, path, "a list of recordings",
                             "a Kaldi data directory or a TSV manifest")  # fmt: skip
    utterances = (_kaldi_directory if is_folder(path) else _manifest)(path, on_error)
    if not utterances:
        raise DataError("no utterance", where=str(path), fix="Fill the list.")
    if exists(warping := warps_path(path)):
        warps = read_warps(warping)
        utterances = [dataclasses.replace(u, warp=warps.get(u.speaker, 1.0)) for u in utterances]
    return Corpus(tuple(utterances), str(path))


def read_transcripts(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read only the transcripts of a data directory, a manifest or a ``text`` file.

    Recordings need not exist; utterances of a manifest without a text are left out.

    Raises
    ------
    FormatError, DataError
        Nothing lies there, a line cannot be understood, or an id occurs twice.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "text").is_file():
            raise FormatError("a directory without transcripts", where=str(path), expected="text")
        return read_text(path / "text")
    first = next((line for _, line in read_lines(path) if line.strip()), "")
    if "id" not in first.split("\t") or "text" not in first.split("\t"):
        return read_text(path)
    corpus = Corpus(tuple(read_manifest(path)), str(path))
    return {utterance.id: utterance.words for utterance in corpus if utterance.words is not None}


def _failed(id_: str, error: WfstHmmError, on_error: OnError | None) -> None:
    if on_error is None:
        raise error
    on_error(id_, error)


def _recording(name: str, listing: Path, place: str) -> Path:
    """Find a recording beside the list that names it, or below the current directory."""
    beside, here = listing.parent / name, Path(name)
    if as_url(here) is not None:
        return here
    if as_url(listing) is not None:
        return beside
    for candidate in (beside, here):
        if exists(candidate):
            return candidate
    tried = str(beside)
    if here.absolute() != beside.absolute():
        tried += f" and {here.absolute()}"
    raise DataError(
        "no such audio file",
        where=place,
        got=f"{name!r} (tried {tried})",
        fix="Correct the path, or restore the recording.",
    )


def _kaldi_directory(folder: Path, on_error: OnError | None) -> list[Utterance]:
    listing = folder / "wav.scp"
    if not exists(listing):
        raise FormatError(
            "not a Kaldi data directory: it has no wav.scp",
            where=str(folder),
            fix="Add wav.scp, or name a TSV manifest.",
        )
    recordings = read_table(listing)
    for name, where in recordings.values():
        check_audio_name(name, where)
    segments = folder / "segments"
    if exists(segments):
        utterances = _segments(segments, recordings, on_error)
    else:
        utterances = [
            Utterance(id_, Path(name), None, id_, where=where)
            for id_, (name, where) in recordings.items()
        ]
    utterances = _with_speakers(folder / "utt2spk", utterances)
    utterances = _with_words(folder / "text", utterances, on_error)
    return _with_recordings(utterances, listing, on_error)


def warps_path(data: str | Path) -> Path:
    """Return where the warps of a corpus lie: ``DATA/spk2warp``, or ``TABLE.tsv.spk2warp``."""
    data = Path(data)
    return data / "spk2warp" if is_folder(data) else data.parent / f"{data.name}.spk2warp"


def read_warps(path: str | Path) -> dict[str, float]:
    """Read Kaldi's ``spk2warp``: a warp factor for each speaker.

    Raises
    ------
    FormatError
        A line is not a speaker and a factor from 0.5 to 2.
    """
    warps = {}
    for speaker, (text, where) in read_table(Path(path)).items():
        try:
            warp = float(text)
        except ValueError:
            warp = 0.0
        if not 0.5 <= warp <= 2.0:
            raise FormatError("not a warp factor", where=where, got=text, expected="0.5 to 2")
        warps[speaker] = warp
    return warps


def write_warps(path: str | Path, warps: Mapping[str, float]) -> None:
    """Write what `read_warps` reads."""
    with atomic_file(path) as temporary:
        lines = [f"{speaker} {warp:g}\n" for speaker, warp in sorted(warps.items())]
        temporary.write_text("".join(lines), encoding="utf-8")


def _segments(
    path: Path, recordings: Mapping[str, tuple[str, str]], on_error: OnError | None
) -> list[Utterance]:
    """Read ``utterance recording start end [channel]`` lines."""
    utterances = []
    for id_, (rest, where) in read_table(path).items():
        row = fields(rest)
        if len(row) not in (3, 4):
            raise FormatError(
                "not a segment",
                where=where,
                got=f"{len(row) + 1} fields",
                expected="utterance, recording, start, end[, channel]",
            )
        start, end = seconds(row[1], where), seconds(row[2], where)
        part = stretch(start, None if end == -1 else end, where)
        number = channel(row[3], where) if len(row) == 4 else None
        if row[0] not in recordings:
            error = DataError(
                f"segment of an unknown recording {row[0]!r}",
                where=where,
                fix=f"Add it to {path.parent / 'wav.scp'}.",
            )
            _failed(id_, error, on_error)
            continue
        audio = Path(recordings[row[0]][0])
        utterances.append(Utterance(id_, audio, None, id_, *part, where, number, recording=row[0]))
    return utterances


def _with_speakers(path: Path, utterances: list[Utterance]) -> list[Utterance]:
    if not exists(path):
        return utterances
    table = read_table(path)
    out = []
    for utterance in utterances:
        if utterance.id not in table:
            raise DataError(
                f"no speaker of utterance {utterance.id!r} ({utterance.where})",
                where=str(path),
                fix="Add a line, or remove the file.",
            )
        speaker, where = table[utterance.id]
        if not is_symbol(speaker):
            raise FormatError("not a speaker", where=where, got=repr(speaker), expected="one name")
        out.append(dataclasses.replace(utterance, speaker=speaker))
    return out


def _with_words(
    path: Path, utterances: list[Utterance], on_error: OnError | None
) -> list[Utterance]:
    if not exists(path):
        return utterances
    table = read_table(path)
    known = {utterance.id for utterance in utterances}
    for id_, (_, where) in table.items():
        if id_ not in known:
            error = DataError(
                f"a text line without audio: {id_!r} is not in wav.scp or segments",
                where=where,
                fix="Add the recording, or remove the line.",
            )
            _failed(id_, error, on_error)
    return [
        dataclasses.replace(utterance, words=tuple(fields(table[utterance.id][0])))
        if utterance.id in table
        else utterance
        for utterance in utterances
    ]


def _manifest(path: Path, on_error: OnError | None) -> list[Utterance]:
    listed = Corpus(tuple(read_manifest(path)), str(path))  # an id twice is wrong whatever else is
    return _with_recordings(listed, path, on_error)


def _with_recordings(
    utterances: Iterable[Utterance], listing: Path, on_error: OnError | None
) -> list[Utterance]:
    """Return the utterances whose recordings are there, with the paths at which they were found."""
    found = []
    for utterance in utterances:
        try:
            audio = _recording(str(utterance.audio), listing, utterance.place)
        except DataError as error:
            _failed(utterance.id, error, on_error)
        else:
            found.append(dataclasses.replace(utterance, audio=audio))
    return found
