"""What decoding and alignment leave behind on disk, or print.

In: `Outcome`s. Out: ``hyp.txt`` (Kaldi ``text`` form) and the forms that were asked for: CTM,
TextGrid, SRT, WebVTT, JSON, n-best lists and lattices; each file appears whole or not at all.

Times are those of the recording, also where an utterance is a stretch of it.

Public names: `FORMS`, `TIERS`, `check_folder`, `check_forms`, `check_printable`, `printable`,
`results_writer`, `write_forms`, `write_results`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.apps.result_texts import ctm_of, end_of, shifted, subtitles_text, tiers_of
from wfst_hmm.apps.result_writer import ResultsWriter
from wfst_hmm.arrays import as_words
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.subtitles import SubtitleOptions
from wfst_hmm.formats.textgrid import textgrid_text
from wfst_hmm.remote import as_url
from wfst_hmm.signal.corpus import Utterance

__all__ = [
    "FORMS",
    "TIERS",
    "check_folder",
    "check_forms",
    "check_printable",
    "printable",
    "results_writer",
    "write_forms",
    "write_results",
]

#: Forms of words with times, by the name that a command line uses.
FORMS = ("ctm", "textgrid", "srt", "vtt", "json")
#: Tiers that have times; the last one for alignments only, where it is asked for.
TIERS = ("words", "phones", "states")


def check_folder(folder: str | Path) -> None:
    """Raise a `UsageError` when results could not be written there; before hours of work."""
    if as_url(folder) is not None:
        raise UsageError("results are written to a folder of this machine", got=str(folder),
                         fix="Write them here, then copy them there.")  # fmt: skip
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError("is no folder", where=str(folder), fix="Name a folder for the results.")


def check_forms(forms: str | Iterable[str], known: Sequence[str] = FORMS) -> tuple[str, ...]:
    """Return `forms`, each once; a `UsageError` names one that is not among `known`."""
    wanted = tuple(dict.fromkeys(as_words(forms)))
    unknown = [form for form in wanted if form not in known]
    if unknown:
        raise UsageError("unknown form of results", got=unknown[0], expected=", ".join(known))
    return wanted


def write_results(
    outcomes: Iterable[Outcome],
    folder: str | Path,
    forms: str | Iterable[str] = ("ctm", "json"),
    *,
    subtitles: SubtitleOptions | None = None,
) -> list[Path]:
    """Write the results of all utterances that have one; errors stand in ``decode.json``.

    Always written: ``hyp.txt``; ``nbest.txt`` and ``lattices.npz`` where outcomes hold n-best
    lists and lattices. An n-best line is id, rank, probability, total cost in nats and words,
    parted by tabs.

    Parameters
    ----------
    outcomes : iterable of Outcome
    folder : path
        Made if it is not there; other files in it are left alone.
    forms : iterable of str
        Of `FORMS`, as `write_forms` writes them; ``json`` is ``decode.json``.
    subtitles : SubtitleOptions, optional

    Returns
    -------
    list of Path
        The files that were written.
    """
    with results_writer(folder, forms, subtitles=subtitles) as writer:
        for outcome in outcomes:
            writer.add(outcome)
        return writer.finish()


def results_writer(
    folder: str | Path,
    forms: str | Iterable[str] = ("ctm", "json"),
    *,
    subtitles: SubtitleOptions | None = None,
) -> ResultsWriter:
    """Return what writes the same files as `write_results`, utterance by utterance.

    Raises
    ------
    UsageError
        An unknown form, or `folder` is no folder.
    """
    wanted = check_forms(forms)
    check_folder(folder)
    return ResultsWriter(folder, wanted, subtitles=subtitles)


def write_forms(
    outcomes: Iterable[Outcome],
    folder: str | Path,
    forms: str | Iterable[str],
    *,
    subtitles: SubtitleOptions | None = None,
    tiers: Sequence[str] = TIERS[:2],
) -> list[Path]:
    """Write words with times into `folder`.

    ``ctm``: ``words.ctm`` and ``phones.ctm``; ``textgrid``: ``textgrid/<id>.TextGrid`` with the
    tiers *words* and *phones*; ``srt`` and ``vtt``: a file for each recording, in a folder of
    that name.

    Parameters
    ----------
    outcomes : iterable of Outcome
    folder : path
    forms : iterable of str
        Of `FORMS`; ``json`` is not written here.
    subtitles : SubtitleOptions, optional
    tiers : sequence of str
        Of `TIERS`, for CTM and TextGrid.

    Returns
    -------
    list of Path
        The files that were written.
    """
    texts = [form for form in forms if form != "json"]
    with ResultsWriter(folder, texts, tiers=tiers, plain=False, subtitles=subtitles) as writer:
        for outcome in outcomes:
            writer.add(outcome)
        return writer.finish()


def printable(
    outcomes: Sequence[Outcome], form: str, *, subtitles: SubtitleOptions | None = None
) -> str:
    """Return one form as text to print; see `check_printable`."""
    done = [outcome for outcome in outcomes if outcome.decoded is not None]
    if form == "ctm":
        lines = sorted((ctm_of(outcome, "words") for outcome in done), key=lambda pair: pair[1])
        return "".join(text for text, _ in lines)
    if form == "json":
        made = [outcome.to_dict() for outcome in outcomes]
        return json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    check_printable(form, [outcome.utterance for outcome in done])
    if not done:
        return ""
    if form == "textgrid":
        return textgrid_text(tiers_of(done[0], TIERS[:2]), duration=end_of(done[0]))
    words = sorted((w for o in done for w in shifted(o, "words")), key=lambda word: word.start)
    return subtitles_text(words, form, subtitles)


def check_printable(form: str, utterances: Iterable[Utterance]) -> None:
    """Raise a `UsageError` where a form makes several files, which cannot be printed in a row."""
    if form == "textgrid":
        n_files = len(list(utterances))
    else:
        n_files = len({(utterance.audio, utterance.channel) for utterance in utterances})
    if form in ("textgrid", "srt", "vtt") and n_files > 1:
        raise UsageError(f"{n_files} files of the form {form} cannot be printed one after another",
                         fix="Name a folder for them with --out.")  # fmt: skip
