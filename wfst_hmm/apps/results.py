"""What decoding leaves behind on disk.

In: `Outcome`s. Out: ``hyp.txt`` (Kaldi ``text`` form), ``words.ctm``, ``phones.ctm`` and
``decode.json`` in a folder; each file appears whole or not at all.

Public names: `check_folder`, `write_results`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.errors import UsageError
from wfst_hmm.files import write_json
from wfst_hmm.formats.ctm import write_ctm
from wfst_hmm.formats.data import write_text
from wfst_hmm.search.result import Word

__all__ = ["check_folder", "write_results"]


def check_folder(folder: str | Path) -> None:
    """Raise a `UsageError` when results could not be written there; before hours of work."""
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError("is no folder", where=str(folder), fix="Name a folder for the results.")


def write_results(outcomes: Sequence[Outcome], folder: str | Path) -> list[Path]:
    """Write the results of all utterances that have one; errors stand in ``decode.json``.

    Parameters
    ----------
    outcomes : sequence of Outcome
    folder : path
        Made if it is not there; other files in it are left alone.

    Returns
    -------
    list of Path
        The files that were written.
    """
    folder = Path(folder)
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {o.utterance.id: o.decoded for o in outcomes if o.decoded is not None}
    write_text(folder / "hyp.txt", {id_: [w.text for w in d.words] for id_, d in found.items()})
    write_ctm(folder / "words.ctm", {id_: decoded.words for id_, decoded in found.items()})
    phones = {
        id_: [Word(phone.text, phone.start, phone.end) for phone in decoded.phones]
        for id_, decoded in found.items()
    }
    write_ctm(folder / "phones.ctm", phones)
    write_json(folder / "decode.json", [outcome.to_dict() for outcome in outcomes])
    return [folder / name for name in ("hyp.txt", "words.ctm", "phones.ctm", "decode.json")]
