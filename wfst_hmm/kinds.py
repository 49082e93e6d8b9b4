"""What a file or folder is, by its content; how it is read, and which command takes it.

In: a path. Out: a `Kind` of the one table `KINDS`, which every command asks; or the value that
the kind's reader makes of it.

A kind is known by what is in the file, through gzip, bzip2 and xz, behind a byte order mark and
whatever its name. Most have a mark (a magic, a header, a keyword); word lists, lexicons, Kaldi's
tables and FSTs as text have none and are told apart by their shape, so that these may be read as
one of the others where a command asks for that.

A new format is a row here and a reader, whose module is imported when it is needed.

Public names: `KINDS`, `Kind`, `Look`, `kind_of`, `kind_for`, `known_as`, `read_as`, `reader_of`,
`wrong_kind`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.files import binary_name, read_head
from wfst_hmm.remote import exists, is_folder

__all__ = [
    "KINDS",
    "Kind",
    "Look",
    "kind_for",
    "kind_of",
    "known_as",
    "read_as",
    "reader_of",
    "wrong_kind",
]

_HEAD_BYTES = 1 << 20
_LINES = 400  # lines looked at to tell what a text is
AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf",
     ".m4a", ".mp4", ".sph", ".raw", ".webm", ".mkv", ".aac", ".wma", ".snd")
)  # fmt: skip
#: What a thing can be used for -> what it is called then, and the command that takes it.
USES: dict[str, tuple[str, str]] = {
    "audio": ("a recording", "wfst-hmm decode GRAPH"),
    "corpus": ("a list of recordings", "wfst-hmm train, decode and align"),
    "transcripts": ("transcripts", "wfst-hmm score"),
    "lexicon": ("a lexicon", "--lexicon of wfst-hmm train, graph and lint"),
    "grammar": ("a grammar", "--grammar of wfst-hmm graph and lint"),
    "language model": ("a language model", "--rescore-lm of wfst-hmm decode"),
    "fst": ("a transducer", "wfst-hmm lint and draw"),
    "symbols": ("a symbol table", "--isymbols and --osymbols of wfst-hmm graph, lint and draw"),
    "lattices": ("lattices", "wfst-hmm lattice"),
    "graph": ("a decoding graph", "wfst-hmm decode"),
    "model": ("an acoustic model", "--model of wfst-hmm graph"),
    "turns": ("speakers' turns", "wfst-hmm der"),
    "speakers": ("enrolled speakers", "wfst-hmm speaker"),
    "words": ("models of words", "wfst-hmm words"),
    "songs": ("songs", "wfst-hmm recommend"),
    "tag": ("a model of a tag", "--model of wfst-hmm recommend"),
    "settings": ("settings", "--config of wfst-hmm diarize"),
    "features": ("features", "--mfcc-feats of wfst-hmm diarize"),
    "sphinx": ("a model of Sphinx", "wfst-hmm import sphinx"),
    "kaldi": ("a model of Kaldi", "wfst-hmm import kaldi"),
    "lang": ("a lang folder of Kaldi", "--lang of wfst-hmm import kaldi"),
    "htk": ("models of HTK", "wfst-hmm import htk"),
    "openfst": ("a machine for OpenFst", "wfst-hmm import openfst"),
    "calibration": ("a calibration", "wfst-hmm decode, within a graph"),
}


_CONTROL = re.compile(rb"[\1-\x08\x0e-\x19\x1c-\x1f\x7f]")


class Look:
    """What can be seen of a file or folder at a glance; each thing is looked at when asked for.

    Attributes
    ----------
    path : Path
    is_folder : bool
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.is_folder = is_folder(self.path)

    @functools.cached_property
    def suffix(self) -> str:
        """The name's suffix, in lower case, without that of a packer."""
        name = self.path.name.lower()
        for packer in (".gz", ".bz2", ".xz"):
            name = name.removesuffix(packer)
        return Path(name).suffix

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """What a folder holds; nothing for files."""
        return frozenset(p.name for p in self.path.iterdir()) if self.is_folder else frozenset()

    @functools.cached_property
    def head(self) -> bytes:
        """The first bytes of a file, unpacked; text as UTF-8."""
        return b"" if self.is_folder else read_head(self.path, _HEAD_BYTES)

    @functools.cached_property
    def text(self) -> str:
        """The beginning of a text file up to a line's end, "" of what is no text."""
        data = self.head
        if b"\0" in data or len(_CONTROL.findall(data)) > len(data) / 1000:
            return ""
        if len(data) == _HEAD_BYTES:
            data = data[: data.rfind(b"\n") + 1] or data
        return data.decode("utf-8", "replace")

    @functools.cached_property
    def lines(self) -> tuple[str, ...]:
        """The first lines with content."""
        found = (line.rstrip() for line in self.text.split("\n", _LINES * 4)[: _LINES * 4])
        return tuple(line for line in found if line.strip())[:_LINES]

    @functools.cached_property
    def first(self) -> str:
        """The first line with content, without the blanks around it."""
        return self.lines[0].strip() if self.lines else ""

    @functools.cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The fields of those lines that are no comments of NIST's (``;;``)."""
        lines = (line for line in self.lines if not line.lstrip().startswith(";;"))
        return tuple(tuple(re.split(r"[ \t]+", line.strip(" \t"))) for line in lines)

    @functools.cached_property
    def header(self) -> Mapping[str, Any]:
        """The header of one of this package's own ``.npz`` or JSON files; else an empty one."""
        value = self.json
        if self.head.startswith(b"PK\3\4"):
            value = _npz_header(self.path)
        return value if isinstance(value, dict) else {}

    @functools.cached_property
    def members(self) -> frozenset[str]:
        """The names of the files in a ZIP archive."""
        if not self.head.startswith(b"PK\3\4"):
            return frozenset()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return frozenset(archive.namelist())
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
            return frozenset()

    @functools.cached_property
    def json(self) -> Any:
        """The value of a JSON file; None when it is none."""
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @functools.cached_property
    def root(self) -> str:
        """The name of an XML document's root element, "" of what is none."""
        text = re.sub(r"(?si)<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*(?:\[.*?\])?\s*>", "", self.text)
        found = re.match(r"\s*<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]", text)
        is_xml = self.text.lstrip().startswith(("<?xml", "<!DOCTYPE", "<!doctype"))
        if found and (is_xml or "xmlns" in text[:2000] or text.rstrip().endswith(f"</{found[1]}>")):
            return found[1]
        return "document" if is_xml else ""

    def every(self, pattern: str, share: float = 1.0) -> bool:
        """Tell whether all lines (or that share of them) match a pattern; comments do not count."""
        lines = [line for line in self.lines if not line.startswith((";;", "#"))]
        compiled = re.compile(pattern)
        return bool(lines) and sum(
            compiled.search(line) is not None for line in lines
        ) >= share * len(lines)


