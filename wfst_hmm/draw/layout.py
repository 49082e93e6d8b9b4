"""A plain layered drawing of a small machine, for places that have no Graphviz at all.

In: a `Picture`. Out: its nodes at coordinates, its edges as curves, as an SVG. States stand in
columns by their distance from the start; within a column they are ordered by the mean place of
their neighbours (the barycenter method of Sugiyama, Tagawa & Toda, 1981, IEEE Trans. SMC-11).

Public names: `RADIUS`, `Arrangement`, `Point`, `arrange`, `curve`, `picture_to_svg`.
"""

from __future__ import annotations

import collections
import dataclasses
import math

from wfst_hmm.draw.palette import BLUE, GREY, INK, ORANGE, PALE_BLUE, PALE_ORANGE, PAPER
from wfst_hmm.draw.picture import Edge, Node, Picture
from wfst_hmm.draw.svg import Svg, text_width

__all__ = ["RADIUS", "Arrangement", "Point", "arrange", "curve", "picture_to_svg"]

RADIUS = 15.0
_ROW = 64.0  # from one row of states to the next
_SIZE = 11.0  # of the letters
_LINE = 13.0
_SWEEPS = 6
_SPOTS = (0.5, 0.38, 0.62, 0.3, 0.7)  # shares of an edge where its label may stand

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """Where everything goes, in pixels; y grows downwards.

    Attributes
    ----------
    at : dict of int to (x, y)
        Centre of each node, by its key.
    bends : list of float
        For each edge, how far its middle lies to the right of the straight line.
    spots : list of (x, y)
        For each edge, the middle of its label's lower edge.
    width, top, bottom : float
        The part of the plane that is used; its left edge is 0.
    """

    at: dict[int, Point]
    bends: list[float]
    spots: list[Point]
    width: float
    top: float
    bottom: float


def arrange(picture: Picture) -> Arrangement:
    """Return places for the nodes and edges of `picture`, the start at the left."""
    at = _coordinates(picture, _columns(picture))
    bends = _bends(picture, at)
    top, bottom = _extent(picture, at, bends)
    width = max((x for x, _ in at.values()), default=0.0) + 40.0
    return Arrangement(at, bends, _label_spots(picture, at, bends), width, top, bottom)


def picture_to_svg(picture: Picture) -> str:
    """Return the SVG of `picture`: states in columns, the start at the left."""
    placed = arrange(picture)
    at, bends, spots, top, bottom = (
        placed.at, placed.bends, placed.spots, placed.top, placed.bottom,
    )  # fmt: skip
    captions = (text_width(caption, 10.0) for caption in picture.captions)
    width = max(placed.width, 24.0 + max(captions, default=0.0))
    height = bottom - top + _LINE * len(picture.captions)
    svg = Svg(width, height, top=top)
    svg.rectangle(0.0, top, width, height, fill=PAPER)
    for edge, bend, spot in zip(picture.edges, bends, spots, strict=True):
        _draw_edge(svg, edge, at, bend, spot)
    for node in picture.nodes:
        _draw_node(svg, node, at[node.key])
    if not picture.nodes:
        svg.text(width / 2, (top + bottom) / 2, "∅", size=24.0, fill=INK)
    for number, caption in enumerate(picture.captions):
        svg.text(10.0, bottom + _LINE * number, caption, size=10.0, fill=GREY, anchor="start")
    return svg.done()


def _columns(picture: Picture) -> list[list[int]]:
    """Return the keys of the nodes, column by column, arcs leading to the right if possible.

    A state's column is the length of the longest path to it once the arcs that close cycles
    are left out.
    """
    order, forward = _without_cycles(picture)
    depth = dict.fromkeys(order, 0)
    for key in order:
        for target in forward[key]:
            depth[target] = max(depth[target], depth[key] + 1)
    columns: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in picture.nodes:
        columns[depth[node.key]].append(node.key)
    return _untangled(columns, picture.edges)


def _without_cycles(picture: Picture) -> tuple[list[int], dict[int, list[int]]]:
    """Return a topological order, and each node's targets by the arcs that close no cycle."""
    following: dict[int, list[int]] = collections.defaultdict(list)
    for edge in picture.edges:
        following[edge.source].append(edge.target)
    forward: dict[int, list[int]] = collections.defaultdict(list)
    done: list[int] = []
    state: dict[int, int] = {}  # 1: on the way down, 2: finished
    roots = sorted(picture.nodes, key=lambda node: not node.is_start)
    for root in roots:
        stack = [(root.key, iter(following[root.key]))] if root.key not in state else []
        state.setdefault(root.key, 1)
        while stack:
            key, targets = stack[-1]
            for target in targets:
                if state.get(target) == 1:
                    continue  # back to where we came from: this arc closes a cycle
                forward[key].append(target)
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(following[target])))
                    break
            else:
                state[key] = 2
                done.append(key)
                stack.pop()
    return done[::-1], forward


