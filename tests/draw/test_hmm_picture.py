"""HMMs as pictures: states, allowed moves, names."""

import numpy as np
import pytest

from wfst_hmm.draw.display import draw
from wfst_hmm.draw.dot import picture_to_dot
from wfst_hmm.draw.hmm import chain_picture
from wfst_hmm.draw.picture import DrawOptions, Picture
from wfst_hmm.draw.render import ENGINES, render
from wfst_hmm.errors import UsageError
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GaussianHmm
from wfst_hmm.models.hmm import DiscreteHmm

TRAIN = Chain(np.array([0.5, 0.5, 0.0]), np.array([[0.65, 0.35, 0], [0.3, 0.3, 0.4], [0, 0.5, 0.5]]))  # fmt: skip
NAMES = ["station", "track", "tunnel"]


def moves_of(picture: Picture) -> dict[tuple[int, int], tuple[str, ...]]:
    return {(edge.source, edge.target): edge.lines for edge in picture.edges}


def test_every_allowed_move_and_no_other() -> None:
    picture = chain_picture(TRAIN, names=NAMES)
    assert [node.text for node in picture.nodes] == ["start", *NAMES]
    assert moves_of(picture) == {
        (3, 0): ("0.5",), (3, 1): ("0.5",), (0, 0): ("0.65",), (0, 1): ("0.35",), (1, 0): ("0.3",),
        (1, 1): ("0.3",), (1, 2): ("0.4",), (2, 1): ("0.5",), (2, 2): ("0.5",),
    }  # fmt: skip
    assert {edge.kind for edge in picture.edges if edge.source == edge.target} == {"loop"}


@pytest.mark.parametrize(("weights", "text"), [("nats", ("0.431",)), ("none", ())])
def test_weights(weights: str, text: tuple[str, ...]) -> None:
    assert moves_of(chain_picture(TRAIN, DrawOptions(weights=weights)))[0, 0] == text


def test_large_chains_say_what_is_left_out() -> None:
    picture = chain_picture(Chain.ergodic(200), DrawOptions(max_states=5, max_arcs=12))
    assert (len(picture.nodes), len(picture.edges)) == (6, 12)
    assert "5 of 200 states and 12 of their 30 moves" in picture.note


def test_bad_and_hostile_names() -> None:
    with pytest.raises(UsageError, match="one name a state"):
        chain_picture(TRAIN, names=["a"])
    hostile = ['"];evil', "<script>", "x" * 10_000]
    dot = picture_to_dot(chain_picture(TRAIN, names=hostile))
    assert len(dot) < 5_000
    for engine in ENGINES:
        svg = render(chain_picture(TRAIN, names=hostile), using=engine)
        assert b"<script" not in svg


def test_hmms_draw_their_chain() -> None:
    discrete = DiscreteHmm(TRAIN.initial, TRAIN.transitions, np.eye(3))
    gaussian = GaussianHmm(3, chain=TRAIN, means=np.zeros((3, 1)), covars=np.ones((3, 1)))
    wanted = draw(TRAIN, names=NAMES, title="a train")._repr_svg_()
    assert "a train" in wanted
    assert draw(discrete, names=NAMES, title="a train")._repr_svg_() == wanted
    assert draw(gaussian, names=NAMES, title="a train")._repr_svg_() == wanted
