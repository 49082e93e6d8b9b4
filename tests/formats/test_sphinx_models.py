import dataclasses
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import check_reader
from sphinx_models import (
    FILLERS,
    N_EMIT,
    N_SENONES,
    NAMES,
    TRIPHONES,
    mdef_binary,
    mdef_text,
    sendump,
    write_model,
)

from wfst_hmm.errors import DataError, FormatError, ModelError
from wfst_hmm.formats.sphinx.container import (
    checksum,
    open_container,
    read_cepstra,
    write_cepstra,
    write_container,
)
from wfst_hmm.formats.sphinx.mdef import read_mdef
from wfst_hmm.formats.sphinx.model import read_feat_params, read_sphinx_model
from wfst_hmm.formats.sphinx.parameters import (
    WEIGHT_STEP,
    read_gaussians,
    read_mixture_weights,
    read_sendump,
    read_transform,
    read_transitions,
)
from wfst_hmm.models.topology import Topology


def test_the_checksum_is_what_the_format_says():
    words = np.random.default_rng(0).integers(0, 1 << 32, 50, dtype=np.uint32)
    total = 0
    for word in words.tolist():
        total = (((total << 20) | (total >> 12)) + word) & 0xFFFFFFFF
    assert checksum(words) == total


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("with_checksum", [True, False])
def test_containers_come_back(tmp_path, order, with_checksum):
    values = np.array([1.5, -2, 3], np.float32)
    write_container(tmp_path / "x", [np.array([7], np.int32), values], order=order,
                    with_checksum=with_checksum)  # fmt: skip
    header, cursor = open_container(tmp_path / "x")
    assert header["version"] == "1.0"
    assert cursor.number("i", "n") == 7
    assert cursor.array("f4", 3, "values").tolist() == values.tolist()
    cursor.finish()


