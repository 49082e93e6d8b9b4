"""The monophone recipe: from recordings and transcripts to an acoustic model.

In: a corpus, a lexicon, options. Out: `AcousticModel`, and its directory.

Every phone of the lexicon is a left-to-right HMM, silence one of its own topology. Frames are
first shared out evenly; then each pass aligns all utterances by the Viterbi algorithm
("segmental k-means", Juang & Rabiner 1990), re-estimates mixtures and transition probabilities,
and splits the heaviest Gaussians until there are enough.

Public names: `train`, `train_on`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, WfstHmmError
from wfst_hmm.files import sha256_of
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.graph.units import Units
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.moments import floor_of
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.features import Take, cepstra_info, training_takes
from wfst_hmm.training.flat_start import FlatStart, loudness_range
from wfst_hmm.training.journal import Journal, Saved
from wfst_hmm.training.material import Material, Skipped, prepare
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.passes import Parameters, PassReport, collect, global_variance, update
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.transcripts import Words, training_words
from wfst_hmm.training.workers import Workers

__all__ = ["train", "train_on"]

#: Likelihood per frame that rounding may cost from one pass to the next.
_ROUNDING = 1e-5
_MAX_NAMED = 20


def train(
    data: str | Path | Corpus,
    lexicon: str | Path | Lexicon,
    out: str | Path | None = None,
    options: TrainingOptions | None = None,
    *,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
) -> AcousticModel:
    """Train monophones.

    Parameters
    ----------
    data : path or Corpus
        A Kaldi data directory or a TSV manifest; utterances without a transcript are left out.
    lexicon : path or Lexicon
        Its phones are the model's, beside silence.
    out : path, optional
        Directory for the model. While training runs, ``OUT.journal`` keeps the state after
        each pass: a training that was interrupted goes on from there when it is called again
        with the same data and options, and ends with the same model to the bit.
    options : TrainingOptions, optional
    watcher : Watcher, optional
        Hears of the progress, for example `ProgressBar`.
    workers : Workers, optional
        Who computes; by default as many threads as the options say. Changes no bit.

    Returns
    -------
    AcousticModel
        ``info["training"]`` lists options, passes and skipped utterances.

    Raises
    ------
    DataError
        Transcript words that the lexicon lacks (all listed), recordings that cannot be used, or
        no usable utterance.
    FormatError
        Data or lexicon are not what they claim to be.
    """
    options = options or TrainingOptions()
    watcher = watcher or Watcher()
    corpus = data if isinstance(data, Corpus) else read_corpus(data)
    lexicon = lexicon if isinstance(lexicon, Lexicon) else read_lexicon(lexicon)
    skipped: list[Skipped] = []
    for utterance in corpus:
        if utterance.words is None:
            skipped.append(Skipped(utterance.id, "it has no transcript"))
    words = training_words(corpus, lexicon, options, watcher, out)
    with watcher, workers or Workers(options.workers) as workers:
        watcher.stage(f"features of {len(corpus)} utterances")
        takes = training_takes(
            corpus, options.features, warps=options.perturb, workers=workers,
            folder=None if out is None else Path(out).parent,
            on_error=_collector(skipped) if options.on_bad_audio == "skip" else None,
        )  # fmt: skip
        return _train(takes, words, out, watcher, workers, skipped)


def train_on(
    takes: Sequence[Take],
    lexicon: Lexicon,
    out: str | Path | None = None,
    options: TrainingOptions | None = None,
    *,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
    words: Words | None = None,
) -> AcousticModel:
    """Train monophones on features that exist already; otherwise like `train`.

    `words` is what `training.transcripts.training_words` made of lexicon and options, if it was asked.
    """
    options = options or TrainingOptions()
    watcher = watcher or Watcher()
    words = words or training_words(takes, lexicon, options, watcher, out)
    with watcher, workers or Workers(options.workers) as workers:
        return _train(takes, words, out, watcher, workers, [])


def _collector(skipped: list[Skipped]) -> Any:
    def collect_error(id_: str, error: WfstHmmError) -> None:
        skipped.append(Skipped(id_, str(error)))

    return collect_error


def _train(
    takes: Sequence[Take],
    words: Words,
    out: str | Path | None,
    watcher: Watcher,
    workers: Workers,
    skipped: list[Skipped],
) -> AcousticModel:
    lexicon, options = words.lexicon, words.options
    start = _first_model(lexicon, options)
    compiler = TranscriptCompiler(
        start, lexicon, LexiconOptions(options.silence_probability, options.silence_phone)
    )
    graphs = AlignmentGraphs(compiler)
    material, unusable = prepare(takes, words.spoken, graphs,
                                 folder=None if out is None else Path(out).parent)  # fmt: skip
    skipped = [*skipped, *unusable]
    _tell_skipped(skipped, watcher)
    journal = None
    if out is not None:
        journal = Journal.beside(out, _fingerprint(material, takes, lexicon, options))
    parameters, reports = _run(
        start, material, graphs, compiler.labels, options, watcher, workers, journal
    )
    info = {
        "training": {
            "recipe": "monophone",
            "options": options.to_dict(),
            "n_utterances": len(material.ids),
            "n_frames": material.n_frames,
            "skipped": [[entry.id, entry.reason] for entry in skipped],
            "passes": [report.to_dict() for report in reports],
        },
        **cepstra_info(takes),
    }
    model = AcousticModel(
        start.phones, start.silence_phones, parameters.topologies, start.columns,
        parameters.mixtures, options.features, info,
    )  # fmt: skip
    if out is not None and journal is not None:
        model.save(out)
        journal.discard()
    return model


def _first_model(lexicon: Lexicon, options: TrainingOptions) -> AcousticModel:
    """Return the phones and topologies, with a placeholder for every mixture."""
    silence = options.silence_phone
    phones = (silence, *sorted(set(lexicon.phones) - {silence}))
    topologies = tuple(options.topology(phone) for phone in phones)
    sizes = [topology.n_states for topology in topologies]
    borders = np.cumsum([0, *sizes])
    columns = tuple(np.arange(a, b, dtype=np.int32) for a, b in itertools.pairwise(borders))
    shape = (int(borders[-1]), options.features.n_dims)
    mixtures = MixtureSet.from_gaussians(np.zeros(shape), np.ones(shape))
    return AcousticModel(phones, (silence,), topologies, columns, mixtures, options.features)


def _tell_skipped(skipped: Sequence[Skipped], watcher: Watcher) -> None:
    for entry in skipped[:_MAX_NAMED]:
        watcher.note(f"left out: {entry.id}: {entry.reason}")
    if len(skipped) > _MAX_NAMED:
        watcher.note(f"left out: {len(skipped) - _MAX_NAMED} more; the model's info lists all")


def _fingerprint(
    material: Material, takes: Sequence[Take], lexicon: Lexicon, options: TrainingOptions
) -> str:
    words: Mapping[str, tuple[str, ...]] = {take.id: take.words for take in takes}
    return sha256_of(
        [
            json.dumps(options.to_dict(), sort_keys=True),
            json.dumps([[e.word, e.phones, e.probability, e.silence] for e in lexicon]),
            json.dumps([[id_, words[id_]] for id_ in material.ids]),
            np.ascontiguousarray(material.borders).data,
            np.ascontiguousarray(material.frames).data,
        ]
    )


def _run(
    start: AcousticModel,
    material: Material,
    graphs: AlignmentGraphs,
    labels: StateLabels,
    options: TrainingOptions,
    watcher: Watcher,
    workers: Workers,
    journal: Journal | None,
) -> tuple[Parameters, list[PassReport]]:
    mean, variance = global_variance(material.frames)
    if material.frames.shape[1] != start.mixtures.n_dims:
        raise DataError("features of another dimension than the options'",
                        got=material.frames.shape[1], expected=start.mixtures.n_dims)  # fmt: skip
    floor = floor_of(variance, mean, options.variance_floor, dtype=np.float32)
    shape = start.mixtures.means.shape
    flat = MixtureSet.from_gaussians(
        np.broadcast_to(mean, shape), np.broadcast_to(np.maximum(variance, floor), shape)
    )
    parameters = Parameters(flat, start.topologies)
    reports: list[PassReport] = []
    found = journal.load() if journal is not None else None
    if isinstance(found, str):
        watcher.note(found)
    elif found is not None:
        parameters, reports = found.parameters, list(found.reports)
        watcher.note(f"goes on after pass {len(reports)} of {options.n_passes}")
    watcher.begin(options.n_passes, len(reports), material.n_frames)
    for number in range(len(reports) + 1, options.n_passes + 1):
        units = Units.of_phones(parameters.topologies, labels)
        costs = units.move_costs
        graphs.reweight(costs)
        first = None
        if number == 1:
            depth = loudness_range(material.frames, material.borders)
            first = FlatStart(_silent(start), depth, options.seed)
        sums = collect(
            parameters, material, graphs, len(costs), workers, beam=options.beam,
            start=first, advanced=watcher.advanced,
        )  # fmt: skip
        parameters, report = update(parameters, sums, units, options, number, floor)
        if not report.n_frames:
            raise DataError("no utterance could be aligned", got=" ".join(report.unaligned[:20]),
                            fix="Compare transcripts and recordings.")  # fmt: skip
        report = _judged(report, reports, options, _state_names(start))
        reports.append(report)
        if journal is not None:
            journal.save(Saved(parameters, reports))
        watcher.passed(report)
        for note in report.notes:
            watcher.note(f"pass {number}: {note}")
    return parameters, reports


def _silent(model: AcousticModel) -> npt.NDArray[np.bool_]:
    """Tell for each score column whether it is one of silence."""
    silent = np.zeros(model.n_columns, dtype=bool)
    for phone, column in zip(model.phones, model.columns, strict=True):
        silent[column] |= phone in model.silence_phones
    return silent


def _state_names(model: AcousticModel) -> list[str]:
    """Return a name for each score column, such as ``AH.1``."""
    return [
        f"{phone}.{state}"
        for phone, topology in zip(model.phones, model.topologies, strict=True)
        for state in range(topology.n_states)
    ]


def _judged(
    report: PassReport, before: Sequence[PassReport], options: TrainingOptions, names: Sequence[str]
) -> PassReport:
    """Add what a person should know: lost likelihood, utterances and states without data."""
    notes = []
    if before and report.log_likelihood < before[-1].log_likelihood - _ROUNDING:
        causes = []
        if report.n_gaussians + before[-1].n_removed > before[-1].n_gaussians:
            causes.append("Gaussians were split")
        if before[-1].n_removed:
            causes.append(f"{before[-1].n_removed} Gaussians were dropped")
        if report.unaligned != before[-1].unaligned or np.isfinite(options.beam):
            causes.append("other paths or utterances were left out")
        fell = (f"the log-likelihood fell from {before[-1].log_likelihood:.6f} to "
                f"{report.log_likelihood:.6f} a frame")  # fmt: skip
        notes.append(f"{fell}: {', '.join(causes)}" if causes else f"WARNING: {fell}")
    if report.unaligned:
        notes.append(f"no path for {len(report.unaligned)} utterances: "
                     + " ".join(report.unaligned[:_MAX_NAMED]))  # fmt: skip
    if report.unseen and report.number == options.n_passes:
        notes.append("no data for the states " + " ".join(names[s] for s in report.unseen))
    return dataclasses.replace(report, notes=tuple(notes))
