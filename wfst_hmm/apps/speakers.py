"""Who is speaking: enrolment, identification and verification with adapted Gaussian mixtures.

In: frames of known speakers, then recordings of somebody. Out: `SpeakerModels`, a ranking of
speakers, or a yes or no to a claim.

Public names: `SpeakerModels`, `Verdict`, `enroll`; `SpeakerOptions`, `corpus_frames` and
`find_speakers` live in `wfst_hmm.apps.speaker_frames`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.speaker_frames import LEAST_FRAMES, SpeakerOptions, speaker_frames
from wfst_hmm.apps.trials import Detection, detection
from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.models.adapted import AdaptedModels
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.storage import load_arrays, save_arrays
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.speech import SpeechOptions

__all__ = ["SpeakerModels", "Verdict", "enroll"]

Array = npt.NDArray[np.float64]

_HELD_OUT = 5  # every fifth piece of each speaker finds the threshold


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One answer: the score is the log-likelihood ratio against everybody, nats a frame."""

    speaker: str
    score: float
    accepted: bool


@dataclasses.dataclass(frozen=True, eq=False)
class SpeakerModels:
    """Speakers who have been enrolled.

    Attributes
    ----------
    models : AdaptedModels
    options : SpeakerOptions
    threshold : float
        Score from which a claim is accepted, nats a frame.
    """

    models: AdaptedModels
    options: SpeakerOptions
    threshold: float = 0.0

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of all speakers."""
        return self.models.names

    def scores(self, frames: npt.ArrayLike) -> Array:
        """Return the score of every speaker for frames (N, D), shape (K,), nats a frame."""
        if not self.speakers:
            raise UsageError("nobody has been enrolled", fix="Enrol a speaker first.")
        return self.models.mean_log_ratios(frames)

    def identify(self, audio: Audio) -> tuple[Verdict, ...]:
        """Rank the speakers for a recording, the likeliest first."""
        scores = self.scores(speaker_frames(audio, self.options))
        return tuple(
            Verdict(self.speakers[i], float(scores[i]), bool(scores[i] >= self.threshold))
            for i in np.argsort(-scores, kind="stable")
        )

    def verify(self, audio: Audio, speaker: str) -> Verdict:
        """Judge the claim that `speaker` is speaking."""
        index = self.models.index(speaker)
        score = float(self.scores(speaker_frames(audio, self.options))[index])
        return Verdict(speaker, score, score >= self.threshold)

    def with_speaker(self, name: str, recordings: Sequence[npt.ArrayLike]) -> SpeakerModels:
        """Return models with one speaker more (or again); the background stays as it is."""
        frames = np.concatenate([np.asarray(part) for part in recordings])
        models = self.models.with_name(name, frames, relevance=self.options.relevance)
        return dataclasses.replace(self, models=models)

    def save(self, path: str | Path) -> None:
        """Write everything to one ``.npz`` file."""
        part = self.models.background.components
        info = dataclasses.asdict(self.options)
        save_arrays(
            path, "speakers",
            {"names": np.array(self.speakers, dtype=np.str_), "means": self.models.means,
             "ubm_weights": part.weights, "ubm_means": part.means, "ubm_covars": part.covars},
            {"options": info, "threshold": self.threshold},
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> SpeakerModels:
        """Read what `save` wrote; a `FormatError` or `ModelError` when it is something else."""
        names = ("names", "means", "ubm_weights", "ubm_means", "ubm_covars")
        arrays, info = load_arrays(path, "speakers", names)
        try:
            values = dict(info["options"])
            features = FeatureOptions.from_dict(values.pop("features"))
            options = SpeakerOptions(
                **values | {"speech": SpeechOptions(**values["speech"])}, features=features
            )
            threshold = float(info["threshold"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"is no model of speakers ({error})", where=str(path)) from None
        background = GaussianMixture(
            *arrays["ubm_means"].shape, means=arrays["ubm_means"], covars=arrays["ubm_covars"],
            weights=arrays["ubm_weights"],
        )  # fmt: skip
        speakers = tuple(str(name) for name in arrays["names"])
        return cls(AdaptedModels(background, speakers, arrays["means"]), options, threshold)


def enroll(
    frames: Mapping[str, Sequence[npt.NDArray[np.float32]]],
    options: SpeakerOptions | None = None,
    *,
    background: Sequence[npt.NDArray[np.float32]] | None = None,
    n_threads: int = 1,
) -> SpeakerModels:
    """Train a background, adapt it to every speaker, and find the threshold.

    Parameters
    ----------
    frames : mapping of str to sequence of ndarray, each (N, D)
        Recordings of each speaker (`corpus_frames`).
    background : sequence of ndarray, optional
        Recordings of other people; by default the background is trained on the speakers.

    Returns
    -------
    SpeakerModels
        Its threshold makes both errors equal on pieces of the speakers' own recordings, scored
        by models adapted without those pieces. With a single speaker it is 0.

    Raises
    ------
    UsageError
        Nobody, or only one speaker and no background: nobody to tell the speaker from.
    DataError
        Fewer frames than the background has components.
    """
    options = options or SpeakerOptions()
    if not frames:
        raise UsageError("nobody to enrol", expected="recordings of at least one speaker")
    if background is None and len(frames) < 2:
        raise UsageError("only one speaker and no background", got=next(iter(frames)),
                         fix="Give recordings of other people as background.")  # fmt: skip
    pool = np.concatenate(
        list(background) if background is not None else [x for v in frames.values() for x in v]
    )
    if len(pool) < 2 * options.n_components:
        raise DataError("too little speech for the background", got=f"{len(pool)} frames",
                        expected=f"{2 * options.n_components} or more",
                        fix="Give more recordings, or fewer components.")  # fmt: skip
    mixture = GaussianMixture(options.n_components, pool.shape[1], seed=options.seed)
    mixture.train(pool, options.n_iterations, n_threads=n_threads)
    models = AdaptedModels.of(mixture)
    for name, parts in frames.items():
        models = models.with_name(name, np.concatenate(parts), relevance=options.relevance)
    found = _self_test(mixture, frames, options)
    return SpeakerModels(models, options, found.equal_error_threshold if found else 0.0)


def _self_test(
    background: GaussianMixture,
    frames: Mapping[str, Sequence[npt.NDArray[np.float32]]],
    options: SpeakerOptions,
) -> Detection | None:
    """Score held-back pieces of all speakers by models that did not see them."""
    length = round(options.piece / options.features.frame_shift)
    models, tests = AdaptedModels.of(background), []
    for name, parts in frames.items():
        x = np.concatenate(parts)
        pieces = [x[i : i + length] for i in range(0, len(x), length)]
        held = pieces[_HELD_OUT - 1 :: _HELD_OUT] or pieces[1:2]
        rest = [piece for piece in pieces if not any(piece is other for other in held)]
        models = models.with_name(name, np.concatenate(rest), relevance=options.relevance)
        tests += [(name, piece) for piece in held if len(piece) >= LEAST_FRAMES]
    if len(models.names) < 2 or not tests:
        return None
    scores = np.stack([models.mean_log_ratios(piece) for _, piece in tests])
    truth = np.array([[name == other for other in models.names] for name, _ in tests])
    return detection(scores[truth], scores[~truth])
