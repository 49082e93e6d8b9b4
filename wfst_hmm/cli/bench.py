"""``bench``: us and the installed peers side by side, in one run.

In: options. Out: tables or JSON; absolute figures move with the machine's load, ratios hardly.

All commands are rows of one table: the function that measures, and those of its parameters that are
options, each under the name and with the sentence of `OPTIONS`. Types and defaults are the function's.

Public names: `BENCHES`, `Bench`, `group`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["BENCHES", "Bench", "group"]


@dataclasses.dataclass(frozen=True)
class Bench:
    """One command.

    Attributes
    ----------
    function : str
        ``module:name`` below `wfst_hmm.bench`; returns rows, or rows and facts about the run.
    title : str
        Of the table.
    help : str
    example : str
        What follows ``wfst-hmm bench <command>``.
    options : mapping from str to str
        Option (keys of `OPTIONS`, or ``command.option`` there) to the function's parameter;
        ``<name>`` is a positional argument.
    """

    function: str
    title: str
    help: str
    example: str
    options: Mapping[str, str]

    def load(self) -> Callable[..., Any]:
        """Return the function that measures."""
        module, name = self.function.split(":")
        found: Callable[..., Any] = getattr(
            importlib.import_module(f"wfst_hmm.bench.{module}"), name
        )
        return found


#: option, or command.option where its sentence is that command's -> help, and what typer is told besides
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "data": ("Folder `recordings` of the Free Spoken Digit Dataset.", {}),
    "repeat": ("Turns; the best of each side counts.", {"min": 1}),
    "jobs": ("Threads.", {"flags": ("--jobs", "-j")}),
    "cache": ("Where the graph is kept.", {}),
    "max-utterances": ("Take so many, evenly spread, where time is short.", {"min": 1}),
    "gmm.iterations": ("EM iterations.", {}),
    "max-frames": ("Use no more frames, where time is short.", {}),
    "hmm.iterations": ("Passes of Baum-Welch.", {}),
    "with-peer": ("Train hmmlearn's models too: takes minutes.", {}),
    "cross-check": ("Decode by all three searches and compare.", {}),
    "digits.recipe": ("mono; or tri, lda, sat, with speakers adapted to.", {}),
    "speech": ("Instead of digits: speech of several speakers, by the en-us model.", {}),
    "train.peer": ("Python interpreter in which kaldi-hmm-gmm 1.1.4 is installed.", {}),
    "passes": ("Passes over the data.", {}),
    "train.jobs": ("Threads; 0: all processors.", {"flags": ("--jobs", "-j")}),
    "bed": ("digits, words (20,000), or vocabulary (72,500). Default: digits.", {}),
    "search.peer": ("Python interpreter in which kaldi-decoder 0.3.2 is installed.", {}),
    "keep": ("Folder that keeps graphs which take long to build.", {}),
    "audio": ("Recordings that words and vocabulary are scored on.", {}),
    "stream.minutes": ("Length of the audio.", {}),
    "live.minutes": ("Of zeros, noise, chords and babble, all together.", {}),
    "stream.graph": ("Graph of digits; by default one is trained and built.", {}),
    "fuse.words": ("Words of the graphs.", {}),
    "beam": ("Of all searches.", {}),
    "phrases": ("Phrases to boost.", {}),
    "unknown": ("Also a speaker whom training never heard.", {"both": True}),
    "graph.words": ("Words of the first graph.", {}),
    "plain": ("Also build it by OpenFst alone: takes minutes.", {"both": True}),
    "full": ("Also the large graphs of triphones: gigabytes.", {}),
    "graph.peer": ("Python interpreter in which kaldifst 1.8.3 is installed.", {}),
    "peer-words": ("Words of the comparison with it.", {}),
    "speaker.<data>": ("One sub-folder for each enrolled speaker.", {}),
    "strangers": ("One sub-folder for each speaker who is not enrolled.", {}),
    "<speakers>": ("Folders with one sub-folder for each speaker.", {}),
    "meetings": ("Folder of excerpts with RTTM beside them.", {}),
    "mixes": ("Joined recordings; 0: none.", {}),
    "diarize.minutes": ("Lengths to time; may be repeated; default: none.", {}),
    "<csv>": ("Timbre of songs; default: speed only.", {}),
    "components": ("Gaussians of a mixture.", {}),
    "kills": ("How many processes to kill.", {"min": 1}),
    "soak.utterances": ("Utterances of the corpus.", {"min": 10}),
    "seed": ("Of the moments.", {}),
    "serve.graph": ("A graph, or en-us; by default one of digits.", {}),
    "serve.data": ("With --graph: a corpus to speak, or LibriSpeech's layout.", {}),
    "streams": ("That speak at a time.", {"min": 1}),
    "malformed": ("Malformed sessions; 0: none.", {"min": 0}),
    "seconds": ("Length of a stream.", {"min": 1}),
    "serve.jobs": ("Threads of the service.", {"flags": ("--jobs", "-j")}),
    "cluster.<data>": ("LibriSpeech's layout, data directories, manifests; default: digits.", {}),
    "cluster.graph": ("With data: a graph; default: 72,500 words, en-us.", {}),
    "cluster.utterances": ("Decode so many.", {"min": 8}),
    "workers": ("Workers of each engine.", {"min": 1}),
    "growth.words": (
        "Vocabularies, may be repeated; 0: none; default: 1,000 to 72,000.",
        {"flags": ("--words",)},
    ),
    "hours": ("Simulated hours, may be repeated; default: 0.1 to 100.", {}),
    "plot": ("Picture: .svg, .png or .pdf.", {}),
    "states": ("States of the machine.", {}),
    "ladder.<folder>": ("Holds parts of LibriSpeech: train... and dev... or test...", {}),
    "ladder.recipe": ("The last rung: mono, tri, lda or sat.", {}),
    "out": ("Keep the models here, and go on from them.", {"flags": ("--out", "-o")}),
    "prune": ("Prune the language model, for example 1e-7; 0: all of it.", {}),
    "every": ("Decode every so many utterances only.", {"min": 1}),
    "ladder.jobs": ("Threads.", {"flags": ("--jobs", "--threads", "-j"), "min": 1}),
    "align.<folder>": ("Recordings with .txt and PocketSphinx's .json, or .TextGrid by hand.", {}),
    "model": ("Model directory; by default the wheel's en-us.", {}),
    "transcribe.<data>": ("LibriSpeech's layout, a data directory or a manifest.", {}),
    "alone": ("Leave PocketSphinx out.", {}),
    "import.<data>": ("Holds sphinx/ (PocketSphinx's tests) or yesno/.", {}),
}  # fmt: skip

BENCHES = {
    "gmm": Bench(
        "gmm:bench_gmm", "Gaussian mixtures",
        "Gaussian mixtures beside scikit-learn.", "--data recordings",
        {"data": "folder", "iterations": "n_iterations", "max-frames": "max_frames", "repeat": "repeat"},
    ),
    "hmm": Bench(
        "hmm:bench_hmm", "Hidden Markov models", "HMMs beside hmmlearn.", "--data recordings",
        {"data": "folder", "iterations": "n_iterations", "repeat": "repeat"},
    ),
    "words": Bench(
        "words:bench_words", "Isolated words",
        "Error rates on isolated digits, speakers known and unknown.", "--data recordings",
        {"data": "folder", "with-peer": "with_peer", "jobs": "n_threads"},
    ),
    "digits": Bench(
        "digits:bench_digits", "Spoken digits and yes/no: word error rates",
        "Word error rates on digits, speakers known and unknown, and of monophones on yes and no.",
        "--data recordings --cross-check",
        {"data": "folder", "cross-check": "check", "recipe": "recipe"},
    ),
    "confidence": Bench(
        "confidence:bench_confidence", "Confidences",
        "Reliability of word confidences, calibrated on other speakers.", "--data recordings",
        {"data": "folder", "speech": "speech", "cache": "cache", "max-utterances": "max_utterances",
         "jobs": "n_threads"},
    ),
    "train": Bench(
        "train:bench_train", "Monophone training", "Monophone training beside kaldi-hmm-gmm.",
        "--peer other-venv/bin/python",
        {"data": "folder", "peer": "peer", "passes": "n_passes", "jobs": "n_workers"},
    ),
    "search": Bench(
        "search:bench_search", "Beam search", "Beam search and lattices beside kaldi_decoder.",
        "--bed digits --peer other-venv/bin/python",
        {"bed": "beds", "peer": "peer_python", "keep": "folder", "audio": "audio", "repeat": "repeat"},
    ),
    "stream": Bench(
        "stream:bench_stream", "Streaming",
        "An hour of audio recognized while it comes in: memory, time, delay, errors.",
        "--data recordings --minutes 60",
        {"data": "folder", "minutes": "minutes", "graph": "recognizer"},
    ),
    "live": Bench(
        "live:bench_live", "Live recognition",
        "Quiet starts, an hour of nothing at a grammar of commands, flicker, memory.",
        "--data recordings --minutes 60", {"data": "folder", "minutes": "minutes"},
    ),
    "fuse": Bench(
        "fuse:bench_fuse", "Costs of words added while searching",
        "Language models and boosted phrases added while searching (needs pocketsphinx).",
        "--words 5000",
        {"words": "n_words", "beam": "beam", "phrases": "n_phrases", "repeat": "repeat"},
    ),
    "reject": Bench(
        "reject:bench_reject", "Rejection", "Rejection of digits that the grammar lacks.",
        "--data recordings", {"data": "folder", "unknown": "unknown"},
    ),
    "graph": Bench(
        "graph:bench_graph", "Decoding graphs",
        "Compilation of decoding graphs beside OpenFst and kaldifst (needs pocketsphinx).",
        "--words 2000 --peer other-venv/bin/python",
        {"words": "n_words", "plain": "plain", "full": "full", "peer": "peer_python",
         "peer-words": "peer_words"},
    ),
    "speaker": Bench(
        "speaker:bench_speaker", "Speakers", "Speaker identification and verification.",
        "librispeech/train --strangers librispeech/dev",
        {"<data>": "folder", "strangers": "strangers", "jobs": "n_threads"},
    ),
    "diarize": Bench(
        "diarize:bench_diarize", "Diarization",
        "Diarization of joined recordings and of meetings, and the time it takes.",
        "librispeech/train librispeech/dev --meetings ami",
        {"<speakers>": "folders", "meetings": "meetings", "mixes": "n_mixes", "minutes": "minutes",
         "jobs": "n_threads"},
    ),
    "recommend": Bench(
        "recommend:bench_songs", "Songs by tag",
        "Songs by decade beside logistic regression, and the speed of scoring.",
        "msd_subset_timbre_avg.csv",
        {"<csv>": "csv", "components": "n_components", "jobs": "n_threads", "repeat": "repeat"},
    ),
    "soak": Bench(
        "soak:bench_soak", "Kills",
        "Kill commands, workers and schedulers at random moments, and compare what comes out.",
        "--kills 20", {"kills": "n_kills", "utterances": "n_utterances", "seed": "seed"},
    ),
    "serve": Bench(
        "serve:bench_serve", "Service",
        "Latency of the service when many speak, and what malformed sessions do to it.",
        "--streams 16",
        {"graph": "graph", "data": "data", "streams": "n_streams", "malformed": "n_malformed",
         "seconds": "seconds", "jobs": "n_threads"},
    ),
    "cluster": Bench(
        "cluster:bench_cluster", "Many workers",
        "Decoding on one process, on threads, on processes and on Dask's local workers.",
        "librispeech/train librispeech/dev",
        {"<data>": "data", "graph": "graph", "utterances": "n_utterances", "workers": "n_workers",
         "repeat": "repeat"},
    ),
    "growth": Bench(
        "growth:bench_growth", "Growth",
        "Cost against vocabulary, beam, hours of speech and number of workers.",
        "--plot growth.svg", {"words": "sizes", "hours": "hours", "plot": "plot"},
    ),
    "draw": Bench(
        "draw:bench_draw", "Looking into a large machine",
        "How long a look into a large machine takes, processor time.", "--states 5000000",
        {"states": "n_states"},
    ),
    "ladder": Bench(
        "ladder:bench_ladder", "The ladder",
        "Train and decode every rung of the ladder on LibriSpeech.", "librispeech -j 2",
        {"<folder>": "folder", "recipe": "recipe", "out": "out", "prune": "prune", "every": "every",
         "jobs": "n_threads"},
    ),
    "align": Bench(
        "align:bench_align", "Alignment", "Word beginnings beside PocketSphinx's, or those marked by hand.",
        "sphinx/librivox", {"<folder>": "folder", "model": "model"},
    ),
    "transcribe": Bench(
        "transcribe:bench_transcribe", "72,500 words",
        "72,500 words with the en-us model, beside PocketSphinx: errors and processor time.",
        "librispeech/dev",
        {"<data>": "data", "cache": "cache", "alone": "alone", "max-utterances": "max_utterances"},
    ),
    "import": Bench(
        "imports:bench_imports", "Imported models",
        "Imported models beside what Sphinx and Kaldi computed with them.", "shared/data",
        {"<data>": "data"},
    ),
}  # fmt: skip


def _tell(text: str) -> None:
    """Say what is being done, on stderr: stdout is the table's or JSON's."""
    from wfst_hmm.cli.shell import warn

    warn(text)


def _command(name: str, bench: Bench) -> Callable[..., None]:
    """Return a function that typer makes the command of: the parameters are the row's options."""
    measure = bench.load()
    hints, declared = typing.get_type_hints(measure), inspect.signature(measure).parameters

    def command(**given: Any) -> None:
        from wfst_hmm.bench.report import print_rows

        as_json = given.pop("as_json")
        # what was not given is left to the function: its default may be a sequence, or mean another thing
        values = {target: given[target] for target in bench.options.values()
                  if given[target] is not None and given[target] != []}  # fmt: skip
        if "progress" in declared:
            values["progress"] = _tell
        found = measure(**values)
        rows, facts = found if isinstance(found, tuple) else (found, {})
        print_rows(rows, bench.title, as_json=as_json, facts=facts)

    parameters = [
        _parameter(name, option, declared[target], hints[target])
        for option, target in bench.options.items()
    ]
    as_json = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]
    parameters.append(
        inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=as_json
        )
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = f"{bench.help}\n\nExample: wfst-hmm bench {name} {bench.example}"
    return command


