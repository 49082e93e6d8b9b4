import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import check_reader

from wfst_hmm.errors import DataError, FormatError, GraphError, ModelError
from wfst_hmm.formats.htk.labels import Label, read_labels, read_mlf, write_mlf
from wfst_hmm.formats.htk.mmf import read_mmf
from wfst_hmm.formats.htk.model import read_hmm_list, read_htk_model, split_name
from wfst_hmm.formats.htk.slf import LINK, SlfLattice, read_slf, write_slf
from wfst_hmm.signal.htk_files import (
    HtkFeatures,
    kind_code,
    kind_name,
    read_htk_features,
    write_htk_features,
)

SMALL = settings(deadline=None, max_examples=40)
WORDS = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=4)
ODD = st.text("ab \"'\\=é", min_size=1, max_size=5).filter(lambda text: not text.isspace())

# -- features ----------------------------------------------------------------------------------


def test_parameter_kinds():
    assert kind_code("MFCC_0_D_A") == 6 | 0o20000 | 0o400 | 0o1000
    assert kind_name(kind_code("plp_e_d_z")) == "PLP_E_D_Z"
    for wrong in ("MFCX", "MFCC_Q"):
        with pytest.raises(FormatError, match="no parameter kind"):
            kind_code(wrong)


@SMALL
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_features_come_back(tmp_path_factory, n, n_dims, seed, compress):
    path = tmp_path_factory.mktemp("htk") / "f"
    array = (np.random.default_rng(seed).normal(size=(n, n_dims)) * 20).astype(np.float32)
    write_htk_features(path, HtkFeatures(array, 0.01, "MFCC_0"), compress=compress)
    found = read_htk_features(path)
    assert (found.kind, found.frame_shift) == ("MFCC_0", 0.01)
    tolerance = np.ptp(array, axis=0).max() / 30000 + 1e-5 if compress else 0
    np.testing.assert_allclose(found.array, array, atol=tolerance)


def test_other_kinds_of_files(tmp_path):
    path = tmp_path / "f"
    values = np.array([[1.5, -2.0]], np.float32)
    little = struct.pack("<iihH", 1, 100_000, 8, 6) + values.astype("<f4").tobytes()
    path.write_bytes(little)
    np.testing.assert_array_equal(read_htk_features(path).array, values)
    checked = struct.pack(">iihH", 1, 100_000, 8, 6 | 0o10000) + values.astype(">f4").tobytes()
    path.write_bytes(checked + b"\1\2")
    assert read_htk_features(path).kind == "MFCC"
    path.write_bytes(struct.pack(">iihH", 3, 625, 2, 0) + struct.pack(">3h", 1, -2, 3))
    assert read_htk_features(path).array.tolist() == [[1], [-2], [3]]
    for wrong in (little[:-1], little + b"x", b"", struct.pack(">iihH", 2**31 - 1, 1, 8, 6)):
        path.write_bytes(wrong)
        with pytest.raises(FormatError, match="header"):
            read_htk_features(path)
    with pytest.raises(DataError, match="no features that HTK"):
        write_htk_features(path, HtkFeatures(values, 0.01, "WAVEFORM"))


def test_damaged_features(tmp_path):
    array = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    for compress in (True, False):
        write_htk_features(tmp_path / "x", HtkFeatures(array, 0.01, "PLP_E"), compress=compress)
        assert check_reader(read_htk_features, (tmp_path / "x").read_bytes(), tmp_path) > 40


# -- labels ------------------------------------------------------------------------------------


@st.composite
def label(draw):
    ticks = sorted(draw(st.lists(st.integers(0, 10**9), min_size=2, max_size=2)))
    times = draw(
        st.sampled_from([(None, None), (ticks[0] / 1e7, None), (ticks[0] / 1e7, ticks[1] / 1e7)])
    )
    score = draw(st.none() | st.floats(-1e6, 1e6)) if times[1] is not None else None
    others = draw(st.lists(WORDS.filter(lambda w: w not in ("inf", "nan")), max_size=2))
    return Label(draw(ODD | WORDS), *times, score, tuple(others))