def test_damaged_containers(tmp_path):
    path = tmp_path / "means"
    write_container(path, [np.array([1, 1, 1, 1, 1], np.int32), np.array([1.0], np.float32)])
    data = path.read_bytes()
    for wrong, message in (
        (b"s4 xx\n" + data[3:], "not a Sphinx container"),
        (data[:-6] + b"\1" + data[-5:], "wrong checksum"),
        (data[:-3], "cut off"),
        (data[:-4], "wrong checksum"),
        (data + b"junk", "wrong checksum"),
        (data.replace(b"\x44\x33\x22\x11", b"\x11\x33\x22\x11"), "no byte-order mark"),
        (b"s3\nversion 1.0\n", "header does not end"),
        (b"s3\n\0\0\n", "no text"),
        (b"", "header does not end"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(FormatError, match=message):
            read_gaussians(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_cepstra_come_back(tmp_path, order):
    values = np.random.default_rng(0).normal(size=(5, 13)).astype(np.float32)
    write_cepstra(tmp_path / "a.mfc", values, order=order)
    np.testing.assert_array_equal(read_cepstra(tmp_path / "a.mfc"), values)
    with pytest.raises(FormatError, match="not frames of 12"):
        read_cepstra(tmp_path / "a.mfc", 12)
    data = (tmp_path / "a.mfc").read_bytes()
    assert check_reader(read_cepstra, data, tmp_path) > 40
    assert check_reader(open_container, data, tmp_path) == 120


def test_both_forms_of_a_definition_say_the_same(tmp_path):
    (tmp_path / "text").write_text(mdef_text())
    (tmp_path / "little").write_bytes(mdef_binary("<"))
    (tmp_path / "big").write_bytes(mdef_binary(">"))
    text, *others = (read_mdef(tmp_path / name) for name in ("text", "little", "big"))
    assert text.names == NAMES
    assert text.is_filler == FILLERS
    assert text.silence_phones == ("SIL", "+NOISE+")
    assert (text.n_senones, text.n_emit, text.n_tmats) == (N_SENONES, N_EMIT, 4)
    for other in others:
        assert (other.names, other.is_filler) == (text.names, text.is_filler)
        np.testing.assert_array_equal(other.phones, text.phones)
        np.testing.assert_array_equal(other.sequences, text.sequences)
    assert text.base_of_senones().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, *[1] * 4, *[2] * 4]


def nearest(base, left, right, place):
    """bin_mdef_phone_id_nearest, as the facts sheet tells it, one step after the other."""
    known = {tuple(row[:4]): row[4] for row in TRIPHONES}
    filler = dict(zip(NAMES, FILLERS, strict=True))

    def sil(name):
        return "SIL" if name is None or filler[name] else name

    if not filler[base]:
        places = [place, *(q for q in "ibes" if q != place)]
        outside = ("SIL" if place in "bs" else sil(left), "SIL" if place in "es" else sil(right))
        for pair in ((sil(left), sil(right)), outside):
            for q in places:
                if (base, *pair, q) in known:
                    return known[(base, *pair, q)]
    index = NAMES.index(base)
    return (2 * index, 2 * index + 1)


def test_unseen_triphones_are_looked_up_as_sphinx_does(tmp_path):
    (tmp_path / "mdef").write_text(mdef_text())
    topologies = [Topology.left_to_right(2)] * 4
    context = read_mdef(tmp_path / "mdef").context_map(topologies)
    places = {"internal": "i", "begin": "b", "end": "e", "single": "s"}
    around = [None, *NAMES]
    for base, left, right, place in itertools.product(NAMES, around, around, places):
        hmm = context.hmms[context.hmm_index(base, left, right, place)]
        assert hmm.columns == nearest(base, left, right, places[place])
        assert NAMES[hmm.phone] == base
    labels = context.state_labels()
    entry, other = context.hmm_labels(labels)
    for hmm, first, later in zip(context.hmms, entry, other, strict=True):
        assert labels.column[later - 1].tolist() == list(hmm.columns)
        assert first[0] == later[0] - 1
        assert first[1] == 0  # entered in the first state only


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.3", "0.4", "not a model definition"),
        ("A B B i", "X B B i", "mdef:13: a phone that is not defined"),
        ("A B B i", "A B Y i", "not defined"),
        ("A B B i", "A B B x", "no place in a word"),
        ("A B B i", "A B B e", "neither|defined twice|place"),
        ("A B B i n/a 1 8 9 N", "A B B i n/a 1 8 N", "not a phone"),
        ("A B B i n/a 1 8 9 N", "A B B i n/a 1 8 99 N", "senone of a state is out of range"),
        ("A B B i n/a 1 8 9 N", "A B B i n/a 9 8 9 N", "transition matrix of a phone"),
        ("A B B i n/a 1 8 9 N", "A B B i what 1 8 9 N", "neither a filler"),
        ("A B B i n/a 1 8 9 N", "A B B i n/a 1 8 nine N", "no whole number"),
        ("A - - - n/a 1 2 3 N", "B - - - n/a 1 2 3 N", "listed twice"),
        ("A - - - n/a 1 2 3 N", "A B B i n/a 1 2 3 N", "triphone among the first"),
        ("6 n_tri", "7 n_tri", "as many phone lines"),
        ("30 n_state_map", "31 n_state_map", "does not fit"),
        ("16 n_tied_state", "16 n_tied", "not one of the six"),
    ],
)
def test_wrong_definitions(tmp_path, old, new, message):
    text = mdef_text()
    assert old in text
    if message.startswith("neither|"):  # the same triphone a second time
        new = "A B SIL e"
    (tmp_path / "mdef").write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=message):
        read_mdef(tmp_path / "mdef")


def test_the_name_of_silence_is_needed(tmp_path):
    (tmp_path / "mdef").write_text(mdef_text().replace("SIL", "SIX"))
    with pytest.raises(ModelError, match="no phone SIL"):
        read_mdef(tmp_path / "mdef").context_map([Topology.left_to_right(2)] * 4)


PACKED = np.random.default_rng(3).integers(0, 16, (2, 3, 5))


