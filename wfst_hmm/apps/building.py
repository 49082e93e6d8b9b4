"""Training and graph building from files to files, as the command line does them.

In: paths and options. Out: a model directory, a graph directory that carries its model.

Public names: `build`, `check_same_data`, `corpus_from`, `made_from`, `rate_of`, `train_model`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from wfst_hmm.apps.librispeech import is_librispeech, read_librispeech
from wfst_hmm.apps.recognizer import Recognizer, check_new
from wfst_hmm.errors import DataError, GraphError, UsageError, WfstHmmError
from wfst_hmm.files import sha256_of
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.graph.compiler import GraphOptions, build_compact, build_graph
from wfst_hmm.graph.findings import LintReport
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.lint import lint, lint_graph
from wfst_hmm.graph.oov import OovOptions, grammar_vocabulary
from wfst_hmm.models.folder import HEADER, read_header
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.signal.audio import RawFormat
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.recipe import RecipeOptions, train_ladder
from wfst_hmm.training.workers import Workers

__all__ = ["build", "check_same_data", "corpus_from", "made_from", "rate_of", "train_model"]

_DATA = "data"


def rate_of(corpus: Corpus) -> int:
    """Return the sampling rate of the corpus's first readable recording."""
    first: WfstHmmError | None = None
    for utterance in corpus:
        try:
            return utterance.header().rate
        except WfstHmmError as error:
            first = first or error
    raise DataError("no recording can be read", where=corpus.where,
                    got=f"first: {first}" if first else None)  # fmt: skip


def made_from(model: SpeechModel, corpus: Corpus) -> SpeechModel:
    """Return the model with a note in its `info` of the data that it was made from."""
    return dataclasses.replace(model, info={**model.info, _DATA: _digest(corpus)})


def check_same_data(out: str | Path, corpus: Corpus) -> None:
    """Raise a `UsageError` when `out` holds a model that was made from other data, or nobody knows."""
    header = Path(out) / HEADER
    if not header.is_file():
        return
    info = read_header(out).get("info")
    known = info.get(_DATA) if isinstance(info, dict) else None
    if known != _digest(corpus):
        raise UsageError(
            "holds a model of other data" if known else "holds a model, of what data is not known",
            where=str(out), fix="Choose another name for the new one; or replace it, with --force.",
        )  # fmt: skip


def _digest(corpus: Corpus) -> str:
    """Return what tells one corpus from another: who says what in which part of which recording."""
    rows = [[u.id, u.words, u.speaker, u.audio.name, u.start, u.end, u.channel] for u in corpus]
    return sha256_of([json.dumps(rows)])


def train_model(
    data: str | Path,
    lexicon: str | Path,
    out: str | Path,
    options: TrainingOptions | None = None,
    *,
    recipe: str = "mono",
    ladder: RecipeOptions | None = None,
    rate: int | None = None,
    channel: int | None = None,
    raw: RawFormat | None = None,
    replace: bool = True,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
) -> SpeechModel:
    """Train a model on a corpus and write it to `out`.

    Parameters
    ----------
    data : path
        A Kaldi data directory, a TSV manifest, or a part of LibriSpeech as it unpacks.
    lexicon : path or str
        A file, ``cmudict``, ``pocketsphinx`` or several joined by ``+``
        (`graph.lexicon_sources.lexicon_from_spec`).
    out : path
        New, empty, or an older model, which is replaced once training has succeeded.
    options : TrainingOptions, optional
    recipe : {"mono", "tri", "lda", "sat"}
        How far to go (`training.recipe`).
    ladder : RecipeOptions, optional
        Of the rungs above ``mono``; its `training` is replaced by `options`.
    rate : int, optional
        Samples per second that the model shall hear; by default those of the first recording.
    channel, raw
        How recordings are read, as for `Corpus.recorded`.
    replace : bool
        Whether an older model may be one of other data.
    watcher : Watcher, optional
    workers : Workers, optional
        Who computes, such as `cluster.training.ClusterWorkers`; by default threads.

    Raises
    ------
    UsageError
        `out` is no model, or one of other data.
    WfstHmmError
        See `training.monophone.train` and `training.recipe.train_ladder`.
    """
    options = options or TrainingOptions()
    watcher = watcher or Watcher()
    check_new(out, "model.json", "model")

    def skip(id_: str, error: WfstHmmError) -> None:
        watcher.note(f"left out: {error}")

    # LibriSpeech's transcripts list more than people unpack: what is not there is left out
    skips = options.on_bad_audio == "skip" or is_librispeech(data)
    corpus = corpus_from(data, on_error=skip if skips else None).recorded(channel, raw)
    if not replace:
        check_same_data(out, corpus)
    pronunciations = lexicon_from_spec(lexicon)
    options = options.replace(features=options.features.at_rate(rate or rate_of(corpus)))
    if recipe == "mono":
        made: SpeechModel = train(corpus, pronunciations, out, options, watcher=watcher,
                                  workers=workers)  # fmt: skip
    else:
        ladder = (ladder or RecipeOptions()).replace(training=options)
        made = train_ladder(corpus, pronunciations, out, recipe, ladder, watcher=watcher,
                            workers=workers)  # fmt: skip
    made = made_from(made, corpus)
    made.save(out)
    return made