@SMALL
@given(st.dictionaries(WORDS, st.lists(label(), max_size=4), max_size=3))
def test_label_files_come_back(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("mlf") / "x.mlf"
    write_mlf(path, entries)
    found = read_mlf(path)
    assert list(found) == list(entries)
    assert all(list(found[name]) == entries[name] for name in entries)


def test_labels_as_htk_writes_them(tmp_path):
    (tmp_path / "a.mlf").write_text(
        '#!MLF!#\n"*/a.lab"\n0 3600000 ice -12.5 word\n3600000 8200000 cream\n///\n'
        '0 1 other\n.\n"/some/where/b.rec"\nYES\nNO\n.\n'
    )
    found = read_mlf(tmp_path / "a.mlf")
    assert found["a"] == (Label("ice", 0.0, 0.36, -12.5, ("word",)), Label("cream", 0.36, 0.82))
    assert [x.name for x in found["b"]] == ["YES", "NO"]
    (tmp_path / "a.lab").write_text("0 10000000 sil\n10000000 20000000 a\n///\nrest\n")
    assert [x.end for x in read_labels(tmp_path / "a.lab")] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a master label file"),
        ("#!MLF!#\n", None),
        ('#!MLF!#\n"a.lab"\nYES\n', "no closing full stop"),
        ('#!MLF!#\n"a.lab"\n.\n"b/a.lab"\n.\n', "come twice"),
        ('#!MLF!#\n"*/a*" -> "dir"\n', "not the name"),
        ('#!MLF!#\n"a.lab\nYES\n.\n', "quote that does not end"),
        ('#!MLF!#\n"a.lab"\n5 3 YES\n.\n', "ends before it starts"),
    ],
)
def test_wrong_label_files(tmp_path, text, message):
    (tmp_path / "x.mlf").write_text(text)
    if message is None:
        assert read_mlf(tmp_path / "x.mlf") == {}
        return
    with pytest.raises(FormatError, match=message) as caught:
        read_mlf(tmp_path / "x.mlf")
    assert "x.mlf" in str(caught.value)


def test_labels_that_cannot_be_written(tmp_path):
    for name, entry in (("a/b", Label("x")), ("a", Label(".")), ("a", Label(""))):
        with pytest.raises(FormatError):
            write_mlf(tmp_path / "x.mlf", {name: [entry]})


# -- models ------------------------------------------------------------------------------------

MACROS = """~o <STREAMINFO> 1 2
<VECSIZE> 2 <NULLD> <USER_D> <DIAGC>
~v "varFloor1"
<Variance> 2
 0.01 0.01
~u "m1" <MEAN> 2 0.5 -0.5
~v "v1" <VARIANCE> 2 2.0 0.5
~s "tied" <NUMMIXES> 2
 <MIXTURE> 1 0.25 <MEAN> 2 1 2 <VARIANCE> 2 1 1 <GCONST> 3.7
 <MIXTURE> 2 0.75 ~u "m1" ~v "v1"
~t "T" <TRANSP> 4
 0 1 0 0
 0 0.5 0.5 0
 0 0 0.6 0.4
 0 0 0 0
"""
HMMS = """~h "a-b+a"
<BEGINHMM> <NUMSTATES> 4
<STATE> 2 ~s "tied"
<STATE> 3 <MEAN> 2 0 0 <VARIANCE> 2 4 4
~t "T"
<ENDHMM>
~h "b" <BeginHMM> <NumStates> 4 <State> 3 ~s "tied" <State> 2 ~s "tied" ~t "T" <EndHMM>
~h "a" <BEGINHMM> <NUMSTATES> 4 <STATE> 2 ~s "tied" <STATE> 3 <MEAN> 2 9 9 <VARIANCE> 2 1 1 ~t "T" <ENDHMM>
~h "sp" <BEGINHMM> <NUMSTATES> 3 <STATE> 2 ~s "tied"
<TRANSP> 3
 0 0.7 0.3
 0 0.9 0.1
 0 0 0
<ENDHMM>
"""
TIED = "a\nb\nsp\na-b+a\nb-b+a a-b+a\na-b b\nb+a a-b+a\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "macros").write_text(MACROS)
    (tmp_path / "hmmdefs").write_text(HMMS)
    (tmp_path / "tiedlist").write_text(TIED)
    return tmp_path