def _untangled(columns: list[list[int]], edges: tuple[Edge, ...]) -> list[list[int]]:
    neighbours: dict[int, list[int]] = collections.defaultdict(list)
    for edge in edges:
        if edge.source != edge.target:
            neighbours[edge.source].append(edge.target)
            neighbours[edge.target].append(edge.source)
    for sweep in range(_SWEEPS):
        row = {key: i - len(column) / 2 for column in columns for i, key in enumerate(column)}
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            place = {
                key: sum(row[n] for n in neighbours[key]) / len(neighbours[key])
                if neighbours[key]
                else row[key]
                for key in column
            }
            column.sort(key=place.__getitem__)
            row.update({key: i - len(column) / 2 for i, key in enumerate(column)})
    return columns


def _coordinates(picture: Picture, columns: list[list[int]]) -> dict[int, Point]:
    """Return the centre of every node; columns are as far apart as their labels need."""
    column_of = {key: c for c, column in enumerate(columns) for key in column}
    gap = [46.0] * len(columns)
    for edge in picture.edges:
        if edge.lines and edge.source != edge.target:
            left = min(column_of[edge.source], column_of[edge.target])
            span = max(1, abs(column_of[edge.source] - column_of[edge.target]))
            widest = max(text_width(line, _SIZE) for line in edge.lines)
            gap[left] = max(gap[left], widest / span + 30.0)
    boxes = {node.key: _half_width(node) for node in picture.nodes}
    at, x = {}, 34.0
    for number, column in enumerate(columns):
        half = max((boxes[key] for key in column), default=RADIUS)
        x += half - RADIUS
        for i, key in enumerate(column):
            at[key] = (x, _ROW * (i - (len(column) - 1) / 2))
        x += RADIUS + half + gap[number]
    return at


def _half_width(node: Node) -> float:
    """Return half the width of a node: circles are all alike, boxes as wide as their text."""
    if not node.is_box:
        return RADIUS
    return max(RADIUS, 6.0 + max(text_width(line, 9.0) for line in node.text.split("\n")) / 2)


def _bend(edge: Edge, at: dict[int, Point], loops: set[int], both_ways: bool) -> float:
    """Return how far the middle of the curve lies to the right of the straight line."""
    (x0, y0), (x1, y1) = at[edge.source], at[edge.target]
    length = math.hypot(x1 - x0, y1 - y0)
    if abs(x1 - x0) < 1.0:  # within a column: past the states between
        return 20.0 + (0.0 if length < 1.5 * _ROW else 0.2 * length)
    if x1 < x0:  # backwards: below everything between
        return -(26.0 + 0.16 * length)
    if abs(y1 - y0) < 1.0:  # over the states of its own row, and over their self-loops
        between = {key for key, (x, y) in at.items() if abs(y - y0) < 1.0 and x0 < x < x1}
        if between:
            return -((62.0 if between & loops else 18.0) + 0.10 * length)
    return -12.0 if both_ways else 0.0


def _bends(picture: Picture, at: dict[int, Point]) -> list[float]:
    pairs = {(edge.source, edge.target) for edge in picture.edges}
    loops = {edge.source for edge in picture.edges if edge.source == edge.target}
    return [_bend(e, at, loops, (e.target, e.source) in pairs) for e in picture.edges]


def _middle(edge: Edge, at: dict[int, Point], bend: float) -> Point:
    """Return the middle of an edge's curve."""
    (x0, y0), (x1, y1) = at[edge.source], at[edge.target]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    right = (-(y1 - y0) / length, (x1 - x0) / length)
    return (x0 + x1) / 2 + bend * right[0], (y0 + y1) / 2 + bend * right[1]


def _point(edge: Edge, at: dict[int, Point], bend: float, share: float) -> Point:
    """Return the point of an edge's curve at a share of its way."""
    (x0, y0), (x1, y1), (x, y) = at[edge.source], at[edge.target], _middle(edge, at, bend)
    line = (x0 + (x1 - x0) * share, y0 + (y1 - y0) * share)
    lift = 4.0 * share * (1.0 - share)  # of a parabola that is one in the middle
    return line[0] + lift * (x - (x0 + x1) / 2), line[1] + lift * (y - (y0 + y1) / 2)


def _label_spots(picture: Picture, at: dict[int, Point], bends: list[float]) -> list[Point]:
    """Return where each edge's label stands: the middle, or aside if that is less crowded."""
    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in at.values()]
    spots = []
    for edge, bend in zip(picture.edges, bends, strict=True):
        width = max((text_width(line, _SIZE) for line in edge.lines), default=0.0)
        height = _LINE * len(edge.lines)
        if edge.source == edge.target:
            x, y = at[edge.source]
            choices = [(x, y - 36.0)]
        else:
            choices = [_point(edge, at, bend, share) for share in _SPOTS]
        boxes = [(x - width / 2, y - height, x + width / 2, y) for x, y in choices]
        crowds = [sum(_overlap(box, other) for other in taken) for box in boxes]
        chosen = crowds.index(min(crowds))
        spots.append(choices[chosen])
        taken.append(boxes[chosen])
    return spots


