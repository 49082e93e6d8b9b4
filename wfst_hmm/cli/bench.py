"""``bench``: us and the installed peers side by side, in one run.

In: options. Out: tables or JSON; absolute figures move with the machine's load, ratios hardly.

Public names: `app`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Measure this package beside installed peers.", no_args_is_help=True)

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder `recordings` of the Free Spoken Digit Dataset."),
]
Repeat = Annotated[int, typer.Option(help="Turns; the best of each side counts.")]
Json = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]


@app.command("gmm")
def gmm(
    data: Data = None,
    iterations: Annotated[int, typer.Option(help="EM iterations.")] = 10,
    max_frames: Annotated[
        int | None, typer.Option(help="Use no more frames, where time is short.")
    ] = None,
    repeat: Repeat = 3,
    as_json: Json = False,
) -> None:
    """Gaussian mixtures beside scikit-learn.

    Example: wfst-hmm bench gmm --data recordings
    """
    from wfst_hmm.bench.gmm import bench_gmm
    from wfst_hmm.bench.report import print_rows

    rows = bench_gmm(data, n_iterations=iterations, repeat=repeat, max_frames=max_frames)
    print_rows(rows, "Gaussian mixtures", as_json=as_json)


@app.command("hmm")
def hmm(
    data: Data = None,
    iterations: Annotated[int, typer.Option(help="Passes of Baum-Welch.")] = 5,
    repeat: Repeat = 3,
    as_json: Json = False,
) -> None:
    """HMMs beside hmmlearn.

    Example: wfst-hmm bench hmm --data recordings
    """
    from wfst_hmm.bench.hmm import bench_hmm
    from wfst_hmm.bench.report import print_rows

    rows = bench_hmm(data, n_iterations=iterations, repeat=repeat)
    print_rows(rows, "Hidden Markov models", as_json=as_json)


@app.command("words")
def words(
    data: Data = None,
    with_peer: Annotated[
        bool, typer.Option("--with-peer", help="Train hmmlearn's models too: takes minutes.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Error rates on isolated digits, speakers known and unknown.

    Example: wfst-hmm bench words --data recordings
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.words import bench_words

    rows = bench_words(data, n_threads=jobs, with_peer=with_peer)
    print_rows(rows, "Isolated words", as_json=as_json)


@app.command("digits")
def digits(
    data: Data = None,
    cross_check: Annotated[
        bool, typer.Option("--cross-check", help="Decode by all three searches and compare.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="mono; or tri, lda, sat, with speakers adapted to.")
    ] = "mono",
    as_json: Json = False,
) -> None:
    """Word error rates on digits, speakers known and unknown, and of monophones on yes and no.

    Example: wfst-hmm bench digits --data recordings --cross-check
    """
    from wfst_hmm.bench.digits import bench_digits
    from wfst_hmm.bench.report import print_rows

    rows = bench_digits(data, recipe=recipe, check=cross_check, progress=_tell)
    print_rows(rows, "Spoken digits and yes/no: word error rates", as_json=as_json)


@app.command("confidence")
def confidence(
    data: Data = None,
    speech: Annotated[
        Path | None,
        typer.Option(help="Instead of digits: speech of several speakers, by the en-us model."),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where its graph is kept.")] = None,
    max_utterances: Annotated[
        int | None, typer.Option(help="Take so many of --speech, evenly spread.", min=1)
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Reliability of word confidences, calibrated on other speakers.

    Example: wfst-hmm bench confidence --data recordings
    """
    from wfst_hmm.bench.confidence import bench_confidence, bench_transcription
    from wfst_hmm.bench.report import print_rows

    if speech is not None:
        rows = bench_transcription(speech, cache=cache, max_utterances=max_utterances,
                                   n_threads=jobs, progress=_tell)  # fmt: skip
    else:
        rows = bench_confidence(data, n_threads=jobs, progress=_tell)
    print_rows(rows, "Confidences", as_json=as_json)