def test_models(files):
    models = read_mmf(files / "macros", files / "hmmdefs")
    assert (models.n_dims, models.kind) == (2, "USER_D")
    assert list(models.hmms) == ["a-b+a", "b", "a", "sp"]
    tied = models.states[models.hmms["b"].states[0]]
    assert tied.name == "tied"
    assert tied.weights.tolist() == [0.25, 0.75]
    assert models.means[tied.gaussians].tolist() == [[1, 2], [0.5, -0.5]]
    assert models.variances[tied.gaussians].tolist() == [[1, 1], [2, 0.5]]
    assert models.hmms["a-b+a"].states[0] == models.hmms["b"].states[1]


def test_scores_of_models(files):
    model = read_htk_model([files / "macros", files / "hmmdefs"], files / "tiedlist")
    x = np.random.default_rng(0).normal(size=(5, 2))
    scores = model.mixture_set().log_likelihoods(x)
    for column, state in enumerate(model.models.states):
        density = np.zeros(5)
        for g, w in zip(state.gaussians, state.weights, strict=True):
            mean, variance = model.models.means[g], model.models.variances[g]
            norm = np.prod(2 * math.pi * variance) ** -0.5
            density += w * norm * np.exp(-0.5 * ((x - mean) ** 2 / variance).sum(axis=1))
        np.testing.assert_allclose(scores[:, column], np.log(density), rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="Gaussians of their own"):
        model.codebooks()


def test_logical_and_physical_models(files):
    model = read_htk_model([files / "macros", files / "hmmdefs"], files / "tiedlist")
    context = model.context_map()
    assert context.phones == ("a", "b", "sp")

    def columns(*key):
        return context.hmms[context.hmm_index(*key)].columns

    physical = {name: hmm.states for name, hmm in model.models.hmms.items()}
    assert columns("b", "a", "a") == physical["a-b+a"]
    assert columns("b", "b", "a") == physical["a-b+a"]
    assert columns("b", "sp", "a") == physical["a-b+a"]  # b+a
    assert columns("b", "a", "b") == physical["b"]  # a-b
    assert columns("b") == physical["b"]
    assert columns("a", "b", "b") == physical["a"]
    assert model.passed_by() == {"sp": pytest.approx(0.3)}
    sp = context.topology_of(context.hmm_index("sp"))
    assert sp.initial.tolist() == [1.0]
    np.testing.assert_allclose(sp.transitions, [[0.9]])
    assert read_htk_model([files / "macros", files / "hmmdefs"]).logical["sp"] == "sp"


def test_names():
    assert split_name("a-b+c") == ("a", "b", "c")
    assert split_name("b+c") == (None, "b", "c")
    assert split_name("a-b") == ("a", "b", None)
    assert split_name("sil") == (None, "sil", None)


