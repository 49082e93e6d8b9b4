"""How well songs match a tag: a mixture for the tag against one for everything.

In: a `Library` and a tag. Out: `TagModel`, which scores any songs, new ones too; `Ranking`.

Timbre is first decorrelated and scaled (principal components of the background songs), which
lets diagonal covariances do.

Public names: `Hit`, `Ranking`, `TagModel`, `TagOptions`, `area_under_curve`, `rank`, `train_tag`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recommendation.library import Library
from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.storage import load_arrays, save_arrays
from wfst_hmm.models.threads import map_threads
from wfst_hmm.options import check, option
from wfst_hmm.orthography import did_you_mean

__all__ = ["Hit", "Ranking", "TagModel", "TagOptions", "area_under_curve", "rank", "train_tag"]

Array = npt.NDArray[np.float64]

_STEP = 1 << 14  # segments that a thread scores at a time
_FLOOR = 1e-2


@dataclasses.dataclass(frozen=True)
class TagOptions:
    """How a tag is modelled. Each field's metadata holds its ``help``."""

    n_components: int = option(32, "Gaussians of the tag's mixture and of the background.", least=1)
    n_iterations: int = option(10, "Passes of EM over the background's segments.", least=1)
    n_tag_iterations: int = option(
        2, "Passes of EM over the tag's, starting from the background.", least=1
    )
    adapt: bool = option(False, "Only adapt the background's means to the tag: faster.")
    relevance: float = option(16.0, "With adapt: segments that a background mean counts for.")
    tag_share: float = option(
        0.7, "Share of the matching songs that is trained on.", above=0, below=1
    )
    background_share: float = option(
        0.3, "Share of all songs that the background is trained on.", above=0, below=1
    )
    seed: int = option(0, "Of the split and of the background's start.")

    def __post_init__(self) -> None:
        check(self, "{name}")


@dataclasses.dataclass(frozen=True, eq=False)
class TagModel:
    """A tag's mixture and the background.

    Attributes
    ----------
    tag : str
    mean : ndarray, shape (12,)
    whiten : ndarray, shape (12, 12)
        Frames are scored as ``(x - mean) @ whiten``.
    background, mixture : GaussianMixture
    trained_on : frozenset of str
        Ids of the songs that the tag's mixture was trained on.
    heard : frozenset of str
        Ids of the background's songs.
    """

    tag: str
    mean: Array
    whiten: Array
    background: GaussianMixture
    mixture: GaussianMixture
    trained_on: frozenset[str]
    heard: frozenset[str]

    def scores(self, library: Library, *, n_threads: int = 1) -> Array:
        """Return the mean log-likelihood ratio of every song's segments, shape (S,)."""
        pair = MixtureSet.from_states([_state(self.mixture), _state(self.background)])

        whiten = self.whiten.astype(np.float32)
        origin = (self.mean @ self.whiten).astype(np.float32)

        def work(at: int) -> npt.NDArray[np.float32]:
            x = library.timbre[at : at + _STEP] @ whiten
            x -= origin
            logs = pair.log_likelihoods(x)
            return np.asarray(logs[:, 0] - logs[:, 1])

        ratios = np.concatenate(map_threads(work, range(0, len(library.timbre), _STEP), n_threads))
        sums = np.add.reduceat(ratios, library.offsets[:-1], dtype=np.float64)
        return np.asarray(sums / np.diff(library.offsets))

    def save(self, path: str | Path) -> None:
        """Write the model to one ``.npz`` file."""
        arrays = {"mean": self.mean, "whiten": self.whiten,
                  "trained_on": np.array(sorted(self.trained_on), dtype=np.str_),
                  "heard": np.array(sorted(self.heard), dtype=np.str_)}  # fmt: skip
        for name, mixture in (("background", self.background), ("mixture", self.mixture)):
            for field, values in dataclasses.asdict(mixture.components).items():
                arrays[f"{name}_{field}"] = values
        save_arrays(path, "tag model", arrays, {"tag": self.tag})

    @classmethod
    def load(cls, path: str | Path) -> TagModel:
        """Read what `save` wrote; a `FormatError` or `ModelError` when it is something else."""
        fields = ("weights", "means", "covars")
        names = [f"{part}_{field}" for part in ("background", "mixture") for field in fields]
        arrays, info = load_arrays(path, "tag model",
                                   ("mean", "whiten", "trained_on", "heard", *names))  # fmt: skip
        if not isinstance(info.get("tag"), str):
            raise FormatError("names no tag", where=str(path))
        parts = []
        for part in ("background", "mixture"):
            weights, means, covars = (arrays[f"{part}_{field}"] for field in fields)
            parts.append(GaussianMixture(*means.shape, weights=weights, means=means, covars=covars))
        trained, heard = (frozenset(str(v) for v in arrays[n]) for n in ("trained_on", "heard"))
        return cls(info["tag"], arrays["mean"], arrays["whiten"], parts[0], parts[1], trained,
                   heard)  # fmt: skip


def _state(mixture: GaussianMixture) -> tuple[Array, Array, Array]:
    part = mixture.components
    return part.weights, part.means, part.covars


