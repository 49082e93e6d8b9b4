"""One GMM-HMM per word: the classic recognizer of isolated words.

In: features of recordings that hold one word each. Out: `WordModels`, which says which word a
recording holds; a directory of JSON and ``.npz`` files.

Public names: `WordGuess`, `WordModels`, `WordOptions`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import DataError, FormatError, ModelError, WfstHmmError
from wfst_hmm.files import atomic_directory, read_json, write_json
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GmmHmm
from wfst_hmm.models.threads import map_threads
from wfst_hmm.options import check, option
from wfst_hmm.signal.front_end import FrontEnd, front_end_from_dict

__all__ = ["WordGuess", "WordModels", "WordOptions"]

_HEADER = "words.json"
_KIND = "wfst_hmm word models"


@dataclasses.dataclass(frozen=True)
class WordOptions:
    """Shape and training of every word's model. Each field's metadata holds its ``help``."""

    n_states: int = option(10, "HMM states of a word, from left to right.", least=1)
    n_mixtures: int = option(8, "Gaussians of a state.", least=1)
    n_iterations: int = option(15, "Passes of Baum-Welch over the recordings.", least=1)
    floor: float = option(0.05, "Smallest variance, as a share of the variance of all words.")
    full: bool = option(False, "Full covariances instead of diagonal ones.")
    seed: int = option(0, "Of the k-means starts.")

    def __post_init__(self) -> None:
        check(self, "{name} must be positive", expected=False)


@dataclasses.dataclass(frozen=True)
class WordGuess:
    """What a recording was taken for.

    Attributes
    ----------
    word : str
        The word of highest likelihood.
    log_likelihood : float
        log p(features | word).
    runner_up : str or None
        The next best word.
    margin : float
        Nats a frame between the two; the larger, the surer. 0 when there is one word only.
    """

    word: str
    log_likelihood: float
    runner_up: str | None
    margin: float


@dataclasses.dataclass(frozen=True, eq=False)
class WordModels:
    """Models of words, and how their features are made.

    Attributes
    ----------
    models : mapping of str to GmmHmm
        By word, in sorted order.
    features : FrontEnd
    info : dict
        What training noted: numbers of recordings, log-likelihoods, options.
    """

    __repr__ = brief

    models: Mapping[str, GmmHmm]
    features: FrontEnd
    info: dict[str, Any]

    @property
    def words(self) -> tuple[str, ...]:
        """The words known, sorted."""
        return tuple(self.models)

    @classmethod
    def train(
        cls,
        examples: Mapping[str, Sequence[npt.NDArray[Any]]],
        features: FrontEnd,
        options: WordOptions | None = None,
        *,
        n_threads: int = 1,
        on_word: Callable[[int, int, str], None] | None = None,
    ) -> WordModels:
        """Train one left-to-right model per word.

        Parameters
        ----------
        examples : mapping of str to list of ndarray, shape (T_k, D)
            Feature sequences by word.
        features : FrontEnd
            How they were made; kept with the models.
        options : WordOptions, optional
        n_threads : int
            Words are shared out among threads; the result does not depend on it.
        on_word : callable, optional
            Called with (words done, all, word).

        Raises
        ------
        DataError
            Fewer than two words, or a word whose examples cannot be used (it is named).
        """
        options = options or WordOptions()
        if len(examples) < 2:
            raise DataError("at least two words are needed", got=len(examples))
        done: list[str] = []

        def work(word: str) -> tuple[GmmHmm, dict[str, Any]]:
            kind = "full" if options.full else "diag"
            chain = Chain.left_to_right(options.n_states)
            model = GmmHmm(options.n_states, options.n_mixtures, kind, chain=chain,  # type: ignore[arg-type]
                           seed=options.seed, floor=options.floor)  # fmt: skip
            try:
                report = model.fit(list(examples[word]), options.n_iterations)
            except WfstHmmError as error:
                raise DataError(f"word {word!r}: {error}") from None
            done.append(word)
            if on_word:
                on_word(len(done), len(examples), word)
            return model, {
                "recordings": len(examples[word]),
                "log_likelihoods": [float(v) for v in report.log_likelihoods],
                "unseen_states": list(report.unseen_states),
            }

        names = sorted(examples)
        trained = map_threads(work, names, n_threads)
        info = {"options": dataclasses.asdict(options),
                "words": {w: facts for w, (_, facts) in zip(names, trained, strict=True)}}  # fmt: skip
        return cls({w: m for w, (m, _) in zip(names, trained, strict=True)}, features, info)

    def scores(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return log p(features | word) of every word, shape (W,), in the order of `words`."""
        return np.array([model.score(features) for model in self.models.values()])

    def recognize(self, features: npt.ArrayLike) -> WordGuess:
        """Return the word whose model gives features (T, D) the highest likelihood."""
        scores = self.scores(features)
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        if len(order) == 1:
            return WordGuess(self.words[best], float(scores[best]), None, 0.0)
        second = int(order[1])
        margin = float(scores[best] - scores[second]) / len(np.asarray(features))
        return WordGuess(self.words[best], float(scores[best]), self.words[second], margin)

    def save(self, path: str | Path) -> None:
        """Write the models to a directory: ``words.json`` and one ``.npz`` for each word."""
        with atomic_directory(path) as folder:
            files = {word: f"{index:04d}.npz" for index, word in enumerate(self.words)}
            for word, name in files.items():
                self.models[word].save(folder / name)
            write_json(folder / _HEADER, {
                "kind": _KIND, "version": 1, "files": files,
                "front_end": self.features.kind, "features": self.features.to_dict(),
                "info": self.info,
            })  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> WordModels:
        """Read what `save` wrote; a `FormatError` when it is something else or damaged."""
        header_path = Path(path) / _HEADER
        header = read_json(header_path)
        if not isinstance(header, dict) or header.get("kind") != _KIND:
            raise FormatError("no word models", where=str(header_path), expected=_KIND)
        if header.get("version") != 1:
            raise FormatError("of another version", where=str(header_path),
                              got=header.get("version"), expected=1)  # fmt: skip
        files = header.get("files")
        if not isinstance(files, dict) or not files:
            raise FormatError("lists no words", where=str(header_path))
        models = {}
        for word, name in files.items():
            if not isinstance(name, str) or Path(name).name != name:
                raise FormatError(f"word {word!r}: no file name", where=str(header_path), got=name)
            models[word] = GmmHmm.load(Path(path) / name)
        features = front_end_from_dict(
            header.get("front_end", "kaldi"), header.get("features", {}), where=str(header_path)
        )
        for word, model in models.items():
            if model.n_dims != features.n_dims:
                raise ModelError(f"word {word!r} was trained on other features",
                                 where=str(header_path), got=f"D = {model.n_dims}",
                                 expected=f"D = {features.n_dims}")  # fmt: skip
        info = header.get("info")
        return cls(models, features, info if isinstance(info, dict) else {})
