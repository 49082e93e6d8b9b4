"""Corpora as values."""

from pathlib import Path

import pytest

from wfst_hmm.errors import DataError
from wfst_hmm.signal.corpus import Corpus, Utterance


def utterance(id_: str, speaker: str = "s", words: str | None = "a b") -> Utterance:
    text = None if words is None else tuple(words.split())
    return Utterance(id_, Path(f"{id_}.wav"), text, speaker, where=f"list:{id_}")


def test_views() -> None:
    u, v, w = utterance("u", "x"), utterance("v", "y", None), utterance("w", "x", "c a")
    corpus = Corpus((u, v, w), "list")
    assert len(corpus) == 3
    assert list(corpus) == [u, v, w]
    assert corpus.by_id() == {"u": u, "v": v, "w": w}
    assert corpus.speakers() == {"x": (u, w), "y": (v,)}
    assert corpus.words() == ("a", "b", "c")
    assert list(corpus.subset(["w", "u"])) == [u, w]
    assert u.place == "utterance u (list:u)"
    with pytest.raises(DataError, match="list: no utterance 'p' and 1 more"):
        corpus.subset(["q", "p", "u"])


def test_ids_are_unique() -> None:
    with pytest.raises(DataError, match="list:u: utterance id 'u' twice, first in list:u"):
        Corpus((utterance("u"), utterance("v"), utterance("u")))
