"""HTK's script files: the list of files that its tools work through (option -S).

In: lines of a file, ``logical=file``, or with frames ``logical=file[first,last]``. Out: `Corpus`.

Public names: `is_script`, `read_script`.

Notes
-----
The HTK Book (3.5), section 4.2 and 5.12.
"""

from __future__ import annotations

import re
from pathlib import Path

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.htk_files import is_htk_features, read_htk_features

__all__ = ["is_script", "read_script"]

_LINE = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<file>[^=\[]+)(?:\[(?P<first>\d+),(?P<last>\d+)\])?")


def is_script(path: str | Path) -> bool:
    """Tell whether a path names a script: ``.scp``, and one field on its first line."""
    path = Path(path)
    if path.suffix != ".scp" or not path.is_file():
        return False
    first = next((line.split() for _, line in read_lines(path) if line.strip()), [])
    return len(first) == 1


def read_script(path: str | Path) -> Corpus:
    """Read a script file; what it names lies where it says, or beside the script.

    Raises
    ------
    FormatError
        A line names no file, or frames of a file that holds none.
    """
    folder = Path(path).parent
    found: dict[str, Utterance] = {}
    for number, line in read_lines(path):
        text, where = line.strip().strip('"'), f"{path}:{number}"
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise FormatError("not a line of a script", where=where, got=repr(text[:60]),
                              expected="a file, name=file or name=file[first,last]")  # fmt: skip
        file = Path(match["file"])
        file = file if file.exists() or not (folder / file).exists() else folder / file
        id_ = re.sub(r"\s+", "_", Path(match["name"] or match["file"]).stem)
        if id_ in found:
            raise FormatError(f"{id_!r} is listed twice", where=where)
        start = end = None
        if match["first"]:
            if not is_htk_features(file):
                raise FormatError("frames of a file that holds none", where=where, got=str(file))
            shift = read_htk_features(file).frame_shift
            start, end = int(match["first"]) * shift, (int(match["last"]) + 1) * shift
        found[id_] = Utterance(id_, file, None, id_, start, end, where)
    if not found:
        raise FormatError("a script without files", where=str(path))
    return Corpus(tuple(found.values()), str(path))