def _npz_header(path: Path) -> Any:
    """Return what the array ``header`` of an ``.npz`` file says; None when there is none."""
    import numpy as np

    try:
        # opened here: numpy leaves a file open that turns out to be damaged
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if "header" not in archive.files:
                return None
            found = archive["header"]
        return json.loads(found.tobytes() if found.dtype == np.uint8 else str(found))
    except Exception:  # numpy and zipfile have many ways to say that a file is damaged
        return None


@dataclasses.dataclass(frozen=True)
class Kind:
    """A row of the table.

    Attributes
    ----------
    a : str
        Its name with an article, as messages say it.
    knows : callable (Look) -> bool
    readers : mapping of str to str
        What it can be used for (a key of `USES`), and the function ``module:name`` (a path) ->
        value that reads it for that; "" where the command itself does.
    marked : bool
        Whether a mark makes it certain; else its shape suggests it, and a command that asks for
        another kind without mark may read it so.
    fix : str
        What to do with it, where no command takes it.
    """

    a: str
    knows: Callable[[Look], bool]
    readers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    marked: bool = True
    fix: str = ""

    @property
    def name(self) -> str:
        """The name without article."""
        return self.a.partition(" ")[2] if self.a.startswith(("a ", "an ")) else self.a

    @property
    def remedy(self) -> str:
        """Which command takes it, as a sentence."""
        takers = dict.fromkeys(USES[use][1] for use in self.readers)
        return f"It is taken by {'; or '.join(takers)}." if takers else self.fix


def kind_of(path: str | Path) -> Kind:
    r"""Return what lies at `path`.

    Raises
    ------
    FormatError
        Nothing is there, it is empty, or nothing that this package knows.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "digits.txt"
    >>> _ = path.write_text("#JSGF V1.0;\n")
    >>> kind_of(path).a
    'a JSGF grammar'
    """
    look = Look(path)
    if not look.is_folder and not exists(look.path):
        raise FormatError("no such file or directory", where=str(path), fix="Check the path.")
    for kind in KINDS:
        if kind.knows(look):
            return kind
    if name := binary_name(look.head):
        return Kind(name, lambda look: True, fix="Name another file.")
    if look.is_folder:
        raise FormatError(
            "a directory of an unknown kind", where=str(path),
            expected="a graph, a model, a data directory, results ...",
            fix="Name one of the files in it.",
        )  # fmt: skip
    if not look.head.strip():
        raise FormatError("an empty file", where=str(path), fix="Name another one.")
    raise FormatError("a binary file of an unknown kind", where=str(path),
                      got=repr(look.head[:16]), fix="Name another one.")  # fmt: skip


def known_as(path: str | Path, use: str) -> Kind | None:
    """Return the kind of what lies at `path` when that can be used so; None when it cannot."""
    try:
        kind = kind_of(path)
    except WfstHmmError:
        return None
    return kind if use in kind.readers else None


