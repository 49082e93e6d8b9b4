"""``vtln``: the frequency warp of every speaker.

In: a data directory and a model. Out: ``spk2warp``.

Public names: `vtln`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.parameters import Channel, FoldCase, Json, OnOov, Oov, Raw, Resample
from wfst_hmm.cli.recognition import spoken
from wfst_hmm.cli.shell import counted, print_json, say, warn
from wfst_hmm.errors import UsageError

if TYPE_CHECKING:
    from wfst_hmm.apps.vtln import WarpChoice

__all__ = ["vtln"]


def vtln(
    data: Annotated[Path, typer.Argument(help="Kaldi data directory, or a table.")],
    model: Annotated[
        Path | None, typer.Option(help="Model directory, with --lexicon: words are known.")
    ] = None,
    lexicon: Annotated[
        str | None, typer.Option(help="Pronunciations of the transcripts' words.")
    ] = None,
    graph: Annotated[
        Path | None, typer.Option(help="Graph directory: a first pass finds the words.")
    ] = None,
    on_oov: OnOov = Oov.skip,
    fold_case: FoldCase = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="By default DATA/spk2warp, or TABLE.spk2warp."),
    ] = None,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    as_json: Json = False,
) -> None:
    """Find the warp of every speaker's frequency axis.

    Vocal tract length normalization: short vocal tracts have high formants.

    Training, decoding and alignment apply what stands there.

    Example: wfst-hmm vtln DATA --model MODEL --lexicon LEX
    """
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.apps.vtln import speaker_warps, states_by_search, states_by_words
    from wfst_hmm.formats.data import warps_path, write_warps
    from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
    from wfst_hmm.graph.oov import OovOptions
    from wfst_hmm.models.loading import load_model

    corpus = spoken(data, [], channel, raw).warped({})

    def skip(text: str) -> None:
        warn(f"left out: {text}")

    if graph is not None:
        recognizer = Recognizer.load(graph, model)
        acoustic, states = (
            recognizer.model,
            states_by_search(recognizer, corpus, resample=resample, on_skip=skip),
        )
    elif model is not None and lexicon is not None:
        acoustic = load_model(model)
        states = states_by_words(acoustic, lexicon_from_spec(lexicon), corpus, resample=resample,
                                 on_skip=skip, on_note=warn,
                                 oov=OovOptions(on_oov.value, fold_case))  # fmt: skip
    else:
        raise UsageError("states are needed to compare warps",
                         fix="Name --graph, or --model and --lexicon.")  # fmt: skip
    found: list[WarpChoice] = []
    warps = speaker_warps(acoustic, corpus, states, resample=resample, told=found.append)
    path = out or warps_path(data)
    write_warps(path, warps)
    if as_json:
        print_json({"out": str(path), "speakers": [
            {"speaker": f.speaker, "warp": f.warp, "gain": f.gain, "frames": f.n_frames}
            for f in found]})  # fmt: skip
        return
    for choice in found:
        say(f"{choice.speaker}: {choice.warp:.2f}, {choice.gain:+.3f} nats a frame over "
            f"{choice.n_frames:,} frames" if choice.n_frames
            else f"{choice.speaker}: 1.00, nothing to go by")  # fmt: skip
    say(f"{path}: {counted(len(warps), 'speaker')}")