def _overlap(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> float:
    """Return the area that two boxes (left, top, right, bottom) share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)


def _extent(picture: Picture, at: dict[int, Point], bends: list[float]) -> tuple[float, float]:
    """Return the least and greatest y that anything but the captions reaches."""
    heights = [0.0]
    for x_y in at.values():
        heights += [x_y[1] - 2 * RADIUS, x_y[1] + 2 * RADIUS]
    for edge, bend in zip(picture.edges, bends, strict=True):
        y = at[edge.source][1] - 46.0 if edge.source == edge.target else _middle(edge, at, bend)[1]
        heights += [y - _LINE * len(edge.lines), y + 8.0]
    return min(heights) - 10.0, max(heights) + 22.0


def _draw_node(svg: Svg, node: Node, at: Point) -> None:
    x, y = at
    with svg.group(node.hint):
        if node.is_stub:
            svg.text(x, y + 3.0, node.text, size=9.0, fill=GREY)
            return
        colour = ORANGE if node.is_marked else INK
        if node.is_box:
            half = _half_width(node)
            svg.rectangle(x - half, y - RADIUS, 2 * half, 2 * RADIUS, fill=PALE_BLUE,
                          stroke=colour, radius=5.0)  # fmt: skip
            lines = node.text.split("\n")
            for number, line in enumerate(lines):
                offset = (number - (len(lines) - 1) / 2) * 11.0
                svg.text(x, y + 3.5 + offset, line, size=9.0, fill=INK)
            return
        fill = PALE_ORANGE if node.is_marked else PALE_BLUE if node.is_start else PAPER
        svg.circle(x, y, RADIUS, fill=fill, stroke=colour,
                   width=1.8 if node.is_start or node.is_marked else 1.0)  # fmt: skip
        if node.is_final:
            svg.circle(x, y, RADIUS - 3.0, fill="none", stroke=colour)
        lines = node.text.split("\n")
        for number, line in enumerate(lines):
            offset = (number - (len(lines) - 1) / 2) * 10.0
            size = 10.0 if len(lines) == 1 else 8.0
            size = min(size, size * (2 * RADIUS - 2.0) / max(text_width(line, size), 1.0))
            svg.text(x, y + 3.5 + offset, line, size=round(max(size, 5.0), 1), fill=INK)


def curve(edge: Edge, at: dict[int, Point], bend: float) -> tuple[str, Point, Point]:
    """Return an edge as an SVG path, the point where it ends, and its direction there."""
    (x0, y0), (x1, y1) = at[edge.source], at[edge.target]
    if edge.source == edge.target:
        tip = (x0 + 7.0, y0 - RADIUS + 1.0)
        path = (f"M{x0 - 7:.1f} {tip[1]:.1f} C{x0 - 20:.1f} {y0 - 46:.1f} {x0 + 20:.1f} "
                f"{y0 - 46:.1f} {tip[0]:.1f} {tip[1]:.1f}")  # fmt: skip
        return path, tip, (-6.0, 22.0)
    middle = _middle(edge, at, bend)
    control = (2 * middle[0] - (x0 + x1) / 2, 2 * middle[1] - (y0 + y1) / 2)
    tail, tip = _rim((x0, y0), control), _rim((x1, y1), control)
    path = (f"M{tail[0]:.1f} {tail[1]:.1f} Q{control[0]:.1f} {control[1]:.1f} "
            f"{tip[0]:.1f} {tip[1]:.1f}")  # fmt: skip
    return path, tip, (tip[0] - control[0], tip[1] - control[1])


def _draw_edge(svg: Svg, edge: Edge, at: dict[int, Point], bend: float, spot: Point) -> None:
    colour = {"epsilon": GREY, "stub": GREY, "loop": BLUE}.get(edge.kind, INK)
    colour = ORANGE if edge.is_marked else colour
    dash = {"epsilon": "5 3", "stub": "1 3"}.get(edge.kind, "")
    path, tip, direction = curve(edge, at, bend)
    with svg.group(edge.hint):
        label = (spot[0], spot[1] - 4.0)
        svg.path(path, stroke=colour, width=2.4 if edge.is_marked else 1.1, dash=dash)
        if edge.kind != "stub":
            svg.arrowhead(tip, direction, fill=colour)
        for number, line in enumerate(reversed(edge.lines)):
            svg.text(label[0], label[1] - _LINE * number, line, size=_SIZE, fill=colour, halo=PAPER)


def _rim(centre: Point, towards: Point) -> Point:
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    length = math.hypot(dx, dy) or 1.0
    return centre[0] + RADIUS * dx / length, centre[1] + RADIUS * dy / length
