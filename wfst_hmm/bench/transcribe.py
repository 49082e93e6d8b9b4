"""Large vocabulary with the model of the pocketsphinx wheel: us and PocketSphinx, side by side.

In: recordings with transcripts (LibriSpeech's layout, a data directory or a manifest). Out: word
error rates and shares of real time, both sides in this process, one thread, processor time.

Ours is taken from audio files to words: features, scores, search, and adaptation where there is
one. Loading models and graphs counts on neither side.

Public names: `Side`, `bench_transcribe`, `lazy_row`, `pocketsphinx_side`, `scoring_rows`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.apps.adaptation import AdaptationOptions
from wfst_hmm.apps.recognize import corpus_of_inputs, decode_corpus, stream_features
from wfst_hmm.apps.transcription import Transcriber, faster, transcriber
from wfst_hmm.apps.wer import score_words
from wfst_hmm.bench.material import evenly_spread, need
from wfst_hmm.bench.report import Progress, Row, silent
from wfst_hmm.errors import DataError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.threads import single_blas
from wfst_hmm.search.decode import decode_beam
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.features import Features

__all__ = ["Side", "bench_transcribe", "lazy_row", "pocketsphinx_side", "scoring_rows"]

_RATE = 16000
#: What PocketSphinx 5.1.1 took on LibriSpeech's development part when targets were set.
_PEER_WER, _PEER_TIME = 25.4, 0.269
_TOP_N = 4


@dataclasses.dataclass
class Side:
    """What one side said, and how long it took.

    Attributes
    ----------
    name : str
    substitutions, deletions, insertions, n_words : int
    seconds, audio_seconds : float
        Processor time, and length of the recordings.
    """

    name: str
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    n_words: int = 0
    seconds: float = 0.0
    audio_seconds: float = 0.0

    def add(self, utterance: Utterance, words: Sequence[str]) -> None:
        """Count the errors of one utterance."""
        errors = score_words(utterance.words or (), words)
        self.substitutions += errors.substitutions
        self.deletions += errors.deletions
        self.insertions += errors.insertions
        self.n_words += errors.n_words

    @property
    def wer(self) -> float:
        """Word error rate in per cent."""
        wrong = self.substitutions + self.deletions + self.insertions
        return 100.0 * wrong / max(self.n_words, 1)

    @property
    def real_time(self) -> float:
        """Seconds of processor time for each second of audio."""
        return self.seconds / max(self.audio_seconds, 1e-9)

    @property
    def note(self) -> str:
        """The errors by kind."""
        return f"{self.substitutions} sub, {self.deletions} del, {self.insertions} ins"


def pocketsphinx_side(corpus: Corpus, progress: Progress = silent) -> Side:
    """Decode with PocketSphinx and its own models, each utterance in one piece."""
    pocketsphinx, name = need("pocketsphinx", "pocketsphinx")
    decoder = pocketsphinx.Decoder(samprate=float(_RATE), loglevel="FATAL")
    side = Side(name)
    progress(f"decoding {len(corpus)} utterances: {name}")
    for utterance in corpus:
        audio = utterance.read(_RATE)
        pcm = np.clip(np.rint(audio.samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
        begun = time.process_time()
        decoder.start_utt()
        decoder.process_raw(pcm, no_search=False, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        side.seconds += time.process_time() - begun
        side.audio_seconds += audio.seconds
        side.add(utterance, found.hypstr.split() if found is not None else [])
    return side


def _our_side(
    name: str, ready: Transcriber, corpus: Corpus, options: SearchOptions,
    adapt: AdaptationOptions | None, progress: Progress,
) -> Side:  # fmt: skip
    side = Side(name)
    # kernels are loaded, the graph's pages are read: as PocketSphinx has its models in memory
    for _ in decode_corpus(ready.recognizer, Corpus(corpus.utterances[:1]), options, adapt=adapt):
        pass
    begun = time.process_time()
    progress(f"decoding {len(corpus)} utterances: {name}")
    with single_blas():
        outcomes = list(
            decode_corpus(ready.recognizer, corpus, options, adapt=adapt, resample=True)
        )
    side.seconds = time.process_time() - begun
    for outcome in outcomes:
        words = [word.text for word in outcome.decoded.words] if outcome.decoded else []
        side.add(outcome.utterance, words)
        if outcome.decoded is not None:
            side.audio_seconds += outcome.decoded.n_frames * outcome.decoded.frame_shift
    return side


def scoring_rows(model: ContextModel, corpus: Corpus) -> list[Row]:
    """Measure the scores of all states alone: whole mixtures, and four Gaussians a codebook."""
    codebooks = model.densities
    if not isinstance(codebooks, CodebookSet):
        return []
    frames = np.concatenate(
        [features.array for _, features in stream_features(corpus, model, resample=True)
         if isinstance(features, Features)]
    )  # fmt: skip
    rows = []
    error = codebooks.top_n_error(frames[:3000], _TOP_N)  # loads the kernels, too
    for top_n, note in ((None, "all Gaussians"),
                        (_TOP_N, f"{_TOP_N} Gaussians: scores that matter {error:.2f} nats lower")):  # fmt: skip
        begun = time.process_time()
        for start in range(0, len(frames), 3000):
            codebooks.log_likelihoods(frames[start : start + 3000], top_n=top_n)
        spent = (time.process_time() - begun) / (len(frames) * model.frame_shift)
        rows.append(Row(f"scoring {model.n_columns:,} states", "x real time", spent,
                        target=0.03, less_is_better=True, note=note))  # fmt: skip
    return rows


def lazy_row(model: ContextModel, graph: AnyGraph, corpus: Corpus, options: SearchOptions) -> Row:
    """Measure scores and one pass, of all states and of those that the search asks for."""
    made = [features for _, features in stream_features(corpus, model, resample=True)
            if isinstance(features, Features)]  # fmt: skip
    seconds = {"all": 0.0, "asked for": 0.0}
    for turn in range(2):  # the first one loads kernels and reads pages
        for features in made:
            for which in seconds:
                begun = time.process_time()
                whole = which == "all"
                decode_beam(
                    graph, model.score(features) if whole else LazyScores(model.densities, features),
                    options,
                )  # fmt: skip
                seconds[which] += turn * (time.process_time() - begun)
    audio = model.frame_shift * max(sum(features.n_frames for features in made), 1)
    return Row("scores and search, states as they are asked for", "x real time",
               seconds["asked for"] / audio, seconds["all"] / audio, "all states",
               less_is_better=True)  # fmt: skip


def bench_transcribe(
    data: str | Path,
    *,
    cache: str | Path | None = None,
    alone: bool = False,
    max_utterances: int | None = None,
    progress: Progress = silent,
) -> tuple[list[Row], dict[str, Any]]:
    """Measure three of our operating points and the peer on the same recordings.

    Parameters
    ----------
    data : path
        What `apps.recognize.corpus_of_inputs` reads, with transcripts.
    cache : path, optional
        Where the graph is kept.
    alone : bool
        Leave PocketSphinx out.
    max_utterances : int, optional
        Take so many, evenly spread.
    progress : callable, optional
        Told how far it is.

    Returns
    -------
    rows : list of Row
    facts : dict
        About the data, the graph and its cache.

    Raises
    ------
    DataError
        An utterance has no transcript.
    """
    corpus = evenly_spread(corpus_of_inputs([data]), max_utterances)
    for utterance in corpus:
        if utterance.words is None:
            raise DataError("no transcript", where=utterance.place)
    ready = transcriber(cache=cache, progress=progress)
    full, fast = ready.options, faster(ready.options)
    adapt = AdaptationOptions(n_rounds=1)
    sides = [
        _our_side("adapted to the speaker", ready, corpus, full, adapt, progress),
        _our_side("one pass", ready, corpus, full, None, progress),
        _our_side("one pass, --fast", ready, corpus, fast, None, progress),
    ]
    peer = pocketsphinx_side(corpus, progress) if not alone else None
    asked = ((23.5, 0.20), (25.4, 0.08), (25.4, 0.08))
    rows = []
    for side, (wer, real_time) in zip(sides, asked, strict=True):
        rows.append(Row(f"word error rate, {side.name}", "%", side.wer,
                        peer.wer if peer else None, peer.name if peer else "",
                        wer / _PEER_WER if peer else wer,
                        less_is_better=True, note=side.note))  # fmt: skip
        rows.append(Row(f"processor time, {side.name}", "x real time", side.real_time,
                        peer.real_time if peer else None, peer.name if peer else "",
                        real_time / _PEER_TIME if peer else real_time,
                        less_is_better=True))  # fmt: skip
    model = ready.recognizer.model
    if isinstance(model, ContextModel):
        rows += scoring_rows(model, Corpus(corpus.utterances[::10]))
        rows.append(lazy_row(model, ready.recognizer.graph, Corpus(corpus.utterances[:3]), fast))
    graph = ready.recognizer.graph
    facts = {
        "utterances": len(corpus),
        "words": sides[0].n_words,
        "seconds of audio": round(sides[0].audio_seconds, 1),
        "graph": f"{len(graph.words) - 1:,} words, {graph.fst.n_states:,} states, {graph.fst.n_arcs:,} arcs, "
        f"{ready.megabytes:.0f} MB, {'built' if ready.built else 'loaded'} in {ready.seconds:.2f} s",
    }
    if peer:
        facts["the peer's errors"] = peer.note
    return rows, facts
