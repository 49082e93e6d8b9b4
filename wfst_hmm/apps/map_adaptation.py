"""An existing model adapted to a new speaker or corpus whose words are known.

In: a model, a lexicon, a corpus with transcripts. Out: the model with its means moved (MAP).

Public names: `MapOptions`, `map_adapt`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from wfst_hmm.apps.recognize import stream_features
from wfst_hmm.errors import DataError, ModelError, WfstHmmError
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.oov import OovOptions, places_of, vocabulary
from wfst_hmm.graph.transcript_context import topology_units, transcript_compiler
from wfst_hmm.graph.units import Units
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.models.map_adaptation import map_adapted
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.options import check, option
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.features import Take
from wfst_hmm.training.material import prepare
from wfst_hmm.training.passes import Parameters, collect
from wfst_hmm.training.workers import Workers

__all__ = ["MapOptions", "map_adapt"]


@dataclasses.dataclass(frozen=True)
class MapOptions:
    """How to adapt."""

    tau: float = option(
        10.0,
        "So many frames the model's own means are worth.",
        above=0,
        what="tau must be positive",
    )
    n_passes: int = option(2, "Alignments, each with the means of the one before.", least=1)
    weights: bool = option(False, "Adapt mixture weights, too.")
    silence_probability: float = option(0.5, "Probability of silence between words.")
    oov: OovOptions = option(OovOptions, "What to do about words that the lexicon lacks.")
    n_workers: int = option(1, "Threads; they change no result.", least=1)

    def __post_init__(self) -> None:
        check(self, "{name}")


def map_adapt(
    model: SpeechModel,
    lexicon: Lexicon,
    corpus: Corpus,
    options: MapOptions | None = None,
    *,
    resample: bool = False,
    on_skip: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> SpeechModel:
    """Return the model adapted to the corpus.

    Parameters
    ----------
    model : AcousticModel or ContextModel
        With Gaussian mixtures. Of a model with densities for unadapted speakers, those are
        adapted and become its only ones.
    lexicon : Lexicon
    corpus : Corpus
        Utterances without a transcript are left out.
    options : MapOptions, optional
    resample : bool
        Convert recordings of another rate than the model's.
    on_skip : callable, optional
        Hears of every utterance that is left out, and why.
    on_note : callable, optional
        Hears what there is to tell of words (`graph.oov`).

    Raises
    ------
    ModelError
        The model has no Gaussian mixtures.
    DataError
        No utterance can be used, or words are missing from the lexicon.
    """
    options = options or MapOptions()
    tell = on_skip or (lambda text: None)
    mixtures = _mixtures(model)
    takes = []
    words = vocabulary(lexicon, places_of(corpus), options.oov, phones=model.phones)
    words.tell(on_note)
    spoken = Corpus(tuple(u for u in corpus if u.words is not None), corpus.where)
    for utterance, features in stream_features(spoken, model, resample=resample,
                                               n_threads=options.n_workers):  # fmt: skip
        if isinstance(features, WfstHmmError):
            tell(f"{utterance.id}: {features}")
        else:
            takes.append(Take(utterance.id, utterance.words or (), features.array,
                              utterance.where, utterance.speaker))  # fmt: skip
    compiler = transcript_compiler(
        model, words.lexicon, LexiconOptions(options.silence_probability)
    )
    graphs = AlignmentGraphs(compiler)
    material, skipped = prepare(takes, words, graphs)
    for entry in skipped:
        tell(f"{entry.id}: {entry.reason}")
    topologies, units = _topologies(model)
    costs = units.move_costs
    graphs.reweight(costs)
    n_frames = 0
    with Workers(options.n_workers) as workers:
        for number in range(options.n_passes):
            sums = collect(Parameters(mixtures, topologies), material, graphs, len(costs), workers)
            n_frames = sums.mixtures.n_frames
            if not n_frames:
                raise DataError("no utterance could be aligned", where=corpus.where or None)
            if not number:
                for id_ in sums.unaligned:
                    tell(f"{id_}: no path")
            # Always from the model's own means: the corpus counts once, however many passes.
            prior = _mixtures(model)
            again = dataclasses.replace(
                sums.mixtures,
                first=sums.mixtures.first
                + sums.mixtures.occupancy[:, None] * (mixtures.means - prior.means),
            )
            mixtures = map_adapted(prior, again, tau=options.tau, weights=options.weights)
    told = dataclasses.asdict(options) | {"oov": options.oov.on_oov}
    facts = {"adapted": {"from": model.hash, "options": json.loads(json.dumps(told)), "n_utterances": len(material.ids), "n_frames": n_frames}}  # fmt: skip
    info: dict[str, Any] = {**model.info, **facts}
    if isinstance(model, AcousticModel):
        return dataclasses.replace(model, mixtures=mixtures, info=info)
    return dataclasses.replace(model, densities=mixtures, unadapted=None, info=info)


def _mixtures(model: SpeechModel) -> MixtureSet:
    if isinstance(model, AcousticModel):
        return model.mixtures
    densities = model.densities if model.unadapted is None else model.unadapted
    if not isinstance(densities, MixtureSet):
        raise ModelError("only models with Gaussian mixtures of their own can be adapted",
                         got="Gaussians that states share")  # fmt: skip
    return densities


def _topologies(model: SpeechModel) -> tuple[tuple[Topology, ...], Units]:
    if isinstance(model, AcousticModel):
        units = Units.of_phones(model.topologies, model.state_labels())
        return model.topologies, units
    topologies = model.context.topologies
    return topologies, topology_units(topologies)
