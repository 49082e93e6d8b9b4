"""Results of any number of utterances, written while they come.

In: `Outcome`s, one after the other. Out: at the end, the files that `apps.results` describes; each
appears whole or not at all. Texts wait in temporary files, so that memory does not grow with the
corpus (by a line's place for every utterance; subtitles and lattices apart).

Public names: `ResultsWriter`.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.apps.result_texts import (
    Recording,
    ctm_of,
    end_of,
    n_best_lines,
    recordings_named,
    shifted,
    subtitles_text,
    tiers_of,
)
from wfst_hmm.files import atomic_file
from wfst_hmm.formats.subtitles import SubtitleOptions
from wfst_hmm.formats.text import text_line
from wfst_hmm.formats.textgrid import textgrid_text
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.store import write_lattices
from wfst_hmm.search.result import Word

__all__ = ["ResultsWriter"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_IN_MEMORY = 1 << 20  # bytes of a spool before it becomes a file


class ResultsWriter:
    """What is written about a corpus; a context that leaves no temporary file behind.

    Parameters
    ----------
    folder : path
    forms : sequence of str
        Of `apps.results.FORMS`.
    tiers : sequence of str
        Of `apps.results.TIERS`, for CTM and TextGrid.
    json_name : str
        The file of the form ``json``.
    plain : bool
        Also ``hyp.txt``; ``nbest.txt`` and ``lattices.npz`` where there are such results.
    subtitles : SubtitleOptions, optional
    """

    def __init__(
        self,
        folder: str | Path,
        forms: Sequence[str],
        *,
        tiers: Sequence[str] = ("words", "phones"),
        json_name: str = "decode.json",
        plain: bool = True,
        subtitles: SubtitleOptions | None = None,
    ) -> None:
        self._folder, self._forms, self._tiers = Path(folder), tuple(forms), tuple(tiers)
        self._json_name, self._plain, self._subtitles = json_name, plain, subtitles
        self._spools: dict[str, _Spool] = {}
        self._stack = contextlib.ExitStack()
        self._taken: set[str] = set()
        self._recordings: dict[Recording, list[tuple[str, Sequence[Word]]]] = {}
        self._lattices: dict[str, Lattice] = {}

    def __enter__(self) -> ResultsWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def add(self, outcome: Outcome) -> None:
        """Take the next utterance's result.

        Raises
        ------
        DataError
            A form cannot hold it: a word with white space, for example.
        """
        id_ = outcome.utterance.id
        if "json" in self._forms:
            self._spool("json").add(id_, _json_lines(outcome.to_dict()))
        if outcome.decoded is None:
            return
        if self._plain:
            self._spool("hyp").add(id_, text_line(id_, [w.text for w in outcome.decoded.words]))
            if outcome.alternatives:
                self._spool("nbest").add(id_, n_best_lines(outcome))
            if outcome.lattice is not None:
                self._lattices[id_] = outcome.lattice
        if "ctm" in self._forms:
            for tier in self._tiers:
                text, key = ctm_of(outcome, tier)
                self._spool(f"{tier}.ctm").add(key, text)
        if "textgrid" in self._forms:
            name = f"textgrid/{self._file_name(id_)}.TextGrid"  # within the folder
            self._spool("textgrid").add(name, textgrid_text(
                tiers_of(outcome, self._tiers), duration=end_of(outcome),
                where=str(self._folder / name),
            ))  # fmt: skip
        if {"srt", "vtt"} & {*self._forms}:
            recording = (outcome.utterance.audio, outcome.utterance.channel)
            self._recordings.setdefault(recording, []).append((id_, shifted(outcome, "words")))

    def finish(self) -> list[Path]:
        """Write the files; return their paths."""
        self._folder.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        if self._plain:
            written.append(self._put("hyp.txt", self._sorted("hyp")))
        for form in self._forms:
            if form == "ctm":
                for tier in self._tiers:
                    written.append(self._put(f"{tier}.ctm", self._sorted(f"{tier}.ctm")))
            elif form == "textgrid":
                for name, text in self._spool("textgrid").texts():
                    written.append(self._put(name, iter([text])))
            elif form in ("srt", "vtt"):
                named = recordings_named(self._recordings)
                for words, name in zip(named.values(), _file_names(named), strict=True):
                    text = subtitles_text(words, form, self._subtitles)
                    written.append(self._put(f"{form}/{name}.{form}", iter([text])))
        if "json" in self._forms:
            written.append(self._put(self._json_name, self._json_list()))
        if "nbest" in self._spools:
            lines = (text for _, text in self._spool("nbest").texts())
            written.append(self._put("nbest.txt", lines))
        if self._lattices:
            write_lattices(self._folder / "lattices.npz", self._lattices)
            written.append(self._folder / "lattices.npz")
        return written

    def _spool(self, name: str) -> _Spool:
        if name not in self._spools:
            self._spools[name] = self._stack.enter_context(contextlib.closing(_Spool()))
        return self._spools[name]

    def _sorted(self, name: str) -> Iterator[str]:
        return (text for _, text in self._spool(name).texts(by_name=True))

    def _json_list(self) -> Iterator[str]:
        between = "[\n"
        for _, text in self._spool("json").texts():
            yield between
            yield text
            between = ",\n"
        yield "[]\n" if between == "[\n" else "\n]\n"

    def _put(self, name: str, texts: Iterator[str]) -> Path:
        path = self._folder / name
        with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.writelines(texts)
        return path

    def _file_name(self, id_: str) -> str:
        return _file_name(id_, self._taken)


class _Spool:
    """Texts that wait, on the disk if they are long, until they are wanted in another order."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed by `close`)
        self._places: list[tuple[str, int, int]] = []
        self._end = 0

    def add(self, name: str, text: str) -> None:
        data = text.encode("utf-8")
        self._file.write(data)
        self._places.append((name, self._end, len(data)))
        self._end += len(data)

    def texts(self, *, by_name: bool = False) -> Iterator[tuple[str, str]]:
        """Yield names and texts as they came, or sorted by name."""
        places = sorted(self._places) if by_name else self._places
        for name, begin, length in places:
            self._file.seek(begin)
            yield name, self._file.read(length).decode("utf-8")
        self._file.seek(self._end)

    def close(self) -> None:
        self._file.close()


def _json_lines(value: dict[str, Any]) -> str:
    """Return an object of JSON with a line for each field, and for each item of its lists.

    json's own indentation, a line for each number, takes ten times as long: it is not made by C.
    """
    dumps = _ENCODER.encode
    lines = []
    for name, field in value.items():
        text = dumps(field)
        if isinstance(field, list) and field:
            text = "[\n" + ",\n".join(f"      {dumps(item)}" for item in field) + "\n    ]"
        lines.append(f"    {dumps(name)}: {text}")
    return "  {\n" + ",\n".join(lines) + "\n  }"


def _file_name(id_: str, taken: set[str]) -> str:
    """Return a harmless file name for an id, another one than those `taken`."""
    plain = re.sub(r"[^\w.\-]", "_", id_).lstrip(".")[:200] or "utterance"
    name, number = plain, 2
    while name.lower() in taken:  # some file systems do not tell A from a
        name, number = f"{plain}-{number}", number + 1
    taken.add(name.lower())
    return name


def _file_names(ids: Iterator[str] | dict[str, list[Word]]) -> list[str]:
    taken: set[str] = set()
    return [_file_name(id_, taken) for id_ in ids]