@pytest.mark.parametrize("order", ["<", ">"])
def test_quantized_weights(tmp_path, order):
    expected = np.exp(-WEIGHT_STEP * PACKED).transpose(0, 2, 1)
    (tmp_path / "d8").write_bytes(sendump(PACKED, order=order))
    np.testing.assert_allclose(read_sendump(tmp_path / "d8", 5, 2), expected, rtol=1e-6)
    centroids = np.arange(16) * 9
    (tmp_path / "d4").write_bytes(sendump(PACKED, bits=4, order=order, centroids=centroids))
    expected = np.exp(-WEIGHT_STEP * 9 * PACKED).transpose(0, 2, 1)
    np.testing.assert_allclose(read_sendump(tmp_path / "d4", 5, 2), expected, rtol=1e-6)
    wide = np.concatenate([PACKED, PACKED], axis=2)  # columns padded beyond the senones
    (tmp_path / "wide").write_bytes(sendump(wide, order=order, n_senones=5))
    np.testing.assert_allclose(
        read_sendump(tmp_path / "wide", 5, 2), read_sendump(tmp_path / "d8", 5, 2)
    )


def test_wrong_weights(tmp_path):
    path = tmp_path / "sendump"
    data = sendump(PACKED)
    for wrong, message in (
        (data[:-1], "too short for weights"),
        (data + b"x", "after the end"),
        (data.replace(b"model_count 5", b"model_count 6"), "number of senones"),
        (data.replace(b"mixture_count 3", b"mixture_count 4"), "contradict"),
        (data.replace(b"feature_count 2", b"feature_count 3"), "number of streams"),
        (data.replace(b"cluster_bits 8", b"cluster_bits 3"), "unknown packing"),
        (b"\xff\xff\xff\xff", "not a sendump"),
        (b"\x05\0\0\0titl", "ends inside string"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(FormatError, match=message):
            read_sendump(path, 5, 2)


def test_transitions_are_floored_and_zeros_kept(tmp_path):
    counts = np.array([[[1e6, 1, 1, 0], [0, 1, 1, 2], [0, 0, 5, 5]]], np.float32)
    head = np.array([1, 3, 4, 12], np.int32)
    write_container(tmp_path / "t", [head, counts])
    (topology,) = read_transitions(tmp_path / "t")
    np.testing.assert_allclose(topology.transitions[0], [0.9998, 1e-4, 1e-4], rtol=1e-3)
    assert topology.final[0] == 0
    np.testing.assert_allclose(topology.final[1], 0.5)
    for wrong, message in (
        (np.zeros((1, 3, 4), np.float32), "or none"),
        (-counts, "negative"),
        (counts * np.nan, "not finite"),
        (np.tile(np.float32([1, 0, 0, 1]), (1, 3, 1)), "no path reaches"),
    ):
        write_container(tmp_path / "t", [head, wrong.astype(np.float32)])
        with pytest.raises(FormatError, match=message):
            read_transitions(tmp_path / "t")


def scores_slowly(means, variances, weights, codebook, x):
    """The definition, one Gaussian after the other."""
    out = np.zeros((len(x), weights.shape[1]))
    at = 0
    for f, (m, v) in enumerate(zip(means, variances, strict=True)):
        part = x[:, at : at + m.shape[2]]
        at += m.shape[2]
        for s in range(weights.shape[1]):
            total = np.zeros(len(x))
            for d in range(m.shape[1]):
                mean, variance = m[codebook[s], d].astype(float), v[codebook[s], d].astype(float)
                exponent = -0.5 * (((part - mean) ** 2) / variance).sum(axis=1)
                norm = 1 / np.sqrt(np.prod(2 * np.pi * variance))
                total += weights[f, s, d] * norm * np.exp(exponent)
            out[:, s] += np.log(total)
    return out


@pytest.mark.parametrize("n_codebooks", [1, len(NAMES), N_SENONES])
@pytest.mark.parametrize("dump", [True, False])
def test_scores_of_the_three_kinds_of_model(tmp_path, n_codebooks, dump):
    written = write_model(tmp_path, n_codebooks=n_codebooks, dump=dump, order=">", text=False)
    model = read_sphinx_model(tmp_path)
    codebook = {
        1: [0] * N_SENONES,
        len(NAMES): model.definition.base_of_senones(),
        N_SENONES: range(N_SENONES),
    }[n_codebooks]
    x = np.random.default_rng(1).normal(size=(6, 39)) * 2
    expected = scores_slowly(*written, codebook, x)
    np.testing.assert_allclose(model.log_likelihoods(x), expected, rtol=1e-4, atol=1e-3)
    chosen = [3, 0, 9, 3]
    few = model.codebooks.log_likelihoods(x, chosen)
    np.testing.assert_allclose(few, expected[:, chosen], rtol=1e-4, atol=1e-3)
    assert np.all(model.log_likelihoods(x, top_n=1) <= model.log_likelihoods(x) + 1e-4)
    np.testing.assert_allclose(model.log_likelihoods(x, top_n=4), expected, rtol=1e-4, atol=1e-3)
    again = type(model.codebooks).from_arrays(model.codebooks.to_arrays())
    np.testing.assert_array_equal(again.log_likelihoods(x), model.log_likelihoods(x))


def test_keeping_the_best_gaussian_only(tmp_path):
    means, variances, weights = write_model(tmp_path)
    model = read_sphinx_model(tmp_path)
    x = np.random.default_rng(1).normal(size=(4, 39))
    one = model.log_likelihoods(x, top_n=1)
    expected = np.zeros((4, N_SENONES))
    for f, at in ((0, 0), (1, 13)):
        m, v = means[f][0].astype(float), variances[f][0].astype(float)
        part = x[:, None, at : at + m.shape[1]]
        logs = -0.5 * (((part - m) ** 2) / v + np.log(2 * np.pi * v)).sum(axis=2)
        best = logs.argmax(axis=1)
        expected += logs.max(axis=1)[:, None] + np.log(weights[f][:, best].T)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-3)
    assert model.codebooks.top_n_error(x, 1) > 0


def test_zero_weights_stay_impossible(tmp_path):
    write_model(tmp_path)
    books = read_sphinx_model(tmp_path).codebooks
    weights = books.weights.copy()
    weights[:, :, 1:] = 0
    x = np.random.default_rng(1).normal(size=(3, 39))
    found = dataclasses.replace(books, weights=weights).log_likelihoods(x)
    assert np.isfinite(found).all()
    with pytest.raises(ModelError, match="all 0"):
        dataclasses.replace(books, weights=weights * 0)
    with pytest.raises(ModelError, match="does not exist"):
        dataclasses.replace(books, codebook=books.codebook + 1)
    with pytest.raises(DataError, match="too few dimensions"):
        books.log_likelihoods(x[:, :20])
    with pytest.raises(ModelError, match=r"no such state: states\[0\]; got 99, expected 0 to 15"):
        books.log_likelihoods(x, [99])


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("means", None, "no such file"),
        ("means", [[2, 2, 4, 13, 26, 312]], "unknown kind of model|different sizes"),
        ("means", [[1, 2, 4, 13, 27, 160]], "different sizes"),
        ("means", [[1, 2, 4, 13, 26, 157]], "contradict"),
        ("means", [[2**31 - 1, 2, 4, 13, 26, 157]], "impossible codebooks"),
        ("mixture_weights", [[16, 2, 3, 96]], "weights do not fit"),
        ("transition_matrices", [[4, 3, 4, 48]], "do not fit the model definition"),
    ],
)
def test_files_of_unlike_models(tmp_path, name, arrays, message):
    write_model(tmp_path)
    (tmp_path / name).unlink()
    if arrays is not None:
        head = np.array(arrays[0], np.int32)
        size = min(max(int(head[-1]), 0), 1000)
        values = np.tile(np.float32([3, 1, 0, 0, 0, 2, 1, 0, 0, 0, 1, 1]), 1000)[:size]
        write_container(tmp_path / name, [head, values])
    with pytest.raises(FormatError, match=message):
        read_sphinx_model(tmp_path)


