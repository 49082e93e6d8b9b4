"""The page about a training, and the facts in it."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from training_problems import WORDS, small_options, spoken

from wfst_hmm.apps.training_report import training_report, write_report
from wfst_hmm.draw.curves import Curve, curves_svg
from wfst_hmm.errors import DataError
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.training.diagnostics import diagnose
from wfst_hmm.training.features import Take
from wfst_hmm.training.recipe import RecipeOptions, train_ladder_on
from wfst_hmm.training.tree_building import TreeOptions


def test_a_wrong_transcript_is_at_the_top(tmp_path: Path) -> None:
    takes = [Take(t.id, t.words, t.frames, "", "one") for t in spoken(40)]
    wrong = next(i for i, t in enumerate(takes) if t.words == ("c",))
    right = next(t for t in takes if t.words == ("ab",))
    takes[wrong] = Take("wrong <&>", ("c",), right.frames, "", "one")
    takes.append(Take("long", ("ab",) * 50, takes[0].frames, "", "one"))
    options = RecipeOptions(
        training=small_options(n_passes=4, n_gaussians=7), leaves=10, gaussians=14, passes=6,
        splice=0, lda_dims=2, tree=TreeOptions(12, 5.0, 10.0),
    )  # fmt: skip
    model = train_ladder_on(takes, WORDS, tmp_path / "m", "tri", options)
    facts = model.info["training"]["diagnostics"]
    assert facts["worst"][0][0] == "wrong <&>"
    assert 0 < facts["silence_share"] < 1
    assert sum(facts["occupancy"]) == model.info["training"]["n_frames"]
    path = write_report(tmp_path / "m")
    assert path == tmp_path / "m.stages" / "report.html"
    page = path.read_text()
    assert "wrong &lt;&amp;&gt;" in page
    assert "shortest path" in page
    for name in ("mono", "tri"):
        assert f"{name}: log-likelihood a frame" in page
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_facts_by_hand() -> None:
    mixtures = MixtureSet.from_gaussians([[0.0], [5.0]], [[1.0], [1.0]])
    frames = np.array([[0.0], [0.0], [5.0], [9.0], [0.0]], dtype=np.float32)
    states = np.array([0, 0, 1, 1, -1])
    silent = np.array([True, False])
    made = diagnose(mixtures, frames, states, silent, np.array([0, 2, 4, 5]), ("a", "b", "c"),
                    ("x", "x", "x"))  # fmt: skip
    constant = -0.5 * np.log(2 * np.pi)
    assert made.occupancy == (2.0, 2.0)
    assert made.silence_share == 0.5
    assert made.unaligned == ("c",)
    assert made.log_likelihood == pytest.approx(constant - 2.0)
    assert [row[0] for row in made.worst] == ["b", "a"]
    assert made.worst[0][1] == pytest.approx(2.0)
    assert made.worst[1][2] == 1.0
    assert made.speakers[0][:2] == ("x", 4)


def test_curves_are_svg() -> None:
    text = curves_svg([Curve("a & b", ((0.0, 1.0), (1.0, 100.0), (2.0, float("nan")))),
                       Curve("c", ((1.0, 10.0),))], title="<t>", x="n", y="m", log=True)  # fmt: skip
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 1
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 1
    ElementTree.fromstring(curves_svg([Curve("", ((3.0, 2.0),))]))
    with pytest.raises(DataError, match="no points"):
        curves_svg([Curve("a", ((0.0, -1.0),))], log=True)


def test_models_that_tell_nothing() -> None:
    with pytest.raises(DataError, match="tells of its training"):
        training_report({})
