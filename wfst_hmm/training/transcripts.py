"""The words of a corpus to be trained on, and the lexicon for them.

In: utterances, a lexicon, options. Out: `Words`: pronunciations of all words that can be used, and
the options with the lexicon's own silence.

Public names: `Words`, `training_words`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.oov import OovOptions, Vocabulary, places_of, silence_phone, vocabulary
from wfst_hmm.signal.corpus import Utterance
from wfst_hmm.training.features import Take
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.progress import Watcher

__all__ = ["Words", "training_words"]


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """What training knows of words.

    Attributes
    ----------
    lexicon : Lexicon
        The user's, with words of the transcripts under the spellings that these have.
    spoken : Vocabulary
        Of the transcripts.
    options : TrainingOptions
        With the phone of the lexicon's word for silence, where it has one and nothing of the
        options' silence phone.
    """

    lexicon: Lexicon
    spoken: Vocabulary
    options: TrainingOptions


def training_words(
    utterances: Iterable[Utterance | Take],
    lexicon: Lexicon,
    options: TrainingOptions,
    watcher: Watcher,
    out: str | Path | None = None,
) -> Words:
    """Look up the words of the transcripts, and tell the watcher what there is to tell.

    Missing words are listed in ``OUT.missing.txt`` when they are many.

    Raises
    ------
    DataError
        Words that the lexicon lacks, under ``on_oov="raise"``.
    """
    listing = None if out is None else Path(out).parent / f"{Path(out).name}.missing.txt"
    spoken = vocabulary(
        lexicon, places_of(utterances),
        OovOptions(options.on_oov, options.fold_case, listing=listing),
    )  # fmt: skip
    spoken.tell(watcher.note)
    own = silence_phone(lexicon)
    if own is not None and options.silence_phone not in lexicon.phones:
        watcher.note(f"silence is the lexicon's own phone {own!r}, not {options.silence_phone!r}")
        options = options.replace(silence_phone=own)
    return Words(spoken.within(lexicon), spoken, options)