def test_models_in_odd_directories(tmp_path):
    with pytest.raises(FormatError, match="it has no mdef"):
        read_sphinx_model(tmp_path)
    write_model(tmp_path)
    (tmp_path / "noisedict").write_text("<s> SIL\n[noise] +NOISE+\n")
    assert read_sphinx_model(tmp_path).fillers["[noise]"] == ("+NOISE+",)
    (tmp_path / "noisedict").write_text("<s> SIL\n[noise] +NONE+\n")
    with pytest.raises(FormatError, match="noisedict:2"):
        read_sphinx_model(tmp_path)
    (tmp_path / "noisedict").unlink()
    (tmp_path / "senmgau").write_bytes(b"")
    with pytest.raises(FormatError, match="senmgau"):
        read_sphinx_model(tmp_path)


def test_a_feature_transform(tmp_path):
    write_model(tmp_path)
    matrix = np.random.default_rng(0).normal(size=(2, 39, 39)).astype(np.float32)
    write_container(
        tmp_path / "feature_transform", [np.array([2, 39, 39, matrix.size], np.int32), matrix]
    )
    np.testing.assert_array_equal(read_transform(tmp_path / "feature_transform"), matrix[0])
    model = read_sphinx_model(tmp_path)
    cepstra = np.random.default_rng(1).normal(size=(9, 13)) + 1
    plain = dataclasses.replace(model, transform=None).finish(cepstra)
    np.testing.assert_allclose(model.finish(cepstra), plain @ matrix[0].T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-nfilt x", "no value for -nfilt"),
        ("-nfilt", "not a key and its value"),
        ("nfilt 40", "not a key and its value"),
        ("-magic yes", "not supported"),
        ("-agc max", "not supported"),
        ("-doublebw yes", "not supported"),
        ("-feat 7s", "impossible value of feat"),
        ("-svspec 0-12/13-99", "dimensions that there are not"),
        ("-svspec 0-12/12-38", "twice"),
        ("-svspec a", "not understood"),
        ("-upperf 9000", "impossible value of upperf"),
        ("-remove_noise maybe", "no value for -remove_noise"),
        ("-wlen 99", "impossible value of wlen"),
    ],
)
def test_wrong_front_ends(tmp_path, text, message):
    (tmp_path / "feat.params").write_text(text + "\n")
    with pytest.raises(FormatError, match=message):
        read_feat_params(tmp_path / "feat.params")


