"""Features of a training corpus: each utterance as it is, and with other vocal tracts.

In: a corpus, a `FrontEnd`, warp factors. Out: `Take`s: features with the transcript they
belong to.

Public names: `Take`, `cepstra_info`, `training_takes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import WfstHmmError
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.extract import speaker_stats, utterance_cepstra
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.training.feature_store import mapped_parts
from wfst_hmm.training.workers import Workers

__all__ = ["Take", "cepstra_info", "training_takes"]


@dataclasses.dataclass(frozen=True, eq=False)
class Take:
    """One utterance to train on.

    Attributes
    ----------
    id : str
        The utterance's, with ``*warp`` appended for a warped copy.
    words : tuple of str
    frames : ndarray of float32, shape (T, D)
    where : str
        Named in messages.
    speaker : str
        Who speaks, for speaker-adaptive training; a warped copy is another speaker's.
    stats : CmvnStats or None
        Of the cepstra before they were normalized; warped copies have none.
    """

    id: str
    words: tuple[str, ...]
    frames: npt.NDArray[np.float32]
    where: str = ""
    speaker: str = ""
    stats: CmvnStats | None = None

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"utterance {self.id} ({self.where})" if self.where else f"utterance {self.id}"


def cepstra_info(takes: Sequence[Take]) -> dict[str, Any]:
    """Return for a model's ``info`` the mean that live recognition starts from, if it is known."""
    known = [take.stats for take in takes if take.stats is not None and take.stats.count]
    return {"cepstra": CmvnStats.merge(known).to_dict()} if known else {}


def training_takes(
    corpus: Corpus,
    front_end: FrontEnd,
    *,
    warps: Sequence[float] = (),
    workers: Workers,
    folder: Path | None = None,
    on_error: Callable[[str, WfstHmmError], None] | None = None,
) -> list[Take]:
    """Compute the features of all utterances with transcripts, then of their warped copies.

    A warped copy is what another speaker might have said: its frequency axis is stretched
    (Jaitly & Hinton 2013, "Vocal tract length perturbation"), and it is normalized with the
    other copies of the same speaker and warp.

    Parameters
    ----------
    corpus : Corpus
    front_end : FrontEnd
    warps : sequence of float
        Factors of the copies, none of them 1.
    workers : Workers
    folder : path, optional
        Map the features from nameless files here; by default they are held in memory.
    on_error : callable, optional
        Called with the id and error of an utterance that cannot be used, which is then left
        out. Without it the first such error is raised.
    """
    utterances = [utterance for utterance in corpus if utterance.words is not None]
    takes: list[Take] = []
    for warp in (1.0, *warps):
        outcomes = workers.map(partial(_attempt, front_end=front_end, warp=warp), utterances)
        raw: list[tuple[Utterance, npt.NDArray[np.float32]]] = []
        for utterance, outcome in zip(utterances, outcomes, strict=True):
            if not isinstance(outcome, WfstHmmError):
                raw.append((utterance, outcome))
            elif on_error is None:
                raise outcome
            else:
                on_error(utterance.id, outcome)
        utterances = [utterance for utterance, _ in raw]
        takes += _finished(raw, front_end, "" if warp == 1.0 else f"*{warp:g}", folder)
    return takes


def _attempt(
    utterance: Utterance, front_end: FrontEnd, warp: float
) -> npt.NDArray[np.float32] | WfstHmmError:
    try:
        return utterance_cepstra(utterance, front_end, warp=warp)
    except WfstHmmError as error:
        return error


def _finished(
    raw: Sequence[tuple[Utterance, npt.NDArray[np.float32]]],
    front_end: FrontEnd,
    suffix: str,
    folder: Path | None,
) -> list[Take]:
    stats = speaker_stats(raw, front_end)
    finished = (
        front_end.finish(array, stats.get(utterance.speaker)).array for utterance, array in raw
    )
    frames = list(finished) if folder is None else mapped_parts(finished, folder)
    return [
        Take(utterance.id + suffix, utterance.words or (), own, utterance.where,
             utterance.speaker + suffix, None if suffix else front_end.stats(array))
        for (utterance, array), own in zip(raw, frames, strict=True)
    ]  # fmt: skip
