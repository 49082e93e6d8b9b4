import itertools

import numpy as np
import pytest
from mutations import check_reader

from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.formats.kaldi.archives import read_cmvn, read_integer_lists, read_script
from wfst_hmm.formats.kaldi.export import export_model
from wfst_hmm.formats.kaldi.graph import (
    _loops_come_first,
    export_graph,
    read_kaldi_graph,
    to_transition_ids,
)
from wfst_hmm.formats.kaldi.lang import read_lang
from wfst_hmm.formats.kaldi.model import read_kaldi_model
from wfst_hmm.fst.binary import read_fst
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import Topology
from wfst_hmm.search.decode import decode_exact
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import NoPath
from wfst_hmm.signal.features import add_deltas
from wfst_hmm.signal.kaldi import FeatureOptions

LEXICON = Lexicon([Entry("yes", ("Y", "E")), Entry("no", ("N",)), Entry("nono", ("N", "N"))])


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    topologies = (
        Topology.silence(4),
        *[Topology.left_to_right(2, skip=0.2)] * 2,
        Topology.ergodic(1),
    )
    sizes = np.cumsum([0, *(t.n_states for t in topologies)])
    columns = tuple(np.arange(a, b, dtype=np.int32) for a, b in itertools.pairwise(sizes))
    mixtures = MixtureSet.from_gaussians(rng.normal(size=(9, 39)), np.ones((9, 39)))
    return AcousticModel(("SIL", "Y", "E", "N"), ("SIL",), topologies, columns, mixtures,
                         FeatureOptions())  # fmt: skip


@pytest.fixture(scope="module")
def graph(model):
    return build_graph(model, LEXICON, grammar_from_spec("loop", LEXICON))


def test_our_graphs_say_the_same_in_transition_ids(model, graph, tmp_path):
    export_model(model, tmp_path / "mdl")
    kaldi = read_kaldi_model(tmp_path / "mdl")
    exported = to_transition_ids(graph, kaldi.transitions)
    columns = kaldi.state_labels().column
    rng = np.random.default_rng(1)
    for n_frames in range(1, 14):
        scores = (rng.normal(size=(n_frames, 9)) * 5).astype(np.float32)
        cost, arcs = viterbi_path(graph.fst, scores, graph.labels.column)
        other, ids = viterbi_path(exported, scores, columns)
        assert other == pytest.approx(cost, rel=1e-5) or cost == other == np.inf
        if cost == np.inf:
            continue
        ours, theirs = graph.fst.arcs[arcs], exported.arcs[ids]
        assert (ours["olabel"][ours["olabel"] > 0]).tolist() == theirs["olabel"][theirs["olabel"] > 0].tolist()  # fmt: skip
        path = theirs["ilabel"][theirs["ilabel"] > 0]
        labels = ours["ilabel"][ours["ilabel"] > 0]
        assert kaldi.transitions.pdf_of[path].tolist() == graph.labels.column[labels - 1].tolist()
        phones = kaldi.transitions.phones_of(path, reordered=False)
        assert len(phones) == graph.labels.is_entry[labels - 1].sum()


def test_exported_graphs_come_back(model, graph, tmp_path):
    export_model(model, tmp_path / "mdl")
    export_graph(graph, read_kaldi_model(tmp_path / "mdl").transitions, tmp_path / "graph")
    kaldi = read_kaldi_model(tmp_path / "mdl", tmp_path / "graph")
    assert kaldi.silence_phones == ("SIL",)
    found = read_kaldi_graph(tmp_path / "graph", kaldi, model_hash=model.hash)
    assert list(found.words) == list(graph.words)
    assert [entry.phones for entry in found.lexicon] == [entry.phones for entry in graph.lexicon]
    export_graph(found, kaldi.transitions, tmp_path / "again")
    again = (tmp_path / "again" / "HCLG.fst").read_bytes()
    assert again == (tmp_path / "graph" / "HCLG.fst").read_bytes()


def test_graphs_that_come_back_decode_alike_in_words_times_phones_and_costs(model, graph, tmp_path):
    export_model(model, tmp_path / "mdl")
    export_graph(graph, read_kaldi_model(tmp_path / "mdl").transitions, tmp_path / "graph")
    kaldi = read_kaldi_model(tmp_path / "mdl", tmp_path / "graph")
    offset = graph.frame_offset  # the model's, as import_kaldi hands it on
    found = read_kaldi_graph(tmp_path / "graph", kaldi, frame_offset=offset)
    rng = np.random.default_rng(2)
    n_paths = 0
    for n_frames in range(1, 40):
        scores = Scores((rng.normal(size=(n_frames, 9)) * 5).astype(np.float32))
        ours, theirs = (decode_exact(g, scores) for g in (graph, found))
        if isinstance(ours, NoPath):
            assert isinstance(theirs, NoPath)
            continue
        n_paths += 1
        assert theirs.words == ours.words
        assert theirs.phones == ours.phones
        assert theirs.total_cost == pytest.approx(ours.total_cost, rel=1e-5)
    assert n_paths > 30