def train_tag(
    library: Library, tag: str, options: TagOptions | None = None, *, n_threads: int = 1
) -> TagModel:
    """Train on a random part of the songs with `tag`, and a background on a part of all songs.

    Songs with the tag that are held out are kept out of the background as well.

    Raises
    ------
    UsageError
        No song has the tag; the nearest tag is named.
    DataError
        Fewer songs have it than the mixture has components, or next to no segments.
    """
    options = options or TagOptions()
    has = library.tagged(tag)
    n_matching, n = int(has.sum()), len(library)
    if not n_matching:
        raise UsageError(f"no song is tagged {tag!r}", fix=did_you_mean(tag, library.tag_counts()))
    if n_matching < options.n_components:
        raise DataError(f"too few songs are tagged {tag!r}", got=n_matching,
                        expected=f"{options.n_components}, one for each component, or more",
                        fix="Take a broader tag or fewer components.")  # fmt: skip
    rng = np.random.default_rng(options.seed)
    matching = rng.permutation(np.flatnonzero(has))
    n_train = min(max(1, round(options.tag_share * n_matching)), n_matching - 1)
    train, held = matching[:n_train], matching[n_train:]
    everyone = rng.choice(n, max(1, round(options.background_share * n)), replace=False)
    heard = np.setdiff1d(everyone, held)
    frames = library.frames(heard).astype(np.float64)
    if len(frames) <= 2 * options.n_components:
        raise DataError("too few segments for a background", got=len(frames),
                        expected=f"more than {2 * options.n_components}")  # fmt: skip
    mean, whiten = _whitening(frames)
    background = GaussianMixture(options.n_components, frames.shape[1], seed=options.seed,
                                 floor=_FLOOR)  # fmt: skip
    background.train((frames - mean) @ whiten, options.n_iterations, n_threads=n_threads)
    own = (library.frames(train) - mean) @ whiten
    if options.adapt:
        mixture = background.adapted(own, relevance=options.relevance)
    else:
        weights, means, covars = _state(background)
        mixture = GaussianMixture(options.n_components, frames.shape[1], means=means,
                                  covars=covars, weights=weights, floor=_FLOOR)  # fmt: skip
        mixture.train(own, options.n_tag_iterations, n_threads=n_threads)
    ids = np.array(library.ids, dtype=object)
    return TagModel(tag, mean, whiten, background, mixture, frozenset(ids[train]),
                    frozenset(ids[heard]))  # fmt: skip


def _whitening(frames: Array) -> tuple[Array, Array]:
    """Return the mean and the matrix that gives frames unit covariance."""
    mean = frames.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((frames - mean).T, bias=True))
    # A direction without variance says nothing: it is kept small instead of blown up.
    values = np.maximum(values, 1e-6 * values.max() + 1e-300)
    return mean, np.asarray(vectors / np.sqrt(values))


@dataclasses.dataclass(frozen=True)
class Hit:
    """One song of a ranking; `score` in nats a segment."""

    id: str
    artist: str
    title: str
    year: int
    score: float
    tagged: bool


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The best songs for a tag.

    Attributes
    ----------
    tag : str
    held_out : tuple of Hit
        Songs with the tag that training did not see, the best first.
    untagged : tuple of Hit
        Songs without the tag that the background did not hear, the best first.
    n_held_out, n_untagged : int
        How many there are of both.
    n_first : int
        How many songs `precision` looks at.
    precision : float
        Share of songs with the tag among the best of both kinds together.
    chance : float
        What a random order would reach.
    area_under_curve : float
        That a held-out song beats an untagged one; 0.5 is chance, NaN without either.
    """

    tag: str
    held_out: tuple[Hit, ...]
    untagged: tuple[Hit, ...]
    n_held_out: int
    n_untagged: int
    n_first: int
    precision: float
    chance: float
    area_under_curve: float


def rank(model: TagModel, library: Library, *, top: int = 20, n_threads: int = 1) -> Ranking:
    """Rank the songs that the model has not been trained on.

    Parameters
    ----------
    top : int
        How many of each kind to list.
    """
    if top < 1:
        raise UsageError("top", got=top, expected="1 or more")
    scores = model.scores(library, n_threads=n_threads)
    has = library.tagged(model.tag)
    trained = np.array([id_ in model.trained_on for id_ in library.ids], dtype=bool)
    heard = np.array([id_ in model.heard for id_ in library.ids], dtype=bool)
    held, other = np.flatnonzero(has & ~trained), np.flatnonzero(~has & ~heard)
    both = np.concatenate([held, other])
    if not len(both):
        raise DataError("every song was trained on", got=f"{len(library)} songs",
                        expected="songs that the model has not heard")  # fmt: skip
    first = both[np.argsort(-scores[both], kind="stable")][:top]

    def hits(songs: npt.NDArray[np.intp]) -> tuple[Hit, ...]:
        order = songs[np.argsort(-scores[songs], kind="stable")][:top]
        return tuple(
            Hit(library.ids[s], library.artists[s], library.titles[s], int(library.years[s]),
                float(scores[s]), bool(has[s]))
            for s in order
        )  # fmt: skip

    return Ranking(
        model.tag, hits(held), hits(other), len(held), len(other), len(first),
        float(has[first].mean()), len(held) / len(both), area_under_curve(scores[held], scores[other]),
    )  # fmt: skip


def area_under_curve(true: npt.ArrayLike, false: npt.ArrayLike) -> float:
    """Return the chance that a true score beats a false one, ties counting half.

    Notes
    -----
    Mann & Whitney (1947); the area under the receiver operating characteristic.

    Examples
    --------
    >>> area_under_curve([2.0, 3.0], [1.0, 2.0])
    0.875
    """
    a, b = np.asarray(true, dtype=np.float64), np.sort(np.asarray(false, dtype=np.float64))
    if not len(a) or not len(b):
        return float("nan")
    wins = np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")
    return float(wins.sum() / (2 * len(a) * len(b)))