def _parameter(
    command: str, option: str, declared: inspect.Parameter, hint: Any
) -> inspect.Parameter:
    """Return the parameter of a command for one of a measuring function."""
    help_, more = OPTIONS.get(f"{command}.{option}") or OPTIONS[option]
    more = dict(more)
    flags, both = more.pop("flags", (f"--{option}",)), more.pop("both", False)
    type_: Any
    type_, is_list = _plain(hint)
    default: Any = declared.default
    if is_list:
        type_ = list[type_]
    if default is None or (is_list and default is not declared.empty):
        default, type_ = None, type_ | None
    if both:
        flags = (f"--{option}/--no-{option}",)
    if option.startswith("<"):
        info: Any = typer.Argument(help=help_, metavar=option.strip("<>").upper(), **more)
    else:
        info = typer.Option(*flags, help=help_, **more)
    return inspect.Parameter(
        declared.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[type_, info],
    )


def _plain(hint: Any) -> tuple[type, bool]:
    """Return the type that typer converts to, and whether there may be several values."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [m for m in typing.get_args(hint) if m is not type(None)]
        if Path in members:
            return Path, False
        return _plain(members[0])
    arguments = typing.get_args(hint)
    if arguments:  # a sequence, or a tuple of any length
        return _plain(arguments[0])[0], True
    return hint, False


def group(arguments: Sequence[str] | None = None) -> typer.Typer:
    """Return the commands; those that `arguments` do not name are only listed."""
    app = typer.Typer(help="Measure this package beside installed peers.", no_args_is_help=True)
    for name, bench in BENCHES.items():
        if arguments is None or name in arguments:
            app.command(name)(_command(name, bench))
        else:
            app.command(name, help=bench.help)(_listed)
    return app


def _listed() -> None:
    """Stand for a command that the overview lists and nobody has called."""