def test_the_order_of_self_loops_is_seen(model, graph, tmp_path, shared):
    export_model(model, tmp_path / "mdl")
    kaldi = read_kaldi_model(tmp_path / "mdl")
    assert _loops_come_first(to_transition_ids(graph, kaldi.transitions), kaldi.transitions)
    yesno = shared / "yesno" / "kaldi"
    real = read_kaldi_model(yesno / "exp" / "mono", yesno / "data" / "lang")
    fst = read_fst(yesno / "exp" / "mono" / "graph_tgpr" / "HCLG.fst")
    assert not _loops_come_first(fst, real.transitions)


def test_graphs_that_do_not_fit(model, graph, tmp_path):
    export_model(model, tmp_path / "mdl")
    kaldi = read_kaldi_model(tmp_path / "mdl")
    export_graph(graph, kaldi.transitions, tmp_path / "graph")
    smaller = AcousticModel(("SIL",), ("SIL",), model.topologies[:1], model.columns[:1],
                            model.mixtures, model.front_end)  # fmt: skip
    export_model(smaller, tmp_path / "small")
    wrong = read_kaldi_model(tmp_path / "small")
    with pytest.raises(FormatError, match="transition-id that the model does not have"):
        read_kaldi_graph(tmp_path / "graph", wrong)
    with pytest.raises(GraphError, match="a move that the model does not have"):
        to_transition_ids(graph, wrong.transitions)
    (tmp_path / "graph" / "words.txt").write_text("<eps> 0\n")
    with pytest.raises(FormatError, match=r"a word that words\.txt does not have"):
        read_kaldi_graph(tmp_path / "graph", kaldi)
    (tmp_path / "graph" / "phones" / "align_lexicon.txt").write_text("yes yes\n")
    with pytest.raises(FormatError, match=r"align_lexicon\.txt:1|words\.txt"):
        read_kaldi_graph(tmp_path / "graph", kaldi)


def test_damaged_lists(tmp_path):
    (tmp_path / "words.txt").write_text("<eps> 0\nyes 1\n")
    (tmp_path / "phones").mkdir()
    (tmp_path / "phones" / "silence.int").write_text("1\n")
    check_reader(
        lambda _: read_lang(tmp_path), b"<eps> 0\nSIL 1\nY 2\n", tmp_path, name="phones.txt"
    )
    (tmp_path / "phones.txt").write_text("<eps> 0\nSIL 1\nY 2\n")
    check_reader(lambda _: read_lang(tmp_path), b"1:2\n", tmp_path / "phones", name="disambig.csl")


def test_yesno_decodes_with_kaldis_graph(shared):
    kaldi = shared / "yesno" / "kaldi"
    model = read_kaldi_model(kaldi / "exp" / "mono", kaldi / "data" / "lang")
    graph = read_kaldi_graph(kaldi / "exp" / "mono" / "graph_tgpr", model)
    scorer = model.acoustic_model(FeatureOptions(rate=8000))
    data = kaldi / "data" / "test_yesno"
    stats = read_cmvn(data / "cmvn.scp")["global"]
    expected = read_integer_lists(
        kaldi / "exp" / "mono" / "decode_test_yesno" / "scoring" / "10.tra"
    )
    lines = (kaldi / "exp/mono/decode_test_yesno/score_10/test_yesno.ctm").read_text().splitlines()
    times = {key: [] for key in expected}
    for line in lines:
        key, _, start, _, word = line.split()
        times[key].append((word, float(start)))
    near = []
    for key, raw in read_script(data / "feats.scp").items():
        scores = scorer.score(add_deltas((raw - stats.sum / stats.count).astype(np.float32)))
        found = decode_exact(graph, Scores(scores.array), SearchOptions(acoustic_scale=0.1))
        words = [word.text for word in found.words]
        assert words == graph.words.strings(expected[key])
        starts = [start for word, start in times[key] if word in words]
        near += [abs(a.start - b) for a, b in zip(found.words, starts, strict=True)]
    assert len(near) == 235
    assert np.mean(np.array(near) <= 0.05) > 0.9
