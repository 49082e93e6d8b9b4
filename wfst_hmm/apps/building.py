"""Training and graph building from files to files, as the command line does them.

In: paths and options. Out: a model directory, a graph directory that carries its model.

Public names: `build`, `rate_of`, `train_model`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from wfst_hmm.apps.recognizer import Recognizer, check_new
from wfst_hmm.errors import DataError, GraphError, UsageError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compiler import GraphOptions, build_graph
from wfst_hmm.graph.findings import LintReport
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.lint import lint, lint_graph
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.signal.audio import audio_info
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.progress import Watcher

__all__ = ["build", "rate_of", "train_model"]


def rate_of(corpus: Corpus) -> int:
    """Return the sampling rate of the corpus's first readable recording."""
    first: WfstHmmError | None = None
    for utterance in corpus:
        try:
            return audio_info(utterance.audio).rate
        except WfstHmmError as error:
            first = first or error
    raise DataError("no recording can be read", where=corpus.where,
                    got=f"first: {first}" if first else None)  # fmt: skip


def train_model(
    data: str | Path,
    lexicon: str | Path,
    out: str | Path,
    options: TrainingOptions | None = None,
    *,
    rate: int | None = None,
    watcher: Watcher | None = None,
) -> AcousticModel:
    """Train monophones on a corpus and write the model to `out`.

    Parameters
    ----------
    data : path
        A Kaldi data directory or a TSV manifest.
    lexicon : path
    out : path
        New, empty, or an older model, which is replaced once training has succeeded.
    options : TrainingOptions, optional
    rate : int, optional
        Samples per second that the model shall hear; by default those of the first recording.
    watcher : Watcher, optional

    Raises
    ------
    WfstHmmError
        See `training.monophone.train`.
    """
    options = options or TrainingOptions()
    watcher = watcher or Watcher()
    check_new(out, "model.json", "model")
    pronunciations = read_lexicon(lexicon)

    def skip(id_: str, error: WfstHmmError) -> None:
        watcher.note(f"left out: {error}")

    skips = options.on_bad_audio == "skip"
    corpus = read_corpus(data, on_error=skip if skips else None)
    features = dataclasses.replace(options.features, rate=rate or rate_of(corpus))
    return train(corpus, pronunciations, out, options.replace(features=features), watcher=watcher)


def build(
    model: str | Path,
    lexicon: str | Path,
    grammar: str,
    out: str | Path,
    options: GraphOptions | None = None,
    *,
    on_oov: Literal["raise", "skip"] = "raise",
) -> Graph:
    """Build a decoding graph and write it, with its model inside, to `out`.

    Parameters
    ----------
    model, lexicon : path
    grammar : str
        A file, or ``loop``, ``words``, ``length:4`` (`graph.grammar.grammar_from_spec`).
    out : path
        New, empty, or an older graph, which is replaced once this one is built.
    options : GraphOptions, optional
    on_oov : {"raise", "skip"}
        What to do about words of the grammar that the lexicon lacks.

    Returns
    -------
    Graph
        Its ``info["lint"]`` holds what the lint found before and after.

    Raises
    ------
    GraphError
        A loop of the grammar is of negative cost, or keeps it from being determinized: two
        paths are shown.
    """
    if on_oov not in ("raise", "skip"):
        raise UsageError("unknown choice", where="on_oov", got=on_oov, expected="raise or skip")
    check_new(out, "graph.json", "graph")
    acoustic, pronunciations = AcousticModel.load(model), read_lexicon(lexicon)
    chosen = grammar_from_spec(
        grammar, pronunciations, silence_phones=acoustic.silence_phones, on_oov=on_oov
    )
    before = lint(pronunciations, chosen, acoustic)
    _stop_at_loops(before)
    made = build_graph(acoustic, pronunciations, chosen, options or GraphOptions())
    findings = LintReport([*before, *lint_graph(made)])
    made = dataclasses.replace(made, info={**made.info, "lint": findings.to_json()})
    Recognizer(made, acoustic).save(out)
    return made


def _stop_at_loops(report: LintReport) -> None:
    """Refuse what building would not survive; what it refuses itself, it says better."""
    for finding in report.of("error"):
        if finding.rule in ("epsilon-loop", "not-determinizable"):
            raise GraphError(finding.what, where=finding.where, fix=finding.remedy)