def test_damage_is_an_error_or_harmless(tmp_path):
    write_model(tmp_path / "m", dump=True)
    for data in (mdef_text().encode(), mdef_binary("<"), mdef_binary(">")):
        assert check_reader(read_mdef, data, tmp_path) > 40
    for bits in (8, 4):
        data = sendump(PACKED, bits=bits, centroids=range(16))
        assert check_reader(lambda p: read_sendump(p, 5, 2), data, tmp_path) > 40
    write_container(tmp_path / "w", [np.array([5, 2, 3, 30], np.int32), np.ones(30, np.float32)],
                    with_checksum=False)  # fmt: skip
    assert check_reader(read_mixture_weights, (tmp_path / "w").read_bytes(), tmp_path) > 40
    for name, read in (("means", read_gaussians), ("transition_matrices", read_transitions)):
        assert check_reader(read, (tmp_path / "m" / name).read_bytes(), tmp_path) > 80
    check_reader(read_feat_params, b"-nfilt 25\n-feat 1s_c_d_dd\n-lowerf 130\n", tmp_path)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_politely(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    for read in (read_mdef, open_container, lambda p: read_sendump(p, 5, 2)):
        with pytest.raises(FormatError):
            read(path)


def test_huge_counts_cost_nothing(tmp_path):
    head = struct.pack("<10i", 4, 2**30, 3, 1, 1, 1, 1, 3, 0, 0)
    (tmp_path / "mdef").write_bytes(b"BMDF" + struct.pack("<ii", 1, 0) + head + bytes(100))
    with pytest.raises(FormatError, match="impossible n_phone"):
        read_mdef(tmp_path / "mdef")
