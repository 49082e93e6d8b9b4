"""Plots and trees: the numbers in them are those that went in; bad input is told as such."""

import re
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest
from hostile import LABELS
from tiny_speech import TinySpeech

from wfst_hmm.apps.filming import film_recording
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.draw.display import draw
from wfst_hmm.draw.dot import picture_to_dot
from wfst_hmm.draw.layout import picture_to_svg
from wfst_hmm.draw.picture import DrawOptions
from wfst_hmm.draw.tree import tree_picture
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.confidence import reliability
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import Topology
from wfst_hmm.models.tree import Question, Tree
from wfst_hmm.signal.audio import read_audio

pytest.importorskip("matplotlib", reason="needs matplotlib (plots extra)")

from wfst_hmm.draw.error_plots import (
    plot_confusion,
    plot_det,
    plot_likelihood,
    plot_reliability,
)
from wfst_hmm.draw.plot import Plot
from wfst_hmm.draw.speech_plots import plot_alignment, plot_lattice, plot_posteriors


def texts(plot: Plot) -> list[str]:
    return [text.get_text() for axis in plot.figure.axes for text in axis.texts]


def test_alignment_under_the_spectrogram(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    wav = tiny_speech.test / "sp0-02.wav"
    decoded = film_recording(recognizer, wav).decoded
    assert decoded is not None
    graph = recognizer.searched
    scores = Scores(np.random.default_rng(0).normal(size=(decoded.n_frames, 18)))
    plot = plot_alignment(decoded, audio=read_audio(wav), scores=scores, labels=graph.labels)
    assert [text for text in texts(plot) if text in ("bi", "su")] == ["bi", "su", "su"]
    assert len(plot.figure.axes) == 4
    (stair,) = plot.figure.axes[-1].patches
    rows = stair.get_data().values.astype(int)
    columns = graph.labels.column[decoded.labels - 1]
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(set(columns.tolist()))
    assert plot.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert plot._repr_png_().startswith(b"\x89PNG")
    assert len(plot_alignment(decoded).figure.axes) == 2
    with pytest.raises(UsageError, match="labels"):
        plot_alignment(decoded, scores=scores)
    with pytest.raises(DataError, match="differ in length"):
        plot_alignment(decoded, scores=Scores(np.zeros((3, 18))), labels=graph.labels)
    with pytest.raises(UsageError, match="no such format"):
        plot.save(tmp_path / "a.gif")


def test_posteriors() -> None:
    table = np.array([[0.9, 0.1], [0.2, 0.8]])
    plot = plot_posteriors(table, names=["$x$", "b"], frame_shift=0.01, path=[0, 1], title="$")
    assert np.array_equal(plot.figure.axes[0].images[0].get_array(), table.T)
    assert plot._repr_png_()
    with pytest.raises(DataError, match="matrix"):
        plot_posteriors([1.0, 2.0])
    with pytest.raises(DataError, match="names"):
        plot_posteriors(table, names=["a"])


def lattice(words: tuple[str, ...] = ("yes", "no")) -> Lattice:
    n = np.ones(10, np.int32)
    rows = [(0, 1, 1, 1.0, 0.0, n), (0, 1, 2, 1.0, float(np.log(3)), n)]
    return lattice_from_rows(rows, [np.inf, 0.0], Symbols(words))


def test_lattice_words_stand_at_their_posterior() -> None:
    plot = plot_lattice(lattice())
    heights = {t.get_text(): t.get_position()[1] - 0.012 for t in plot.figure.axes[0].texts}
    assert heights == pytest.approx({"yes": 0.75, "no": 0.25})
    assert plot._repr_png_()
    picture = draw(lattice()).content
    assert {line for edge in picture.edges for line in edge.lines} == {"yes/0.75", "no/0.25"}


def test_likelihoods_confusions_and_error_curves(tmp_path: Path) -> None:
    plot = plot_likelihood({"mono": [-80, -70, -65.0], "$tri$": [-60.0]})
    assert plot.figure.axes[0].lines[0].get_ydata().tolist() == [-80, -70, -65]
    assert plot.save(tmp_path / "l.svg").stat().st_size > 1000
    counts = np.array([[9, 1], [0, 5]])
    assert sorted(texts(plot_confusion(counts, ["a", "b"]))) == ["1", "5", "9"]
    with pytest.raises(DataError, match="2 x 2"):
        plot_confusion(np.zeros((2, 3)), ["a", "b"])
    plot = plot_det({"us": ([0.4, 0.1, 0.0], [0.0, 0.1, 0.5])})
    x, y = plot.figure.axes[0].lines[0].get_data()
    assert x[1] == pytest.approx(y[1]) == pytest.approx(-1.2815515)  # the probit of a tenth
    found = reliability([0.9, 0.9, 0.1], [True, False, False])
    plot = plot_reliability({"raw": found})
    assert plot.figure.axes[0].lines[1].get_data()[1].tolist() == [0.0, 0.5]
    assert plot._repr_png_()


def test_hostile_labels_in_plots() -> None:
    names = list(LABELS)
    assert plot_confusion(np.eye(len(names)), names, title=names[0])._repr_png_()
    assert plot_likelihood({name: [0.0, 1.0] for name in names})._repr_png_()
    assert plot_lattice(lattice(LABELS[:2]))._repr_png_()


# ---- trees


def tree() -> Tree:
    """Return the trees of two phones of one state: the first asks twice, the second never."""
    ask = (Question("left", ("A",)), Question("right", ("<edge>", "B")))
    return Tree(
        ("A", "B"), 1, ask, ((0,), (5,)),
        np.array([0, -1, 1, -1, -1, -1], np.int32), np.array([1, -1, 3, -1, -1, -1], np.int32),
        np.array([2, -1, 4, -1, -1, -1], np.int32), np.array([-1, 0, -1, 1, 2, 3], np.int32),
        np.array([100.0, 60, 40, 30, 10, 7]), np.array([12.0, 0, 3, 0, 0, 0]),
    )  # fmt: skip


def test_a_decision_tree_is_drawn() -> None:
    picture = tree_picture(tree())
    assert [node.text for node in picture.nodes] == [
        "before: A?\n12", "0\n60", "behind: <edge> B?\n3", "1\n30", "2\n10",
    ]  # fmt: skip
    assert [(e.source, e.target, e.lines) for e in picture.edges] == [
        (0, 1, ("yes",)), (0, 2, ("no",)), (2, 3, ("yes",)), (2, 4, ("no",)),
    ]  # fmt: skip
    assert "A, HMM state 0: 3 tied states" in picture.note
    dot = picture_to_dot(picture)
    assert '0 [label="before: A?\\n12"' in dot
    assert dot.count("shape=box") == 2
    svg = xml.dom.minidom.parseString(picture_to_svg(picture))
    assert len(svg.getElementsByTagName("rect")) == 3  # the ground and two boxes
    cut = tree_picture(tree(), DrawOptions(max_states=3))
    assert len(cut.nodes) == 3
    assert "3 of 5 nodes are drawn; 2 branches are cut" in cut.note
    alone = draw(tree(), phone="B").content
    assert [node.text for node in alone.nodes] == ["3\n7"]
    with pytest.raises(UsageError, match="no tree"):
        tree_picture(tree(), phone="C")


@pytest.mark.parametrize("value", [tree(), lattice(), Topology.left_to_right(2)])
def test_everything_draws_itself(value: object) -> None:
    assert re.search(r"<svg", value._repr_svg_())  # type: ignore[attr-defined]
