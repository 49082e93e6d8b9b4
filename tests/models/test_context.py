import dataclasses
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, ModelError
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap, PhysicalHmm
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.sphinx import SphinxOptions, sphinx_features

TOPOLOGIES = (Topology.left_to_right(2), Topology.ergodic(2))


@st.composite
def grids(draw):
    n_phones, n_positions = draw(st.integers(1, 3)), draw(st.sampled_from([1, 4]))
    n_hmms = draw(st.integers(1, 5))
    columns = st.tuples(st.integers(0, 9), st.integers(0, 9))
    hmms = [
        PhysicalHmm(draw(st.integers(0, n_phones - 1)), draw(st.integers(0, 1)), draw(columns))
        for _ in range(n_hmms)
    ]
    cells = st.lists(
        st.integers(-1, n_hmms - 1), min_size=(n_phones + 1) ** 2, max_size=(n_phones + 1) ** 2
    )
    tables = {
        (c, p): np.array(draw(cells)).reshape(n_phones + 1, n_phones + 1)
        for c in range(n_phones) for p in range(n_positions)
    }  # fmt: skip
    return n_phones, n_positions, hmms, tables


@settings(deadline=None, max_examples=60)
@given(grids())
def test_compressed_tables_answer_as_the_full_ones(grid):
    n_phones, n_positions, hmms, tables = grid
    names = ["a", "b", "c"][:n_phones]
    built = ContextMap.build(
        names, TOPOLOGIES, hmms, lambda c, p: tables[c, p], n_positions=n_positions
    )
    for context in (built, ContextMap.from_arrays(built.to_arrays())):
        for (centre, position), table in tables.items():
            for left in range(n_phones + 1):
                for right in range(n_phones + 1):
                    key = (names[centre], [*names, None][left], [*names, None][right],
                           WORD_POSITIONS[position])  # fmt: skip
                    if table[left, right] < 0:
                        with pytest.raises(ModelError, match="no HMM"):
                            context.hmm_index(*key)
                    else:
                        assert context.hmm_index(*key) == table[left, right]


@settings(deadline=None, max_examples=60)
@given(grids())
def test_labels_of_states(grid):
    n_phones, n_positions, hmms, tables = grid
    names = ["a", "b", "c"][:n_phones]
    context = ContextMap.build(
        names, TOPOLOGIES, hmms, lambda c, p: tables[c, p], n_positions=n_positions
    )
    labels = context.state_labels()
    keys = list(zip(labels.phone, labels.state, labels.column, labels.is_entry, strict=True))
    assert len(set(keys)) == len(keys) == len(labels.symbols) - 1
    entry, other = context.hmm_labels(labels)
    for hmm, first, later in zip(hmms, entry, other, strict=True):
        topology = context.topologies[hmm.topology]
        for s, column in enumerate(hmm.columns):
            assert keys[later[s] - 1] == (hmm.phone, s, column, False)
            if topology.initial[s] > 0:
                assert keys[first[s] - 1] == (hmm.phone, s, column, True)


def test_monophones_are_a_map_without_context():
    columns = [np.array([0, 1], np.int32), np.array([2, 3], np.int32)]
    context = ContextMap.monophones(["a", "b"], TOPOLOGIES, columns)
    assert context.hmm_index("a") == context.hmm_index("a", "b", "b", "end") == 0
    assert context.hmms[context.hmm_index("b", "a")].columns == (2, 3)
    plain = StateLabels.build(["a", "b"], TOPOLOGIES, columns)
    labels = context.state_labels()
    for name in ("phone", "state", "column", "is_entry"):
        np.testing.assert_array_equal(getattr(labels, name), getattr(plain, name))
    with pytest.raises(ModelError, match="no phone 'c'"):
        context.hmm_index("c")
    with pytest.raises(ModelError, match="no such place"):
        context.hmm_index("a", position="start")


