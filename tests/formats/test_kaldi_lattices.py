import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import check_reader

from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.formats.kaldi.archives import read_cmvn, read_integer_lists, read_script
from wfst_hmm.formats.kaldi.lattices import (
    ARC,
    FINAL,
    KaldiLattice,
    read_lattices,
    write_lattices,
)
from wfst_hmm.formats.kaldi.model import read_kaldi_model
from wfst_hmm.fst.binary import read_fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.signal.features import add_deltas

COSTS = st.floats(-50, 50, width=32)
IDS = st.lists(st.integers(1, 9), max_size=3)


@st.composite
def lattices(draw, compact=None):
    compact = draw(st.booleans()) if compact is None else compact
    n_states = draw(st.integers(1, 5))
    pairs = st.integers(0, n_states - 1)
    arcs, finals, ids = [], [], []

    def span():
        new = draw(IDS) if compact else []
        ids.extend(new)
        return len(ids) - len(new), len(ids)

    edges = sorted(draw(st.lists(st.tuples(pairs, pairs), max_size=8)))
    for source, target in edges:
        if source < target:
            label, word = draw(st.integers(0, 4)), draw(st.integers(0, 4))
            if compact:
                part = span()
                label = word
            else:
                ids.extend([label] if label else [])
                part = (len(ids) - bool(label), len(ids))
            arcs.append((source, target, label, word, draw(COSTS), draw(COSTS), *part))
    for state in sorted({n_states - 1, draw(pairs)}):
        finals.append((state, draw(COSTS), draw(COSTS), *span()))
    return KaldiLattice(compact, 0, n_states, np.array(arcs, ARC), np.array(finals, FINAL),
                        np.array(ids, np.int32))  # fmt: skip


def content(lattice):
    """The lattice as plain values; where ids are stored does not matter."""
    spans = [
        [
            (*(row[name].item() for name in rows.dtype.names if not name.startswith("ids")),
             lattice.ids[row["ids_from"] : row["ids_to"]].tolist())
            for row in rows
        ]
        for rows in (lattice.arcs, lattice.finals)
    ]  # fmt: skip
    return lattice.compact, lattice.start, lattice.n_states, spans[0], sorted(spans[1])


@settings(deadline=None, max_examples=40)
@given(lattices())
def test_lattices_come_back(tmp_path_factory, lattice):
    path = tmp_path_factory.mktemp("lat") / "lat"
    write_lattices(path, {"u1": lattice, "u2": lattice})
    found = read_lattices(path)
    assert list(found) == ["u1", "u2"]
    assert content(found["u1"]) == content(found["u2"]) == content(lattice)


@settings(deadline=None, max_examples=40)
@given(lattices())
def test_lattices_come_back_as_text(tmp_path_factory, lattice):
    path = tmp_path_factory.mktemp("lat") / "lat"
    write_lattices(path, {"u1": lattice, "u2": lattice}, binary=False)
    starts_somewhere = len(lattice.arcs) and lattice.arcs["source"][0] == 0
    used = 1 + max([*lattice.arcs["target"].tolist(), *lattice.finals["state"].tolist(), 0])
    if not starts_somewhere or used != lattice.n_states:
        return  # text names neither a start nor states without arcs
    assert all(content(found) == content(lattice) for found in read_lattices(path).values())


def every_path(lattice, state):
    for final in lattice.finals[lattice.finals["state"] == state]:
        yield [], final
    for index in np.flatnonzero(lattice.arcs["source"] == state):
        for rest, final in every_path(lattice, lattice.arcs["target"][index]):
            yield [index, *rest], final


