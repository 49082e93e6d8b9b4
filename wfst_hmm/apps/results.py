"""What decoding and alignment leave behind on disk, or print.

In: `Outcome`s. Out: ``hyp.txt`` (Kaldi ``text`` form) and the forms that were asked for: CTM,
TextGrid, SRT, WebVTT, JSON, n-best lists and lattices; each file appears whole or not at all.

Times are those of the recording, also where an utterance is a stretch of it.

Public names: `FORMS`, `TIERS`, `check_folder`, `check_forms`, `check_printable`, `printable`,
`write_forms`, `write_results`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.errors import UsageError
from wfst_hmm.files import atomic_file, write_json
from wfst_hmm.formats.ctm import ctm_text, write_ctm
from wfst_hmm.formats.data import write_text
from wfst_hmm.formats.subtitles import SubtitleOptions, cues_of, srt_text, vtt_text
from wfst_hmm.formats.textgrid import textgrid_text, write_textgrid
from wfst_hmm.lattice.store import write_lattices
from wfst_hmm.search.result import Decoded, Phone, Word
from wfst_hmm.signal.corpus import Utterance

__all__ = [
    "FORMS",
    "TIERS",
    "check_folder",
    "check_forms",
    "check_printable",
    "printable",
    "write_forms",
    "write_results",
]

#: Forms of words with times, by the name that a command line uses.
FORMS = ("ctm", "textgrid", "srt", "vtt", "json")
#: Tiers that have times; the last one for alignments only, where it is asked for.
TIERS = ("words", "phones", "states")


def check_folder(folder: str | Path) -> None:
    """Raise a `UsageError` when results could not be written there; before hours of work."""
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError("is no folder", where=str(folder), fix="Name a folder for the results.")


def check_forms(forms: Iterable[str], known: Sequence[str] = FORMS) -> tuple[str, ...]:
    """Return `forms`, each once; a `UsageError` names one that is not among `known`."""
    wanted = tuple(dict.fromkeys(forms))
    unknown = [form for form in wanted if form not in known]
    if unknown:
        raise UsageError("unknown form of results", got=unknown[0], expected=", ".join(known))
    return wanted


def write_results(
    outcomes: Sequence[Outcome],
    folder: str | Path,
    forms: Iterable[str] = ("ctm", "json"),
    *,
    subtitles: SubtitleOptions | None = None,
) -> list[Path]:
    """Write the results of all utterances that have one; errors stand in ``decode.json``.

    Always written: ``hyp.txt``; ``nbest.txt`` and ``lattices.npz`` where outcomes hold n-best
    lists and lattices. An n-best line is id, rank, probability, total cost in nats and words,
    parted by tabs.

    Parameters
    ----------
    outcomes : sequence of Outcome
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
    wanted = check_forms(forms)
    folder = Path(folder)
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {o.utterance.id: o.decoded for o in outcomes if o.decoded is not None}
    write_text(folder / "hyp.txt", {id_: [w.text for w in d.words] for id_, d in found.items()})
    written = [folder / "hyp.txt"]
    timed = [form for form in wanted if form != "json"]
    written += write_forms(outcomes, folder, timed, subtitles=subtitles)
    if "json" in wanted:
        write_json(folder / "decode.json", [outcome.to_dict() for outcome in outcomes])
        written.append(folder / "decode.json")
    if any(outcome.alternatives for outcome in outcomes):
        with atomic_file(folder / "nbest.txt") as temporary:
            temporary.write_text("".join(_n_best_lines(outcomes)), encoding="utf-8")
        written.append(folder / "nbest.txt")
    lattices = {o.utterance.id: o.lattice for o in outcomes if o.lattice is not None}
    if lattices:
        write_lattices(folder / "lattices.npz", lattices)
        written.append(folder / "lattices.npz")
    return written


