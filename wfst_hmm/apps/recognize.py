"""Decoding many recordings: features, scores, search and results, one utterance after another.

In: a `Recognizer` and a `Corpus` or audio files. Out: an `Outcome` per utterance, in the order
of the input. A wrong utterance is an outcome with its error, and the next one goes on.

Public names: `Outcome`, `corpus_of_files`, `corpus_of_inputs`, `decode_corpus`, `in_order`, `is_list`,
`pools_speakers`, `stream_features`, `utterance_stats`.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from wfst_hmm.apps.adaptation import AdaptationOptions, SpeakerReport, adapted_features
from wfst_hmm.apps.codebook_speakers import SpeakerModels
from wfst_hmm.apps.librispeech import is_librispeech, read_librispeech
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.arrays import as_paths
from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.formats.htk.script import is_script, read_script
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.kinds import Look
from wfst_hmm.lattice.answer import Alternative, Answer, AnswerOptions, answer
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.models.scores import Scores
from wfst_hmm.remote import as_url, is_folder
from wfst_hmm.search.cross_check import CrossCheck, cross_check
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.rejection import Filler, filler_cost, judged
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.signal.audio import RawFormat
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.extract import Raw, timed_cepstra, utterance_cepstra
from wfst_hmm.signal.features import Features

__all__ = [
    "Outcome",
    "corpus_of_files",
    "corpus_of_inputs",
    "decode_corpus",
    "in_order",
    "is_list",
    "pools_speakers",
    "stream_features",
    "utterance_stats",
]

_AHEAD = 4  # utterances per thread that may wait for the first of them to be fetched
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one utterance.

    Attributes
    ----------
    utterance : Utterance
    result : Decoded, NoPath or None
        None when its audio could not be used.
    error : WfstHmmError or None
        Why it could not be used.
    check : CrossCheck or None
        The three searches side by side, where that was asked for.
    seconds : float
        Time that scoring and searching took.
    lattice : Lattice or None
        Where it was asked for.
    alternatives : tuple of Alternative
        The n-best list, where it was asked for.
    """

    utterance: Utterance
    result: Decoded | NoPath | None
    error: WfstHmmError | None = None
    check: CrossCheck | None = None
    seconds: float = 0.0
    lattice: Lattice | None = None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def decoded(self) -> Decoded | None:
        """The best path, None when there is none."""
        return self.result if isinstance(self.result, Decoded) else None

    @property
    def problem(self) -> str | None:
        """One line about what is wrong with the utterance, None when nothing is."""
        if self.error is not None:
            return str(self.error)
        if isinstance(self.result, NoPath):
            return f"{self.utterance.place}: no path: {self.result.detail}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome, JSON-ready."""
        made: dict[str, Any] = {"id": self.utterance.id, "audio": str(self.utterance.audio)}
        if self.utterance.words is not None:
            made["reference"] = " ".join(self.utterance.words)
        if self.result is not None:
            made |= self.result.to_dict()
        if self.alternatives:
            made["alternatives"] = [other.to_dict() for other in self.alternatives]
        if self.problem is not None:
            made["error"] = self.problem
        if self.check is not None:
            made["cross_check"] = {
                "verdict": self.check.verdict,
                "detail": self.check.detail,
                "total_costs": {
                    name: result.total_cost if isinstance(result, Decoded) else None
                    for name, result in self.check.results.items()
                },
            }
        return made


def corpus_of_files(paths: str | Path | Iterable[str | Path]) -> Corpus:
    """Return a corpus of one utterance per audio file, each with a speaker of its own.

    Ids are the files' names without endings; where two are alike, the folder's name and then a
    number make them differ.
    """
    utterances: list[Utterance] = []
    taken: set[str] = set()
    for path in as_paths(paths):
        plain = re.sub(r"\s+", "_", path.stem) or "audio"
        parent = re.sub(r"\s+", "_", path.absolute().parent.name)
        numbered = (f"{plain}-{number}" for number in range(2, len(utterances) + 3))
        id_ = next(c for c in (plain, f"{parent}-{plain}", *numbered) if c not in taken)
        taken.add(id_)
        utterances.append(Utterance(id_, path, None, id_))
    return Corpus(tuple(utterances), "the command line")


