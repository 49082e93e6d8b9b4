"""``draw`` and ``info``: look at what lies at a path.

In: paths and options. Out: a picture, a page to explore it, a film of a search, or facts on
stdout.

Public names: `draw`, `info`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfst_hmm.cli.parameters import Acceptor, Channel, ISymbols, OSymbols, Raw, Resample
from wfst_hmm.cli.shell import print_json, say
from wfst_hmm.errors import UsageError

if TYPE_CHECKING:
    from wfst_hmm.signal.corpus import Utterance

__all__ = ["draw", "info"]


def draw(
    source: Annotated[
        Path | None,
        typer.Argument(help="A graph or model directory, an OpenFst file, lattices or a lexicon."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The picture: .svg, .png, .pdf, .dot; or a page: .html."),
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="Write a page to explore, in one file, instead.")
    ] = False,
    film: Annotated[
        Path | None,
        typer.Option(help="Film how the graph decodes this recording, into a page."),
    ] = None,
    beam: Annotated[float, typer.Option(help="Of the search that is filmed, nats.")] = 24.0,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="Draw L, the transducer of this lexicon.")
    ] = None,
    silence: Annotated[
        str | None, typer.Option(help="With --lexicon: phone of optional silence between words.")
    ] = None,
    disambiguate: Annotated[
        bool, typer.Option("--disambiguate", help="With --lexicon: with symbols #0, #1, ...")
    ] = False,
    phone: Annotated[
        str | None, typer.Option(help="Of a model: the phone whose HMM is drawn.")
    ] = None,
    state: Annotated[
        int | None,
        typer.Option(
            help="Of a phone in context: draw the decision tree of this HMM state.", min=0
        ),
    ] = None,
    accept: Annotated[
        str, typer.Option(help="Highlight the cheapest path with just these words or phones.")
    ] = "",
    around: Annotated[
        str | None, typer.Option(help="Draw what surrounds this word or phone, or state number.")
    ] = None,
    radius: Annotated[int, typer.Option(help="With --around: so many arcs away.", min=0)] = 2,
    utterance: Annotated[str | None, typer.Option(help="Of lattices: whose to draw.")] = None,
    weights: Annotated[str, typer.Option(help="nats, probabilities or none.")] = "nats",
    max_states: Annotated[
        int, typer.Option(help="Draw at most so many states; a note says what is left out.")
    ] = 80,
    max_arcs: Annotated[int, typer.Option(help="Draw at most so many arcs.")] = 300,
    title: Annotated[str, typer.Option(help="First line under the picture.")] = "",
    isymbols: ISymbols = None,
    osymbols: OSymbols = None,
    acceptor: Acceptor = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was drawn as JSON.")] = False,
) -> None:
    """Draw a graph, an FST, a lattice or a phone; or film a search.

    Example: wfst-hmm draw GRAPH --out graph.svg --accept "one two"

    Example: wfst-hmm draw GRAPH --around seven --out seven.html

    Example: wfst-hmm draw GRAPH --film recording.wav --out film.html
    """
    from wfst_hmm.apps.drawing import draw_file
    from wfst_hmm.draw.picture import DrawOptions

    if (source is None) == (lexicon is None):
        raise UsageError("name one thing to draw: FST, or --lexicon LEX", where="draw",
                         fix="See wfst-hmm draw --help.")  # fmt: skip
    if film is not None:
        from wfst_hmm.apps.recognize import corpus_of_files

        (recording,) = corpus_of_files([film]).recorded(channel, raw)
        _film(source, recording, out or Path("film.html"), beam, resample, title, as_json)
        return
    out = out or Path("fst.html" if html else "fst.svg")
    options = DrawOptions(weights=weights, max_states=max_states, max_arcs=max_arcs, title=title)
    picture = draw_file(
        lexicon or source or "", out, options, page=html or None, as_lexicon=lexicon is not None,
        silence=silence, disambiguate=disambiguate, phone=phone, state=state, utterance=utterance,
        isymbols=isymbols, osymbols=osymbols, acceptor=acceptor, accept=accept.split(), around=around, radius=radius,
    )  # fmt: skip
    if as_json:
        drawn = [node for node in picture.nodes if not node.is_stub]
        print_json({"out": str(out), "states": len(drawn), "edges": len(picture.edges),
                    "captions": list(picture.captions)})  # fmt: skip
    else:
        say(f"{out}: {picture.note or 'drawn'}")


def _film(
    source: Path | None, recording: Utterance, out: Path, beam: float, resample: bool, title: str,
    as_json: bool,
) -> None:  # fmt: skip
    from wfst_hmm.apps.filming import film_recording
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.search.options import SearchOptions

    if source is None:
        raise UsageError("a film needs a decoding graph", where="--film",
                         fix="Example: wfst-hmm draw GRAPH --film recording.wav.")  # fmt: skip
    made = film_recording(
        Recognizer.load(source),
        recording,
        SearchOptions(beam=beam),
        resample=resample,
        title=title,
    )
    made.save(out)
    text = made.decoded.text if made.decoded is not None else None
    if as_json:
        print_json({"out": str(out), "frames": made.recording.n_searched,
                    "tokens": len(made.recording.state), "text": text})  # fmt: skip
    else:
        said = "no complete path" if text is None else text or "(no words)"
        say(
            f"{out}: {made.recording.n_searched} frames, {len(made.recording.state):,} tokens: {said}"
        )


def info(
    path: Annotated[
        Path, typer.Argument(help="A model, graph, corpus, recording, FST, lexicon, ...")
    ],
    raw: Raw = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Tell what lies at a path.

    Example: wfst-hmm info GRAPH
    """
    from wfst_hmm.apps.info import describe

    facts = describe(path, raw=raw)
    if as_json:
        print_json(facts)
        return
    for line in _lines(facts):
        say(line)


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line a fact; what is nested follows, indented."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        title = name.replace("_", " ") + ":"
        if isinstance(value, dict) and value:
            yield title
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield title
            yield from (f"  {_text(item)}" for item in value)
        else:
            yield f"{title:<{width + 2}}{_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_text(item)}" for name, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        shown = [_text(item) for item in value[:40]]
        more = f" ... {len(value)} in all" if len(value) > 40 else ""
        return " ".join(shown) + more if shown else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)