def test_maps_that_contradict_themselves():
    context = ContextMap.monophones(["a", "b"], TOPOLOGIES, [[0, 1], [2, 3]])
    for change, message in (
        ({"n_positions": 2}, "one position or four"),
        ({"left_class": context.left_class[:, :, :2]}, "wrong shape"),
        ({"left_class": context.left_class + 1}, "does not fit"),
        ({"hmms": (*context.hmms[:1], PhysicalHmm(1, 9, (0, 1)))}, "does not exist"),
        ({"hmms": (*context.hmms[:1], PhysicalHmm(1, 1, (0,)))}, "for each state"),
        ({"hmms": context.hmms[:1]}, "names an HMM"),
    ):
        with pytest.raises(ModelError, match=message):
            dataclasses.replace(context, **change)
    arrays = context.to_arrays()
    for name in arrays:
        with pytest.raises(ModelError):
            ContextMap.from_arrays({k: v for k, v in arrays.items() if k != name})


def small_model(kind):
    context = ContextMap.monophones(["a", "SIL"], TOPOLOGIES, [[0, 1], [1, 2]])
    rng = np.random.default_rng(0)
    if kind == "sphinx":
        means, variances = rng.normal(size=(1, 4, 39)), np.ones((1, 4, 39))
        weights = rng.uniform(0.1, 1, (1, 3, 4)).astype(np.float32)
        densities = CodebookSet(
            (np.arange(39),), (means,), (variances,), weights, np.zeros(3, np.int32)
        )
        return ContextModel(context, ("SIL",), densities, SphinxOptions(), np.eye(39, dtype=np.float32),
                            {"<s>": ("SIL",)}, {"note": 1})  # fmt: skip
    densities = MixtureSet.from_gaussians(rng.normal(size=(3, 39)), np.ones((3, 39)))
    return ContextModel(context, ("SIL",), densities, FeatureOptions())


@pytest.mark.parametrize("kind", ["sphinx", "kaldi"])
def test_models_come_back(tmp_path, kind):
    model = small_model(kind)
    model.save(tmp_path / "m")
    found = ContextModel.load(tmp_path / "m")
    assert found.hash == model.hash
    assert (found.front_end, dict(found.fillers), dict(found.info)) == (
        model.front_end, dict(model.fillers), dict(model.info),
    )  # fmt: skip
    audio = Audio(np.random.default_rng(1).normal(size=8000).astype(np.float32) * 0.1, 16000)
    features = found.features(audio)
    np.testing.assert_array_equal(found.score(features).array, model.score(features).array)
    assert found.frame_shift == features.frame_shift == 0.01
    assert found.state_labels().column.max() < found.n_columns
    if kind == "sphinx":
        expected = sphinx_features(audio.samples, SphinxOptions())
        np.testing.assert_allclose(features.array, expected, atol=1e-5)
    with pytest.raises(DataError, match="wrong sampling rate"):
        model.features(Audio(audio.samples, 8000))
    model.save(tmp_path / "m")  # an older one is replaced


def test_damaged_models(tmp_path):
    model = small_model("sphinx")
    with pytest.raises(ModelError, match="none of the model's phones"):
        dataclasses.replace(model, silence_phones=("x",))
    with pytest.raises(ModelError, match="transform does not fit"):
        dataclasses.replace(model, splice=1)
    with pytest.raises(ModelError, match="unlike dimension"):
        dataclasses.replace(model, front_end=FeatureOptions(n_ceps=12), transform=None)
    with pytest.raises(ModelError, match="transform does not fit"):
        dataclasses.replace(model, front_end=FeatureOptions(), transform=np.eye(2))
    model.save(tmp_path / "m")
    text = (tmp_path / "m" / "model.json").read_text()
    for old, new, message in (
        ("context model", "cat", "another kind of model"),
        ('"version": 1', '"version": 9', "another version"),
        ('"lifter": 0', '"lifter": 7', "changed since"),
        ('"lifter": 0', '"lifter": -7', "lifter"),
        ('"lifter": 0', '"leftover": 0', "unknown feature option 'leftover'"),
        ('"fillers"', '"felles"', "damaged|missing"),
    ):
        assert old in text
        (tmp_path / "m" / "model.json").write_text(text.replace(old, new, 1))
        with pytest.raises((FormatError, ModelError), match=message):
            ContextModel.load(tmp_path / "m")
    (tmp_path / "m" / "model.json").write_text(text)
    (tmp_path / "m" / "model.npz").write_bytes(b"PK junk")
    with pytest.raises(FormatError, match=r"model\.npz: not an \.npz file"):
        ContextModel.load(tmp_path / "m")
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "m" / "model.npz", tmp_path / "other" / "x")
    with pytest.raises(ModelError, match="there already"):
        model.save(tmp_path / "other")
