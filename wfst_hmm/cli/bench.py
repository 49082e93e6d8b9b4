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

    Example: wfst-hmm bench gmm --data ../shared/data/fsdd/recordings
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

    Example: wfst-hmm bench hmm --data ../shared/data/fsdd/recordings
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

    Example: wfst-hmm bench words --data ../shared/data/fsdd/recordings
    """
    from wfst_hmm.bench.report import print_rows
    from wfst_hmm.bench.words import bench_words

    rows = bench_words(data, n_threads=jobs, with_peer=with_peer)
    print_rows(rows, "Isolated words", as_json=as_json)
