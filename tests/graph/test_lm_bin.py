"""Sphinx trie models: packed by hand here, read there; and the values that PocketSphinx gives."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from ngram_strategies import SMALL, Listed, backoff_models, flat, listed_of, pack, with_suffixes

from wfst_hmm.errors import FormatError
from wfst_hmm.graph.arpa import read_arpa, write_arpa
from wfst_hmm.graph.lm_bin import read_lm_bin
from wfst_hmm.graph.ngram_fst import ngram_to_fst


@given(listed=backoff_models())
@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_packed_by_hand(listed: Listed, tmp_path: Path):
    listed = with_suffixes(listed)
    path = tmp_path / "lm.bin"
    for surplus in (0, 3):
        path.write_bytes(pack(listed, surplus))
        model = read_lm_bin(path)
        assert listed_of(model) == pytest.approx(flat(listed), abs=1e-5)
    write_arpa(model, tmp_path / "lm.arpa")
    assert listed_of(read_arpa(tmp_path / "lm.arpa")) == pytest.approx(flat(listed), abs=1e-5)


def test_truncated_anywhere(tmp_path: Path):
    data = pack(SMALL)
    path = tmp_path / "lm.bin"
    last = 28 + 4 + 4 + 4 * 65536 * 3
    for size in [*range(40), *range(65536, last, 65536), *range(last, len(data))]:
        path.write_bytes(data[:size])
        with pytest.raises(FormatError, match=r"lm.bin: byte \d+: "):
            read_lm_bin(path)


def test_damage_is_named(tmp_path: Path):
    data = pack(SMALL)
    path = tmp_path / "lm.bin"
    for at, new, message in [
        (19, b"\0", "impossible order"),
        (20, b"\xff\xff\xff\xff", "the file ends inside its 1-grams"),
        (36, b"\0\0\xc0\x7f", "impossible 2-gram probabilities"),
        (len(data) - 2, b"\xff", "not UTF-8"),
        (len(data) - 1, b"x", "wrong number of words"),
    ]:
        path.write_bytes(data[:at] + new + data[at + len(new) :])
        with pytest.raises(FormatError, match=message):
            read_lm_bin(path)
    path.write_bytes(b"RIFF" + data[4:])
    with pytest.raises(FormatError, match="not a trie language model"):
        read_lm_bin(path)


def test_the_shared_models(shared: Path):
    model = read_lm_bin(shared / "sphinx" / "turtle.lm.bin")
    assert model.counts == (91, 212, 177)
    assert model.info["skipped"] == 0
    # a 1-gram model in 2-gram clothes: its one 2-gram, "</s> <s>", can follow nothing
    digits = read_lm_bin(shared / "sphinx" / "tidigits" / "lm" / "tidigits.lm.bin")
    assert (digits.counts, digits.info["skipped"]) == ((14, 0), 1)
    with pytest.raises(FormatError, match="byte 20"):
        read_lm_bin(shared / "sphinx" / "not-enough-ngrams.lm.bin")


def test_probabilities_are_pocketsphinx_s(shared: Path):
    pocketsphinx = pytest.importorskip("pocketsphinx")
    folder = Path(pocketsphinx.get_model_path()) / "en-us"
    for path in (shared / "sphinx" / "turtle.lm.bin", folder / "en-us-phone.lm.bin"):
        model = read_lm_bin(path)
        logs = pocketsphinx.LogMath(1.0001)
        peer = pocketsphinx.NGramModel(
            pocketsphinx.Config(lm=None, dict=None, hmm=None), logs, str(path)
        )
        rng = random.Random(5)
        spoken = [w for w in model.words if w[0] != "<"]
        for _ in range(300):
            text = rng.choices(spoken, k=rng.randint(1, 3))
            if rng.random() < 0.6:
                order = rng.randint(2, 3)
                rows = model.rows(order)
                text = model.words.strings(rows[rng.randrange(len(rows))])
                text[-1] = rng.choice([text[-1], rng.choice(spoken)])
            if "<UNK>" in text:
                continue
            theirs = peer.prob(text[::-1]) * math.log(1.0001)  # it wants the last word first
            assert model.log_prob(text[-1], text[:-1]) == pytest.approx(theirs, abs=3e-4)


def test_the_whole_english_model_becomes_a_grammar():
    pocketsphinx = pytest.importorskip("pocketsphinx")
    path = Path(pocketsphinx.get_model_path()) / "en-us" / "en-us.lm.bin"
    model = read_lm_bin(path)
    assert model.counts == (72547, 2051541, 1669625)  # its header claims six 2-grams more
    assert model.info["skipped"] == 0
    fst = ngram_to_fst(model)
    assert (fst.n_states, fst.n_arcs) == (348246, 4067311)
    text = [line.split() for line in ("the cat sat on the mat", "go forward ten meters")]
    assert 50 < model.perplexity(text).perplexity < 500
