import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.kaldi import FeatureOptions


def small(seed: int = 0) -> AcousticModel:
    """Two phones of two states, silence of one; 2 x 3 dimensions."""
    rng = np.random.default_rng(seed)
    counts = [2, 1, 3, 1, 2]
    states = [
        (np.full(n, 1 / n), rng.standard_normal((n, 6)), rng.uniform(0.5, 2, (n, 6)))
        for n in counts
    ]
    return AcousticModel(
        ("SIL", "A", "B"),
        ("SIL",),
        (Topology.silence(1), Topology.left_to_right(2), Topology.left_to_right(2, skip=0.3)),
        (np.array([0]), np.array([1, 2]), np.array([3, 4])),
        MixtureSet.from_states(states),
        FeatureOptions(n_ceps=3, delta_order=1),
        {"made": "by hand"},
    )


def test_a_model_survives_the_disk_to_the_bit(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "model")
    loaded = AcousticModel.load(tmp_path / "model")
    assert loaded.hash == model.hash
    assert loaded.phones == model.phones
    assert loaded.silence_phones == model.silence_phones
    assert loaded.front_end == model.front_end
    assert dict(loaded.info) == {"made": "by hand"}
    for a, b in zip(loaded.topologies, model.topologies, strict=True):
        np.testing.assert_array_equal(a.transitions, b.transitions)
    x = np.random.default_rng(1).standard_normal((7, 6))
    np.testing.assert_array_equal(loaded.score(x).array, model.score(x).array)
    model.save(tmp_path / "again")
    for name in ("model.json", "mixtures.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_scores_are_log_densities_of_the_mixtures() -> None:
    model = small()
    x = np.random.default_rng(2).standard_normal((4, 6)).astype(np.float32)
    scores = model.score(Features(x, 0.02))
    assert scores.frame_shift == 0.02
    m = model.mixtures
    for t in range(4):
        for s in range(5):
            total = 0.0
            for g in range(m.offsets[s], m.offsets[s + 1]):
                v = m.variances[g]
                exponent = -0.5 * ((x[t] - m.means[g]) ** 2 / v).sum()
                total += np.exp(m.log_weights[g] + exponent) / np.sqrt(np.prod(2 * np.pi * v))
            assert scores.array[t, s] == pytest.approx(np.log(total), rel=1e-4)


def test_labels_lead_to_columns() -> None:
    labels = small().state_labels()
    assert [labels.symbols[i] for i in range(1, len(labels) + 1)] == [
        "^SIL.0", "SIL.0", "^A.0", "A.0", "A.1", "^B.0", "B.0", "B.1",
    ]  # fmt: skip
    assert labels.column.tolist() == [0, 0, 1, 1, 2, 3, 3, 4]


def test_the_hash_knows_what_matters() -> None:
    model = small()
    assert dataclasses.replace(model, info={}).hash == model.hash
    other = [
        small(1),
        dataclasses.replace(model, silence_phones=()),
        dataclasses.replace(model, phones=("SIL", "A", "C")),
        dataclasses.replace(model, columns=(np.array([0]), np.array([1, 2]), np.array([4, 3]))),
        dataclasses.replace(
            model, topologies=(*model.topologies[:2], Topology.left_to_right(2, skip=0.4))
        ),
        dataclasses.replace(model, front_end=FeatureOptions(n_ceps=3, delta_order=1, low_freq=30)),
    ]
    assert len({m.hash for m in [model, *other]}) == 1 + len(other)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"phones": ("SIL", "A")}, "unlike lengths"),
        ({"phones": ("SIL", "A", "A")}, "'A' occurs twice"),
        ({"silence_phones": ("NSN",)}, "'NSN'"),
        ({"columns": (np.array([0]), np.array([1]), np.array([3, 4]))}, "phone A"),
        ({"columns": (np.array([0]), np.array([1, 2]), np.array([3, 5]))}, "0 to 4"),
        ({"front_end": FeatureOptions(n_ceps=3)}, "unlike dimension; got 6, expected 9"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        dataclasses.replace(small(), **change)  # type: ignore[arg-type]


def test_saving_replaces_models_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    small().save(out)
    small(1).save(out)
    assert AcousticModel.load(out).hash == small(1).hash
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("x")
    with pytest.raises(ModelError, match="no model"):
        small().save(tmp_path / "letters")
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["love.txt"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="no model"):
        small().save(tmp_path / "file")


def test_damage_is_named(tmp_path: Path) -> None:
    out = tmp_path / "model"

    def fresh() -> dict[str, object]:
        small().save(out)
        header: dict[str, object] = json.loads((out / "model.json").read_text())
        return header

    with pytest.raises(FormatError, match="no acoustic model"):
        AcousticModel.load(out)
    for change, says in (
        ({"format": "letter"}, "another kind of model"),
        ({"version": 2}, "another version"),
        ({"phones": ["SIL", "A"]}, "unlike lengths"),
        ({"columns": None}, "damaged|missing"),
        ({"topologies": [{}] * 3}, "damaged|missing"),
        ({"feature_options": {"colour": 1}}, "unknown feature option"),
        ({"silence_phones": []}, "its hash is another one"),
    ):
        header = {**fresh(), **change}
        (out / "model.json").write_text(json.dumps(header))
        with pytest.raises((FormatError, ModelError), match=says):
            AcousticModel.load(out)
    fresh()
    data = (out / "mixtures.npz").read_bytes()
    (out / "mixtures.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match=r"mixtures\.npz"):
        AcousticModel.load(out)
    np.savez(out / "mixtures.npz", allow_pickle=False, means=np.zeros((1, 1)))
    with pytest.raises(FormatError, match="a part is missing: 'log_weights'"):
        AcousticModel.load(out)
    (out / "mixtures.npz").unlink()
    with pytest.raises(FormatError, match="no such file"):
        AcousticModel.load(out)
    np.savez(out / "mixtures.npz", allow_pickle=False, **small(3).mixtures.to_arrays())
    with pytest.raises(ModelError, match="its hash"):
        AcousticModel.load(out)
