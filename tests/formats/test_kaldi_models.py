import shutil
from pathlib import Path

import numpy as np
import pytest
from mutations import check_reader

from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.formats.kaldi.archives import write_object
from wfst_hmm.formats.kaldi.export import export_model
from wfst_hmm.formats.kaldi.gmm import DiagonalMixtures, read_model, write_model
from wfst_hmm.formats.kaldi.lang import read_lang
from wfst_hmm.formats.kaldi.model import KaldiModel, read_kaldi_model
from wfst_hmm.formats.kaldi.stream import KaldiWriter
from wfst_hmm.formats.kaldi.topologies import HmmState, HmmTopologies, read_topologies
from wfst_hmm.formats.kaldi.transitions import TransitionModel
from wfst_hmm.formats.kaldi.tree import PDF_CLASS, DecisionTree, Node
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.topology import Topology
from wfst_hmm.signal.kaldi import FeatureOptions

CHAIN_STATE = (HmmState(0, 1, ((0, 0.25), (1, 0.75))), HmmState(-1, -1, ()))
TWO_STATES = (
    HmmState(0, 0, ((0, 0.5), (1, 0.5))),
    HmmState(1, 1, ((1, 0.75), (2, 0.25))),
    HmmState(-1, -1, ()),
)


def transitions_of(topologies, rows):
    probabilities = [0.0]
    for phone, state, *_ in rows:
        probabilities += [np.log(p) for _, p in topologies.of(phone)[state].transitions]
    return TransitionModel(
        topologies, np.array(rows, np.int32), np.array(probabilities, dtype=np.float32)
    )


def plain_transitions():
    topologies = HmmTopologies((TWO_STATES,), {1: 0, 3: 0})
    return transitions_of(topologies, [(1, 0, 0, 0), (1, 1, 1, 1), (3, 0, 2, 2), (3, 1, 0, 0)])


def chain_transitions():
    topologies = HmmTopologies((CHAIN_STATE, TWO_STATES), {1: 0, 2: 1})
    return transitions_of(topologies, [(1, 0, 0, 1), (2, 0, 2, 2), (2, 1, 3, 3)])


