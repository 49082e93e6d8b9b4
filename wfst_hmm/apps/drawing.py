"""Pictures of whatever lies at a path: a graph, an FST, a lexicon's L, a phone's HMM.

In: a path and drawing options. Out: a `Picture`, written with `draw.render.save`.

Public names: `draw_file`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.apps.info import kind_of
from wfst_hmm.draw.picture import DrawOptions, Picture, fst_picture, topology_picture
from wfst_hmm.draw.render import save
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = ["draw_file"]


def draw_file(
    source: str | Path,
    out: str | Path,
    options: DrawOptions | None = None,
    *,
    as_lexicon: bool = False,
    silence: str | None = None,
    disambiguate: bool = False,
    phone: str | None = None,
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
        picture = _phone_picture(Path(source), phone, options)
    elif kind in ("lexicon", "decoding graph", "FST"):
        if kind == "lexicon":
            fst = _l_of(read_lexicon(source), silence, disambiguate)
        else:
            fst = _graph_fst(Path(source)) if kind == "decoding graph" else _file_fst(source)
        fst = _with_tables(fst, isymbols, osymbols)
        picture = fst_picture(fst, _titled(options, source), path=_path(fst, accept))
    else:
        raise UsageError(f"cannot draw a {kind}", where=str(source),
                         expected="a graph, an OpenFst file, a model or a lexicon")  # fmt: skip
    save(picture, out)
    return picture


def _titled(options: DrawOptions, source: str | Path) -> DrawOptions:
    return options if options.title else dataclasses.replace(options, title=Path(source).name)


def _path(fst: Fst, accept: Sequence[str]) -> Sequence[int]:
    if not accept:
        return ()
    from wfst_hmm.draw.view import path_of

    return path_of(fst, accept)


def _graph_fst(path: Path) -> Fst:
    from wfst_hmm.graph.graph import Graph

    return Graph.load(path).fst


def _file_fst(path: str | Path) -> Fst:
    from wfst_hmm.fst.binary import read_fst

    return read_fst(path)


def _with_tables(fst: Fst, isymbols: str | Path | None, osymbols: str | Path | None) -> Fst:
    return fst.with_symbols(
        Symbols.read(isymbols) if isymbols else fst.isymbols,
        Symbols.read(osymbols) if osymbols else fst.osymbols,
    )


def _phone_picture(path: Path, phone: str | None, options: DrawOptions) -> Picture:
    from wfst_hmm.models.loading import load_model

    model = load_model(path)
    name = model.phones[0] if phone is None else phone
    if name not in model.phones:
        raise UsageError(f"the model has no phone {name!r}", where="--phone",
                         expected=" ".join(model.phones))  # fmt: skip
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