@settings(deadline=None, max_examples=40)
@given(lattices(), st.sampled_from([0.1, 1.0, 3.0]))
def test_the_best_path_is_the_best_of_all(lattice, scale):
    costs = []
    for arcs, final in every_path(lattice, 0):
        rows = [*lattice.arcs[arcs], final]
        costs.append(sum(float(row["graph"]) + scale * float(row["acoustic"]) for row in rows))
    if not costs:
        with pytest.raises(GraphError, match="no path"):
            lattice.best_path()
        return
    best = lattice.best_path(acoustic_scale=scale)
    total = best.graph_cost + scale * best.acoustic_cost
    assert total == pytest.approx(min(costs), abs=1e-4)


def test_text_as_kaldi_writes_it(tmp_path):
    path = tmp_path / "lat"
    path.write_text(
        "u1 \n0\t1\t3\t1.5,20,2_2_1\n0\t1\t4\n1\t0.5,0,7\n\nu2 \n0 1 5 3 1,2\n1 0,1\n\n"
    )
    found = read_lattices(path)
    assert found["u1"].compact
    best = found["u1"].best_path()
    assert (best.words, best.ids.tolist(), best.graph_cost) == ((4,), [7], 0.5)
    assert found["u2"].best_path().ids.tolist() == [5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u \n\n", "empty line"),
        ("u \n0 1 x 1,2,3\n", "no whole number"),
        ("u \n0 1 3 1,b,3\n", "no costs"),
        ("u \n0 1 3 4 5 1,2\n", "no arc"),
        ("u \n0 1 3 1,2,3\n0 1 3 1,2\n", "no weight"),
        ("u \n0 1 3 inf,2,3\n1\n", "not finite"),
        ("u \n0 1 3 1,2,3\n1\n1\n", "final twice"),
        ("u \n0 900000000 3 1,2,3\n", "large gaps"),
        ("u \n0 1 3 1,2,0\n", "below 1"),
    ],
)
def test_wrong_text(tmp_path, text, message):
    (tmp_path / "lat").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_lattices(tmp_path / "lat")


def test_a_lattice_with_a_cycle_has_no_best_path(tmp_path):
    (tmp_path / "lat").write_text("u \n0 1 3 1,2,3\n1 0 3 1,2,3\n1 0,0,\n")
    with pytest.raises(GraphError, match="cycle"):
        read_lattices(tmp_path / "lat")["u"].best_path()


@settings(deadline=None, max_examples=40)
@given(lattices())
def test_damage_is_an_error_or_harmless(tmp_path_factory, lattice):
    folder = tmp_path_factory.mktemp("lat")
    for binary in (True, False):
        write_lattices(folder / "x", {"u": lattice, "v": lattice}, binary=binary)
        check_reader(read_lattices, (folder / "x").read_bytes(), folder, n=6)


def test_damage_in_a_larger_lattice(tmp_path):
    arcs = [(i, i + 1, i % 3, i % 3, 1.0, 2.0, 2 * i, 2 * i + 2) for i in range(20)]
    ids = np.arange(1, 41, dtype=np.int32)
    lattice = KaldiLattice(True, 0, 21, np.array(arcs, ARC),
                           np.array([(20, 0.0, 0.0, 40, 40)], FINAL), ids)  # fmt: skip
    for binary in (True, False):
        write_lattices(tmp_path / "x", {"u": lattice}, binary=binary)
        assert check_reader(read_lattices, (tmp_path / "x").read_bytes(), tmp_path, n=240) > 60


@pytest.fixture(scope="module")
def yesno(shared):
    """The model, lattices and features of Kaldi's own yesno experiment."""
    kaldi = shared / "yesno" / "kaldi"
    model = read_kaldi_model(kaldi / "exp" / "mono", kaldi / "data" / "lang")
    found = read_lattices(kaldi / "exp" / "mono" / "decode_test_yesno" / "lat.1.gz")
    data = kaldi / "data" / "test_yesno"
    stats = read_cmvn(data / "cmvn.scp")["global"]
    features = {
        key: add_deltas((raw - stats.sum / stats.count).astype(np.float32))
        for key, raw in read_script(data / "feats.scp").items()
    }
    return kaldi, model, found, features


