"""``speaker``: enrol people, say who speaks, check a claim.

In: recordings. Out: a model file; rankings, verdicts, a DET curve.

Public names: `app`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.parameters import Channel, Json, Raw
from wfst_hmm.cli.shell import console, counted, fail, print_json, say, warn
from wfst_hmm.errors import UsageError, WfstHmmError

if TYPE_CHECKING:
    from wfst_hmm.apps.speaker_trials import SpeakerTest
    from wfst_hmm.apps.speakers import SpeakerModels
    from wfst_hmm.signal.audio import Audio, RawFormat

__all__ = ["app"]

app = typer.Typer(
    help="Tell who is speaking, with adapted Gaussian mixtures.", no_args_is_help=True
)

Data = Annotated[
    Path, typer.Argument(help="A folder with one sub-folder per speaker, or lists with speakers.")
]
Model = Annotated[Path, typer.Option("--model", "-m", help="File of the enrolled speakers.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Threads.", min=1)]
_MODEL = Path("speakers.npz")


@app.command("enroll")
def enroll(
    data: Data,
    model: Model = _MODEL,
    add: Annotated[
        bool, typer.Option("--add", help="Add to an existing model; its background stays.")
    ] = False,
    background: Annotated[
        Path | None,
        typer.Option(help="Recordings of other people; by default the speakers themselves."),
    ] = None,
    components: Annotated[int, typer.Option(help="Gaussians of the background.")] = 64,
    relevance: Annotated[
        float, typer.Option(help="Frames that a background mean counts for.")
    ] = 16.0,
    seed: Annotated[int, typer.Option(help="Of the background's start.")] = 0,
    channel: Channel = None,
    raw: Raw = None,
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """Learn voices from recordings of known speakers.

    Example: wfst-hmm speaker enroll recordings/ --model speakers.npz
    """
    from wfst_hmm.apps import speakers
    from wfst_hmm.apps.speaker_frames import SpeakerOptions, corpus_frames, find_speakers

    if add:
        if background is not None:
            raise UsageError("--add keeps the background that is there", got="--background")
        made = speakers.SpeakerModels.load(model)
        frames = corpus_frames(find_speakers(data).recorded(channel, raw), made.options,
                                        n_workers=jobs, on_error=_skip)  # fmt: skip
        for name, parts in frames.items():
            made = made.with_speaker(name, parts)
    else:
        options = SpeakerOptions(n_components=components, relevance=relevance, seed=seed)
        frames = corpus_frames(find_speakers(data).recorded(channel, raw), options,
                                        n_workers=jobs, on_error=_skip)  # fmt: skip
        others = None
        if background is not None:
            corpus = find_speakers(background).recorded(channel, raw)
            found = corpus_frames(corpus, options, n_workers=jobs, on_error=_skip)
            others = [part for parts in found.values() for part in parts]
        made = speakers.enroll(frames, options, background=others, n_threads=jobs)
    made.save(model)
    if as_json:
        print_json({"model": str(model), "speakers": list(made.speakers),
                    "threshold": made.threshold})  # fmt: skip
    else:
        say(f"{model}: {counted(len(made.speakers), 'speaker')}, accepted from "
                   f"{made.threshold:+.3f} nats a frame")  # fmt: skip


@app.command("identify")
def identify(
    files: Annotated[list[Path], typer.Argument(help="Recordings of one speaker each.")],
    model: Model = _MODEL,
    top: Annotated[int, typer.Option(help="How many speakers to list.", min=1)] = 3,
    channel: Channel = None,
    raw: Raw = None,
    as_json: Json = False,
) -> None:
    """Say who is likeliest to speak in each recording.

    Example: wfst-hmm speaker identify someone.wav --model speakers.npz
    """
    from wfst_hmm.apps.speakers import SpeakerModels

    models = SpeakerModels.load(model)
    rows, n_failed = [], 0
    for path in files:
        try:
            ranked = models.identify(_audio(path, models, channel, raw))[:top]
        except WfstHmmError as error:
            warn(f"skipped: {error}" if error.where else f"skipped: {path}: {error}")
            n_failed += 1
            continue
        rows.append({"file": str(path), "known": ranked[0].accepted,
                     "speakers": [{"speaker": v.speaker, "score": v.score} for v in ranked]})  # fmt: skip
        if not as_json:
            names = "  ".join(f"{v.speaker} {v.score:+.3f}" for v in ranked)
            note = "" if ranked[0].accepted else "\t(nobody known: all below the threshold)"
            say(f"{path}\t{names}{note}")
    if as_json:
        print_json(rows)
    if n_failed:
        raise fail(f"{n_failed} of {len(files)} recordings could not be used")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A recording of one speaker.")],
    speaker: Annotated[str, typer.Option(help="Who is said to speak.")],
    model: Model = _MODEL,
    channel: Channel = None,
    raw: Raw = None,
    as_json: Json = False,
) -> None:
    """Accept or refuse the claim that somebody is speaking; exit code 1: refused.

    Example: wfst-hmm speaker verify someone.wav --speaker anna --model speakers.npz
    """
    from wfst_hmm.apps.speakers import SpeakerModels

    models = SpeakerModels.load(model)
    try:
        verdict = models.verify(_audio(file, models, channel, raw), speaker)
    except WfstHmmError as error:
        if error.where is None and not isinstance(error, UsageError):
            raise type(error)(error.what, where=str(file), got=error.got,
                              expected=error.expected, fix=error.fix) from None  # fmt: skip
        raise
    if as_json:
        print_json({"file": str(file), "speaker": speaker, "accepted": verdict.accepted,
                    "score": verdict.score, "threshold": models.threshold})  # fmt: skip
    else:
        word = "accepted" if verdict.accepted else "refused"
        say(f"{file}: {speaker} {word} at {verdict.score:+.3f} nats a frame "
                   f"(threshold {models.threshold:+.3f})")  # fmt: skip
    if not verdict.accepted:
        raise typer.Exit(1)


@app.command("test")
def evaluate(
    data: Data,
    strangers: Annotated[
        Path | None, typer.Option(help="Recordings of people who are not enrolled.")
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of each speaker held back.")] = 0.3,
    seconds: Annotated[
        list[float] | None, typer.Option(help="Length of the pieces judged; may be repeated.")
    ] = None,
    components: Annotated[int, typer.Option(help="Gaussians of the background.")] = 64,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write the DET curves: .svg, .png or .pdf.")
    ] = None,
    channel: Channel = None,
    raw: Raw = None,
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """Enrol part of the data, judge the rest: identification and equal error rates.

    Example: wfst-hmm speaker test recordings/ --seconds 5 --picture det.svg
    """
    from wfst_hmm.apps import speaker_trials, speakers
    from wfst_hmm.apps.speaker_frames import SpeakerOptions, corpus_frames, find_speakers

    options = SpeakerOptions(n_components=components)
    frames = corpus_frames(find_speakers(data).recorded(channel, raw), options, n_workers=jobs,
                                    on_error=_skip)  # fmt: skip
    others = None
    if strangers is not None:
        others = corpus_frames(find_speakers(strangers).recorded(channel, raw), options,
                                        n_workers=jobs, on_error=_skip)  # fmt: skip
    enrolled, held = speaker_trials.split_recordings(frames, held_out)
    models = speakers.enroll(enrolled, options, n_threads=jobs)
    tests = [
        speaker_trials.evaluate_speakers(models, held, length, strangers=others)
        for length in seconds or [5.0]
    ]
    if picture is not None:
        _draw(tests, len(models.speakers), picture)
    if as_json:
        print_json([
            {"seconds": t.seconds, "pieces": t.n_pieces, "right": t.n_right,
             "accuracy": t.accuracy, "equal_error_rate": t.detection.equal_error_rate,
             "true_claims": t.detection.n_true, "false_claims": t.detection.n_false,
             "at_threshold": {"false_accepts": t.threshold_errors[0],
                              "false_rejects": t.threshold_errors[1]}}
            for t in tests
        ])  # fmt: skip
    else:
        _print(tests, models)


def _audio(path: Path, models: SpeakerModels, channel: int | None, raw: RawFormat | None) -> Audio:
    from wfst_hmm.signal.audio import read_audio

    features = models.options.features
    return read_audio(path, rate=features.rate, resample=features.resample,
                      channel=channel, raw=raw)  # fmt: skip


def _skip(id_: str, error: WfstHmmError) -> None:
    warn(f"skipped: {error}")


def _draw(tests: list[SpeakerTest], n_speakers: int, path: Path) -> None:
    from wfst_hmm.draw.det import det_svg
    from wfst_hmm.draw.render import save_svg

    curves = {
        f"{t.seconds:g} s: EER {100 * t.detection.equal_error_rate:.2f} %":
        (t.detection.false_accepts, t.detection.false_rejects)
        for t in tests
    }  # fmt: skip
    save_svg(det_svg(curves, title=f"Speaker verification, {counted(n_speakers, 'speaker')}"), path)


def _print(tests: list[SpeakerTest], models: SpeakerModels) -> None:
    from rich.table import Table

    table = Table(title=counted(len(models.speakers), "speaker"))
    for name in ("piece", "pieces", "identified", "EER", "claims true/false",
                 "accepts/refusals wrong at the threshold"):  # fmt: skip
        table.add_column(name, justify="right")
    for t in tests:
        table.add_row(
            f"{t.seconds:g} s", f"{t.n_pieces:,}", f"{100 * t.accuracy:.2f} %",
            f"{100 * t.detection.equal_error_rate:.2f} %",
            f"{t.detection.n_true:,}/{t.detection.n_false:,}",
            " / ".join(f"{100 * e:.2f} %" for e in t.threshold_errors),
        )  # fmt: skip
    console().print(table)
