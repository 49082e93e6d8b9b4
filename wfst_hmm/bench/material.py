"""Features for measurements: spoken digits where they are present, synthetic ones elsewhere.

In: the folder of the Free Spoken Digit Dataset, or None. Out: feature sequences by digit.

Public names: `Material`, `digit_features`, `evenly_spread`, `find_folder`, `find_material`, `need`,
`need_folder`.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.fsdd import Recording, find_recordings
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.signal.extract import corpus_features
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = [
    "Material", "digit_features", "evenly_spread", "find_folder", "find_material", "need",
    "need_folder",
]  # fmt: skip

_N_DIMS = 39


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """Feature sequences.

    Attributes
    ----------
    source : str
        Where they come from.
    sequences : dict of int to list of ndarray of float64, shape (T, D)
        By digit.
    """

    source: str
    sequences: dict[int, list[npt.NDArray[np.float64]]]


def need(module: str, package: str) -> tuple[Any, str]:
    """Import a peer; return it with its name and version, or say how to install it."""
    try:
        return importlib.import_module(module), f"{package} {importlib.metadata.version(package)}"
    except ImportError:
        raise UsageError(f"{package} is not installed: nothing to measure against",
                         fix="Install the package with the extra `bench`.") from None  # fmt: skip


def find_folder(folder: str | Path | None) -> Path | None:
    """Return the recordings' folder: as given, in WFST_HMM_SHARED, in ../shared/data, or None."""
    if folder is not None:
        return Path(folder)
    roots = [os.environ.get("WFST_HMM_SHARED"), "../shared/data"]
    for root in roots:
        if root and (path := Path(root) / "fsdd" / "recordings").is_dir():
            return path
    return None


def need_folder(folder: str | Path | None) -> Path:
    """Return what `find_folder` finds; a `DataError` where there are no recordings."""
    found = find_folder(folder)
    if found is None:
        raise DataError("the Free Spoken Digit Dataset is not here",
                        fix="Name its folder `recordings`.")  # fmt: skip
    return found


def evenly_spread(corpus: Corpus, n: int | None) -> Corpus:
    """Return `n` utterances of all parts of a corpus; the corpus itself where it has no more."""
    if n is None or n >= len(corpus):
        return corpus
    chosen = np.linspace(0, len(corpus) - 1, n).astype(int)
    return Corpus(tuple(corpus.utterances[i] for i in chosen), corpus.where)


def digit_features(
    recordings: tuple[Recording, ...], *, n_workers: int = 1
) -> list[npt.NDArray[np.float32]]:
    """Return the features of recordings, in order: MFCC with slopes, normalized per speaker."""
    options = FeatureOptions(rate=8000, cmvn="speaker", cmvn_variance=True)
    corpus = Corpus(tuple(r.utterance() for r in recordings))
    features = corpus_features(corpus, options, n_workers=n_workers)
    return [features[u.id].array for u in corpus]


def find_material(folder: str | Path | None = None, *, seed: int = 0) -> Material:
    """Return features of all recordings, or of as much synthetic data when there are none."""
    found = find_folder(folder)
    if found is not None:
        recordings = find_recordings(found)
        by_digit: dict[int, list[npt.NDArray[np.float64]]] = {d: [] for d in range(10)}
        for recording, array in zip(recordings, digit_features(recordings), strict=True):
            by_digit[recording.digit].append(array.astype(np.float64))
        return Material(f"FSDD, {len(recordings)} recordings", by_digit)
    rng = np.random.default_rng(seed)
    made: dict[int, list[npt.NDArray[np.float64]]] = {}
    for digit in range(10):
        centres = rng.normal(size=(5, 3, _N_DIMS)) * 1.2
        made[digit] = [
            np.concatenate([
                centres[s, rng.integers(3)] + rng.normal(size=(int(rng.integers(5, 14)), _N_DIMS))
                for s in range(5)
            ])
            for _ in range(270)
        ]  # fmt: skip
    return Material("synthetic", made)