def test_tied_mixtures(tmp_path):
    pool = "".join(f'~m "p{i}" <MEAN> 1 {i} <VARIANCE> 1 1\n' for i in (1, 2, 3))
    (tmp_path / "m").write_text(
        "~o <VECSIZE> 1\n" + pool + '~h "a" <BEGINHMM> <NUMSTATES> 4\n'
        "<STATE> 2 <NUMMIXES> 3 <TMIX> p 0.5 0.25*2\n<STATE> 3 <NUMMIXES> 3 <TMIX> p 0*2 1\n"
        "<TRANSP> 4 0 1 0 0 0 .5 .5 0 0 0 .5 .5 0 0 0 0 <ENDHMM>\n"
    )
    model = read_htk_model([tmp_path / "m"])
    x = np.linspace(-2, 5, 6)[:, None]
    expected = model.mixture_set().log_likelihoods(x)
    np.testing.assert_allclose(model.codebooks().log_likelihoods(x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        np.exp(expected[:, 0]),
        sum(w * np.exp(-0.5 * (x[:, 0] - m) ** 2) for w, m in ((0.5, 1), (0.25, 2), (0.25, 3)))
        / math.sqrt(2 * math.pi),
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('~u "m1" <MEAN> 2 0.5 -0.5', '~u "m1" <MEAN> 3 0.5 -0.5 1', "wrong length"),
        ('~u "m1" <MEAN> 2 0.5 -0.5', "", "'m1' is not defined"),
        ('~u "m1" <MEAN> 2 0.5', '~u "m1" <MEAN> 2 nan', "no number for mean"),
        ('~u "m1" <MEAN> 2 0.5', '~u "m1" <MEAN> 200000000 0.5', "out of range"),
        ('~v "v1"', '~v "varfloor"', "'v1' is not defined"),
        ('~u "m1"', '~v "v1" <VARIANCE> 2 1 1 ~u "m1"', "defined twice"),
        ("<VARIANCE> 2 2.0 0.5", "<VARIANCE> 2 2.0 -0.5", "not positive"),
        ("<VARIANCE> 2 2.0 0.5", "<INVCOVAR> 2 1 0 1", "only diagonal"),
        ("<MIXTURE> 2 0.75", "<MIXTURE> 2 0.95", "do not sum to 1"),
        ("<MIXTURE> 2 0.75", "<MIXTURE> 1 0.75", "listed twice"),
        ("<MIXTURE> 2 0.75", "<MIXTURE> 3 0.75", "out of range"),
        ("0 0 0.6 0.4", "0 0 0.6 0.6", "no probabilities"),
        ("<STREAMINFO> 1 2", "<STREAMINFO> 2 1 1", "several streams"),
        ("<DIAGC>", "<FULLC>", "only diagonal"),
        ("<DIAGC>", "<WHAT>", "not known"),
        ("~o", "~r", "not supported"),
        (MACROS, "\1\2\3", "not an HTK model file"),
        ("<VECSIZE> 2", "<VECSIZE> 3", "vector sizes differ"),
    ],
)
def test_wrong_macros(files, old, new, message):
    assert old in MACROS
    (files / "macros").write_text(MACROS.replace(old, new, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read_mmf(files / "macros", files / "hmmdefs")
    assert "macros:" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('~s "tied"', '~s "loose"', "'loose' is not defined"),
        ("<STATE> 3", "<STATE> 4", "out of range"),
        ("<STATE> 3", "<STATE> 2", "listed twice"),
        ("<NUMSTATES> 4", "<NUMSTATES> 5", "lacks states"),
        ('~h "b"', '~h "a"', "defined twice"),
        ("<ENDHMM>", "", "another thing than expected"),
        ("0 0.7 0.3", "0 0.7", "no transition|number for transition"),
    ],
)
def test_wrong_hmms(files, old, new, message):
    assert old in HMMS
    (files / "hmmdefs").write_text(HMMS.replace(old, new, 1))
    with pytest.raises(FormatError, match=message):
        read_mmf(files / "macros", files / "hmmdefs")


def test_wrong_lists(files):
    for text, message in (
        ("a b c\n", "more than two"),
        ("a\na\n", "listed twice"),
        ("a x\n", "a -> x"),
        ("", "or none"),
    ):
        (files / "tiedlist").write_text(text)
        with pytest.raises(FormatError, match=message):
            read_htk_model([files / "macros", files / "hmmdefs"], files / "tiedlist")
    (files / "hmmdefs").write_text("")
    with pytest.raises(FormatError, match="no HMM"):
        read_mmf(files / "macros", files / "hmmdefs")


def test_damaged_models(files):
    assert check_reader(read_mmf, (MACROS + HMMS).encode(), files, n=180) > 60
    check_reader(read_hmm_list, TIED.encode(), files)


# -- lattices ----------------------------------------------------------------------------------


@st.composite
def slf_lattices(draw):
    n = draw(st.integers(2, 5))
    words = ("!NULL", *draw(st.lists(ODD | WORDS, min_size=1, max_size=3, unique=True)))
    words = tuple(dict.fromkeys(words))
    logs = st.floats(-100, 0)
    rows = [(i, i + 1, 0, 0, draw(logs), draw(logs)) for i in range(n - 1)]
    for _ in range(draw(st.integers(0, 5))):
        a, b = sorted(draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=2, unique=True)))
        rows.append((a, b, draw(st.integers(0, len(words) - 1)), draw(st.integers(0, 3)),
                     draw(logs), draw(logs)))  # fmt: skip
    times = np.sort(draw(st.lists(st.floats(0, 9), min_size=n, max_size=n)))
    return SlfLattice(draw(ODD | WORDS), times, np.array(rows, LINK), words, 0, n - 1,
                      draw(st.floats(0.1, 20)), draw(st.floats(-5, 5)), 1.0)  # fmt: skip