def random_mixtures(counts=(1, 3, 2, 1), n_dims=3, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    weights = np.concatenate([rng.dirichlet(np.ones(n)) for n in counts])
    shape = (int(offsets[-1]), n_dims)
    return DiagonalMixtures.from_parameters(
        np.log(weights), rng.normal(size=shape), rng.uniform(0.5, 2, shape), offsets
    )


@pytest.mark.parametrize("transitions", [plain_transitions(), chain_transitions()])
def test_models_come_back_to_the_bit(tmp_path, transitions):
    mixtures = random_mixtures()
    for binary in (True, False):
        write_model(tmp_path / "a.mdl", transitions, mixtures, binary=binary)
        found = read_model(tmp_path / "a.mdl")
        write_model(tmp_path / "b.mdl", *found, binary=binary)
        assert (tmp_path / "a.mdl").read_bytes() == (tmp_path / "b.mdl").read_bytes()
        np.testing.assert_array_equal(found[0].log_probs, transitions.log_probs)
        np.testing.assert_array_equal(found[0].tuples, transitions.tuples)
        assert found[0].topologies == transitions.topologies
        for name in ("gconsts", "weights", "means_invvars", "inv_vars", "offsets"):
            np.testing.assert_array_equal(getattr(found[1], name), getattr(mixtures, name))


def test_constants_are_computed_when_a_file_lacks_them(tmp_path):
    mixtures = random_mixtures((2,), 2)
    write_model(tmp_path / "a.mdl", plain_one_pdf(), mixtures, binary=False)
    text = (tmp_path / "a.mdl").read_text()
    begin, end = text.index("<GCONSTS>"), text.index("<WEIGHTS>")
    (tmp_path / "b.mdl").write_text(text[:begin] + text[end:])
    np.testing.assert_allclose(
        read_model(tmp_path / "b.mdl")[1].gconsts, mixtures.gconsts, rtol=1e-6
    )


def plain_one_pdf():
    one = (HmmState(0, 0, ((0, 0.5), (1, 0.5))), HmmState(-1, -1, ()))
    return transitions_of(HmmTopologies((one,), {1: 0}), [(1, 0, 0, 0)])


def test_mixtures_score_as_the_definition_says():
    mixtures = random_mixtures()
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    expected = np.empty((5, 4))
    for s, (a, b) in enumerate(zip(mixtures.offsets[:-1], mixtures.offsets[1:], strict=True)):
        # Kaldi's own formula, DiagGmm::LogLikelihoods
        each = (
            mixtures.gconsts[a:b]
            + x @ mixtures.means_invvars[a:b].T
            - 0.5 * (x**2) @ mixtures.inv_vars[a:b].T
        )
        expected[:, s] = np.log(np.exp(each.astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(mixtures.mixture_set().log_likelihoods(x), expected, rtol=1e-5)


def test_transition_ids_mean_what_kaldi_means():
    model = plain_transitions()
    assert model.n_ids == 8
    assert model.phone_of[1:].tolist() == [1, 1, 1, 1, 3, 3, 3, 3]
    assert model.destination_of[1:].tolist() == [0, 1, 1, 2, 0, 1, 1, 2]
    assert model.pdf_of[1:].tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert model.is_self_loop[1:].tolist() == [True, False] * 4
    assert chain_transitions().pdf_of[1:3].tolist() == [1, 0]
    path = [2, 1, 1, 4, 3, 6, 8, 6, 5, 8]  # reordered: self-loops follow
    assert model.phones_of(path) == [(1, 5), (3, 2), (3, 3)]
    assert model.phones_of([1, 1, 2, 3, 4, 6, 8], reordered=False) == [(1, 5), (3, 2)]
    with pytest.raises(ModelError, match="inside a phone"):
        model.phones_of([2, 1])
    with pytest.raises(ModelError, match="does not have"):
        model.phones_of([9])


def test_labels_are_transition_ids():
    labels = plain_transitions().state_labels(Symbols(["a", "b", "c"]))
    assert labels.symbols[2] == "^a.0/0>1"
    assert labels.symbols[1] == "a.0/0>0"
    assert labels.is_entry.tolist() == [False, True, False, False, False, True, False, False]
    assert labels.column.tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert len(chain_transitions().state_labels(Symbols(["a", "b"]))) == 6


TREE = DecisionTree(3, 1, (
    Node("SE", 1, (1,), (1, 4)),  # phone 1 is silence: a table by state
    Node("TE", PDF_CLASS, (), (2, 3)),
    Node("CE", 0),
    Node("CE", 1),
    Node("TE", PDF_CLASS, (), (5, 8)),
    Node("SE", 0, (1, 2), (6, 7)),  # left neighbour
    Node("CE", 2),
    Node("CE", 3),
    Node("SE", 2, (2,), (9, 10)),  # right neighbour
    Node("CE", 4),
    Node("NULL"),
))  # fmt: skip


def test_trees_come_back_and_answer(tmp_path):
    for binary in (True, False):
        TREE.write(tmp_path / "tree", binary=binary)
        assert DecisionTree.read(tmp_path / "tree") == TREE
    assert TREE.n_leaves == 5
    left = np.array([0, 1, 2, 3])
    assert TREE.answer({PDF_CLASS: 0, 0: left, 1: 2, 2: 2}).tolist() == [3, 2, 2, 3]
    assert TREE.answer({PDF_CLASS: 1, 0: left, 1: 1, 2: 2}).tolist() == [1] * 4
    assert TREE.answer({PDF_CLASS: 1, 0: 1, 1: 3, 2: [2, 3]}).tolist() == [4, -1]
    assert TREE.answer({PDF_CLASS: 7, 0: 1, 1: 1, 2: 1}).tolist() == -1


def test_a_deep_tree_needs_no_deep_stack(tmp_path):
    depth = 20_000
    nodes = []
    for level in range(depth):
        nodes += [Node("SE", 0, (1,), (2 * level + 1, 2 * level + 2)), Node("CE", level)]
    deep = DecisionTree(1, 0, (*nodes, Node("CE", depth)))
    deep.write(tmp_path / "tree")
    assert DecisionTree.read(tmp_path / "tree") == deep
    assert deep.answer({0: [0, 1]}).tolist() == [depth, 0]


def triphones():
    topologies = HmmTopologies((TWO_STATES,), {1: 0, 2: 0, 3: 0})
    rows = [(1, 0, 0, 0), (1, 1, 1, 1)]
    rows += [(p, s, c, c) for p in (2, 3) for s, c in ((0, 2), (0, 3), (1, 4))]
    return KaldiModel(
        transitions_of(topologies, rows), random_mixtures((1, 1, 1, 2, 1)), TREE,
        Symbols(["SIL", "a", "b", "#0"]), ("SIL",),
    )  # fmt: skip


def test_the_map_from_contexts_asks_the_tree():
    model = triphones()
    assert model.context_model(FeatureOptions(n_ceps=1)).n_columns == 5
    found = model.context_map()
    assert found.phones == ("SIL", "a", "b")
    names = [None, "SIL", "a", "b"]
    for phone in names[1:]:
        for left in names:
            for right in names:
                event = {0: names.index(left), 1: names.index(phone), 2: names.index(right)}
                expected = [int(TREE.answer({PDF_CLASS: c, **event})) for c in (0, 1)]
                if min(expected) < 0:
                    with pytest.raises(ModelError, match="no HMM"):
                        found.hmm_index(phone, left, right)
                    continue
                hmm = found.hmms[found.hmm_index(phone, left, right)]
                assert list(hmm.columns) == expected
    np.testing.assert_allclose(found.topologies[0].transitions, [[0.5, 0.5], [0, 0.75]], rtol=1e-6)
    assert found.n_columns == 5


def test_transforms_of_a_model(tmp_path):
    export_model(small_model(), tmp_path / "k")
    rng = np.random.default_rng(0)
    matrix, fmllr = rng.normal(size=(39, 27)), rng.normal(size=(39, 40))
    write_object(tmp_path / "k" / "final.mat", matrix)
    (tmp_path / "k" / "splice_opts").write_text("--left-context=1 --right-context=1\n")
    model = read_kaldi_model(tmp_path / "k")
    x = rng.normal(size=(5, 9))
    middle = np.concatenate([x[1], x[2], x[3]])
    expected = fmllr @ np.append(matrix @ middle, 1)
    np.testing.assert_allclose(model.transformed(x, fmllr)[2], expected, rtol=1e-3, atol=1e-4)
    found = model.context_model(FeatureOptions(n_ceps=9, delta_order=0, cmvn="none"))
    np.testing.assert_allclose(found.finish(x).array, model.transformed(x), rtol=1e-3, atol=1e-4)
    with pytest.raises(ModelError, match="the transform does not fit"):
        model.context_model(FeatureOptions())
    (tmp_path / "k" / "splice_opts").write_text("--left-context=1 --right-context=2\n")
    with pytest.raises(ModelError, match="spliced on one side"):
        read_kaldi_model(tmp_path / "k").context_model(FeatureOptions())
    (tmp_path / "k" / "splice_opts").write_text("--left-context=x\n")
    with pytest.raises(FormatError, match="splice_opts:1"):
        read_kaldi_model(tmp_path / "k")


def test_a_state_with_two_pdfs_becomes_two_states():
    tree = DecisionTree(1, 0, (
        Node("TE", 0, (), (1, 2, 5)), Node("NULL"),
        Node("TE", PDF_CLASS, (), (3, 4)), Node("CE", 0), Node("CE", 1),
        Node("TE", PDF_CLASS, (), (6, 7)), Node("CE", 2), Node("CE", 3),
    ))  # fmt: skip
    model = KaldiModel(chain_transitions(), random_mixtures(), tree, Symbols(["a", "b"]))
    found = model.context_map()
    hmm = found.hmms[found.hmm_index("a")]
    assert hmm.columns == (0, 1)
    topology = found.topologies[hmm.topology]
    np.testing.assert_allclose(topology.transitions, [[0, 0.25], [0, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(topology.final, [0.75, 0.75], rtol=1e-6)


def small_model():
    topologies = (
        Topology.silence(5),
        Topology.left_to_right(3),
        Topology.left_to_right(3, skip=0.3),
    )
    columns = tuple(np.arange(a, b, dtype=np.int32) for a, b in ((0, 5), (5, 8), (8, 11)))
    mixtures = random_mixtures((2,) * 11, 39).mixture_set()
    return AcousticModel(("SIL", "Y", "N"), ("SIL",), topologies, columns, mixtures,
                         FeatureOptions(rate=8000))  # fmt: skip


@pytest.mark.parametrize("binary", [True, False])
def test_a_model_of_ours_goes_to_kaldi_and_back(tmp_path, binary):
    model = small_model()
    export_model(model, tmp_path / "kaldi", binary=binary)
    found = read_kaldi_model(tmp_path / "kaldi").acoustic_model(model.front_end)
    assert found.phones == model.phones
    for a, b in zip(found.topologies, model.topologies, strict=True):
        np.testing.assert_allclose(a.transitions, b.transitions, atol=1e-6)
        np.testing.assert_array_equal(a.transitions > 0, b.transitions > 0)
        np.testing.assert_allclose(a.final, b.final, atol=1e-6)
    x = np.random.default_rng(2).normal(size=(4, 39))
    np.testing.assert_allclose(found.score(x).array, model.score(x).array, rtol=1e-4)


def test_what_kaldi_has_no_words_for(tmp_path):
    model = small_model()
    ergodic = AcousticModel(("SIL",), (), (Topology.ergodic(2),), (np.array([0, 1], np.int32),),
                            model.mixtures, model.front_end)  # fmt: skip
    with pytest.raises(ModelError, match="other states than the first"):
        export_model(ergodic, tmp_path / "kaldi")
    with pytest.raises(ModelError, match="only monophone"):
        triphones().acoustic_model(FeatureOptions())


def test_directories_that_do_not_fit(tmp_path):
    with pytest.raises(FormatError, match="no such directory"):
        read_kaldi_model(tmp_path / "none")
    export_model(small_model(), tmp_path / "kaldi")
    (tmp_path / "kaldi" / "phones.txt").unlink()
    with pytest.raises(FormatError, match=r"no phones\.txt"):
        read_kaldi_model(tmp_path / "kaldi")
    Symbols(["SIL"]).write(tmp_path / "kaldi" / "phones.txt")
    with pytest.raises(FormatError, match="too short"):
        read_kaldi_model(tmp_path / "kaldi")
    Symbols(["SIL", "Y", "N"]).write(tmp_path / "kaldi" / "phones.txt")
    DecisionTree(1, 0, (Node("CE", 99),)).write(tmp_path / "kaldi" / "tree")
    with pytest.raises(FormatError, match="different models"):
        read_kaldi_model(tmp_path / "kaldi")
    (tmp_path / "kaldi" / "final.mdl").write_text("40.mdl")
    with pytest.raises(FormatError, match="link that was stored"):
        read_kaldi_model(tmp_path / "kaldi")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<PdfClass> 1 <Transition> 1", "<PdfClass> 1 <Transition> 7", "impossible destinations"),
        ("<Transition> 1 0.5", "<Transition> 1 0.1", "probabilities out of state 0"),
        ("<State> 2 </State> \n", "", "no exit"),
        ("\n3 1 0 \n", "\n2 1 0 \n", "a phone without topology"),
        ("\n3 1 0 \n", "\n3 9 0 \n", "impossible HMM state"),
        ("\n3 1 0 \n", "\n3 0 2 \n", "listed twice"),
        ("\n3 1 0 \n", "\n3 1 4 \n", "more mixtures than there are"),
        ("<LogProbs> \n [ 0 ", "<LogProbs> \n [ ", "do not match the transitions"),
        ("<LogProbs> \n [ 0 -", "<LogProbs> \n [ 0 ", "above 0"),
        ("<DIMENSION> 3", "<DIMENSION> 4", "do not fit"),
        ("<DIMENSION>", "<Nnet3>", "nnet3.*not diagonal Gaussian mixtures"),
        ("<INV_VARS>  [\n  ", "<INV_VARS>  [\n  -", "not positive"),
        ("<INV_VARS>  [\n  ", "<INV_VARS>  [\n  nan ", "unlike lengths|do not fit|not finite"),
        ("<NUMPDFS> 4", "<NUMPDFS> 3", "bytes after the end"),
        ("<NUMPDFS> 4", "<NUMPDFS> 2000000000", "more mixtures than the file can hold"),
        ("<WEIGHTS>  [ 1 ]", "<WEIGHTS>  [ 0.5 ]", "do not sum to 1"),
    ],
)
def test_contradictions_in_a_model(tmp_path, old, new, message):
    write_model(tmp_path / "a.mdl", plain_transitions(), random_mixtures(), binary=False)
    text = (tmp_path / "a.mdl").read_text()
    assert old in text
    (tmp_path / "a.mdl").write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read_model(tmp_path / "a.mdl")
    assert "a.mdl" in str(caught.value)


def test_damage_is_an_error_or_harmless(tmp_path):
    for binary in (True, False):
        write_model(tmp_path / "x", plain_transitions(), random_mixtures(), binary=binary)
        check_reader(read_model, (tmp_path / "x").read_bytes(), tmp_path)
        TREE.write(tmp_path / "x", binary=binary)
        assert check_reader(DecisionTree.read, (tmp_path / "x").read_bytes(), tmp_path) > 40
        writer = KaldiWriter(binary=binary)
        chain_transitions().topologies.write(writer)
        assert check_reader(read_topologies, writer.getvalue(), tmp_path) > 40


def test_the_model_of_yesno(shared, tmp_path):
    folder = shared / "yesno" / "kaldi" / "exp" / "mono"
    for name in ("0.mdl", "40.mdl"):
        write_model(tmp_path / "copy", *read_model(folder / name))
        assert (tmp_path / "copy").read_bytes() == (folder / name).read_bytes()
        write_model(tmp_path / "text", *read_model(tmp_path / "copy"), binary=False)
        write_model(tmp_path / "copy", *read_model(tmp_path / "text"))
        assert (tmp_path / "copy").read_bytes() == (folder / name).read_bytes()
    DecisionTree.read(folder / "tree").write(tmp_path / "tree")
    assert (tmp_path / "tree").read_bytes() == (folder / "tree").read_bytes()


def test_yesno_as_an_acoustic_model(shared, tmp_path):
    kaldi = shared / "yesno" / "kaldi"
    model = read_kaldi_model(kaldi / "exp" / "mono", kaldi / "data" / "lang")
    assert model.silence_phones == ("SIL",)
    ours = model.acoustic_model(FeatureOptions(rate=8000))
    assert (ours.n_columns, len(ours.phones), ours.mixtures.n_components) == (20, 6, 940)
    export_model(ours, tmp_path / "kaldi")
    back = read_kaldi_model(tmp_path / "kaldi")
    np.testing.assert_array_equal(back.mixtures.means_invvars, model.mixtures.means_invvars)
    np.testing.assert_array_equal(back.transitions.tuples, model.transitions.tuples)
    np.testing.assert_allclose(back.transitions.log_probs, model.transitions.log_probs, atol=1e-5)


def test_the_lang_directory_of_yesno(shared, tmp_path):
    lang = read_lang(shared / "yesno" / "kaldi" / "data" / "lang")
    assert list(lang.words)[:4] == ["<eps>", "<SIL>", "NO", "YES"]
    assert lang.disambiguation == ("#0", "#1")
    assert lang.topologies is not None
    assert [len(entry) for entry in lang.topologies.entries] == [4, 6]
    graph = read_lang(shared / "yesno" / "kaldi" / "exp" / "mono" / "graph_tgpr")
    assert graph.topologies is None
    shutil.copytree(shared / "yesno" / "kaldi" / "data" / "lang", tmp_path / "lang",
                    copy_function=lambda a, b: Path(b).write_bytes(Path(a).read_bytes()))  # fmt: skip
    (tmp_path / "lang" / "phones").chmod(0o755)
    (tmp_path / "lang" / "phones" / "silence.int").write_text("99\n")
    with pytest.raises(FormatError, match=r"silence\.int:1: a phone that"):
        read_lang(tmp_path / "lang")