@app.command("train")
def train(
    data: Data = None,
    peer: Annotated[
        Path | None,
        typer.Option(help="Python interpreter in which kaldi-hmm-gmm 1.1.4 is installed."),
    ] = None,
    passes: Annotated[int, typer.Option(help="Passes over the data.")] = 41,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads; 0: all processors.")] = 0,
    as_json: Json = False,
) -> None:
    """Monophone training beside kaldi-hmm-gmm.

    Example: wfst-hmm bench train --peer other-venv/bin/python
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.train import bench_train

    rows = bench_train(data, peer=peer, n_passes=passes, n_workers=jobs, progress=_tell)
    print_rows(rows, "Monophone training", as_json=as_json)


@app.command("search")
def search(
    bed: Annotated[
        list[str] | None,
        typer.Option(help="digits, words (20,000), or vocabulary (72,500). Default: digits."),
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(help="Python interpreter in which kaldi-decoder 0.3.2 is installed."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Folder that keeps graphs which take long to build.")
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Recordings that words and vocabulary are scored on.")
    ] = None,
    repeat: Repeat = 3,
    as_json: Json = False,
) -> None:
    """Beam search and lattices beside kaldi_decoder.

    Example: wfst-hmm bench search --bed digits --peer other-venv/bin/python
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.search import bench_search

    rows = bench_search(
        bed or ["digits"], folder=keep, audio=audio, peer_python=peer, repeat=repeat
    )
    print_rows(rows, "Beam search", as_json=as_json)


@app.command("stream")
def stream(
    data: Data = None,
    minutes: Annotated[float, typer.Option(help="Length of the audio.")] = 60.0,
    graph: Annotated[
        Path | None, typer.Option(help="Graph of digits; by default one is trained and built.")
    ] = None,
    as_json: Json = False,
) -> None:
    """An hour of audio recognized while it comes in: memory, time, delay, errors.

    Example: wfst-hmm bench stream --data recordings --minutes 60
    """
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.stream import bench_stream

    recognizer = Recognizer.load(graph) if graph is not None else None
    rows = bench_stream(data, minutes=minutes, recognizer=recognizer, progress=_tell)
    print_rows(rows, "Streaming", as_json=as_json)


@app.command("fuse")
def fuse(
    words: Annotated[int, typer.Option(help="Words of the graphs.")] = 5_000,
    beam: Annotated[float, typer.Option(help="Of all searches.")] = 12.0,
    phrases: Annotated[int, typer.Option(help="Phrases to boost.")] = 1_000,
    repeat: Repeat = 3,
    as_json: Json = False,
) -> None:
    """Language models and boosted phrases added while searching (needs pocketsphinx).

    Example: wfst-hmm bench fuse --words 5000
    """
    from wfst_hmm.bench.fuse import bench_fuse
    from wfst_hmm.bench.report import print_rows

    rows = bench_fuse(words, beam=beam, n_phrases=phrases, repeat=repeat, progress=_tell)
    print_rows(rows, "Costs of words added while searching", as_json=as_json)


@app.command("reject")
def reject(
    data: Data = None,
    unknown: Annotated[bool, typer.Option(help="Also a speaker whom training never heard.")] = True,
    as_json: Json = False,
) -> None:
    """Rejection of digits that the grammar lacks.

    Example: wfst-hmm bench reject --data recordings
    """
    from wfst_hmm.bench.reject import bench_reject
    from wfst_hmm.bench.report import print_rows

    rows = bench_reject(data, unknown=unknown, progress=_tell)
    print_rows(rows, "Rejection", as_json=as_json)


