"""One uploaded recording, recognized as a whole.

In: a file that a stranger has sent. Out: words with times and confidences, JSON-ready.

Public names: `recognized`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.errors import WfstHmmError
from wfst_hmm.service.protocol import RATES, ProtocolError
from wfst_hmm.service.sessions import Hub
from wfst_hmm.signal.audio import audio_info
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["recognized"]


def recognized(hub: Hub, path: Path) -> dict[str, Any]:
    """Return what `decode` would say of a recording.

    Raises
    ------
    ProtocolError
        It is no audio, too long, or of a rate that nobody records with: what a header promises is
        looked at before any sample is unpacked.
    """
    try:
        info = audio_info(path)
    except WfstHmmError as error:  # a client learns nothing about our folders
        raise ProtocolError("bad_audio", error.what, status=422) from None
    seconds = info.n_samples / max(info.rate, 1)
    if info.rate not in RATES or info.n_channels != 1:
        raise ProtocolError("bad_audio", f"{info.rate} Hz, {info.n_channels} channels; expected one "
                            f"channel of {RATES[0]} to {RATES[-1]} Hz", status=422)  # fmt: skip
    if seconds > hub.limits.max_seconds:
        raise ProtocolError("too_long", f"{seconds:.0f} seconds; at most "
                            f"{hub.limits.max_seconds:g}", status=413)  # fmt: skip
    corpus = Corpus((Utterance("recording", path, None, "speaker"),))
    (outcome,) = decode_corpus(
        hub.recognizer, corpus, hub.options, answers=hub.answers, costs=hub.costs,
        filler=hub.filler, resample=True,
    )  # fmt: skip
    if outcome.error is not None:
        raise ProtocolError("bad_audio", outcome.error.what.replace(str(path), "recording"),
                            status=422)  # fmt: skip
    made = {"seconds": round(seconds, 3)}
    if outcome.decoded is None:
        return made | {"text": "", "words": [], "problem": outcome.problem}
    decoded = outcome.decoded.to_dict()
    names = ("text", "words", "total_cost", "notes", "rejected", "filler_margin",
             "rejected_text")  # fmt: skip
    return made | {name: decoded[name] for name in names if name in decoded}
