"""Pictures as text in Graphviz's DOT language.

In: a `Picture` or an `Fst`. Out: DOT text; every label is quoted and escaped, nothing in it is
markup. Language: https://graphviz.org/doc/info/lang.html.

Public names: `fst_to_dot`, `picture_to_dot`.
"""

from __future__ import annotations

from collections.abc import Sequence

from wfst_hmm.draw.labels import quoted
from wfst_hmm.draw.palette import BLUE, GREY, INK, ORANGE, PALE_BLUE, PALE_ORANGE, PAPER
from wfst_hmm.draw.picture import DrawOptions, Edge, Node, Picture, fst_picture
from wfst_hmm.fst.arrays import Fst

__all__ = ["fst_to_dot", "picture_to_dot"]

_FONT = "Verdana"  # Graphviz knows its widths without asking the system


def fst_to_dot(
    fst: Fst, options: DrawOptions | None = None, *, path: Sequence[int] = ()
) -> str:  # fmt: skip
    """Return DOT text for `fst`; see `fst_picture` for the arguments.

    Examples
    --------
    >>> from wfst_hmm.fst.symbols import Symbols
    >>> words = Symbols(["yes"])
    >>> fst = Fst.from_arcs(0, [0], [1], [1], [0.5], [1], [float("inf"), 0.0], words, words)
    >>> print(fst_to_dot(fst).splitlines()[-2].strip())
    0 -> 1 [label="yes/0.5", tooltip="yes → yes, cost 0.5, probability 0.607"];
    """
    return picture_to_dot(fst_picture(fst, options, path=path))


def picture_to_dot(picture: Picture, *, numbered: bool = False) -> str:
    """Return DOT text, one node or edge a line, in the picture's own order.

    With `numbered`, nodes and edges carry the ids ``n0``, ``n1``, ... and ``e0``, ``e1``, ...
    """
    # \l (flush left) is DOT's own code, so it is added after quoting.
    label = '"' + "".join(quoted(line)[1:-1] + "\\l" for line in picture.captions) + '"'
    lines = [
        "digraph wfst {",
        f'  graph [rankdir=LR, bgcolor="{PAPER}", fontname="{_FONT}", fontsize=10, '
        f'fontcolor="{GREY}", labelloc=b, labeljust=l, nodesep=0.3, ranksep=0.45, '
        f"label={label}];",
        f'  node [shape=circle, style=filled, fillcolor="{PAPER}", color="{INK}", '
        f'fontcolor="{INK}", fontname="{_FONT}", fontsize=11, margin=0.04, width=0.4];',
        f'  edge [color="{INK}", fontcolor="{INK}", fontname="{_FONT}", fontsize=11, '
        "arrowsize=0.7];",
    ]
    lines += [
        f"  {_key(node.key)} [{_node_style(node)}{_id('n', i, numbered)}];"
        for i, node in enumerate(picture.nodes)
    ]
    if not picture.nodes:
        lines.append('  empty [label="∅", shape=plaintext, fontsize=24];')
    lines += [
        f"  {_key(edge.source)} -> {_key(edge.target)} "
        f"[{_edge_style(edge)}{_id('e', i, numbered)}];"
        for i, edge in enumerate(picture.edges)
    ]
    return "\n".join([*lines, "}", ""])


def _id(letter: str, number: int, wanted: bool) -> str:
    return f', id="{letter}{number}"' if wanted else ""


def _key(key: int) -> str:
    return str(key) if key >= 0 else f"cut{-1 - key}"


def _node_style(node: Node) -> str:
    style = [f"label={quoted(node.text)}"]
    if node.hint:
        style.append(f"tooltip={quoted(node.hint)}")
    if node.is_stub:
        style += ["shape=plaintext", f'fontcolor="{GREY}"', "fontsize=9", "width=0.2", "height=0.2"]
    if node.is_box:
        style += ["shape=box", 'style="filled,rounded"', "margin=0.1"]
    elif node.is_final:
        style.append("shape=doublecircle")
    if node.is_marked:
        style += [f'color="{ORANGE}"', f'fillcolor="{PALE_ORANGE}"', "penwidth=1.8"]
    elif node.is_start:
        style += [f'fillcolor="{PALE_BLUE}"', "penwidth=1.8"]
    return ", ".join(style)


def _edge_style(edge: Edge) -> str:
    style = [f"label={quoted(chr(10).join(edge.lines))}"]
    if edge.hint:
        style.append(f"tooltip={quoted(edge.hint)}")
    colour = {"epsilon": GREY, "stub": GREY, "loop": BLUE}.get(edge.kind)
    if edge.kind == "epsilon":
        style.append("style=dashed")
    if edge.kind == "stub":
        style += ["style=dotted", "arrowhead=none"]
    if edge.is_marked:
        colour = ORANGE
        style.append("penwidth=2.4")
    if colour:
        style += [f'color="{colour}"', f'fontcolor="{colour}"']
    return ", ".join(style)