def write_forms(
    outcomes: Sequence[Outcome],
    folder: str | Path,
    forms: Iterable[str],
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
    outcomes : sequence of Outcome
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
    folder = Path(folder)
    done = [outcome for outcome in outcomes if outcome.decoded is not None]
    written: list[Path] = []
    for form in forms:
        if form == "ctm":
            for tier in tiers:
                path = folder / f"{tier}.ctm"
                write_ctm(path, {o.utterance.id: _shifted(o, tier) for o in done})
                written.append(path)
        elif form == "textgrid":
            names = _file_names([outcome.utterance.id for outcome in done])
            for outcome, name in zip(done, names, strict=True):
                path = folder / "textgrid" / f"{name}.TextGrid"
                write_textgrid(path, _tiers(outcome, tiers), duration=_end_of(outcome))
                written.append(path)
        elif form in ("srt", "vtt"):
            recordings = _by_recording(done)
            names = _file_names(list(recordings))
            for words, name in zip(recordings.values(), names, strict=True):
                path = folder / form / f"{name}.{form}"
                with atomic_file(path) as temporary:
                    text = _subtitles(words, form, subtitles)
                    temporary.write_text(text, encoding="utf-8")
                written.append(path)
    return written


def printable(
    outcomes: Sequence[Outcome], form: str, *, subtitles: SubtitleOptions | None = None
) -> str:
    """Return one form as text to print; see `check_printable`."""
    done = [outcome for outcome in outcomes if outcome.decoded is not None]
    if form == "ctm":
        return ctm_text({o.utterance.id: _shifted(o, "words") for o in done})
    if form == "json":
        made = [outcome.to_dict() for outcome in outcomes]
        return json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    check_printable(form, [outcome.utterance for outcome in done])
    if not done:
        return ""
    if form == "textgrid":
        return textgrid_text(_tiers(done[0]), duration=_end_of(done[0]))
    return _subtitles(next(iter(_by_recording(done).values())), form, subtitles)


def check_printable(form: str, utterances: Iterable[Utterance]) -> None:
    """Raise a `UsageError` where a form makes several files, which cannot be printed in a row."""
    if form == "textgrid":
        n_files = len(list(utterances))
    else:
        n_files = len({(utterance.audio, utterance.channel) for utterance in utterances})
    if form in ("textgrid", "srt", "vtt") and n_files > 1:
        raise UsageError(f"{n_files} files of the form {form} cannot be printed one after another",
                         fix="Name a folder for them with --out.")  # fmt: skip


def _n_best_lines(outcomes: Iterable[Outcome]) -> Iterable[str]:
    for outcome in outcomes:
        for rank, other in enumerate(outcome.alternatives, start=1):
            decoded = other.decoded
            yield (f"{outcome.utterance.id}\t{rank}\t{other.probability:.4f}\t"
                   f"{decoded.total_cost:.4f}\t{decoded.text}\n")  # fmt: skip


def _subtitles(words: Sequence[Word], form: str, options: SubtitleOptions | None) -> str:
    cues = cues_of(words, options)
    return srt_text(cues) if form == "srt" else vtt_text(cues)


def _by_recording(done: Iterable[Outcome]) -> dict[str, list[Word]]:
    """Return the words of each recording in order of time, by a name for its file."""
    parts: dict[tuple[Path, int | None], list[Outcome]] = {}
    for outcome in done:
        parts.setdefault((outcome.utterance.audio, outcome.utterance.channel), []).append(outcome)
    named: dict[str, list[Word]] = {}
    for (audio, _), outcomes in parts.items():
        name = outcomes[0].utterance.id if len(outcomes) == 1 else audio.stem
        while name in named:
            name += "-2"
        words = [word for outcome in outcomes for word in _shifted(outcome, "words")]
        named[name] = sorted(words, key=lambda word: word.start)
    return named


def _end_of(outcome: Outcome) -> float:
    decoded = outcome.decoded
    length = decoded.n_frames * decoded.frame_shift if decoded else 0.0
    return (outcome.utterance.start or 0.0) + length


def _tiers(outcome: Outcome, tiers: Sequence[str] = TIERS[:2]) -> dict[str, list[Word]]:
    return {tier: _shifted(outcome, tier) for tier in tiers}


def _shifted(outcome: Outcome, tier: str) -> list[Word]:
    """Return words, phones or states with times from the beginning of the recording."""
    decoded: Decoded | None = outcome.decoded
    start = outcome.utterance.start or 0.0
    if decoded is None:
        return []
    if tier == "words":
        return [
            dataclasses.replace(word, start=start + word.start, end=start + word.end)
            for word in decoded.words
        ]
    if tier == "phones":
        return [
            Word(phone.text, start + phone.start, start + phone.end, phone.confidence)
            for phone in decoded.phones
        ]
    return [
        Word(f"{phone.text}.{state}", start + begin, start + end)
        for phone in decoded.phones
        for state, begin, end in _runs(phone, decoded.frame_shift)
    ]


def _runs(phone: Phone, shift: float) -> Iterable[tuple[int, float, float]]:
    """Yield each stretch of frames in one state: state, start and end in seconds."""
    begin = 0
    for state, frames in itertools.groupby(phone.states):
        end = begin + len(list(frames))
        yield state, phone.start + begin * shift, phone.start + end * shift
        begin = end


def _file_names(ids: list[str]) -> list[str]:
    """Return a distinct, harmless file name for every id."""
    taken: set[str] = set()
    made = []
    for id_ in ids:
        plain = re.sub(r"[^\w.\-]", "_", id_).lstrip(".")[:200] or "utterance"
        name, number = plain, 2
        while name.lower() in taken:  # some file systems do not tell A from a
            name, number = f"{plain}-{number}", number + 1
        taken.add(name.lower())
        made.append(name)
    return made
