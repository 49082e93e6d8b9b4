"""Pictures in notebooks: everything that can be drawn draws itself, and `draw` with options.

In: a transducer, graph, lattice, topology, HMM or decoded utterance. Out: a `Drawing`. Importing
this module gives those classes a ``_repr_svg_``, which Jupyter and its kin look for; their own
modules need not know that pictures exist.

Public names: `Drawing`, `draw`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wfst_hmm.draw.hmm import chain_picture
from wfst_hmm.draw.machines import lattice_machine, machine_of
from wfst_hmm.draw.picture import DrawOptions, Picture, fst_picture, topology_picture
from wfst_hmm.draw.render import render, save, save_svg
from wfst_hmm.draw.timeline import decoded_svg
from wfst_hmm.draw.tree import tree_picture
from wfst_hmm.draw.view import path_of, view
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon_fst import LexiconFst
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GmmHmm
from wfst_hmm.models.hmm import DiscreteHmm
from wfst_hmm.models.topology import Topology
from wfst_hmm.models.tree import Tree
from wfst_hmm.search.result import Decoded

__all__ = ["Drawing", "draw"]


@dataclasses.dataclass(frozen=True, eq=False)
class Drawing:
    """A picture that notebooks show and `save` writes.

    Attributes
    ----------
    content : Picture or str
        A picture still to be laid out, or a finished SVG.
    """

    content: Picture | str

    def _repr_svg_(self) -> str:
        if isinstance(self.content, str):
            return self.content
        # no wider than the page, whose right edge would cut it
        svg = render(self.content, "svg").decode("utf-8")
        return svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)

    def __repr__(self) -> str:
        if isinstance(self.content, str):
            return f"Drawing({len(self.content):,} bytes of SVG)"
        return f"Drawing({len(self.content.nodes)} nodes, {len(self.content.edges)} edges)"

    def save(self, path: str | Path) -> Path:
        """Write ``.svg``, ``.png``, ``.pdf`` or ``.dot``; see `draw.render`."""
        if isinstance(self.content, str):
            return save_svg(self.content, path)
        return save(self.content, path)


def draw(
    value: (
        Fst
        | Graph
        | CompactGraph
        | Grammar
        | LexiconFst
        | Lattice
        | Tree
        | Topology
        | Chain
        | DiscreteHmm
        | GmmHmm
        | Decoded
        | Picture
        | Any
    ),
    *,
    names: Sequence[str] | None = None,
    accept: str | Sequence[str] = (),
    path: Sequence[int] = (),
    around: int | str | None = None,
    radius: int = 2,
    **options: Any,
) -> Drawing:
    """Return the picture of a machine, an HMM or a decoded utterance.

    The arcs of a lattice carry posteriors, not costs, unless `options` say otherwise.

    Parameters
    ----------
    value : Fst, Graph, CompactGraph, Grammar, LexiconFst, Lattice, Tree, Topology, Chain, DiscreteHmm, GmmHmm, Decoded or Picture
        Or an FST of pynini.
    names : sequence of str, optional
        Of the states of a chain or HMM.
    accept : str or sequence of str
        Highlight the cheapest path with just these words or phones.
    path : sequence of int
        Highlight these arcs.
    around : int or str, optional
        Draw only the surroundings of this state, or of the arcs with this symbol.
    radius : int
        How far the surroundings reach, in arcs.
    **options
        Fields of `DrawOptions`; for a `Decoded` the arguments of `decoded_svg`; for a `Tree` also
        ``phone`` and ``state``.

    Examples
    --------
    >>> from wfst_hmm.fst.symbols import Symbols
    >>> ab = Symbols("ab")
    >>> fst = Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [1, 2], [1, 1], [9, 0], ab, ab)
    >>> draw(fst, accept="b", weights="probabilities")
    Drawing(2 nodes, 2 edges)
    """
    if isinstance(value, Picture):
        return Drawing(value)
    if isinstance(value, Decoded):
        return Drawing(decoded_svg(value, **options))
    if isinstance(value, Topology):
        options.setdefault("weights", "probabilities")
        return Drawing(topology_picture(value, DrawOptions(**options)))
    if isinstance(value, Tree):
        which = {name: options.pop(name, None) for name in ("phone", "state")}
        return Drawing(tree_picture(value, DrawOptions(**options), **which))
    if isinstance(value, DiscreteHmm | GmmHmm):
        value = value.chain
    if isinstance(value, Chain):
        options.setdefault("weights", "probabilities")
        return Drawing(chain_picture(value, DrawOptions(**options), names=names))
    if isinstance(value, Lattice):
        machine = lattice_machine(value, posteriors="weights" not in options)
        options.setdefault("weights", "probabilities")
    elif isinstance(value, Fst | Graph | CompactGraph | Grammar | LexiconFst) or hasattr(
        value, "write_to_string"
    ):
        machine = machine_of(value)
    else:
        raise UsageError("cannot draw this", got=type(value).__name__,
                         expected="an Fst, graph, grammar, lattice, topology, HMM, Decoded or Picture")  # fmt: skip
    fst, chosen = machine.fst, DrawOptions(**options)
    if around is not None:
        return Drawing(view(fst, around, radius=radius, max_states=chosen.max_states,
                            options=chosen, names=machine.names))  # fmt: skip
    symbols = accept.split() if isinstance(accept, str) else list(accept)
    marked = path_of(fst, symbols) if symbols else path
    return Drawing(fst_picture(fst, chosen, path=marked, names=machine.names))


def _svg_of(value: Any) -> str:
    return draw(value)._repr_svg_()


_METHOD: tuple[str, Callable[[Any], str]] = ("_repr_svg_", _svg_of)
for _drawable in (
    Fst,
    Graph,
    CompactGraph,
    Grammar,
    LexiconFst,
    Lattice,
    Tree,
    Topology,
    Chain,
    DiscreteHmm,
    GmmHmm,
    Decoded,
    Picture,
):
    setattr(_drawable, *_METHOD)