@app.command("graph")
def graph(
    words: Annotated[int, typer.Option(help="Words of the first graph.")] = 20_000,
    plain: Annotated[
        bool, typer.Option(help="Also build it by OpenFst alone: takes minutes.")
    ] = True,
    full: Annotated[
        bool, typer.Option("--full", help="Also the large graphs of triphones: gigabytes.")
    ] = False,
    peer: Annotated[
        str | None, typer.Option(help="Python interpreter in which kaldifst 1.8.3 is installed.")
    ] = None,
    peer_words: Annotated[int, typer.Option(help="Words of the comparison with it.")] = 5_000,
    as_json: Json = False,
) -> None:
    """Compilation of decoding graphs beside OpenFst and kaldifst (needs pocketsphinx).

    Example: wfst-hmm bench graph --words 2000 --peer other-venv/bin/python
    """
    from wfst_hmm.bench.graph import bench_graph
    from wfst_hmm.bench.report import print_rows

    rows = bench_graph(words, plain=plain, full=full, peer_words=peer_words, peer_python=peer,
                       progress=_tell)  # fmt: skip
    print_rows(rows, "Decoding graphs", as_json=as_json)


@app.command("speaker")
def speaker(
    data: Annotated[Path, typer.Argument(help="One sub-folder for each enrolled speaker.")],
    strangers: Annotated[
        Path | None, typer.Option(help="One sub-folder for each speaker who is not enrolled.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Speaker identification and verification.

    Example: wfst-hmm bench speaker librispeech/train --strangers librispeech/dev
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.speaker import bench_speaker

    rows = bench_speaker(data, strangers, n_threads=jobs)
    print_rows(rows, "Speakers", as_json=as_json)


@app.command("diarize")
def diarize(
    speakers: Annotated[
        list[Path], typer.Argument(help="Folders with one sub-folder for each speaker.")
    ],
    meetings: Annotated[
        Path | None, typer.Option(help="Folder of excerpts with RTTM beside them.")
    ] = None,
    mixes: Annotated[int, typer.Option(help="Joined recordings; 0: none.")] = 20,
    minutes: Annotated[
        list[float] | None, typer.Option(help="Lengths to time; may be repeated; default: none.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads.")] = 2,
    as_json: Json = False,
) -> None:
    """Diarization of joined recordings and of meetings, and the time it takes.

    Example: wfst-hmm bench diarize librispeech/train librispeech/dev --meetings ami
    """
    from wfst_hmm.apps.diarization.options import DiarizerOptions
    from wfst_hmm.bench import diarize as room
    from wfst_hmm.bench.report import print_rows

    options = DiarizerOptions(threads=jobs)
    rows = room.bench_joined(speakers, options, n_mixes=mixes) if mixes else []
    rows += room.bench_meetings(meetings, options) if meetings else []
    rows += room.bench_speed(speakers, options, minutes=minutes) if minutes else []
    print_rows(rows, "Diarization", as_json=as_json)


@app.command("recommend")
def recommend(
    csv: Annotated[
        Path | None, typer.Argument(help="Timbre of songs; default: speed only.")
    ] = None,
    components: Annotated[int, typer.Option(help="Gaussians of a mixture.")] = 32,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads.")] = 2,
    repeat: Repeat = 3,
    as_json: Json = False,
) -> None:
    """Songs by decade beside logistic regression, and the speed of scoring.

    Example: wfst-hmm bench recommend msd_subset_timbre_avg.csv
    """
    from wfst_hmm.bench import recommend as room
    from wfst_hmm.bench.report import print_rows

    rows = room.bench_recommend(csv, n_components=components) if csv else []
    rows += room.bench_scoring(n_components=components, n_threads=jobs, repeat=repeat)
    print_rows(rows, "Songs by tag", as_json=as_json)


@app.command("soak")
def soak(
    kills: Annotated[int, typer.Option(help="How many processes to kill.", min=1)] = 200,
    utterances: Annotated[int, typer.Option(help="Utterances of the corpus.", min=10)] = 400,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    as_json: Json = False,
) -> None:
    """Kill commands, workers and schedulers at random moments, and compare what comes out.

    Example: wfst-hmm bench soak --kills 20
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.soak import bench_soak

    rows = bench_soak(n_kills=kills, seed=seed, n_utterances=utterances, tell=_tell)
    print_rows(rows, "Kills", as_json=as_json)


@app.command("serve")
def serve(
    graph: Annotated[
        Path | None, typer.Option(help="A graph, or en-us; by default one of digits.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="With --graph: a corpus to speak, or LibriSpeech's layout.")
    ] = None,
    streams: Annotated[int, typer.Option(help="That speak at a time.", min=1)] = 16,
    malformed: Annotated[int, typer.Option(help="Malformed sessions; 0: none.", min=0)] = 1000,
    seconds: Annotated[float, typer.Option(help="Length of a stream.", min=1)] = 20.0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Threads of the service.")] = 2,
    as_json: Json = False,
) -> None:
    """Latency of the service when many speak, and what malformed sessions do to it.

    Example: wfst-hmm bench serve --streams 16
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.serve import bench_serve

    rows = bench_serve(graph, data, n_streams=streams, n_malformed=malformed, seconds=seconds,
                       n_threads=jobs, tell=_tell)  # fmt: skip
    print_rows(rows, "Service", as_json=as_json)


@app.command("cluster")
def cluster(
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="LibriSpeech's layout, data directories, manifests; default: digits."),
    ] = None,
    graph: Annotated[
        Path | None, typer.Option(help="With data: a graph; default: 72,500 words, en-us.")
    ] = None,
    utterances: Annotated[int, typer.Option(help="Decode so many.", min=8)] = 624,
    workers: Annotated[int, typer.Option(help="Workers of each engine.", min=1)] = 2,
    repeat: Annotated[int, typer.Option(help="Turns; the least times count.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Decoding on one process, on threads, on processes and on Dask's local workers.

    Example: wfst-hmm bench cluster librispeech/train librispeech/dev
    """
    from wfst_hmm.bench.cluster import bench_cluster
    from wfst_hmm.bench.report import print_rows

    rows = bench_cluster(graph, data or (), n_utterances=utterances, n_workers=workers, repeat=repeat,
                         tell=_tell)  # fmt: skip
    print_rows(rows, "Many workers", as_json=as_json)


@app.command("growth")
def growth(
    words: Annotated[
        list[int] | None,
        typer.Option(help="Vocabularies, may be repeated; 0: none; default: 1,000 to 72,000."),
    ] = None,
    hours: Annotated[
        list[float] | None, typer.Option(help="Simulated hours; default: 0.1 to 100.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture: .svg, .png or .pdf.")] = None,
    as_json: Json = False,
) -> None:
    """Cost against vocabulary, beam, hours of speech and number of workers.

    Example: wfst-hmm bench growth --plot growth.svg
    """
    from wfst_hmm.bench.growth import HOURS, SIZES, bench_growth
    from wfst_hmm.bench.report import print_rows

    sizes = SIZES if not words else tuple(size for size in words if size)
    rows = bench_growth(sizes=sizes, hours=tuple(hours or HOURS), plot=plot, tell=_tell)
    print_rows(rows, "Growth", as_json=as_json)


@app.command("draw")
def draw(
    states: Annotated[int, typer.Option(help="States of the machine.")] = 5_000_000,
    as_json: Json = False,
) -> None:
    """How long a look into a large machine takes, processor time.

    Example: wfst-hmm bench draw --states 5000000
    """
    from wfst_hmm.bench.draw import bench_draw
    from wfst_hmm.bench.report import print_rows

    title = f"Looking into a machine of {states:,} states"
    print_rows(bench_draw(states), title, as_json=as_json)


def _tell(text: str) -> None:
    """Say what is being done, on stderr: stdout is the table's or JSON's."""
    from wfst_hmm.cli.shell import warn

    warn(text)


@app.command("ladder")
def ladder(
    folder: Annotated[
        Path, typer.Argument(help="Holds parts of LibriSpeech: train... and dev... or test...")
    ],
    recipe: Annotated[str, typer.Option(help="The last rung: mono, tri, lda or sat.")] = "sat",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Keep the models here, and go on from them.")
    ] = None,
    prune: Annotated[
        float, typer.Option(help="Prune the language model, for example 1e-7; 0: all of it.")
    ] = 0.0,
    every: Annotated[int, typer.Option(help="Decode every so many utterances only.", min=1)] = 1,
    threads: Annotated[int, typer.Option("--threads", "-j", help="Threads.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Train and decode every rung of the ladder on LibriSpeech.

    Example: wfst-hmm bench ladder librispeech -j 2
    """
    import dataclasses
    import sys

    from wfst_hmm.bench.ladder import LADDER_OPTIONS, bench_ladder
    from wfst_hmm.bench.report import print_rows

    training = LADDER_OPTIONS.training.replace(n_workers=threads)
    options = dataclasses.replace(LADDER_OPTIONS, training=training)
    rows = bench_ladder(
        folder, recipe=recipe, options=options, out=out, prune=prune, every=every,
        n_threads=threads, progress=lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    print_rows(rows, "The ladder", as_json=as_json)


@app.command("align")
def align(
    folder: Annotated[Path, typer.Argument(help="Recordings with .txt and PocketSphinx's .json.")],
    model: Annotated[
        Path | None, typer.Option(help="Model directory; by default the wheel's en-us.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Word beginnings beside those that PocketSphinx found.

    Example: wfst-hmm bench align sphinx/librivox
    """
    from wfst_hmm.bench.align import bench_align
    from wfst_hmm.bench.report import print_rows

    print_rows(bench_align(folder, model), "Alignment", as_json=as_json)


@app.command("transcribe")
def transcribe(
    data: Annotated[
        Path, typer.Argument(help="LibriSpeech's layout, a data directory or a manifest.")
    ],
    cache: Annotated[Path | None, typer.Option(help="Where the graph is kept.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Leave PocketSphinx out.")] = False,
    max_utterances: Annotated[
        int | None, typer.Option(help="Take so many, evenly spread, where time is short.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """72,500 words with the en-us model, beside PocketSphinx: errors and processor time.

    Example: wfst-hmm bench transcribe librispeech/dev
    """
    import json

    from wfst_hmm.bench.report import machine, print_rows
    from wfst_hmm.bench.transcribe import bench_transcribe
    from wfst_hmm.cli.shell import say

    rows, facts = bench_transcribe(data, cache=cache, with_peer=not alone,
                                   max_utterances=max_utterances, watch=_tell)  # fmt: skip
    if as_json:
        say(json.dumps({"machine": machine(), "facts": facts,
                        "rows": [row.to_dict() for row in rows]}, indent=2))  # fmt: skip
        return
    title = f"{facts['utterances']} utterances, {facts['words']:,} words, {facts['audio_seconds']} s"  # fmt: skip
    print_rows(rows, title)
    graph = facts["graph"]
    say(f"graph: {graph['words']:,} words, {graph['arcs']:,} arcs, {graph['megabytes']} MB; "
        f"{'built' if graph['built'] else 'loaded'} in {graph['seconds']} s")  # fmt: skip
    if facts["peer"]:
        say(f"the peer's errors: {facts['peer']}")


@app.command("import")
def imports(
    data: Annotated[Path, typer.Argument(help="Holds sphinx/ (PocketSphinx's tests) or yesno/.")],
    as_json: Json = False,
) -> None:
    """Imported models beside what Sphinx and Kaldi computed with them.

    Example: wfst-hmm bench import shared/data
    """
    import tempfile

    from wfst_hmm.bench.imports import bench_imports
    from wfst_hmm.bench.report import print_rows

    with tempfile.TemporaryDirectory() as folder:
        rows = bench_imports(data, folder, watch=_tell)
    print_rows(rows, "Imported models", as_json=as_json)
