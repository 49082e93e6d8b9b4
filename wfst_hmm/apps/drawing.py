"""Pictures of whatever lies at a path: a graph, an FST, a lexicon's L, a lattice, a phone's HMM.

In: a path and drawing options. Out: a `Picture`, written with `draw.render.save`, or a page to
explore it.

Public names: `draw_file`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.apps.lattices import read_any_lattices
from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.machines import Drawable, machine_of
from wfst_hmm.draw.page import html_page, save_page
from wfst_hmm.draw.picture import DrawOptions, Picture, fst_picture, topology_picture
from wfst_hmm.draw.render import save
from wfst_hmm.draw.tree import tree_picture
from wfst_hmm.draw.view import part, path_of
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.tables import read_any_fst
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.kinds import kind_of, read_as
from wfst_hmm.lattice.lattice import Lattice

__all__ = ["draw_file"]

#: Uses of kinds, the one to be drawn first.
_DRAWN = ("model", "graph", "lattices", "fst", "openfst", "lexicon", "grammar")


def draw_file(
    source: str | Path,
    out: str | Path,
    options: DrawOptions | None = None,
    *,
    page: bool | None = None,
    as_lexicon: bool = False,
    silence: str | None = None,
    disambiguate: bool = False,
    phone: str | None = None,
    state: int | None = None,
    utterance: str | None = None,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
    acceptor: bool | None = None,
    accept: Sequence[str] = (),
    around: str | int | None = None,
    radius: int = 2,
) -> Picture:
    """Draw what lies at `source` into the file `out` (``.svg``, ``.png``, ``.pdf``, ``.dot``).

    Parameters
    ----------
    source : path
        A graph directory, an OpenFst file, a model directory, a lexicon or lattices.
    out : path
    options : DrawOptions, optional
    page : bool, optional
        Write a page in which the machine can be explored; by default if `out` ends in ``.html``.
        It holds the states that the picture would show, and needs nothing else.
    as_lexicon : bool
        Take `source` for a lexicon, whatever it looks like.
    silence : str, optional
        Phone of the optional silence in a lexicon's L; by default L has none.
    disambiguate : bool
        Draw L with its disambiguation symbols.
    phone : str, optional
        Which phone of a model to draw.
    state : int, optional
        Draw the decision tree of this HMM state of the phone instead of its HMM.
    utterance : str, optional
        Whose lattice to draw; need not be said where there is one.
    isymbols, osymbols : path, optional
        Symbol tables for an FST that carries none.
    acceptor : bool, optional
        Of an FST as text: whether its arcs have one label.
    accept : sequence of str
        Highlight the cheapest path that reads or writes just these symbols.
    around : str or int, optional
        Draw the surroundings of the arcs with this symbol, or of this state.
    radius : int
        How many arcs away from there.

    Returns
    -------
    Picture
        What was drawn; its `note` says what was left out.

    Raises
    ------
    UsageError
        Nothing that can be drawn; a page of a model, whose phones are small enough for a
        picture; more than one lattice and no utterance named; `accept` together with `around`.
    """
    options = options or DrawOptions()
    page = Path(out).suffix.lower() in (".html", ".htm") if page is None else page
    kind = kind_of(source)
    use = "lexicon" if as_lexicon else next((u for u in _DRAWN if u in kind.readers), "")
    if not use:
        raise UsageError(f"cannot draw {kind.a}", where=str(source),
                         expected="a graph, an FST, a grammar, a model, a lexicon or lattices",
                         fix=kind.remedy)  # fmt: skip
    if use == "model":
        if page:
            raise UsageError("a phone's HMM has nothing to explore", where=str(source),
                             fix="Draw it as .svg.")  # fmt: skip
        picture = _phone_picture(Path(source), phone, state, options)
        save(picture, out)
        return picture
    if phone is not None or state is not None:
        raise UsageError(f"{kind.a} has no phones to draw", where=str(source), fix="Name a model.")
    value: Drawable
    if use == "lexicon":
        value = _l_of(read_as(source, "lexicon"), silence, disambiguate)
    elif use == "lattices":
        value = _lattice(source, utterance)
    elif use == "fst":
        value = read_any_fst(source, isymbols, osymbols, acceptor=acceptor).fst
    elif use == "openfst":
        value = read_any_fst(Path(source) / "graph.fst").fst
    else:
        read = read_as(source, use)
        value = read.fst if use == "grammar" else read
    machine = machine_of(value)
    options = _titled(options, source, utterance)
    states, path = _part(machine.fst, accept, around, radius, options.max_states)
    if not page:
        picture = fst_picture(machine.fst, options, path=path, states=states, names=machine.names)
        save(picture, out)
        return picture
    plain = dataclasses.replace(options, legend=False)
    explorer = Explorer(value, plain, states=states, path=path, first=options.max_states)
    save_page(html_page("graph", {"scene": explorer.scene()}, title=options.title), out)
    return explorer.picture()


def _lattice(source: str | Path, utterance: str | None) -> Lattice:
    lattices = read_any_lattices(source)
    name = next(iter(lattices)) if utterance is None and len(lattices) == 1 else utterance
    if name is None or name not in lattices:
        shown = ", ".join([*lattices][:5]) + (", ..." if len(lattices) > 5 else "")
        raise UsageError("no such utterance" if name else f"{len(lattices)} lattices: which?",
                         where=str(source), got=name, expected=shown or "a lattice",
                         fix="Name it: --utterance ID.")  # fmt: skip
    return lattices[name]


def _part(
    fst: Fst, accept: Sequence[str], around: str | int | None, radius: int, max_states: int
) -> tuple[list[int] | None, Sequence[int]]:
    """Return the states to draw (None: those nearest to the start) and the arcs to mark."""
    if around is None:
        return None, path_of(fst, accept) if accept else ()
    if accept:
        raise UsageError("a path, or the surroundings of something: not both",
                         fix="Leave out --accept or --around.")  # fmt: skip
    tables = [table for table in (fst.isymbols, fst.osymbols) if table is not None]
    if isinstance(around, str) and around.isdigit() and not any(around in t for t in tables):
        around = int(around)
    return part(fst, around, radius=radius, max_states=max_states)


def _titled(options: DrawOptions, source: str | Path, utterance: str | None) -> DrawOptions:
    title = options.title or utterance or Path(source).name
    return dataclasses.replace(options, title=title)


def _phone_picture(
    path: Path, phone: str | None, state: int | None, options: DrawOptions
) -> Picture:
    from wfst_hmm.models.loading import load_model

    model = load_model(path)
    name = model.phones[0] if phone is None else phone
    if name not in model.phones:
        raise UsageError(f"the model has no phone {name!r}", where="--phone",
                         expected=" ".join(model.phones))  # fmt: skip
    if state is not None:
        tree = getattr(model, "tree", None)
        if tree is None:
            raise UsageError("the model has no decision trees", where=str(path),
                             fix="Leave out --state: the phone's HMM is drawn then.")  # fmt: skip
        return tree_picture(tree, options, phone=name, state=state)
    if options.weights == "nats":
        options = dataclasses.replace(options, weights="probabilities")  # as textbooks draw HMMs
    options = options if options.title else dataclasses.replace(options, title=f"phone {name}")
    return topology_picture(model.topology_of(name), options)


def _l_of(lexicon: Lexicon, silence: str | None, disambiguate: bool) -> Fst:
    options = LexiconOptions(silence_phone=silence)
    return lexicon_fst(lexicon, None, options, disambiguate=disambiguate).fst