def test_log_likelihoods_are_those_in_the_lattices(yesno):
    _, model, found, features = yesno
    mixtures = model.mixture_set()
    assert len(found) == 29
    for key, lattice in found.items():
        scores = mixtures.log_likelihoods(features[key])
        for weight in (1, 10):
            path = lattice.best_path(acoustic_scale=1 / weight)
            assert len(path.ids) == len(scores)
            total = -scores[np.arange(len(scores)), model.transitions.pdf_of[path.ids]].sum(
                dtype=float
            )
            assert path.acoustic_cost == pytest.approx(total, rel=1e-5)
            model.transitions.phones_of(path.ids)  # splits into whole phones


def n_errors(reference, hypothesis):
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            step = previous + (word != other)
            previous, row[j] = row[j], min(step, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def test_words_and_errors_at_each_lm_weight(yesno):
    kaldi, _, found, _ = yesno
    decode = kaldi / "exp" / "mono" / "decode_test_yesno"

    words = Symbols.read(kaldi / "data" / "lang" / "words.txt")
    text = [
        line.split() for line in (decode / "scoring" / "test_filt.txt").read_text().splitlines()
    ]
    references = {row[0]: row[1:] for row in text}
    for weight in range(7, 12):
        expected = read_integer_lists(decode / "scoring" / f"{weight}.tra")
        errors = 0
        for key, lattice in found.items():
            path = lattice.best_path(acoustic_scale=1 / weight)
            assert list(path.words) == expected[key].tolist()
            errors += n_errors(references[key], words.strings(path.words))
        assert f"[ {errors} / 232" in (decode / f"wer_{weight}").read_text()


def test_kaldis_graph_gives_kaldis_costs(yesno):
    kaldi, model, found, features = yesno
    graph = read_fst(kaldi / "exp" / "mono" / "graph_tgpr" / "HCLG.fst")
    labels = model.state_labels()
    mixtures = model.mixture_set()
    for key, lattice in found.items():
        scores = mixtures.log_likelihoods(features[key])
        for weight in (7, 12):
            best = lattice.best_path(acoustic_scale=1 / weight)
            cost, arcs = viterbi_path(graph, scores, labels.column, acoustic_scale=1 / weight)
            path = graph.arcs[arcs]
            assert path["olabel"][path["olabel"] > 0].tolist() == list(best.words)
            kaldis = best.graph_cost + best.acoustic_cost / weight
            if weight == 12:  # the scale of Kaldi's own search: the same path to the last id
                assert cost == pytest.approx(kaldis, rel=1e-5)
                assert path["ilabel"][path["ilabel"] > 0].tolist() == best.ids.tolist()
            else:  # the lattice keeps one alignment a word sequence, the best at 12
                assert kaldis * (1 - 1e-3) < cost <= kaldis * (1 + 1e-6)


def test_the_lattices_of_yesno_come_back(yesno, tmp_path):
    kaldi, _, found, _ = yesno
    for binary in (True, False):
        write_lattices(tmp_path / "lat", found, binary=binary)
        again = read_lattices(tmp_path / "lat")
        assert all(content(again[key]) == content(found[key]) for key in found)
    source = kaldi / "exp" / "mono" / "decode_test_yesno" / "lat.1.gz"
    write_lattices(tmp_path / "lat", found)
    original, copy = gzip.decompress(source.read_bytes()), (tmp_path / "lat").read_bytes()
    different = np.flatnonzero(np.frombuffer(original, "u1") != np.frombuffer(copy, "u1"))
    starts = [original.index(struct.pack("<i", 2125659606))]
    while (at := original.find(struct.pack("<i", 2125659606), starts[-1] + 1)) > 0:
        starts.append(at)
    offsets = different - np.array(starts)[np.searchsorted(starts, different, side="right") - 1]
    # only OpenFst's property bits and its unset count of arcs differ
    assert set(offsets.tolist()) <= {*range(42, 50), *range(66, 74)}
