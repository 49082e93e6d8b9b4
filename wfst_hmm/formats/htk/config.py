"""HTK's configuration files: how features were made.

In: lines of ``NAME = VALUE``, perhaps ``MODULE: NAME = VALUE``. Out: `HtkOptions`, and what was
left aside.

Public names: `HtkConfig`, `read_htk_config`.

Notes
-----
The HTK Book (3.5), section 4.3 and chapter 18.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.signal.htk import HtkOptions

__all__ = ["HtkConfig", "read_htk_config"]


def _flag(text: str) -> bool:
    if text.upper() in ("T", "TRUE", "F", "FALSE"):
        return text.upper().startswith("T")
    raise ValueError(text)


_READ: dict[str, Callable[[str], Any]] = {
    "bool": _flag, "int": lambda text: int(float(text)), "float": float, "str": str,
}  # fmt: skip
_FIELDS = {
    field.name.upper(): _READ[str(field.type)]
    for field in dataclasses.fields(HtkOptions)
    if field.name != "rate"
}
#: Settings that would make other features than can be made here, unless they have these values.
_REFUSED = {
    "V1COMPAT": ("F", "FALSE"), "HIGHDIFF": ("F", "FALSE"), "VQTABLE": (), "VARSCALEFN": (),
    "VARSCALEDIR": (), "CMEANDIR": (), "MATTRANFN": (), "MATTRAN": (), "SIDEXFORMMASK": (),
    "SIDEGMMLIST": (), "SIDEGMMMMF": (), "APPENDXFORMMASK": (),
}  # fmt: skip
#: Settings that say nothing about features, or what the files themselves say.
_HARMLESS = (
    "SOURCEKIND", "SOURCEFORMAT", "TARGETFORMAT", "SAVECOMPRESSED", "SAVEWITHCRC", "BYTEORDER",
    "NATURALREADORDER", "NATURALWRITEORDER", "TRACE", "SELFCALSILDET", "SPEECHTHRESH",
    "SILDISCARD", "SILENERGY", "SPCSEQCOUNT", "SPCGLCHCOUNT", "SILGLCHCOUNT", "SILSEQCOUNT",
    "SILMARGIN", "MEASURESIL", "OUTSILWARN", "AUDIOSIG", "LPCORDER", "COMPRESSFACT",
    "FOURTHWINDOW",
)  # fmt: skip
#: What is done about settings that would change features.
_ASIDE = {
    "ADDDITHER": "the same audio must give the same features, so there is no dither",
    "USESILDET": "silence is not cut off",
}


@dataclasses.dataclass(frozen=True)
class HtkConfig:
    """What a configuration file says about features.

    Attributes
    ----------
    options : HtkOptions
        What the file leaves out has HTK's defaults.
    given : frozenset of str
        Names of the fields that the file sets.
    notes : tuple of str
        Settings that were left aside though they may matter, each with its place and why.
    """

    options: HtkOptions
    given: frozenset[str]
    notes: tuple[str, ...]


def read_htk_config(path: str | Path, *, rate: int | None = None) -> HtkConfig:
    """Read a configuration file.

    Parameters
    ----------
    path : path
    rate : int, optional
        Samples per second, where the file has no ``SOURCERATE``.

    Raises
    ------
    FormatError
        A line is no setting, a value is none, or a setting would make features that cannot be
        made here.
    """
    values: dict[str, Any] = {}
    notes: list[str] = []
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        name = name.rpartition(":")[2].strip().upper()
        value = value.strip('"')
        if not equals or not value or len(name.split()) != 1:
            raise FormatError("not a setting", where=where, got=repr(line.strip()[:60]),
                              expected="NAME = VALUE")  # fmt: skip
        try:
            if name == "SOURCERATE":
                values["rate"] = round(1e7 / float(value))
            elif name in _FIELDS:
                values[name.lower()] = _FIELDS[name](value)
            elif name in _REFUSED and value.upper() not in _REFUSED[name]:
                raise FormatError("a setting that is not supported", where=where,
                                  got=f"{name} = {value}"[:60],
                                  fix="Decode feature files that HTK has made with it.")  # fmt: skip
            elif name not in _REFUSED and name not in _HARMLESS:
                why = _ASIDE.get(name, "the name is not known here")
                notes.append(f"{where}: {name} = {value} left aside: {why}")
        except (ValueError, ZeroDivisionError, OverflowError):
            raise FormatError(f"no value for {name}", where=where, got=repr(value[:40])) from None
    if rate is not None and values.get("rate", rate) != rate:
        raise UsageError("two sampling rates", where=str(path), got=f"{rate} Hz",
                         expected=f"{values['rate']} Hz, its SOURCERATE")  # fmt: skip
    given = frozenset(values)
    if rate is not None:
        values["rate"] = rate
    try:
        return HtkConfig(HtkOptions(**values), given, tuple(notes))
    except UsageError as error:
        raise FormatError(error.what, where=str(path), got=error.got,
                          expected=error.expected) from None  # fmt: skip
