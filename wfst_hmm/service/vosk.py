"""Vosk's WebSocket protocol: clients of its server work unchanged.

In: a client's messages: a ``config`` perhaps, audio (16-bit samples), ``{"eof" : 1}``. Out: one
answer to every piece of audio: ``partial``, or a finished stretch with ``text`` and ``result``, or
``alternatives`` where the client wants them; and the last words.

Public names: `VoskConfig`, `VoskSession`, `parse_config`.

Notes
-----
As the server of https://github.com/alphacep/vosk-server answers (``websocket/asr_server.py``):
clients send a piece and wait for its answer. Its ``phrase_list`` is a loop of phrases here, with
rejection where it holds ``[unk]``; its ``model`` is not heeded.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Segment, Stream
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.search.rejection import Filler
from wfst_hmm.service.protocol import RATES, ProtocolError, samples_of
from wfst_hmm.service.sessions import Hub

__all__ = ["VoskConfig", "VoskSession", "parse_config"]

_UNKNOWN = "[unk]"
_MOST_WORDS = 1000  # of a phrase list
_KEPT = 16  # graphs of phrase lists


@dataclasses.dataclass(frozen=True)
class VoskConfig:
    """What a client asks for.

    Attributes
    ----------
    sample_rate : int
    words : bool
        Whether finished stretches list their words with times.
    phrase_list : tuple of str
        Only these may be said; none: what the graph knows.
    max_alternatives : int
    """

    sample_rate: int = 8000
    words: bool = True
    phrase_list: tuple[str, ...] = ()
    max_alternatives: int = 0


def parse_config(text: str, before: VoskConfig) -> VoskConfig:
    """Return what a ``config`` message says beside what was known.

    Raises
    ------
    ProtocolError
        It is none, or a value is impossible. Fields that Vosk does not know are passed over.
    """
    try:
        given = json.loads(text)["config"]
        known = {f.name: given[f.name] for f in dataclasses.fields(VoskConfig) if f.name in given}
        phrases = known.get("phrase_list", before.phrase_list)
        phrases = json.loads(phrases) if isinstance(phrases, str) else phrases
        config = VoskConfig(
            round(float(known.get("sample_rate", before.sample_rate))),
            bool(known.get("words", before.words)), tuple(str(phrase) for phrase in phrases),
            int(known.get("max_alternatives", before.max_alternatives)),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ProtocolError("bad_message", "not a config of Vosk's") from None
    if config.sample_rate not in RATES:
        raise ProtocolError("bad_message", f"sample_rate must be {RATES[0]} to {RATES[-1]}")
    if sum(len(phrase.split()) for phrase in config.phrase_list) > _MOST_WORDS:
        raise ProtocolError("bad_message", f"a phrase_list of more than {_MOST_WORDS} words")
    return config


class VoskSession:
    """The recognition for one client of this kind.

    Parameters
    ----------
    hub : Hub
    config : VoskConfig
    """

    def __init__(self, hub: Hub, config: VoskConfig) -> None:
        self._hub, self._config = hub, config
        recognizer, filler = hub.recognizer, hub.filler
        if config.phrase_list:
            recognizer = _for_phrases(hub, config.phrase_list)
            if _UNKNOWN in config.phrase_list:
                filler = filler or Filler(phone_loop(recognizer.model))
        costs = None if config.phrase_list else hub.costs
        self._stream = Stream(
            recognizer, hub.options, endpoints=hub.endpoints, rate=config.sample_rate,
            resample=True, answers=hub.answers, stats=hub.stats,
            filler=filler, costs=costs,
        )  # fmt: skip
        self._seconds = 0.0
        self._rest = b""

    def take(self, data: bytes) -> dict[str, Any]:
        """Recognize a piece of audio; return the answer to it.

        Raises
        ------
        ProtocolError
            The session is too long.
        """
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        samples = samples_of(data[:whole], "s16le")
        self._seconds += len(samples) / self._config.sample_rate
        if self._seconds > self._hub.limits.max_seconds:
            raise ProtocolError("too_long", f"more than {self._hub.limits.max_seconds:g} seconds "
                                "of audio", close=1009)  # fmt: skip
        segments = self._stream.accept(samples)
        if segments:
            return self._finished(segments)
        return {"partial": self._stream.partial().text}

    def last(self) -> dict[str, Any]:
        """End; return the answer with the last words."""
        return self._finished(self._stream.close())

    def _finished(self, segments: list[Segment]) -> dict[str, Any]:
        words = [word for segment in segments for word in segment.words]
        text = " ".join(word.text for word in words)
        told = [
            {"end": round(word.end, 3), "start": round(word.start, 3), "word": word.text}
            for word in words
        ]
        if self._config.max_alternatives > 0:
            sure = min((w.confidence for w in words if w.confidence is not None), default=1.0)
            one: dict[str, Any] = {"confidence": sure, "text": text}
            if self._config.words and told:
                one["result"] = told
            return {"alternatives": [one]}
        if not self._config.words or not told:
            return {"text": text}
        return {"result": [
            {"conf": 1.0 if word.confidence is None else round(word.confidence, 6)} | entry
            for word, entry in zip(words, told, strict=True)
        ], "text": text}  # fmt: skip


def _for_phrases(hub: Hub, phrases: tuple[str, ...]) -> Recognizer:
    """Return a recognizer of these words alone, built once."""
    kept = hub.phrase_graphs
    if phrases not in kept:
        lexicon = hub.recognizer.graph.lexicon
        asked = dict.fromkeys(word for phrase in phrases for word in phrase.split())
        words = [word for word in asked if word in lexicon]
        if not words:
            raise ProtocolError("bad_message", "no word of the phrase_list has a pronunciation")
        model = hub.recognizer.model
        graph = build_graph(model, lexicon.restricted(words), word_loop(words))
        while len(kept) >= _KEPT:
            kept.pop(next(iter(kept)), None)
        kept[phrases] = Recognizer(graph, model)
    return kept[phrases]
