"""``prons``: how likely each pronunciation is, and a pause after it.

In: recordings with transcripts, a model, a lexicon. Out: the lexicon with probabilities.

Public names: `prons`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wfst_hmm.cli.parameters import (
    Channel,
    FoldCase,
    Json,
    LexiconSpec,
    OnOov,
    Oov,
    Raw,
    Resample,
    Spoken,
)
from wfst_hmm.cli.recognition import spoken
from wfst_hmm.cli.shell import print_json, say, warn

__all__ = ["prons"]


def prons(
    data: Spoken,
    model: Annotated[Path, typer.Option(help="Model directory: aligns the recordings.")],
    lexicon: LexiconSpec,
    out: Annotated[Path, typer.Option("--out", "-o", help="The lexicon to write.")],
    smoothing: Annotated[
        float, typer.Option(help="Added to the count of every pronunciation.")
    ] = 1.0,
    pauses: Annotated[
        bool, typer.Option("--pauses/--no-pauses", help="Probabilities of silence, too.")
    ] = True,
    on_oov: OnOov = Oov.skip,
    fold_case: FoldCase = False,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    threads: Annotated[int, typer.Option("--threads", "-j", help="Threads.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Learn how likely each pronunciation is, and a pause after it.

    Words that were not heard keep their probabilities. Graphs built from the lexicon use them.

    Example: wfst-hmm prons DATA --model MODEL --lexicon LEX --out lexiconp.txt
    """
    from wfst_hmm.apps.align import align_corpus
    from wfst_hmm.apps.pronunciations import count_pronunciations, with_probabilities
    from wfst_hmm.graph.lexicon import Lexicon
    from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
    from wfst_hmm.graph.oov import OovOptions, places_of, vocabulary
    from wfst_hmm.models.loading import load_model

    acoustic, words = load_model(model), lexicon_from_spec(lexicon)
    corpus = spoken(data, [], channel, raw)
    oov = OovOptions(on_oov.value, fold_case, listing=out.parent / f"{out.name}.missing.txt")
    known = vocabulary(words, places_of(corpus), oov, phones=acoustic.phones)
    known.tell(warn)
    words = Lexicon([*words, *known.guessed])
    aligned = align_corpus(acoustic, known.lexicon, corpus, resample=resample, n_threads=threads)
    counts = count_pronunciations(aligned, acoustic.silence_phones)
    for id_, reason in counts.skipped:
        warn(f"left out: {id_}: {reason}")
    with_probabilities(words, counts, smoothing=smoothing, pauses=pauses).write(out)
    heard = {word for word, _ in counts.spoken}
    facts = {
        "out": str(out), "n_utterances": counts.n_utterances, "n_skipped": len(counts.skipped),
        "n_spoken": counts.spoken.total(), "n_words": len(heard),
        "n_words_with_several": sum(len(words.prons(word)) > 1 for word in heard),
        "pause_probability": counts.pause_probability,
    }  # fmt: skip
    if as_json:
        print_json(facts)
        return
    paused = (f"pauses at {100 * counts.pause_probability:.1f} % of the places between words"
              if counts.followed else "no word follows another, so nothing is learned of pauses")  # fmt: skip
    paused = (
        f"pauses at {100 * counts.pause_probability:.1f} % of the places between words"
        if counts.followed
        else "no word follows another, so nothing is learned of pauses"
    )
    say(f"{facts['n_utterances']:,} utterances: {facts['n_spoken']:,} times one of "
        f"{facts['n_words']:,} words, of which {facts['n_words_with_several']:,} have several "
        f"pronunciations; {paused}")  # fmt: skip
    say(f"{out}: {len(words):,} pronunciations")