def kind_for(path: str | Path, use: str, expected: str = "") -> Kind:
    """Return the kind of what lies at `path`, which is to be used so.

    Parameters
    ----------
    path : path
    use : str
        A key of `USES`.
    expected : str
        For the message: what would do.

    Raises
    ------
    FormatError
        It is another kind: the message says which, and which command takes it.
    """
    kind = kind_of(path)
    if use in kind.readers:
        return kind
    if not kind.marked:
        for other in KINDS:
            if use in other.readers and not other.marked:
                return other
    raise wrong_kind(kind, path, USES[use][0], expected)


def wrong_kind(kind: Kind, path: str | Path, wanted: str, expected: str = "") -> FormatError:
    """Return the error of a file that is something else."""
    return FormatError(f"{kind.a}, not {wanted}", where=str(path), expected=expected or None,
                       fix=kind.remedy or "Name another file.")  # fmt: skip


def read_as(path: str | Path, use: str, **options: Any) -> Any:
    """Read what lies at `path` for a use, with the reader of its kind.

    Raises
    ------
    FormatError
        As `kind_for`, and what the reader raises.
    """
    return reader_of(kind_for(path, use), use)(path, **options)


def reader_of(kind: Kind, use: str) -> Callable[..., Any]:
    """Return the function that reads a kind for a use; its module is imported now."""
    module, _, name = kind.readers[use].partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


# How kinds are known


def _holds(*names: str) -> Callable[[Look], bool]:
    """Return what knows a folder that holds all of these names."""
    return lambda look: look.is_folder and look.names.issuperset(names)


def _begins(*magics: bytes) -> Callable[[Look], bool]:
    return lambda look: look.head.startswith(magics)


def _headed(**wanted: str) -> Callable[[Look], bool]:
    """Return what knows this package's own files by a field of their header."""
    return lambda look: any(
        str(look.header.get(k, "")).rstrip(" 0123456789") == v for k, v in wanted.items()
    )


def _lists_audio(row: Sequence[str]) -> bool:
    return any(Path(field.strip()).suffix.lower() in AUDIO_SUFFIXES for field in row)


def _is_audio(look: Look) -> bool:
    head = look.head
    if head.startswith((b"RIFF", b"RIFX", b"RF64", b"riff", b"fLaC", b"OggS", b"FORM", b".snd",
                        b"caff", b"ID3", b"NIST_1A", b"#!AMR", b"0&\xb2u", b"\x1aE\xdf\xa3")):  # fmt: skip
        return True
    if head[4:8] == b"ftyp":
        return True
    mpeg = len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)
    if mpeg and (head[2] >> 4) not in (0, 15) and (head[2] >> 2) & 3 != 3:
        return True
    adts = len(head) > 3 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    return bool(adts) or (not look.is_folder and look.suffix in AUDIO_SUFFIXES)


def _is_htk_features(look: Look) -> bool:
    if len(look.head) < 12 or look.text:
        return False
    n_frames, period, width, kind = struct.unpack(">iihh", look.head[:12])
    size = look.path.stat().st_size
    return bool(n_frames > 0 and 0 < period < 10**8 and width > 0 and kind & 63 <= 13
                and abs(size - 12 - n_frames * width) <= max(4 * width, 16))  # fmt: skip


def _is_sphinx_features(look: Look) -> bool:
    if len(look.head) < 8 or look.text:
        return False
    size = look.path.stat().st_size
    return any(struct.unpack(order, look.head[:4])[0] * 4 + 4 == size for order in ("<i", ">i"))


def _kaldi_binary(*tokens: bytes) -> Callable[[Look], bool]:
    """Return what knows a Kaldi file by the first tokens behind its mark, with or without a key."""
    wanted = b"|".join(map(re.escape, tokens))
    pattern = re.compile(rb"(?:[^\s\0]+ )?\0B(?:" + wanted + rb")", re.DOTALL)
    return lambda look: pattern.match(look.head) is not None


def _is_manifest(look: Look) -> bool:
    return {"id", "audio"} <= {field.strip() for field in look.first.split("\t")}


def _is_wrong_manifest(look: Look) -> bool:
    for separator in "\t,;":
        rows = [line.split(separator) for line in look.lines]
        if len(rows) > 1 and all(len(row) > 1 for row in rows[:20]):
            named = sum(_lists_audio(row) for row in rows[1:])
            if named >= 0.8 * (len(rows) - 1):
                return len(rows[0]) > 2 or not _lists_audio(rows[0])
    return False


def _is_arpa(look: Look) -> bool:
    return re.search(r"(?m)^\s*\\data\\\s*$", look.text) is not None


def _is_json_list(look: Look) -> bool:
    value = look.json
    if value is None:  # damaged, or longer than what was looked at
        return re.match(r"\s*\[\s*\"[^\"]*\"\s*[,\]]", look.text) is not None
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _is_json(look: Look) -> bool:
    return look.json is not None or re.match(r"\s*[\[{]\s*(?:[\"{\[\]}]|$)", look.text) is not None


