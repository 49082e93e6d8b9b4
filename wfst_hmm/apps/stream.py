"""Speech recognized while it is spoken.

In: a `Recognizer`, then samples in pieces of any size. Out: the words so far, finished segments
with absolute times, and at the end what decoding everything at once would have given.

Public names: `Partial`, `Segment`, `Stream`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import UsageError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.lattice.answer import AnswerOptions, answer
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.endpoints import EndpointRules
from wfst_hmm.search.online import OnlineSearch
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.rejection import Filler, beside_filler, judged
from wfst_hmm.search.result import Decoded, NoPath, Word
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.live_cmvn import LiveCmvnOptions
from wfst_hmm.signal.streaming import FeatureStream, SampleStream

__all__ = ["Partial", "Segment", "Stream"]


@dataclasses.dataclass(frozen=True)
class Partial:
    """The words of the segment that is being spoken.

    Attributes
    ----------
    words : tuple of str
    n_stable : int
        So many of them, from the first, will not change any more.
    start, end : float
        Seconds of the stream that the segment covers so far.
    """

    words: tuple[str, ...]
    n_stable: int
    start: float
    end: float

    @property
    def text(self) -> str:
        """The words with blanks between them."""
        return " ".join(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {"partial": self.text, "n_stable": self.n_stable, **_times(self.start, self.end)}


def _times(start: float, end: float) -> dict[str, float]:
    """Return times for JSON, to the microsecond: 70 frames of 0.01 s end at 0.7."""
    return {"start": round(start, 6), "end": round(end, 6)}


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """A finished stretch of the stream.

    Attributes
    ----------
    number : int
        From 0.
    start, end : float
        Seconds from the start of the stream.
    result : Decoded or NoPath
        Times in it count from `start`.
    second_search : callable, optional
        What a stream with ``answers_later`` left to `with_confidences`.
    """

    number: int
    start: float
    end: float
    result: Decoded | NoPath
    second_search: Callable[[Decoded], Decoded] | None = None

    def with_confidences(self) -> Segment:
        """Return the segment after the second search, if that has been left to do.

        It may run in another thread, while the stream goes on.
        """
        if self.second_search is None or not isinstance(self.result, Decoded):
            return self
        return dataclasses.replace(self, result=self.second_search(self.result), second_search=None)

    @property
    def decoded(self) -> Decoded | None:
        """The best path, or the best one that is not complete; None where there is neither."""
        return self.result if isinstance(self.result, Decoded) else self.result.partial

    @property
    def words(self) -> tuple[Word, ...]:
        """The words, their times counted from the start of the stream."""
        found = self.decoded
        return tuple(
            dataclasses.replace(word, start=self.start + word.start, end=self.start + word.end)
            for word in (found.words if found is not None else ())
        )

    @property
    def text(self) -> str:
        """The words with blanks between them."""
        return " ".join(word.text for word in self.words)

    @property
    def rejected(self) -> bool:
        """Whether what was said is nothing that the grammar knows."""
        return isinstance(self.result, Decoded) and self.result.rejected

    def to_dict(self) -> dict[str, Any]:
        """Return the segment, JSON-ready; word times are those of the stream."""
        made: dict[str, Any] = {
            "segment": self.number, **_times(self.start, self.end), "text": self.text,
            "words": [
                {key: value for key, value in dataclasses.asdict(word).items() if value is not None}
                | _times(word.start, word.end)
                for word in self.words
            ],
        }  # fmt: skip
        if isinstance(self.result, Decoded):
            made["total_cost"] = self.result.total_cost
            if self.result.filler_margin is not None:
                made |= {"rejected": self.rejected, "filler_margin": self.result.filler_margin}
            if self.rejected:
                made["rejected_text"] = " ".join(w.text for w in self.result.rejected_words)
        else:
            made |= {"reason": self.result.reason, "detail": self.result.detail}
        return made


class Stream:
    """A recognizer that listens: `accept` samples, ask for the `partial` words, `finish`.

    Whatever the sizes of the pieces, the results are those of one piece, to the bit: frames are
    scored and searched in blocks of fixed places.

    Parameters
    ----------
    recognizer : Recognizer
    options : SearchOptions, optional
        Frames that are gone are not searched again with
        a wider beam, as `search.decode.decode` does.
    endpoints : EndpointRules, optional
        Where segments end; without them everything is one segment.
    normalization : LiveCmvnOptions, optional
        How the mean is found while the audio comes in.
    stats : CmvnStats, optional
        Of the speaker, known beforehand; with ``LiveCmvnOptions("fixed")`` the result is that of
        decoding the whole recording with these statistics. By default those of what the model was
        trained on.
    rate : int, optional
        Samples per second that come in, by default the model's.
    resample : bool
        Convert another rate instead of refusing it.
    channel : int, optional
        Which channel of pieces of shape (N, C).
    costs : WordCosts, optional
        Boosted phrases, another language model (`apps.word_costs.word_costs`).
    filler : Filler, optional
        A loop of phones beside which segments are judged and perhaps `rejected`.
    answers : AnswerOptions, optional
        Give the words of finished segments confidences: their scores are kept until they end, and
        searched once more for a lattice. Only with `endpoints`, whose longest segment bounds what
        is kept.
    answers_later : bool
        Leave that second search, which takes longer than the first, to whoever calls
        `Segment.with_confidences`.
    block_frames : int
        Frames scored and searched at a time: the smaller, the sooner the answer.

    Raises
    ------
    UsageError
        A rate is wrong, or `answers` are wanted where they cannot be had.

    Examples
    --------
    From a microphone that fills ``pieces``::

        stream = Stream(Recognizer.load("graph"), endpoints=ENDPOINTS)
        for samples in pieces:
            for segment in stream.accept(samples):
                print(segment.text)
        print(stream.finish())
    """

    def __init__(
        self,
        recognizer: Recognizer,
        options: SearchOptions | None = None,
        *,
        endpoints: EndpointRules | None = None,
        normalization: LiveCmvnOptions | None = None,
        stats: CmvnStats | None = None,
        rate: int | None = None,
        resample: bool = False,
        channel: int | None = None,
        costs: WordCosts | None = None,
        filler: Filler | None = None,
        answers: AnswerOptions | None = None,
        answers_later: bool = False,
        block_frames: int = 10,
    ) -> None:
        model = recognizer.model
        # Nobody has adapted the model to this speaker yet.
        self._model = model.first_pass() if isinstance(model, ContextModel) else model
        self._graph = recognizer.graph
        self._options = (options or SearchOptions()).of(recognizer.graph)
        self._endpoints = endpoints
        self._costs = costs
        self._filler = filler
        if answers is not None and endpoints is None:
            raise UsageError("confidences need endpoint rules",
                             fix="Give endpoints, or leave the answers out.")  # fmt: skip
        self._answers = answers
        self._answers_later = answers_later
        self._kept: list[npt.NDArray[np.float32]] = []  # scores of the segment
        self._samples = SampleStream(
            self._model.rate, rate, resample=resample, channel=channel
        )  # fmt: skip
        front_end = self._model.front_end
        if stats is None:
            stats = CmvnStats.of_training(model.info) or front_end.usual_stats()
        #: Whether it is known where the mean lies before anything was said.
        self.knows_mean = stats is not None or front_end.normalization == "none"
        self._features = FeatureStream(
            front_end, self._model.finish, normalization,
            reach=self._model.reach, stats=stats, block_frames=block_frames,
        )  # fmt: skip
        self._shift, self._offset = self._model.frame_shift, self._model.frame_offset
        self._n_samples = 0
        self._first_frame = 0  # of the segment
        self._n_segments = 0
        self._finished = False
        self._begin_segment()

    def accept(self, samples: npt.ArrayLike) -> list[Segment]:
        """Take the next samples; return the segments that ended in them.

        Parameters
        ----------
        samples : array_like, shape (N,) or (N, C)
            Floating point at full scale 1, or int16; may be empty.

        Raises
        ------
        DataError
            Samples that are not finite, of another type, or of several channels of which none
            was chosen. Nothing of the piece was taken: the stream can go on.
        UsageError
            The stream is finished.
        """
        if self._finished:
            raise UsageError("the stream is finished", fix="Make a new one.")
        return self._take(self._features.accept(self._counted(self._samples.accept(samples))))

    def _counted(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._n_samples += len(samples)
        return samples

    def _time(self, frame: int) -> float:
        """Return when a frame takes over from the one before, seconds from the stream's start."""
        return frame * self._shift + self._offset if frame else 0.0

    def partial(self) -> Partial:
        """Return the words so far of the segment that is being spoken."""
        words, n_stable = self._search.words()
        end = self._first_frame + self._search.n_frames
        return Partial(words, n_stable, self._time(self._first_frame), self._time(end))

    def close(self) -> list[Segment]:
        """Take no more samples; return the segments that end with the stream, the last one last.

        Raises
        ------
        UsageError
            The stream is finished already.
        """
        if self._finished:
            raise UsageError("the stream is finished", fix="Make a new one.")
        self._finished = True
        ended = self._take(self._features.accept(self._counted(self._samples.finish())))
        ended += self._take(self._features.finish())
        return [*ended, self._end_segment(self._n_samples / self._model.rate)]

    def finish(self) -> Decoded | NoPath:
        """Take no more samples; return the result of the last segment, of all without rules."""
        return self.close()[-1].result

    def _begin_segment(self) -> None:
        self._search = OnlineSearch(self._graph, self._options, self._costs)
        self._beside = None
        if self._filler is not None:
            self._beside = OnlineSearch(self._filler.graph, self._options)

    def _take(self, blocks: list[Features]) -> list[Segment]:
        ended: list[Segment] = []
        for block in blocks:
            ended += self._searched(self._model.score(block))
        return ended

    def _searched(self, scores: Scores) -> list[Segment]:
        ended: list[Segment] = []
        taken = self._advance(scores)
        if self._endpoints is None:
            return ended
        while self._search.lost:
            # The rest of the block belongs to the next segment, but for a frame that nothing fits.
            if self._search.n_frames:
                ended.append(self._end_segment())
            else:
                self._first_frame += 1
                taken = 1
                self._begin_segment()
            scores = dataclasses.replace(scores, array=scores.array[taken:])
            taken = self._advance(scores)
        if self._endpoints.reached(self._search.trail(self._shift)):
            ended.append(self._end_segment())
        return ended

    def _advance(self, scores: Scores) -> int:
        """Search a block; return how many of its frames were taken."""
        before = self._search.n_frames
        self._search.advance(scores)
        taken = self._search.n_frames - before
        if self._answers is not None:
            self._kept.append(scores.array[:taken])
        if self._beside is not None:
            self._beside.advance(dataclasses.replace(scores, array=scores.array[:taken]))
        return taken

    def _end_segment(self, seconds: float | None = None) -> Segment:
        """Make a segment of what was searched, up to the stream's end if given; begin the next."""
        first, last = self._first_frame, self._first_frame + self._search.n_frames
        start = self._time(first)
        end = max(start, self._time(last) if seconds is None else seconds)
        # Within a segment times count from its start: only the first one begins with a window.
        offset = 0.0 if first else self._offset
        result = self._search.result(self._shift, offset, end - start)
        if self._filler is not None and self._beside is not None and isinstance(result, Decoded):
            result = judged(result, self._beside.acoustic_cost(), self._filler, self._options)
        second = None
        if isinstance(result, Decoded) and self._answers is not None and result.words:
            second = functools.partial(
                _answered, self._graph, self._kept, self._options, self._answers, self._filler,
                self._costs,
            )  # fmt: skip
            if not self._answers_later:
                result, second = second(result), None
        self._kept = []
        segment = Segment(self._n_segments, start, end, result, second)
        self._n_segments += 1
        self._first_frame = last
        self._begin_segment()
        return segment


def _answered(
    graph: AnyGraph,
    kept: list[npt.NDArray[np.float32]],
    options: SearchOptions,
    wanted: AnswerOptions,
    filler: Filler | None,
    costs: WordCosts | None,
    result: Decoded,
) -> Decoded:
    """Give words their confidences, where the second search finds the same ones."""
    scores = Scores(np.concatenate(kept), result.frame_shift, result.frame_offset, result.seconds)
    found = answer(graph, scores, options, wanted, costs)
    if isinstance(found, NoPath) or found.decoded.text != result.text:
        return result
    words = tuple(
        dataclasses.replace(word, confidence=other.confidence)
        for word, other in zip(result.words, found.decoded.words, strict=True)
    )
    sure = dataclasses.replace(result, words=words)
    return sure if filler is None else beside_filler(sure, filler)
