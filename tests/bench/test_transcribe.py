"""The benchmark of transcription on a few utterances, and its counting."""

import pytest

from wfst_hmm.apps.librispeech import read_librispeech
from wfst_hmm.bench.transcribe import Side, lazy_row, pocketsphinx_side, scoring_rows
from wfst_hmm.errors import DataError
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.graph.compiler import build_compact
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.corpus import Corpus, Utterance


def test_errors_and_shares_of_real_time(tmp_path):
    side = Side("ours", seconds=2.0, audio_seconds=20.0)
    utterance = Utterance("u", tmp_path, ("one", "two", "three"), "s")
    side.add(utterance, ["one", "too", "three", "four"])
    side.add(utterance, ["one"])
    assert (side.substitutions, side.deletions, side.insertions, side.n_words) == (1, 2, 1, 6)
    assert side.wer == pytest.approx(100 * 4 / 6)
    assert side.real_time == pytest.approx(0.1)


def test_scores_and_the_peer_on_one_utterance(shared):
    try:
        model = read_sphinx_model(wheel.en_us().acoustic).context_model()
    except DataError as error:
        pytest.skip(str(error))
    pytest.importorskip("pocketsphinx")
    corpus = read_librispeech(shared / "librispeech" / "dev")
    shortest = min(corpus, key=lambda u: len(u.words))
    few = Corpus((shortest,))
    rows = scoring_rows(model, few)
    assert [row.unit for row in rows] == ["x real time"] * 2
    assert "nats lower" in rows[1].note
    assert all(row.ours > 0 for row in rows)
    entries = [Entry("a", ("AH",)), Entry("no", ("N", "OW"))]
    graph = build_compact(model, Lexicon(entries), word_loop(["a", "no"]))
    row = lazy_row(model, graph, few, SearchOptions(beam=10.0, acoustic_scale=0.1))
    assert row.theirs is not None
    assert min(row.ours, row.theirs) > 0
    side = pocketsphinx_side(few)
    assert side.n_words == len(shortest.words)
    assert side.seconds > 0
