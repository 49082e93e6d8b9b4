"""What workers do with a shard of utterances.

In: a job, which names graphs and models by their paths, and utterances. Out: one result for each
utterance, in their order. A worker loads graph and model once and keeps them for the next shard.

Public names: `AlignJob`, `DecodeJob`, `DiarizeJob`, `FeaturesJob`, `Job`,
`needs_whole_speakers`, `pools`, `prepared`, `run_shard`, `sum_shard`, `tools_of`.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from wfst_hmm.apps.adaptation import AdaptationOptions, SpeakerReport
from wfst_hmm.apps.align import LEAVE_OUT, align_corpus
from wfst_hmm.apps.diarization.diarize import run_job
from wfst_hmm.apps.diarization.options import DiarizerOptions
from wfst_hmm.apps.diarization.options import Job as Recording
from wfst_hmm.apps.recognize import (
    Outcome,
    decode_corpus,
    pools_speakers,
    stream_features,
    utterance_stats,
)
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.word_costs import WordOptions, WordTools, word_tools
from wfst_hmm.cluster.shards import files_digest
from wfst_hmm.cluster.shipping import located
from wfst_hmm.cluster.values import pack, unpack
from wfst_hmm.errors import DataError, WfstHmmError
from wfst_hmm.formats.rttm import Turn
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.oov import OovOptions
from wfst_hmm.lattice.answer import AnswerOptions
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.speech import SpeechOptions

__all__ = [
    "AlignJob",
    "DecodeJob",
    "DiarizeJob",
    "FeaturesJob",
    "Job",
    "needs_whole_speakers",
    "pools",
    "prepared",
    "run_shard",
    "sum_shard",
    "tools_of",
]

Stats = Mapping[str, CmvnStats]

_LOADING = threading.Lock()


class Job(Protocol):
    """One kind of work: a frozen dataclass of plain values, so that it travels; paths are absolute.

    Attributes
    ----------
    digest : str
        Of the content of its files (`prepared` fills it in).
    """

    @property
    def digest(self) -> str:
        """Return the files' digest."""

    def files(self) -> tuple[Path, ...]:
        """Return what workers need beside recordings."""

    def model(self) -> SpeechModel | None:
        """Return the model whose front end computes the features; None: none is shared."""

    def load(self) -> None:
        """Read the files, and complain about them."""

    def run(self, corpus: Corpus, stats: Stats) -> list[Any]:
        """Return a result for every utterance."""


@dataclasses.dataclass(frozen=True)
class DecodeJob:
    """Decode by a graph directory, with the model inside it or another one."""

    graph: Path
    model_path: Path | None
    options: SearchOptions
    check: bool = False
    answers: AnswerOptions | None = None
    resample: bool = False
    words: WordOptions = WordOptions()  # noqa: RUF009 (frozen)
    adapt: AdaptationOptions | None = None
    digest: str = ""

    def files(self) -> tuple[Path, ...]:
        """Return graph, model, and the files of `words`."""
        own = (self.graph,) if self.model_path is None else (self.graph, self.model_path)
        return (*own, *self.words.files())

    def model(self) -> SpeechModel:
        """Return the recognizer's."""
        return _recognizer(self).model

    def load(self) -> None:
        """Read graph, model, and the files of `words`."""
        tools_of(self)

    def run(self, corpus: Corpus, stats: Stats) -> list[Outcome]:
        """Decode; what there is to tell of a speaker stands in the notes of the first result."""
        recognizer, tools = _recognizer(self), tools_of(self)
        reports: list[SpeakerReport] = []
        outcomes = list(decode_corpus(
            recognizer, corpus, self.options, check=self.check, answers=self.answers,
            adapt=self.adapt, told=reports.append, costs=tools.costs, filler=tools.filler,
            resample=self.resample, stats=stats,
        ))  # fmt: skip
        notes = {r.speaker: r.transform.note for r in reports if r.transform.note}
        return [_noted(outcome, notes) for outcome in outcomes]


def _noted(outcome: Outcome, notes: dict[str, str]) -> Outcome:
    speaker = outcome.utterance.speaker
    if outcome.decoded is None or speaker not in notes:
        return outcome
    note = f"speaker {speaker}: {notes.pop(speaker)}"
    decoded = dataclasses.replace(outcome.decoded, notes=(*outcome.decoded.notes, note))
    return dataclasses.replace(outcome, result=decoded)


@dataclasses.dataclass(frozen=True)
class AlignJob:
    """Align with known transcripts; files of the lexicon's specification by absolute paths."""

    model_path: Path
    lexicon: str
    silence: LexiconOptions
    resample: bool = False
    search: str = "exact"
    oov: OovOptions = LEAVE_OUT
    digest: str = ""

    def files(self) -> tuple[Path, ...]:
        """Return the model and the lexicon's own files."""
        parts = [Path(part) for part in self.lexicon.split("+")]
        return (self.model_path, *(part for part in parts if part.is_absolute()))

    def model(self) -> SpeechModel:
        """Return the model."""
        return _model(self)

    def load(self) -> None:
        """Read model and lexicon."""
        _model(self), _lexicon(self)

    def run(self, corpus: Corpus, stats: Stats) -> list[Outcome]:
        """Align."""
        lexicon = _lexicon(self)
        return list(align_corpus(_model(self), lexicon, corpus, silence=self.silence,
                                 search=self.search, resample=self.resample, stats=stats,
                                 oov=self.oov))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FeaturesJob:
    """Compute the features that a model hears."""

    model_path: Path
    resample: bool = False
    digest: str = ""

    def files(self) -> tuple[Path, ...]:
        """Return the model."""
        return (self.model_path,)

    def model(self) -> SpeechModel:
        """Return the model."""
        return _model(self)

    def load(self) -> None:
        """Read the model."""
        _model(self)

    def run(self, corpus: Corpus, stats: Stats) -> list[Features | WfstHmmError]:
        """Compute."""
        stream = stream_features(corpus, self.model(), resample=self.resample, stats=stats)
        return [features for _, features in stream]