def corpus_of_inputs(
    paths: str | Path | Iterable[str | Path],
    *,
    channel: int | None = None,
    raw: RawFormat | None = None,
    on_error: Callable[[str, WfstHmmError], None] | None = None,
) -> Corpus:
    """Return one corpus of all that is named: data directories, manifests and recordings.

    Parameters
    ----------
    paths : path, or iterable of paths
    channel, raw
        How recordings are read, as for `Corpus.recorded`.
    on_error : callable, optional
        As for `formats.data.read_corpus`.
    """
    utterances: list[Utterance] = []
    recordings: list[Path] = []
    for path in as_paths(paths):
        if is_librispeech(path):
            utterances += read_librispeech(path, on_error=on_error)
        elif is_script(path):
            utterances += read_script(path)
        elif is_folder(path) or _is_manifest(path):
            utterances += read_corpus(path, on_error=on_error)
        else:
            recordings.append(path)
    utterances += corpus_of_files(recordings)
    return Corpus(tuple(utterances), "the command line").recorded(channel, raw)


def is_list(path: Path) -> bool:
    """Tell whether a path names many recordings: a data directory or a manifest."""
    return is_folder(path) or _is_manifest(path)


def _is_manifest(path: Path) -> bool:
    if as_url(path) is not None:
        return path.suffix in (".tsv", ".txt")
    try:
        return bool(Look(path).text)  # whatever its first line says: text is no recording
    except WfstHmmError:  # as a recording it will be reported, and skipped
        return False


def in_order(
    function: Callable[[Item], Made], items: Iterable[Item], n_threads: int
) -> Iterator[Made]:
    """Yield ``function(item)`` in the order of `items`, working ahead in threads.

    Only a few results per thread are kept waiting, so that endless inputs can be streamed.
    """
    if n_threads < 1:
        raise UsageError("at least one thread is needed", where="threads", got=n_threads)
    if n_threads == 1:
        yield from map(function, items)
        return
    waiting: collections.deque[Future[Made]] = collections.deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= _AHEAD * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def stream_features(
    corpus: Corpus,
    model: SpeechModel,
    *,
    resample: bool = False,
    stats: Mapping[str, CmvnStats] | None = None,
    n_threads: int = 1,
) -> Iterator[tuple[Utterance, Features | WfstHmmError]]:
    """Yield every utterance's features, or why there are none, in the corpus's order.

    With CMVN per speaker an utterance waits until its speaker's last one has been read; a
    corpus that is sorted by speaker is never held in memory as a whole.

    Parameters
    ----------
    corpus : Corpus
    model : AcousticModel or ContextModel
        Its front end is used.
    resample : bool
        Convert recordings of another rate than the model's instead of refusing them.
    stats : mapping of str to CmvnStats, optional
        Of speakers who say more than this corpus holds; the others' are summed here.
    n_threads : int
    """
    front_end = model.front_end

    def raw_of(utterance: Utterance) -> tuple[Utterance, tuple[Raw, float | None] | WfstHmmError]:
        try:
            return utterance, timed_cepstra(utterance, front_end, resample=resample)
        except WfstHmmError as error:
            return utterance, error

    pooled = pools_speakers(model)
    known = dict(stats or {})
    left = collections.Counter(utterance.speaker for utterance in corpus)
    parts: dict[str, list[CmvnStats]] = collections.defaultdict(list)
    waiting: collections.deque[tuple[Utterance, tuple[Raw, float | None] | WfstHmmError]]
    waiting = collections.deque()
    for utterance, raw in in_order(raw_of, corpus, n_threads):
        waiting.append((utterance, raw))
        left[utterance.speaker] -= 1
        wanted = pooled and utterance.speaker not in known
        if wanted and not isinstance(raw, WfstHmmError):
            parts[utterance.speaker].append(front_end.stats(raw[0]))
        if wanted and not left[utterance.speaker] and parts[utterance.speaker]:
            known[utterance.speaker] = CmvnStats.merge(parts.pop(utterance.speaker))
        while waiting and not (pooled and left[waiting[0][0].speaker]):
            first, array = waiting.popleft()
            yield first, _finished(first, array, model, known.get(first.speaker))


def pools_speakers(model: SpeechModel) -> bool:
    """Tell whether features depend on what else their speaker says."""
    return model.front_end.normalization == "speaker"


def utterance_stats(
    corpus: Corpus, model: SpeechModel, *, resample: bool = False
) -> dict[str, CmvnStats]:
    """Return what each utterance adds to its speaker's statistics; unusable ones are left out."""
    found = {}
    for utterance in corpus:
        with contextlib.suppress(WfstHmmError):
            raw = utterance_cepstra(utterance, model.front_end, resample=resample)
            found[utterance.id] = model.front_end.stats(raw)
    return found


def _finished(
    utterance: Utterance,
    raw: tuple[Raw, float | None] | WfstHmmError,
    model: SpeechModel,
    stats: CmvnStats | None,
) -> Features | WfstHmmError:
    if isinstance(raw, WfstHmmError):
        return raw
    try:
        return dataclasses.replace(model.finish(raw[0], stats), seconds=raw[1])
    except WfstHmmError as error:
        return _placed(error, utterance)


