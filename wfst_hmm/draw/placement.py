"""Places for the states and arcs of a picture, for drawings that move.

In: a `Picture`. Out: `Placed`: centres, curves and label places, by Graphviz where there is one
(its JSON output, https://graphviz.org/docs/outputs/json/), else by our own layout.

Public names: `Placed`, `place`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from wfst_hmm.draw.dot import picture_to_dot
from wfst_hmm.draw.layout import RADIUS, Point, arrange, curve
from wfst_hmm.draw.picture import Picture
from wfst_hmm.draw.render import layout_json

__all__ = ["Placed", "place"]

_BASELINE = 4.0  # pixels from the middle of a label to the foot of its letters


@dataclasses.dataclass(frozen=True)
class Placed:
    """Places in pixels, y downwards.

    Attributes
    ----------
    at : dict of int to (x, y)
        Centre of each node, by its key.
    radius : dict of int to float
    curves : tuple of str
        Each edge as an SVG path that ends at the rim of its target.
    labels : tuple of (x, y)
        For each edge, the middle of its label.
    """

    at: dict[int, Point]
    radius: dict[int, float]
    curves: tuple[str, ...]
    labels: tuple[Point, ...]


def place(picture: Picture, *, using: str | None = None) -> Placed:
    """Return places for all nodes and edges.

    Parameters
    ----------
    picture : Picture
    using : {"dot", "wasm", "plain"}, optional
        Engine, as for `draw.render.render`.
    """
    plain = dataclasses.replace(picture, captions=())
    laid_out = layout_json(picture_to_dot(plain, numbered=True), using)
    return _of_graphviz(plain, laid_out) if laid_out is not None else _of_our_own(plain)


def _of_our_own(picture: Picture) -> Placed:
    arrangement = arrange(picture)
    curves = [
        curve(edge, arrangement.at, bend)[0]
        for edge, bend in zip(picture.edges, arrangement.bends, strict=True)
    ]
    labels = [
        (x, y - 13.0 * (len(edge.lines) - 1) / 2 - _BASELINE)
        for edge, (x, y) in zip(picture.edges, arrangement.spots, strict=True)
    ]
    radius = {node.key: 9.0 if node.is_stub else RADIUS for node in picture.nodes}
    return Placed(arrangement.at, radius, tuple(curves), tuple(labels))


def _of_graphviz(picture: Picture, text: bytes) -> Placed:
    graph: dict[str, Any] = json.loads(text)
    by_id = {str(item.get("id", "")): item for item in graph.get("edges", [])}
    nodes = {str(item.get("id", "")): item for item in graph.get("objects", [])}
    at = {node.key: _point(nodes[f"n{i}"]["pos"]) for i, node in enumerate(picture.nodes)}
    radius = {node.key: 36.0 * float(nodes[f"n{i}"]["width"])
              for i, node in enumerate(picture.nodes)}  # fmt: skip
    curves, labels = [], []
    for i, edge in enumerate(picture.edges):
        item = by_id[f"e{i}"]
        curves.append(_spline(item["pos"]))
        here, there = at[edge.source], at[edge.target]
        middle = ((here[0] + there[0]) / 2, (here[1] + there[1]) / 2)
        labels.append(_point(item["lp"]) if "lp" in item else middle)
    return Placed(at, radius, tuple(curves), tuple(labels))


def _point(text: str) -> Point:
    x, y = text.split(",")[:2]
    return float(x), -float(y)


def _spline(text: str) -> str:
    """Return Graphviz's ``e,x,y x,y ...`` (end point, then Bézier points) as an SVG path."""
    end = None
    points: list[Point] = []
    for part in text.split(";")[0].split():
        if part.startswith("e,"):
            end = _point(part[2:])
        elif not part.startswith("s,"):
            points.append(_point(part))
    first, rest = points[0], points[1:]
    path = f"M{first[0]:.1f} {first[1]:.1f} C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)
    return path + (f" L{end[0]:.1f} {end[1]:.1f}" if end is not None else "")