def _is_results_json(look: Look) -> bool:
    found = re.match(r"\s*\[\s*\{\s*\"id\"\s*:", look.text)
    return found is not None and '"words"' in look.text


def _is_keyword_list(look: Look) -> bool:
    if look.suffix == ".kws" and look.text:
        return True
    return any(re.search(r"\S\s*/[0-9.eE+\- ]+/\s*$", line) for line in look.lines) and not any(
        line.rstrip().endswith(";") for line in look.lines
    )


def _is_csv(look: Look) -> bool:
    for separator in ",;":
        counts = {line.count(separator) for line in look.lines}
        spaced = sum(line.count(separator + " ") for line in look.lines)
        if len(look.lines) > 1 and min(counts) >= 1 and 2 * spaced < sum(
            line.count(separator) for line in look.lines
        ) and (len(counts) == 1 or '"' in look.text):  # fmt: skip
            return True
    return False


_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\Z|-?[Ii]nf(?:inity)?\Z")


def _are_numbers(*fields: str) -> bool:
    return all(_NUMBER.match(field) for field in fields)


def _is_state(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_text_fst(look: Look) -> bool:
    """Arcs between states 0, 1, 2 ..., and states that end."""
    if not look.rows:
        return False
    named = look.path.name.lower()
    if re.search(r"\.(?:fst|fst\.txt|fsttxt|att)(?:\.gz|\.bz2|\.xz)?$", named):
        return True
    arcs = [row for row in look.rows if len(row) > 2]
    ends = [row for row in look.rows if len(row) <= 2]
    if not arcs or not all(
        len(row) in (3, 4, 5) and _is_state(row[0]) and _is_state(row[1]) for row in arcs
    ) or not all(_is_state(row[0]) and _are_numbers(*row[1:]) for row in ends):  # fmt: skip
        return False
    states = {int(state) for row in arcs for state in row[:2]}
    whole = len(look.rows) < _LINES
    sources = {int(row[0]) for row in arcs} | {int(row[0]) for row in ends}
    labels = [field for row in arcs for field in row[2:]]
    if all(map(_is_state, labels)) and len({len(row) for row in arcs}) > 1:
        return False  # a list of numbers said digit by digit
    return bool(ends) and (not whole or states <= sources) and min(states) <= 1


def _is_label_file(look: Look) -> bool:
    rows = look.rows
    if not rows or not all(len(row) >= 2 and _are_numbers(*row[:2]) for row in rows):
        return False
    times = [(float(row[0]), float(row[1])) for row in rows]
    ordered = all(start <= end for start, end in times) and times == sorted(times)
    in_time = any("." in row[0] + row[1] for row in rows) or times[-1][1] >= 10_000
    return ordered and in_time


def _symbol_rows(look: Look) -> list[tuple[str, str]] | None:
    """Return symbols and numbers when every line has just these, each number once."""
    found = []
    for line in look.lines:
        symbol, separator, number = line.rpartition("\t")
        if not separator:
            fields = line.split()
            if len(fields) != 2:
                return None
            symbol, number = fields
        if not re.fullmatch(r"-?[0-9]+", number.strip()):
            return None
        found.append((symbol, number.strip()))
    return found if found and len({number for _, number in found}) == len(found) else None


def _is_symbol_table(look: Look) -> bool:
    rows = _symbol_rows(look) or []
    return any(number == "0" and re.fullmatch(r"<eps(?:ilon)?>|ε|-|<e>|0", symbol)
               for symbol, number in rows)  # fmt: skip


def _is_ctm(look: Look) -> bool:
    # (four numbers and then a phone, where a confidence would be: a dictionary of MFA's or Kaldi's)
    fine = sum(
        5 <= len(row) <= 8
        and not (len(row) > 5 and _are_numbers(*row[1:5]) and not _are_numbers(row[5]))
        and (
            _are_numbers(*row[2:4]) or (row[2:4] == ("*", "*") and row[4].startswith("<"))
        )
        for row in look.rows
    )  # fmt: skip
    return bool(look.rows) and fine >= 0.9 * len(look.rows) and not _is_state(look.rows[0][4])


def _is_stm(look: Look) -> bool:
    return bool(look.rows) and sum(
        len(row) >= 5 and _are_numbers(*row[3:5]) and not _are_numbers(row[2]) for row in look.rows
    ) >= 0.9 * len(look.rows)


def _is_rttm(look: Look) -> bool:
    return any(row[0] == "SPEAKER" and len(row) in (8, 9, 10) for row in look.rows) and all(
        len(row) >= 6 or row[0].startswith(";") for row in look.rows
    )


def _is_kaldi_lattice(look: Look) -> bool:
    number = r"[-+.\deinfEINF]*"
    return any(
        len(row) >= 4 and _is_state(row[0]) and _is_state(row[1])
        and re.fullmatch(rf"{number},{number}(?:,[\d_]*)?", row[-1])
        for row in look.rows
    )  # fmt: skip


def _is_scp(look: Look) -> bool:
    return bool(look.rows) and all(
        len(row) >= 2 and (re.search(r"\.ark(?:\.\w+)?:\d+", row[1]) or row[-1].endswith("|")
                           or (len(row) == 2 and _lists_audio(row[1:])))
        for row in look.rows
    )  # fmt: skip


def _is_kaldi_text(look: Look) -> bool:
    """An id and words a line: ids occur once and hold digits, words are longer than phones."""
    rows = [row for row in look.rows if not row[0].startswith("#")]
    ids = [row[0] for row in rows]
    if not rows or len(set(ids)) < len(ids) or max(map(len, rows)) < 2:
        return False
    numbered = sum(re.search(r"\d|.[-_].", re.sub(r"\(\d+\)$", "", id_)) is not None for id_ in ids)
    if numbered < 0.8 * len(ids):
        return False
    if all(_is_state(field) for row in rows for field in row[1:]):
        return False
    return not (all(map(_is_state, ids)) and _spells(rows))


def _is_archive(look: Look) -> bool:
    """Matrices, vectors or numbers, by a key."""
    if re.match(rb"(?:[^\s\0]+ )?\0B", look.head):
        return True
    if re.match(r"(?:\S+\s+)?\[(?:\s|$)", look.first) and re.search(r"[\d\[]$|\]$", look.first):
        return not re.search(r"[A-Za-z]", look.first.partition("[")[2])
    return False


def _is_alignment(look: Look) -> bool:
    rows = [row[1:] for row in look.rows]
    return sum(map(len, rows)) > 5 * len(rows) and all(_is_state(f) for row in rows for f in row)


def _spells(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether what follows the first fields are short symbols that keep coming, as phones."""
    phones = [field for row in rows for field in row[1:] if not _are_numbers(field)]
    if not phones:
        return False
    distinct = set(phones)
    mean = sum(map(len, phones)) / len(phones)
    if len(distinct & {row[0] for row in rows}) > max(2, len(rows) // 3):
        return mean < 1.5  # words that begin lines are among those that follow: phrases
    return mean <= 2.4 or (mean <= 4.5 and len(phones) >= 5 * len(distinct))


def _is_lexicon(look: Look) -> bool:
    """A word and its phones a line: no line without phones, phones short and few."""
    rows = [row for row in look.rows if not row[0].startswith((";;;", "##"))]
    if look.suffix in (".dic", ".dict", ".lex") and all(len(row) > 1 for row in rows):
        return bool(rows)
    if not rows or sum(len(row) > 1 for row in rows) < max(0.9 * len(rows), 1):
        return False
    return _spells(rows)


def _is_phrase_list(look: Look) -> bool:
    fields = [field for row in look.rows[:100] for field in row]
    odd = sum(re.search(r"[{}<>\\;=|()\[\]]", field) is not None for field in fields)
    return bool(fields) and odd <= 0.2 * len(fields)


def _is_settings(look: Look) -> bool:
    return look.every(
        r"^\s*(?:\[[A-Za-z][\w .-]*\]|(?:--)?[\w.:-]+\s*=.*|--[\w.-]+|-[A-Za-z]\w+\s+\S+)$", 0.9
    )


_GRAPH = "wfst_hmm.graph."
_SCORE = "wfst_hmm.apps.score_sources:"
_SEE_INFO = "wfst-hmm info tells more of it."

#: What there is; the first row that knows a thing names it. Folders, then marks, then shapes.
KINDS: tuple[Kind, ...] = (
    # folders
    Kind("a decoding graph", lambda look: _holds("graph.json")(look) or _holds("units.npz")(look),
         {"graph": "wfst_hmm.graph.compact:load_graph"}),
    Kind("an acoustic model", _holds("model.json"),
         {"model": "wfst_hmm.models.loading:load_model"}),
    Kind("a data directory", _holds("wav.scp"),
         {"corpus": "wfst_hmm.formats.data:read_corpus",
          "transcripts": _SCORE + "folder_source"}),
    Kind("a folder of models of words", _holds("words.json"),
         {"words": "wfst_hmm.models.word_models:WordModels.load"}),
    Kind("a model of Sphinx", _holds("mdef", "means"),
         {"sphinx": "wfst_hmm.formats.sphinx.model:read_sphinx_model"}),
    Kind("a decoding graph of Kaldi", _holds("HCLG.fst"), {"kaldi": ""}),
    Kind("a model of Kaldi", _holds("final.mdl"), {"kaldi": ""}),
    Kind("a lang folder of Kaldi", lambda look: _holds("phones.txt", "topo")(look)
         or _holds("L.fst", "words.txt")(look), {"lang": ""}),
    Kind("a dict folder of Kaldi", lambda look: _holds("silence_phones.txt")(look)
         and bool(look.names & {"lexicon.txt", "lexiconp.txt", "lexicon_words.txt"}),
         fix="Name lexicon.txt in it with --lexicon."),
    Kind("HTK models", _holds("hmmdefs"),
         fix="Name the files: wfst-hmm import htk macros hmmdefs."),
    Kind("a machine for OpenFst", _holds("graph.fst", "isymbols.txt"), {"openfst": ""}),
    Kind("a journal of unfinished work", lambda look: look.is_folder
         and look.path.name.endswith((".journal", ".stages")),
         fix="Give the command again that was stopped: it goes on from there."),
    Kind("a kept graph of wfst-hmm transcribe", _holds("cache.json", "graph"),
         fix="Name the folder graph in it."),
    Kind("results of decoding", _holds("hyp.txt"), {"transcripts": _SCORE + "folder_source"}),
    Kind("alignments", lambda look: look.is_folder and bool(
        look.names & {"words.ctm", "phones.ctm", "align.json", "textgrid", "states.ark"}),
        {"transcripts": _SCORE + "folder_source"}, fix="Name one of the files in it."),
    Kind("a folder of transcripts", _holds("text"), {"transcripts": _SCORE + "folder_source"}),
    Kind("a part of LibriSpeech", lambda look: look.is_folder
         and any(look.path.glob("*/*/*.trans.txt")),
         {"corpus": "wfst_hmm.apps.librispeech:read_librispeech"}),
    Kind("a folder of songs", lambda look: look.is_folder and any(look.path.rglob("*.h5")),
         {"songs": ""}),
    Kind("a folder of TextGrids", lambda look: look.is_folder
         and any(look.path.rglob("*.TextGrid")) and not any(
             p.suffix.lower() in AUDIO_SUFFIXES for p in look.path.rglob("*")),
         {"transcripts": _SCORE + "folder_source"}),
    Kind("a folder of recordings", lambda look: (look.is_folder and any(
        p.suffix.lower() in AUDIO_SUFFIXES for p in look.path.glob("*")))
        or (look.is_folder and any(p.suffix.lower() in AUDIO_SUFFIXES
                                  for p in look.path.glob("*/*"))),
        fix="Name the recordings, or write a table of them: id, audio, text."),
    # binary files
    Kind("an FST", _begins(struct.pack("<i", 2125659606)),
         {"fst": "wfst_hmm.fst.binary:read_fst", "grammar": _GRAPH + "grammar:fst_grammar"}),
    Kind("a symbol table of OpenFst, binary", _begins(struct.pack("<i", 2125658996)),
         fix="Print it as text: fstsymbols, or sym.write_text(...) of pynini."),
    Kind("a Sphinx language model", _begins(b"Trie Language Model"),
         {"grammar": _GRAPH + "grammar:ngram_grammar",
          "language model": _GRAPH + "lm_bin:read_lm_bin"}),
    Kind("an old language model of Sphinx (DMP)", lambda look: b"Darpa Trigram LM" in look.head[:64],
         fix="Convert it: sphinx_lm_convert -i FILE -o FILE.arpa."),
    Kind("a language model of KenLM, binary", _begins(b"mmap lm "),
         fix="Use the ARPA file that it was made of."),
    Kind("lattices", _headed(format="wfst_hmm lattices"),
         {"lattices": "wfst_hmm.lattice.store:read_lattices"}),
    Kind("a journal of training", _headed(format="wfst_hmm training journal"),
         fix="Give the command again that was stopped: it goes on from there."),
    Kind("a mixture of Gaussians", _headed(kind="gmm"),
         {}, fix="Python reads it: GaussianMixture.load."),
    Kind("an HMM with mixtures of Gaussians", _headed(kind="gmm-hmm"),
         {}, fix="Python reads it: GmmHmm.load."),
    Kind("an HMM with Gaussians", _headed(kind="gaussian-hmm"),
         {}, fix="Python reads it: GaussianHmm.load."),
    Kind("an HMM with discrete symbols", _headed(kind="discrete-hmm"),
         {}, fix="Python reads it: DiscreteHmm.load."),
    Kind("enrolled speakers", _headed(kind="speakers"),
         {"speakers": "wfst_hmm.apps.speakers:SpeakerModels.load"}),
    Kind("mixtures of a diarization's speakers", _headed(kind="speaker mixtures"),
         fix="They belong to the RTTM that was written with them."),
    Kind("a model of a tag", _headed(kind="tag model"), {"tag": ""}),
    Kind("a library of songs", _headed(kind="song library"),
         fix="Name it with --cache of wfst-hmm recommend."),
    Kind("a damaged archive (ZIP)", lambda look: look.head.startswith(b"PK\3\4")
         and not look.members, fix="Copy or make it again."),
    Kind("an archive of arrays", lambda look: bool(look.members)
         and all(name.endswith(".npy") for name in look.members),
         fix="It is a part of a model or graph: name the folder that it lies in."),
    Kind("a model of the Montreal Forced Aligner", lambda look: any(
        Path(name).name in ("meta.json", "meta.yaml") for name in look.members),
        fix="Unpack it; wfst-hmm import kaldi takes the folder with final.mdl."),
    Kind("an HDF5 file", _begins(b"\x89HDF\r\n\x1a\n"), {"songs": ""}),
    Kind("a model of Kaldi (transitions and mixtures)",
         lambda look: _kaldi_binary(b"<TransitionModel>")(look)
         or look.first.startswith("<TransitionModel>"),
         fix="Name the folder that it lies in: wfst-hmm import kaldi DIR."),
    Kind("a decision tree of Kaldi",
         lambda look: _kaldi_binary(b"ContextDependency ")(look)
         or look.first.startswith("ContextDependency "),
         fix="Name the folder that it lies in: wfst-hmm import kaldi DIR."),
    Kind("a neural network of Kaldi", lambda look: _kaldi_binary(b"<Nnet")(look)
         or look.first.startswith("<Nnet"), fix="Only models of Gaussians are read."),
    Kind("lattices of Kaldi, binary", lambda look: re.match(
            rb"[^\s\0]+ (?:\0B)?\xd6\xfd\xb2\x7e.{4}(?:vector|const).{4}(?:compact)?lattice",
            look.head, re.DOTALL) is not None,
         {"lattices": "wfst_hmm.apps.lattices:read_any_lattices"}),
    Kind("an archive of Kaldi", _is_archive,
         fix="Python reads it: formats.kaldi.archives.read_archive."),
    Kind("FSTs of Kaldi's training", lambda look: re.match(
         rb"[^\s\0]+ (?:\0B)?\xd6\xfd\xb2\x7e", look.head) is not None,
         fix="Only Kaldi's own tools use them."),
    Kind("a topology of Kaldi", lambda look: _kaldi_binary(b"<Topology>")(look)
         or look.first.startswith("<Topology>"),
         fix="Name the lang folder that it lies in."),
    Kind("a file of parameters of Sphinx", lambda look: look.head.startswith((b"s3\n", b"BMDF", b"FDMB"))
         or b"BEGIN FILE FORMAT" in look.head[:40]
         or re.match(r"(?:#.*\n|\s)*0\.3\s*\n\s*\d+ n_base", look.text) is not None,
         fix="Name the folder that it lies in: wfst-hmm import sphinx DIR."),
    Kind("a recording", _is_audio, {"audio": "wfst_hmm.signal.audio:read_audio"}),
    Kind("an HTK feature file", _is_htk_features,
         {"features": "wfst_hmm.signal.htk_files:read_htk_features"}),
    Kind("a feature file of Sphinx", _is_sphinx_features,
         fix="Decode the recording that it was made of."),
    # texts with a mark
    Kind("a JSGF grammar", lambda look: look.first.startswith("#JSGF"),
         {"grammar": _GRAPH + "grammar:jsgf_grammar"}),
    Kind("an SRGS grammar", lambda look: look.first.startswith("#ABNF") or look.root == "grammar",
         {"grammar": _GRAPH + "grammar:srgs_grammar"}),
    Kind("a Sphinx FSG", lambda look: any(line.startswith("FSG_BEGIN") for line in look.lines)
         or (bool(look.text) and look.suffix == ".fsg"),
         {"grammar": _GRAPH + "grammar:fsg_grammar"}),
    Kind("an ARPA model", lambda look: _is_arpa(look) or (bool(look.text) and look.suffix
         in (".arpa", ".lm")),
         {"grammar": _GRAPH + "grammar:ngram_grammar",
          "language model": _GRAPH + "arpa:read_arpa"}),
    Kind("a word list of Vosk", _is_json_list, {"grammar": _GRAPH + "spotting:vosk_grammar"}),
    Kind("results of decoding, JSON", _is_results_json, fix="Score hyp.txt beside it."),
    Kind("the header of a model", _headed(format="wfst_hmm acoustic model"),
         fix="Name the folder that it lies in."),
    Kind("the header of a model", _headed(format="wfst_hmm context model"),
         fix="Name the folder that it lies in."),
    Kind("the header of a graph", _headed(format="wfst_hmm graph"),
         fix="Name the folder that it lies in."),
    Kind("a calibration of confidences", _headed(format="wfst_hmm confidence"),
         {"calibration": "wfst_hmm.lattice.confidence:Calibration.load"}),
    Kind("a JSON file", _is_json, fix=_SEE_INFO),
    Kind("an HTML page", lambda look: look.root.lower() == "html", fix="Open it in a browser."),
    Kind("a pronunciation lexicon of the W3C (PLS)", lambda look: look.root == "lexicon",
         fix="Write it as lines of a word and its phones."),
    Kind("an ELAN annotation", lambda look: look.root == "ANNOTATION_DOCUMENT",
         fix="Export it from ELAN as a TextGrid."),
    Kind("an SVG picture", lambda look: look.root == "svg", fix="Open it in a browser."),
    Kind("an XML document", lambda look: bool(look.root), fix=_SEE_INFO),
    Kind("a TextGrid", lambda look: '"ooTextFile' in look.first and "TextGrid" in
         "".join(look.lines[:3]), {"transcripts": _SCORE + "textgrid_source"}),
    Kind("an HTK master label file", lambda look: look.first.strip('"') == "#!MLF!#",
         fix="Python reads it: formats.htk.labels."),
    Kind("an HTK model file", lambda look: re.match(r"~[osthvmrwcadxyfgp](?:\s|$)", look.first,
         re.IGNORECASE) is not None, {"htk": ""}),
    Kind("an HTK lattice", lambda look: look.every(r"^(?:[A-Za-z]+=\S*\s*)+$", 0.9) and any(
        re.match(r"(?:N|NODES)=\d+", line) for line in look.lines),
        {"lattices": "wfst_hmm.apps.lattices:read_any_lattices"}),
    Kind("subtitles", lambda look: look.first.startswith("WEBVTT") or any(
        re.match(r"\s*\d+:\d\d:\d\d[,.]\d+\s+-->", line) for line in look.lines[:5]),
        fix="Score hyp.txt, which is written with them."),
    Kind("a manifest", _is_manifest,
         {"corpus": "wfst_hmm.formats.data:read_corpus",
          "transcripts": _SCORE + "text_source"}),
    Kind("a table of recordings with a wrong header", _is_wrong_manifest,
         fix="Write its first line: id, audio, text[, speaker, start, end, channel], with tabs."),
    Kind("a PocketSphinx keyword list", _is_keyword_list,
         {"grammar": _GRAPH + "spotting:keyword_grammar"}),
    Kind("an RTTM file", _is_rttm, {"turns": "wfst_hmm.formats.rttm:read_rttm"}),
    Kind("lattices of Kaldi, text", _is_kaldi_lattice,
         {"lattices": "wfst_hmm.apps.lattices:read_any_lattices"}),
    Kind("a text FST", _is_text_fst,
         {"fst": "wfst_hmm.fst.text:read_fst_text", "grammar": _GRAPH + "grammar:fst_grammar"}),
    Kind("a CTM file", _is_ctm, {"transcripts": _SCORE + "ctm_source"}),
    Kind("an STM file", _is_stm, {"transcripts": _SCORE + "stm_source"}),
    Kind("a trn file", lambda look: look.every(r"(?:^|\s)\([^\s()]+(?:\s+-?[\d.]+)?\)\s*$"),
         {"transcripts": _SCORE + "trn_source"}),
    Kind("a label file", _is_label_file, fix="Its lines are: start, end, label."),
    Kind("a UEM file", lambda look: look.every(r"^\S+\s+[\w]{1,3}\s+[\d.]+\s+[\d.]+\s*$"),
         fix="Name it with --uem of wfst-hmm der."),
    Kind("a segments file of Kaldi",
         lambda look: look.every(r"^\S+\s+\S+\s+[\d.]+\s+-?[\d.]+(?:\s+\d)?\s*$"),
         fix="Name the data directory that it lies in."),
    Kind("a list of recordings or features of Kaldi (scp)", _is_scp,
         fix="Name the data directory that it lies in."),
    Kind("a list of Kaldi (utterances, speakers)", lambda look: look.path.name in
         ("utt2spk", "spk2utt", "spk2gender", "reco2dur", "utt2dur", "spk2warp"),
         fix="Name the data directory that it lies in."),
    Kind("an HTK list of HMMs", lambda look: look.every(r"^\s*\S+-\S+\+\S+|^\s*\S+(?:\s+\S+)?$")
         and any(re.match(r"[^\s-]+-[^\s+-]+\+\S+(?:\s|$)", line) for line in look.lines),
         fix="Name it with --list of wfst-hmm import htk."),
    Kind("a symbol table", _is_symbol_table, {"symbols": "wfst_hmm.fst.symbols:Symbols.read"}),
    Kind("a CSV table", _is_csv, {"songs": ""}),
    Kind("settings", lambda look: look.first.startswith("[Diarizer]"), {"settings": ""}),
    Kind("a file of settings", _is_settings, fix=_SEE_INFO),
    # texts known by their shape only
    Kind("a symbol table", lambda look: _symbol_rows(look) is not None,
         {"symbols": "wfst_hmm.fst.symbols:Symbols.read"}, marked=False),
    Kind("numbers by utterance (Kaldi)", _is_alignment, marked=False,
         fix="Python reads it: formats.kaldi.archives."),
    Kind("a Kaldi text", _is_kaldi_text,
         {"transcripts": _SCORE + "text_source"}, marked=False),
    Kind("a lexicon", _is_lexicon,
         {"lexicon": "wfst_hmm.graph.lexicon_sources:lexicon_from_spec"}, marked=False),
    Kind("a phrase list", _is_phrase_list, {"grammar": _GRAPH + "phrases:read_phrases"},
         marked=False),
    Kind("a text", lambda look: bool(look.lines), marked=False, fix="Name another file."),
)  # fmt: skip
