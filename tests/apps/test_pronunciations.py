"""Probabilities of pronunciations and pauses are those that were counted."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine
from hypothesis import given
from hypothesis import strategies as st
from tiny_speech import TinySpeech

from wfst_hmm.apps.align import align_corpus
from wfst_hmm.apps.pronunciations import (
    PronunciationCounts,
    count_pronunciations,
    with_probabilities,
)
from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import Entry, Lexicon, read_lexicon
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.search.result import Decoded, NoPath, Phone, Word
from wfst_hmm.signal.corpus import Utterance

THE = Lexicon([
    Entry("the", ("DH", "AH")), Entry("the", ("DH", "IY")), Entry("cat", ("K", "AE", "T")),
    Entry("dog", ("D", "AO", "G"), 0.7),
])  # fmt: skip
Way = tuple[str, tuple[str, ...], bool]


def outcome(ways: list[Way], lead: bool = False) -> Outcome:
    """Return an alignment of words, each with its phones, and whether a pause follows."""
    words, phones = [], ["SIL"] if lead else []
    for word, own, pause in ways:
        words.append(Word(word, 0.1 * len(phones), 0.1 * (len(phones) + len(own))))
        phones += [*own, *["SIL"] * pause]
    segments = tuple(Phone(p, 0.1 * i, 0.1 * (i + 1)) for i, p in enumerate(phones))
    none = np.zeros(0, dtype=np.int32)
    decoded = Decoded(tuple(words), segments, 0.0, 0.0, none, none, 0.1, "exact")
    return Outcome(Utterance("u", Path("u.wav"), tuple(w for w, _, _ in ways), "s"), decoded)


ways = st.lists(
    st.tuples(st.sampled_from(THE.entries[:3]), st.booleans()).map(
        lambda pair: (pair[0].word, pair[0].phones, pair[1])
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@given(st.lists(ways, min_size=1, max_size=6), st.booleans())
def test_counts_and_probabilities_are_those_of_a_slow_count(
    corpus: list[list[Way]], lead: bool
) -> None:
    counts = count_pronunciations([outcome(one, lead) for one in corpus], ["SIL"])
    every = [way for one in corpus for way in one]
    inner = [way for one in corpus for way in one[:-1]]
    assert counts.n_utterances == len(corpus)
    learned = with_probabilities(THE, counts)
    usual = sum(pause for _, _, pause in inner) / max(len(inner), 1)
    assert counts.pause_probability == pytest.approx(usual)
    usual = min(max(usual, 1 / (len(inner) + 2)), 1 - 1 / (len(inner) + 2))
    for entry in learned:

        def heard(e: Entry, among: list[Way]) -> list[Way]:
            return [w for w in among if w[:2] == (e.word, e.phones)]

        n, after = len(heard(entry, every)), heard(entry, inner)
        most = max(len(heard(e, every)) for e in THE.prons(entry.word))
        expected = (n + 1) / (most + 1) if most else THE.prons(entry.word)[0].probability
        assert entry.probability == pytest.approx(expected)
        if not inner:  # no place, no probability
            assert entry.silence is None
            continue
        paused = sum(pause for _, _, pause in after) + 2 * usual
        assert entry.silence is not None
        assert entry.silence > 0
        assert entry.silence == pytest.approx(min(paused / (len(after) + 2), 0.999))
    assert [(e.word, e.phones) for e in learned] == [(e.word, e.phones) for e in THE]


def test_a_word_that_was_always_followed_by_a_pause_may_still_go_without() -> None:
    counts = count_pronunciations([outcome([THE_CAT, THE_CAT]) for _ in range(5000)], ["SIL"])
    (cat,) = with_probabilities(THE, counts).prons("cat")
    assert cat.silence == 0.999
    assert with_probabilities(THE, counts, pauses=False).prons("cat")[0].silence is None


def test_a_corpus_of_single_words_says_nothing_of_pauses(
    tiny_speech: TinySpeech,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = read_corpus(tiny_speech.train)
    word = next(u for u in corpus if u.words is not None)
    Path("one.tsv").write_text(f"id\taudio\ttext\nu\t{word.audio}\t{word.words[0]}\n")  # type: ignore[index]
    done = CommandLine(capsys)("prons", "one.tsv", "--model", tiny_speech.model,
                               "--lexicon", tiny_speech.lexicon, "--out", "learned.txt")  # fmt: skip
    assert "nothing is learned of pauses" in done.out
    assert "# silence" not in Path("learned.txt").read_text()
    assert all(entry.silence is None for entry in read_lexicon("learned.txt"))


THE_CAT: Way = ("cat", ("K", "AE", "T"), True)


def test_what_was_not_aligned_is_named() -> None:
    lost = Outcome(
        Utterance("lost", Path("x.wav"), ("cat",), "s"), NoPath("too_few_frames", "too short", 3)
    )
    counts = count_pronunciations([lost, outcome([THE_CAT])], ["SIL"])
    assert [id_ for id_, _ in counts.skipped] == ["lost"]
    assert counts.spoken == Counter({("cat", ("K", "AE", "T")): 1})
    with pytest.raises(DataError, match="no utterance was aligned"):
        with_probabilities(THE, count_pronunciations([lost], ["SIL"]))
    with pytest.raises(UsageError, match="smoothing"):
        with_probabilities(THE, counts, smoothing=0.0)


def test_the_command_learns_what_the_corpus_says(
    tiny_speech: TinySpeech, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lexicon = read_lexicon(tiny_speech.lexicon)
    word = read_corpus(tiny_speech.train).words()[0]
    wrong = Entry(word, tuple(reversed(lexicon.prons(word)[0].phones)))
    Lexicon([*lexicon, wrong]).write(tmp_path / "more.txt")
    out = tmp_path / "learned.txt"
    done = CommandLine(capsys)("prons", tiny_speech.train, "--model", tiny_speech.model,
                               "--lexicon", tmp_path / "more.txt", "--out", out, "--json")  # fmt: skip
    facts = done.json
    assert facts["n_words_with_several"] == 1
    learned = read_lexicon(out)
    by_phones = {entry.phones: entry for entry in learned.prons(word)}
    assert (
        by_phones[wrong.phones].probability < by_phones[lexicon.prons(word)[0].phones].probability
    )
    assert by_phones[lexicon.prons(word)[0].phones].probability == 1.0
    model = AcousticModel.load(tiny_speech.model)
    corpus = read_corpus(tiny_speech.train)
    counts = count_pronunciations(align_corpus(model, lexicon, corpus), model.silence_phones)
    assert counts.spoken.total() == sum(len(u.words or ()) for u in corpus) == facts["n_spoken"]
    assert isinstance(counts, PronunciationCounts)
