"""Forced alignment: when each word, phone and state of a known transcript was spoken.

In: a model, a lexicon and a corpus with transcripts. Out: an `Outcome` per utterance whose
`Decoded` says when; files in the forms of `wfst_hmm.apps.results`.

Public names: `ALIGNMENT_FORMS`, `LEAVE_OUT`, `align_corpus`, `alignment_writer`, `write_alignments`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import Outcome, in_order, stream_features
from wfst_hmm.apps.result_writer import ResultsWriter
from wfst_hmm.apps.results import TIERS, check_forms
from wfst_hmm.errors import DataError, WfstHmmError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.oov import OovOptions, places_of, vocabulary
from wfst_hmm.graph.transcript_context import transcript_compiler
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.search.align import with_confidences
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.features import Features

__all__ = ["ALIGNMENT_FORMS", "LEAVE_OUT", "align_corpus", "alignment_writer", "write_alignments"]

#: What is written when nothing else is asked for.
ALIGNMENT_FORMS = ("ctm", "textgrid", "json")
#: An utterance with a missing word costs no other one its alignment.
LEAVE_OUT = OovOptions("skip")


def align_corpus(
    model: SpeechModel,
    lexicon: Lexicon,
    corpus: Corpus,
    *,
    silence: LexiconOptions | None = None,
    search: str = "exact",
    resample: bool = False,
    stats: Mapping[str, CmvnStats] | None = None,
    n_threads: int = 1,
    oov: OovOptions = LEAVE_OUT,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[Outcome]:
    """Align every utterance with its transcript.

    Parameters
    ----------
    model : AcousticModel or ContextModel
    lexicon : Lexicon
    corpus : Corpus
    silence : LexiconOptions, optional
        Optional silence between words.
    search : {"exact", "beam", "compose"}
        With ``"beam"``, a beam that loses every path is doubled and the utterance searched again.
    resample : bool
        Convert recordings of another rate than the model's instead of refusing them.
    stats : mapping of str to CmvnStats, optional
        As for `apps.recognize.stream_features`.
    n_threads : int
    oov : OovOptions
        What to do about words that the lexicon lacks; by default their utterances come with
        errors.
    on_note : callable, optional
        Hears what there is to tell of words.

    Yields
    ------
    Outcome
        In the corpus's order; phones and words have confidences (`search.align`). An utterance without a transcript, with a word that the lexicon
        lacks, or with fewer frames than its shortest path has states comes with its error.
    """
    options = SearchOptions(
        search=search, acoustic_scale=1.0
    )  # one path of words: no grammar to weigh
    words = vocabulary(lexicon, places_of(corpus), oov, phones=model.phones)
    words.tell(on_note)
    compile_words = _compiler(model, words.lexicon, silence or LexiconOptions())

    def graph_of(utterance: Utterance) -> Graph:
        if utterance.words is None:
            raise DataError("no transcript", where=utterance.place,
                            fix="Add its line to the text file.")  # fmt: skip
        if problem := words.problem(utterance.words):
            raise DataError(problem, where=utterance.place,
                            fix="Add them to the lexicon, or correct the transcript.")  # fmt: skip
        return compile_words(utterance.words)

    def work(item: tuple[Utterance, Features | WfstHmmError]) -> Outcome:
        utterance, features = item
        if isinstance(features, WfstHmmError):
            return Outcome(utterance, None, features)
        begun = time.perf_counter()
        try:
            graph, scores = graph_of(utterance), model.score(features)
            result = decode(graph, scores, options)
        except WfstHmmError as error:
            return Outcome(utterance, None, error)
        if isinstance(result, Decoded):
            result = with_confidences(result, scores, graph.labels)
        return Outcome(utterance, result, seconds=time.perf_counter() - begun)

    features = stream_features(corpus, model, resample=resample, stats=stats, n_threads=n_threads)
    return in_order(work, features, n_threads)


def _compiler(
    model: SpeechModel, lexicon: Lexicon, silence: LexiconOptions
) -> Callable[[Sequence[str]], Graph]:
    """Return what makes the alignment graph of a transcript."""
    compiler = transcript_compiler(model, lexicon, silence)

    def graph_of(words: Sequence[str]) -> Graph:
        fst = compiler(words).fst
        table = fst.osymbols or Symbols(dict.fromkeys(words))
        return Graph(fst, compiler.labels, table, model.phones, model.silence_phones,
                     compiler.lexicon, model.hash, model.frame_shift,
                     acoustic_scale=model.acoustic_scale,
                     frame_offset=model.frame_offset)  # fmt: skip

    return graph_of


def write_alignments(
    outcomes: Iterable[Outcome], folder: str | Path, forms: str | Iterable[str] = ALIGNMENT_FORMS
) -> list[Path]:
    """Write the alignments into `folder`.

    As `wfst_hmm.apps.results.write_forms` writes them, with a tier *states*, and ``json``: ``alignments.json``.

    Returns
    -------
    list of Path
        The files that were written.
    """
    with alignment_writer(folder, forms) as writer:
        for outcome in outcomes:
            if outcome.decoded is not None:
                writer.add(outcome)
        return writer.finish()


def alignment_writer(
    folder: str | Path, forms: str | Iterable[str] = ALIGNMENT_FORMS
) -> ResultsWriter:
    """Return what writes the same files as `write_alignments`, utterance by utterance."""
    return ResultsWriter(folder, check_forms(forms), tiers=TIERS, json_name="alignments.json",
                         plain=False)  # fmt: skip
