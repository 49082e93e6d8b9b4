"""The ladder of GMM acoustic models: monophones, triphones, LDA+MLLT, speaker-adaptive training.

In: a corpus, a lexicon, options. Out: an `AcousticModel` (``mono``) or a `ContextModel`, and a
folder with every stage on the way.

Each stage begins with the alignment of the one before:

``mono``
    phones without context, from a flat start (`training.monophone`).
``tri``
    phones in context, states tied by a decision tree; MFCC with slopes.
``lda``
    13 MFCC of seven or more frames side by side, the directions that tell tied states apart
    (LDA), turned so that diagonal Gaussians fit (MLLT); a tree of its own.
``sat``
    the same features mapped for each speaker (fMLLR), re-estimated while the model is trained; a
    second set of densities for a first pass over unknown speakers.

This is the order of Kaldi's recipes (Povey et al. 2011), which people know by its names.

Public names: `train_ladder`, `train_ladder_on`; `RECIPES` and `RecipeOptions` of
`training.recipe_options`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.features import Take, training_takes
from wfst_hmm.training.ladder import Ladder
from wfst_hmm.training.material import Skipped
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.recipe_options import RECIPES, RecipeOptions
from wfst_hmm.training.transcripts import Words, training_words
from wfst_hmm.training.workers import Workers

__all__ = ["RECIPES", "RecipeOptions", "train_ladder", "train_ladder_on"]


def train_ladder(
    data: str | Path | Corpus,
    lexicon: str | Path | Lexicon,
    out: str | Path,
    recipe: str = "sat",
    options: RecipeOptions | None = None,
    *,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
) -> AcousticModel | ContextModel:
    """Train the stages of the ladder up to `recipe`.

    Parameters
    ----------
    data : path or Corpus
        A Kaldi data directory or a manifest; utterances without a transcript are left out.
    lexicon : path or Lexicon
    out : path
        Directory for the model. ``OUT.stages`` holds the model, alignment and journal of every
        stage: a training that was interrupted goes on from there, and ends with the same model
        to the bit; a later rung begins with what lower ones left.
    recipe : {"mono", "tri", "lda", "sat"}
    options : RecipeOptions, optional
    watcher : Watcher, optional
    workers : Workers, optional
        Who computes; by default as many threads as the options say. Changes no bit.

    Raises
    ------
    DataError
        Transcript words that the lexicon lacks (all listed), recordings that cannot be used, or
        no usable utterance.
    FormatError
        Data or lexicon are not what they claim to be.
    """
    options = options or RecipeOptions()
    watcher = watcher or Watcher()
    corpus = data if isinstance(data, Corpus) else read_corpus(data)
    lexicon = lexicon if isinstance(lexicon, Lexicon) else read_lexicon(lexicon)
    skipped = [Skipped(u.id, "it has no transcript") for u in corpus if u.words is None]
    words = training_words(corpus, lexicon, options.training, watcher, out)
    training = words.options
    options = options.replace(training=training)

    def skip(id_: str, error: WfstHmmError) -> None:
        skipped.append(Skipped(id_, str(error)))
        watcher.note(f"left out: {id_}: {error}")

    watcher.stage(f"features of {len(corpus)} utterances")
    with workers or Workers(training.workers) as team:
        takes = training_takes(
            corpus, training.features.plain(), warps=training.perturb, workers=team, folder=Path(out).parent,
            on_error=skip if training.on_bad_audio == "skip" else None,
        )  # fmt: skip
    return train_ladder_on(takes, lexicon, out, recipe, options, watcher=watcher,
                           workers=workers, skipped=skipped, words=words)  # fmt: skip


def train_ladder_on(
    takes: Sequence[Take],
    lexicon: Lexicon,
    out: str | Path,
    recipe: str = "sat",
    options: RecipeOptions | None = None,
    *,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
    skipped: Sequence[Skipped] = (),
    words: Words | None = None,
) -> AcousticModel | ContextModel:
    """Train on normalized features without slopes; otherwise like `train_ladder`.

    `words` is as for `training.monophone.train_on`; `skipped` lists what was left out before, for the model's ``info``.
    """
    if recipe not in RECIPES:
        raise UsageError("unknown recipe", got=recipe, expected=", ".join(RECIPES))
    options = options or RecipeOptions()
    watcher = watcher or Watcher()
    words = words or training_words(takes, lexicon, options.training, watcher, out)
    options = options.replace(training=words.options)
    ladder = Ladder(takes, words, Path(out), options, watcher, skipped)
    phones = ladder.mono(workers)
    if recipe == "mono":
        phones.save(out)
        return phones
    with watcher, workers or Workers(options.training.workers) as team:
        model = ladder.climb(phones, recipe, team)
    model.save(out)
    return model