def corpus_from(
    data: str | Path, *, on_error: Callable[[str, WfstHmmError], None] | None = None
) -> Corpus:
    """Read a data directory, a manifest, or a part of LibriSpeech."""
    if Path(data).is_dir() and is_librispeech(data):
        return read_librispeech(data, on_error=on_error)
    return read_corpus(data, on_error=on_error)


def build(
    model: str | Path,
    lexicon: str | Path,
    grammar: str,
    out: str | Path,
    options: GraphOptions | None = None,
    *,
    oov: OovOptions | None = None,
    cache: str | Path | None = None,
    compact: bool = False,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
    acceptor: bool | None = None,
) -> AnyGraph:
    """Build a decoding graph and write it, with its model inside, to `out`.

    Parameters
    ----------
    model : path
    lexicon : path or str
        A file, ``cmudict``, ``pocketsphinx`` or several joined by ``+``
        (`graph.lexicon_sources.lexicon_from_spec`).
    grammar : str
        A file, or ``loop``, ``words``, ``length:4`` (`graph.grammar.grammar_from_spec`).
    out : path
        New, empty, or an older graph, which is replaced once this one is built.
    options : GraphOptions, optional
    oov : OovOptions, optional
        What to do about words of the grammar that the lexicon lacks.
    cache : path, optional
        A folder of stages to be found again (`graph.compiler.build_graph`).
    compact : bool
        Whether HMMs are left to be expanded when the graph is searched.
    isymbols, osymbols : path, optional
        Symbol tables of a grammar that is an FST without (`fst.tables.read_any_fst`).
    acceptor : bool, optional
        Of an FST as text: whether its arcs have one label.

    Returns
    -------
    Graph, or CompactGraph where `compact`
        Its ``info["lint"]`` holds what the lint found before and after, ``info["guessed"]`` the
        guessed words and their phones, ``info["words"]`` what else there is to tell of words.

    Raises
    ------
    GraphError
        A loop of the grammar is of negative cost, or keeps it from being determinized: two
        paths are shown.
    """
    check_new(out, "graph.json", "graph")
    acoustic, pronunciations = load_model(model), lexicon_from_spec(lexicon)
    chosen = grammar_from_spec(
        grammar, pronunciations, silence_phones=acoustic.silence_phones, on_oov=None,
        isymbols=isymbols, osymbols=osymbols, acceptor=acceptor,
    )  # fmt: skip
    notes = chosen.notes
    chosen, words = grammar_vocabulary(chosen, pronunciations, oov, phones=acoustic.phones)
    before = lint(words.within(pronunciations), chosen, acoustic)
    _stop_at_loops(before)
    made: AnyGraph
    if compact:
        made = build_compact(acoustic, words.lexicon, chosen, options, cache=cache)
        findings = before
    else:
        made = build_graph(acoustic, words.lexicon, chosen, options, cache=cache)
        findings = LintReport([*before, *lint_graph(made)])
    made = dataclasses.replace(made, info={
        **made.info, "lint": findings.to_json(),
        "guessed": [[entry.word, " ".join(entry.phones)] for entry in words.guessed],
        "words": [*notes, *(note for note in words.notes if not note.startswith("guessed: "))],
    })  # fmt: skip
    Recognizer(made, acoustic).save(out)
    return made


def _stop_at_loops(report: LintReport) -> None:
    """Refuse what building would not survive; what it refuses itself, it says better."""
    for finding in report.of("error"):
        if finding.rule in ("epsilon-loop", "not-determinizable"):
            raise GraphError(finding.what, where=finding.where, fix=finding.remedy)
