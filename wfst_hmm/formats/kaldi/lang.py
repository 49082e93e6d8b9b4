"""Kaldi's ``lang`` directories: phones, words and which phones are silence.

In: a ``lang`` or graph directory. Out: `KaldiLang`.

Public names: `KaldiLang`, `read_lang`, `read_silence_phones`, `silence_by_name`,
`write_silence_phones`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from wfst_hmm import orthography
from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.formats.kaldi.topologies import HmmTopologies, read_topologies
from wfst_hmm.fst.symbols import Symbols

__all__ = [
    "KaldiLang", "read_lang", "read_silence_phones", "silence_by_name", "write_silence_phones",
]  # fmt: skip

#: what recipes call phones of silence and noise, in the order of who fills pauses
_SILENT = ("sil", "<sil>", "silence", "sp", "pau", "spn", "<spn>", "nsn", "<nsn>", "noise")


@dataclasses.dataclass(frozen=True, eq=False)
class KaldiLang:
    """What a ``lang`` directory says about phones and words.

    Attributes
    ----------
    phones, words : Symbols
        ``phones.txt`` and ``words.txt``, disambiguation symbols included.
    silence_phones, disambiguation : tuple of str
        Phones by name; the optional silence, when named, is the first silence phone.
    word_boundary : dict
        Phone -> ``begin``, ``end``, ``internal``, ``singleton`` or ``nonword``; empty for phones
        that do not depend on their place in the word.
    topologies : HmmTopologies or None
        ``topo``, which graph directories lack.
    """

    phones: Symbols
    words: Symbols
    silence_phones: tuple[str, ...]
    disambiguation: tuple[str, ...]
    word_boundary: dict[str, str]
    topologies: HmmTopologies | None


def read_lang(path: str | Path) -> KaldiLang:
    """Read a ``lang`` directory, or a graph directory, which holds most of it.

    Raises
    ------
    FormatError
        ``phones.txt`` or ``words.txt`` is missing or wrong, or a list names a phone that is in
        neither.
    """
    path = Path(path)
    if not path.is_dir():
        raise FormatError("no such directory", where=str(path), expected="a Kaldi lang directory")
    phones = Symbols.read(path / "phones.txt")
    words = Symbols.read(path / "words.txt")
    topo = path / "topo"
    return KaldiLang(
        phones,
        words,
        read_silence_phones(path, phones),
        tuple(_phone_list(path / "phones", "disambig", phones)),
        _word_boundary(path / "phones", phones),
        read_topologies(topo) if topo.is_file() else None,
    )


def read_silence_phones(path: str | Path, phones: Symbols) -> tuple[str, ...]:
    """Return the silence phones that a directory's lists name, the optional one first.

    The lists lie in ``phones/``; in directories of older recipes and of decoding graphs they lie
    flat, ``silphones.csl`` or ``silence.csl``.
    """
    path = Path(path)
    silence = next(filter(None, (_phone_list(folder, name, phones) for folder, name in (
        (path / "phones", "silence"), (path, "silence"), (path, "silphones"),
    ))), [])  # fmt: skip
    optional = _phone_list(path / "phones", "optional_silence", phones)
    return (*optional, *(phone for phone in silence if phone not in optional))


def silence_by_name(phones: Sequence[str]) -> tuple[str, ...]:
    """Return those of `phones` that are called like silence or noise, in every place of a word.

    Examples
    --------
    >>> silence_by_name(["AA_B", "SPN_B", "SIL", "SIL_B"])
    ('SIL', 'SIL_B', 'SPN_B')
    """
    bases = {phone: _base(phone) for phone in phones}
    return tuple(phone for name in _SILENT for phone in phones if bases[phone] == name)


def _base(phone: str) -> str:
    """Return a phone's name without the mark of its place in the word."""
    name, _, place = phone.rpartition("_")
    return (name if name and place in ("B", "E", "I", "S") else phone).lower()


def write_silence_phones(silence: Sequence[str], folder: Path) -> None:
    """Write the lists ``phones/silence.txt`` and ``phones/optional_silence.txt``."""
    (folder / "phones").mkdir(exist_ok=True)
    for name, phones in (("silence", silence), ("optional_silence", silence[:1])):
        text = "".join(f"{phone}\n" for phone in phones)
        (folder / "phones" / f"{name}.txt").write_text(text, encoding="utf-8")


def _phone_list(folder: Path, name: str, phones: Symbols) -> list[str]:
    """Read ``name.int``, ``name.txt`` or ``name.csl``, whichever is there."""
    for suffix in (".int", ".txt", ".csl"):
        file = folder / (name + suffix)
        if file.is_file():
            break
    else:
        return []
    found = []
    for number, line in read_lines(file):
        for text in line.replace(":", " ").split() if suffix == ".csl" else line.split():
            found.append(_phone(text, phones, f"{file}:{number}", numeric=suffix != ".txt"))
    return found


def _phone(text: str, phones: Symbols, where: str, *, numeric: bool) -> str:
    if numeric and text.isascii() and text.isdigit() and int(text) < len(phones):
        return phones[int(text)]
    if not numeric and text in phones:
        return text
    raise FormatError("a phone that phones.txt does not have", where=where, got=repr(text))


def _word_boundary(folder: Path, phones: Symbols) -> dict[str, str]:
    for suffix in (".int", ".txt"):
        file = folder / f"word_boundary{suffix}"
        if file.is_file():
            break
    else:
        return {}
    kinds = ("begin", "end", "internal", "singleton", "nonword")
    found = {}
    for number, line in read_lines(file):
        fields = orthography.fields(line)
        if len(fields) != 2 or fields[1] not in kinds:
            raise FormatError("not a phone and its place", where=f"{file}:{number}",
                              got=repr(line[:60]), expected=f"a phone and {', '.join(kinds)}")  # fmt: skip
        found[_phone(fields[0], phones, f"{file}:{number}", numeric=suffix == ".int")] = fields[1]
    return found
