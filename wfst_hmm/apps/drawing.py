"""Pictures of whatever lies at a path: a graph, an FST, a lexicon's L, a phone's HMM.

In: a path and drawing options. Out: a `Picture`, written with `draw.render.save`, or a page to
explore it.

Public names: `draw_file`, `draw_page`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.apps.info import kind_of
from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.machines import machine_of
from wfst_hmm.draw.page import html_page, save_page
from wfst_hmm.draw.picture import DrawOptions, Picture, fst_picture, topology_picture
from wfst_hmm.draw.render import save
from wfst_hmm.draw.tree import tree_picture
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import load_graph
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = ["draw_file", "draw_page"]


def draw_file(
    source: str | Path,
    out: str | Path,
    options: DrawOptions | None = None,
    *,
    as_lexicon: bool = False,
    silence: str | None = None,
    disambiguate: bool = False,
    phone: str | None = None,
    state: int | None = None,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
    accept: Sequence[str] = (),
) -> Picture:
    """Draw what lies at `source` into the file `out` (``.svg``, ``.png``, ``.pdf``, ``.dot``).

    Parameters
    ----------
    source : path
        A graph directory, an OpenFst file, a model directory or a lexicon.
    out : path
    options : DrawOptions, optional
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
    isymbols, osymbols : path, optional
        Symbol tables for an OpenFst file that carries none.
    accept : sequence of str
        Highlight the cheapest path that reads or writes just these symbols.

    Returns
    -------
    Picture
        What was drawn; its `note` says what was left out.
    """
    options = options or DrawOptions()
    kind = "lexicon" if as_lexicon else kind_of(source)
    if kind == "acoustic model":
        picture = _phone_picture(Path(source), phone, state, options)
    else:
        fst = _machine(source, kind, silence, disambiguate, isymbols, osymbols)
        picture = fst_picture(fst, _titled(options, source), path=_path(fst, accept))
    save(picture, out)
    return picture


def draw_page(
    source: str | Path,
    out: str | Path,
    options: DrawOptions | None = None,
    *,
    as_lexicon: bool = False,
    silence: str | None = None,
    disambiguate: bool = False,
    phone: str | None = None,
    state: int | None = None,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
    accept: Sequence[str] = (),
) -> Picture:
    """Write a page in which a machine can be explored; arguments as for `draw_file`.

    It holds the states that a picture of these options would show, and needs nothing else.

    Raises
    ------
    UsageError
        `source` is a model: its phones are small enough for a picture.
    """
    options = options or DrawOptions()
    kind = "lexicon" if as_lexicon else kind_of(source)
    if kind == "acoustic model" or phone is not None or state is not None:
        raise UsageError("a phone's HMM has nothing to explore", where=str(source),
                         fix="Draw it as .svg.")  # fmt: skip
    fst = _machine(source, kind, silence, disambiguate, isymbols, osymbols)
    plain = dataclasses.replace(options, legend=False)
    explorer = Explorer(fst, plain, path=_path(fst, accept), first=options.max_states)
    title = _titled(options, source).title
    save_page(html_page("graph", {"scene": explorer.scene()}, title=title), out)
    return explorer.picture()


def _machine(
    source: str | Path,
    kind: str,
    silence: str | None,
    disambiguate: bool,
    isymbols: str | Path | None,
    osymbols: str | Path | None,
) -> Fst:
    if kind == "lexicon":
        fst = _l_of(read_lexicon(source), silence, disambiguate)
    elif kind == "decoding graph":
        fst = machine_of(load_graph(source)).fst
    elif kind == "FST":
        fst = _file_fst(source)
    else:
        raise UsageError(f"cannot draw a {kind}", where=str(source),
                         expected="a graph, an OpenFst file, a model or a lexicon")  # fmt: skip
    return _with_tables(fst, isymbols, osymbols)


def _titled(options: DrawOptions, source: str | Path) -> DrawOptions:
    return options if options.title else dataclasses.replace(options, title=Path(source).name)


def _path(fst: Fst, accept: Sequence[str]) -> Sequence[int]:
    if not accept:
        return ()
    from wfst_hmm.draw.view import path_of

    return path_of(fst, accept)


def _file_fst(path: str | Path) -> Fst:
    from wfst_hmm.fst.binary import read_fst

    return read_fst(path)


def _with_tables(fst: Fst, isymbols: str | Path | None, osymbols: str | Path | None) -> Fst:
    return fst.with_symbols(
        Symbols.read(isymbols) if isymbols else fst.isymbols,
        Symbols.read(osymbols) if osymbols else fst.osymbols,
    )


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


@dataclasses.dataclass(frozen=True)
class _Phones:
    """Just enough of a model for L: the phones of the lexicon itself."""

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    topologies: tuple[Topology, ...] = ()
    hash: str = ""
    frame_shift: float = 0.01

    def state_labels(self) -> StateLabels:
        return StateLabels.build((), (), ())


def _l_of(lexicon: Lexicon, silence: str | None, disambiguate: bool) -> Fst:
    phones = tuple(dict.fromkeys([*([silence] if silence else []), *lexicon.phones]))
    model = _Phones(phones, (silence,) if silence else ())
    options = LexiconOptions(silence_probability=0.5 if silence else 0.0)
    return lexicon_fst(lexicon, model, options, disambiguate=disambiguate).fst