@dataclasses.dataclass(frozen=True)
class DiarizeJob:
    """Tell who speaks when in each recording."""

    options: DiarizerOptions
    speech: SpeechOptions
    detector: str = "energy"
    digest: str = ""

    def files(self) -> tuple[Path, ...]:
        """Nothing but recordings."""
        return ()

    def model(self) -> None:
        """No model is shared."""
        return

    def load(self) -> None:
        """There is nothing to read."""

    def run(self, corpus: Corpus, stats: Stats) -> list[tuple[Turn, ...] | WfstHmmError]:
        """Diarize."""
        return [self._turns(utterance) for utterance in corpus]

    def _turns(self, utterance: Utterance) -> tuple[Turn, ...] | WfstHmmError:
        if (utterance.start, utterance.end) != (None, None):
            return DataError("a stretch of a recording", where=utterance.place,
                             expected="a whole recording")  # fmt: skip
        try:
            return run_job(Recording(
                utterance.id, utterance.audio, options=self.options, speech=self.speech,
                channel=utterance.channel, raw=utterance.raw, detector=self.detector,
            )).turns  # fmt: skip
        except WfstHmmError as error:
            return error


AnyJob = TypeVar("AnyJob", DecodeJob, AlignJob, FeaturesJob, DiarizeJob)


def prepared(job: AnyJob) -> AnyJob:
    """Return the job with the digest of its files, which have been read once.

    Raises
    ------
    WfstHmmError
        A file of it is missing or damaged: shown here, before the work begins.
    """
    missing = [path for path in job.files() if not path.exists()]
    if not missing:
        job = dataclasses.replace(job, digest=files_digest(job.files()))
    job.load()
    return job


def run_shard(job: Job, utterances: tuple[Utterance, ...], stats: bytes) -> bytes:
    """Do a job on a shard; called on the worker.

    Parameters
    ----------
    job : Job
    utterances : tuple of Utterance
    stats : bytes
        Packed statistics of those speakers of whom other shards hold utterances, too.
    """
    return pack(job.run(Corpus(utterances), unpack(stats)))


def sum_shard(job: Job, utterances: tuple[Utterance, ...]) -> bytes:
    """Return each utterance's part of its speaker's statistics, by id; called on the worker."""
    model = job.model()
    resample = bool(getattr(job, "resample", False))
    found = {} if model is None else utterance_stats(Corpus(utterances), model, resample=resample)
    return pack(found)


def pools(job: Job) -> bool:
    """Tell whether utterances of one speaker depend on each other."""
    model = job.model()
    return model is not None and pools_speakers(model)


def needs_whole_speakers(job: Job) -> bool:
    """Tell whether all that a speaker says has to be in one shard."""
    return isinstance(job, DecodeJob) and job.adapt is not None


def _recognizer(job: DecodeJob) -> Recognizer:
    with _LOADING:  # threads would each load their own
        model = None if job.model_path is None else located(job.model_path)
        return _loaded_recognizer(located(job.graph), model, job.digest)


# A worker may live long, and files may change meanwhile: they are kept by their content's digest.
@functools.lru_cache(maxsize=2)
def _loaded_recognizer(graph: Path, model: Path | None, digest: str) -> Recognizer:
    return Recognizer.load(graph, model)


def tools_of(job: DecodeJob) -> WordTools:
    """Return what the job does about words beside the graph; read once."""
    recognizer = _recognizer(job)
    with _LOADING:
        return _loaded_tools(job.words, recognizer, job.digest)


@functools.lru_cache(maxsize=2)
def _loaded_tools(words: WordOptions, recognizer: Recognizer, digest: str) -> WordTools:
    return word_tools(words, recognizer, located=located)


def _model(job: AlignJob | FeaturesJob) -> SpeechModel:
    with _LOADING:
        return _loaded_model(located(job.model_path), job.digest)


@functools.lru_cache(maxsize=2)
def _loaded_model(path: Path, digest: str) -> SpeechModel:
    return load_model(path)


def _lexicon(job: AlignJob) -> Lexicon:
    files = {str(path): str(located(path)) for path in job.files()}
    parts = [files.get(part, part) for part in job.lexicon.split("+")]
    with _LOADING:
        return _loaded_lexicon("+".join(parts), job.digest)


@functools.lru_cache(maxsize=2)
def _loaded_lexicon(spec: str, digest: str) -> Lexicon:
    return lexicon_from_spec(spec)
