"""LibriSpeech as its archives unpack: one folder a speaker, one a chapter, FLAC beside transcripts.

In: a folder such as ``train-clean-5``. Out: a `Corpus` with lower-case words, as dictionaries
write them.

Public names: `is_librispeech`, `read_librispeech`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.files import read_lines
from wfst_hmm.orthography import fields
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["is_librispeech", "read_librispeech"]

_TRANSCRIPTS = "*/*/*.trans.txt"


def is_librispeech(folder: str | Path) -> bool:
    """Tell whether a folder is laid out like a part of LibriSpeech."""
    return any(Path(folder).glob(_TRANSCRIPTS))


def read_librispeech(
    folder: str | Path, *, on_error: Callable[[str, WfstHmmError], None] | None = None
) -> Corpus:
    """Read ``SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`` and the recordings beside it.

    Parameters
    ----------
    folder : path
    on_error : callable, optional
        Called with the id and the error of each transcript whose recording is missing, which is
        then left out. Without it the first is raised.

    Returns
    -------
    Corpus
        Sorted by speaker, chapter and number.

    Raises
    ------
    DataError
        There are no transcripts, or a recording is missing.
    FormatError
        A line is no transcript.
    """
    folder = Path(folder)
    utterances = []
    for path in sorted(folder.glob(_TRANSCRIPTS)):
        for number, line in read_lines(path):
            where = f"{path}:{number}"
            id_, *words = fields(line.lower())
            if not words:
                raise FormatError("no transcript", where=where, expected="an id and words")
            audio = path.parent / f"{id_}.flac"
            if not audio.is_file():
                error = DataError("no such recording", where=where, got=str(audio),
                                  fix="Restore it, or remove the line.")  # fmt: skip
                if on_error is None:
                    raise error
                on_error(id_, error)
                continue
            speaker = path.parent.parent.name
            utterances.append(Utterance(id_, audio, tuple(words), speaker, where=where))
    if not utterances:
        raise DataError("no transcripts of LibriSpeech here", where=str(folder),
                        expected="SPEAKER/CHAPTER/*.trans.txt")  # fmt: skip
    return Corpus(tuple(utterances), str(folder))