def _placed(error: WfstHmmError, utterance: Utterance) -> WfstHmmError:
    """Return the error with the utterance's name in front."""
    what = f"{error.where}: {error.what}" if error.where else error.what
    return type(error)(
        what, where=utterance.place, got=error.got, expected=error.expected, fix=error.fix
    )


def decode_corpus(
    recognizer: Recognizer,
    corpus: Corpus | str | Path | Iterable[str | Path],
    options: SearchOptions | None = None,
    *,
    check: bool = False,
    answers: AnswerOptions | None = None,
    costs: WordCosts | None = None,
    filler: Filler | None = None,
    adapt: AdaptationOptions | None = None,
    told: Callable[[SpeakerReport], None] | None = None,
    resample: bool = False,
    stats: Mapping[str, CmvnStats] | None = None,
    n_threads: int = 1,
) -> Iterator[Outcome]:
    """Decode every utterance.

    Parameters
    ----------
    recognizer : Recognizer
    corpus : Corpus, path, or iterable of paths
        Recordings, manifests and data directories.
    options : SearchOptions, optional
    check : bool
        Run all three searches on every utterance and compare them.
    answers : AnswerOptions, optional
        Confidences, n-best lists, lattices; by default the best words alone.
    costs : WordCosts, optional
        Boosted phrases, another language model (`apps.word_costs`), for the beam search.
    filler : Filler, optional
        Beside which results are judged and perhaps `rejected`.
    adapt : AdaptationOptions, optional
        Adapt to every speaker by a first pass over all of the speaker's utterances.
    told : callable, optional
        Hears of every speaker that was adapted to.
    resample : bool
        Convert recordings of another rate than the model's instead of refusing them.
    stats : mapping of str to CmvnStats, optional
        As for `stream_features`.
    n_threads : int
        Results and their order do not depend on it.

    Yields
    ------
    Outcome
        One for each utterance, in the order of the corpus.

    Raises
    ------
    UsageError
        `costs` with another search, or with a comparison of searches.
    """
    options = (options or SearchOptions()).of(recognizer.graph)
    wanted = answers or AnswerOptions(confidence=False)
    if costs is not None and (check or not options.is_beam):
        raise UsageError("costs of words are for the beam search alone",
                         fix="Leave out the other searches.")  # fmt: skip
    corpus = corpus if isinstance(corpus, Corpus) else corpus_of_inputs(corpus)
    model = recognizer.model
    score: Callable[[Features], Scores] = model.score
    speakers = None
    if adapt is not None and isinstance(model, ContextModel):
        score = functools.partial(model.score, adapted=True)
        if isinstance(model.densities, CodebookSet):
            speakers = SpeakerModels(model, model.densities, recognizer.graph,
                                     lambda scores: decode(recognizer.graph, scores, options),
                                     adapt)  # fmt: skip

    def work(item: tuple[Utterance, Features | WfstHmmError]) -> Outcome:
        utterance, features = item
        if isinstance(features, WfstHmmError):
            return Outcome(utterance, None, features)
        begun = time.perf_counter()
        try:
            scores = score(features) if speakers is None else speakers.score(utterance, features)
            checked = cross_check(recognizer.graph, scores, options) if check else None
            if checked is not None and not wanted.needs_lattice:
                result = checked.results["beam" if options.is_beam else options.search]
                found = Answer(result) if isinstance(result, Decoded) else result
            else:
                found = answer(recognizer.graph, scores, options, wanted, costs)
            if filler is not None and not isinstance(found, NoPath):
                cost = filler_cost(filler, scores, options)
                better = judged(found.decoded, cost, filler, options)
                found = dataclasses.replace(found, decoded=better)
        except WfstHmmError as error:
            return Outcome(utterance, None, _placed(error, utterance))
        seconds = time.perf_counter() - begun
        if isinstance(found, NoPath):
            return Outcome(utterance, found, None, checked, seconds)
        return Outcome(utterance, found.decoded, None, checked, seconds, found.lattice,
                       found.alternatives)  # fmt: skip

    features = stream_features(corpus, model, resample=resample, stats=stats, n_threads=n_threads)
    if speakers is not None:
        features = speakers.learned(features, [utterance.speaker for utterance in corpus])
    elif adapt is not None:
        graph = recognizer.graph
        features = adapted_features(
            model, graph, features, lambda scores: decode(graph, scores, options),
            [utterance.speaker for utterance in corpus], adapt, told=told,
        )  # fmt: skip
    return in_order(work, features, n_threads)