def strings(lattice):
    return [
        (*(row[n].item() for n in LINK.names if n != "word"), lattice.words[row["word"]])
        for row in lattice.links
    ]


@SMALL
@given(slf_lattices())
def test_slf_comes_back(tmp_path_factory, lattice):
    path = tmp_path_factory.mktemp("slf") / "x.slf"
    write_slf(path, lattice)
    found = read_slf(path)
    assert strings(found) == strings(lattice)
    assert found.times.tolist() == lattice.times.tolist()
    same = ("utterance", "start", "end", "lm_scale", "word_penalty")
    assert all(getattr(found, name) == getattr(lattice, name) for name in same)


def every_path(lattice, node):
    if node == lattice.end:
        yield 0.0
    for link in lattice.links[lattice.links["start"] == node]:
        score = link["acoustic"] * lattice.acoustic_scale + link["language"] * lattice.lm_scale
        score += lattice.word_penalty * (link["word"] > 0)
        for rest in every_path(lattice, link["end"]):
            yield score + rest


@SMALL
@given(slf_lattices())
def test_the_best_of_all_paths(lattice):
    assert lattice.best_path()[1] == pytest.approx(max(every_path(lattice, 0)), rel=1e-9)


BOOK = """VERSION=1.0
UTTERANCE=test base=10 lmscale=2.0 wdpenalty=-1.0
NODES=4 LINKS=4
I=0 t=0.0 W=!NULL
I=1 t=0.5 W=bat
I=2 t=0.5 W="cat"
I=3 t=1.0 W=!NULL
# links
J=0 S=0 E=1 a=-3 l=-1
J=1 START=0 END=2 acoustic=-2 language=-1
J=2 S=1 E=3 a=-1
J=3 S=2 E=3 a=-1
"""


def test_a_lattice_with_words_on_nodes(tmp_path):
    (tmp_path / "x.slf").write_text(BOOK)
    lattice = read_slf(tmp_path / "x.slf")
    words, score = lattice.best_path()
    assert words == ("cat",)
    assert score == pytest.approx(math.log(10) * (-2 - 2 * 1 - 1 - 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NODES=4", "NODES=5", "N does not match"),
        ("NODES=4 LINKS=4", "", "no counts"),
        ("J=3 S=2 E=3", "J=3 S=2 E=9", "does not exist"),
        ("J=3", "J=2", "listed twice"),
        ("I=3", "I=7", "gaps"),
        ("a=-3", "a=x", "no finite number"),
        ("a=-3", "a=inf", "no finite number"),
        ("base=10", "base=1", "impossible base"),
        ("base=10", "base=0", "probability of 0"),
        ("UTTERANCE=test", "UTTERANCE=test SUBLAT=x", "sub-lattices"),
        ("S=2", "S", "not a field"),
    ],
)
def test_wrong_lattices(tmp_path, old, new, message):
    assert old in BOOK
    (tmp_path / "x.slf").write_text(BOOK.replace(old, new, 1))
    with pytest.raises(FormatError, match=message):
        read_slf(tmp_path / "x.slf")


def test_lattices_without_a_way_through(tmp_path):
    (tmp_path / "x.slf").write_text(BOOK.replace("J=3 S=2 E=3", "J=3 S=3 E=0"))
    with pytest.raises(FormatError, match="not one start"):
        read_slf(tmp_path / "x.slf")
    (tmp_path / "x.slf").write_text("start=0 end=3\n" + BOOK.replace("J=3 S=2 E=3", "J=3 S=3 E=1"))
    with pytest.raises(GraphError, match="cycle"):
        read_slf(tmp_path / "x.slf").best_path()


def test_damaged_lattices(tmp_path):
    assert check_reader(read_slf, BOOK.encode(), tmp_path, n=180) > 60
    check_reader(read_mlf, b'#!MLF!#\n"*/a.lab"\n0 10 a -1.5 b\n.\n"*/b.lab"\nx\n.\n', tmp_path)
