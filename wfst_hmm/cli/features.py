"""``features``: what a model hears of a corpus, as a Kaldi archive.

In: a corpus and a model. Out: ``feats.ark`` and ``feats.scp``.

Public names: `features`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.parameters import Channel, Inputs, Json, Raw, Resample, Threads
from wfst_hmm.cli.recognition import inputs
from wfst_hmm.cli.shell import Advance, fail, print_json, progress, say, warn
from wfst_hmm.cli.working import Cluster, Working, working

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["features"]


def features(
    data: Inputs,
    model: Annotated[Path, typer.Option(help="Model directory: its front end is used.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for feats.ark and feats.scp.")],
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    threads: Threads = 1,
    cluster: Cluster = "threads",
    as_json: Json = False,
) -> None:
    """Compute features, as Kaldi archives.

    What is done is kept in OUT.journal: a command that was stopped or killed goes on there when it
    is given again.

    Example: wfst-hmm features DATA --model MODEL --out FEATS
    """
    from wfst_hmm.apps.results import check_folder
    from wfst_hmm.cluster.jobs import FeaturesJob, prepared
    from wfst_hmm.errors import WfstHmmError
    from wfst_hmm.formats.kaldi.archives import write_archive

    check_folder(out)
    problems: list[str] = []
    job = prepared(FeaturesJob(model.absolute(), resample))
    corpus = inputs(data, problems, channel, raw)
    lengths: list[int] = []

    def arrays(work: Working, advance: Advance) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        for utterance, found in work.pairs():
            if isinstance(found, WfstHmmError):
                problems.append(str(found))
                warn(f"skipped: {found}")
            else:
                lengths.append(found.n_frames)
                yield utterance.id, found.array
            advance(len(lengths) + len(problems), len(corpus))

    with working(job, corpus, out, cluster, threads) as work, progress("features") as advance:
        write_archive(out / "feats.ark", arrays(work, advance), script=out / "feats.scp")
    if as_json:
        print_json({"out": str(out), "utterances": len(lengths), "frames": sum(lengths),
                    "problems": problems})  # fmt: skip
    else:
        say(f"{out}: {sum(lengths):,} frames of {len(lengths)} utterances in feats.ark")
    if problems:
        raise fail(f"{len(problems)} utterances could not be used; see above")
