"""``lattice``: look into lattices, prune, rescore and convert them.

In: ``lattices.npz`` of ``decode --lattice``, or an archive of Kaldi. Out: words, tables, files.

Public names: `app`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.parameters import Json
from wfst_hmm.cli.shell import console, fail, print_json, say, warn
from wfst_hmm.errors import UsageError

if TYPE_CHECKING:
    from wfst_hmm.fst.symbols import Symbols
    from wfst_hmm.lattice.lattice import Lattice

__all__ = ["app"]

app = typer.Typer(help="Look into lattices, prune, rescore and convert them.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="LATTICES", help="lattices.npz, or an archive of Kaldi.")
]
Words = Annotated[
    Path | None, typer.Option("--words", help="words.txt that Kaldi's word numbers belong to.")
]
LmScale = Annotated[float, typer.Option(help="Factor on graph costs: Kaldi's LM weight.")]
AcousticScale = Annotated[float, typer.Option(help="Factor on acoustic costs.")]
Penalty = Annotated[float, typer.Option(help="Nats that every word costs more.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="File to write: .npz, else Kaldi's text form.")
]
Numbers = Annotated[
    Path | None, typer.Option("--numbers", help="Write words as their numbers in this words.txt.")
]


class By(str, enum.Enum):
    """How to choose one word sequence."""

    cost = "cost"
    mbr = "mbr"


@app.command("info")
def info(file: File, words: Words = None, as_json: Json = False) -> None:
    """Tell how large lattices are and how much they leave open.

    Example: wfst-hmm lattice info OUT/lattices.npz
    """
    from rich.table import Table

    from wfst_hmm.lattice.stats import lattice_stats

    found = {id_: lattice_stats(lattice) for id_, lattice in _read(file, words).items()}
    if as_json:
        print_json({id_: stats.to_dict() for id_, stats in found.items()})
        return
    table = Table(box=None)
    names = ("utterance", "frames", "states", "arcs", "words", "paths", "depth", "arcs per word")
    for name in names:
        table.add_column(name, justify="left" if name == "utterance" else "right")
    for id_, stats in found.items():
        table.add_row(
            id_, str(stats.n_frames), str(stats.n_states), str(stats.n_arcs), str(stats.n_words),
            f"10^{stats.log10_paths:.1f}" if stats.log10_paths >= 0 else "none",
            f"{stats.depth:.1f}", f"{stats.word_density:.1f}",
        )  # fmt: skip
    console().print(table)


@app.command("best")
def best(
    file: File,
    by: Annotated[
        By, typer.Option(help="Least cost, or least expected errors (minimum Bayes risk).")
    ] = By.cost,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Print the posterior of each word.")
    ] = False,
    lm_scale: LmScale = 1.0,
    acoustic_scale: AcousticScale = 1.0,
    word_penalty: Penalty = 0.0,
    words: Words = None,
) -> None:
    """Print the best words of each lattice, as a Kaldi text file.

    Example: wfst-hmm lattice best OUT/lattices.npz --by mbr
    """
    from wfst_hmm.lattice.consensus import confidences, consensus
    from wfst_hmm.lattice.nbest import best_hypothesis

    empty = []
    for id_, lattice in _read(file, words).items():
        lattice = _scaled(lattice, lm_scale, acoustic_scale, word_penalty)
        hypothesis = best_hypothesis(lattice)
        if hypothesis is None:
            empty.append(id_)
            continue
        texts = hypothesis.words
        if by is By.mbr:
            texts = tuple(word.text for word in consensus(lattice).words)
        shown = list(texts)
        if confidence:
            shares = confidences(lattice, texts)
            shown = [f"{text}:{share:.3f}" for text, share in zip(texts, shares, strict=True)]
        say(" ".join([id_, *shown]))
    _complain(empty)


@app.command("nbest")
def nbest(
    file: File,
    n: Annotated[int, typer.Option("-n", help="Hypotheses of each utterance.", min=1)] = 10,
    lm_scale: LmScale = 1.0,
    acoustic_scale: AcousticScale = 1.0,
    word_penalty: Penalty = 0.0,
    words: Words = None,
    as_json: Json = False,
) -> None:
    """Print the cheapest word sequences: id, rank, total, graph and acoustic cost, words.

    Example: wfst-hmm lattice nbest OUT/lattices.npz -n 5
    """
    from wfst_hmm.lattice.nbest import n_best

    rows = []
    empty = []
    for id_, lattice in _read(file, words).items():
        lattice = _scaled(lattice, lm_scale, acoustic_scale, word_penalty)
        found = n_best(lattice, n)
        if not found:
            empty.append(id_)
        for rank, h in enumerate(found, start=1):
            rows.append({"id": id_, "rank": rank, "total_cost": h.total_cost,
                         "graph_cost": h.graph_cost, "acoustic_cost": h.acoustic_cost,
                         "text": " ".join(h.words)})  # fmt: skip
            if not as_json:
                say(f"{id_}\t{rank}\t{h.total_cost:.4f}\t{h.graph_cost:.4f}\t"
                    f"{h.acoustic_cost:.4f}\t{' '.join(h.words)}")  # fmt: skip
    if as_json:
        print_json(rows)
    _complain(empty)


@app.command("prune")
def prune(
    file: File,
    out: Out,
    beam: Annotated[float, typer.Option(help="Nats above the best path.", min=0)] = 6.0,
    words: Words = None,
    numbers: Numbers = None,
) -> None:
    """Keep the paths within a beam of the best one.

    Example: wfst-hmm lattice prune OUT/lattices.npz --beam 4 --out pruned.npz
    """
    before = _read(file, words)
    after = {id_: lattice.pruned(beam) for id_, lattice in before.items()}
    _write(out, after, numbers)
    n_before, n_after = _n_arcs(before.values()), _n_arcs(after.values())
    say(f"{n_after} of {n_before} arcs in {len(after)} lattices: {out}")


@app.command("rescore")
def rescore(
    file: File,
    out: Out,
    lm: Annotated[
        Path | None, typer.Option("--lm", help="New n-gram model: ARPA, or Sphinx's .lm.bin.")
    ] = None,
    old_lm: Annotated[
        str | None,
        typer.Option("--old-lm", help="Grammar of the graph, whose costs are taken out."),
    ] = None,
    grammar: Annotated[
        str | None,
        typer.Option(
            help="Instead of --lm: a grammar, or loop, words, length:5; what it lacks is dropped."
        ),
    ] = None,
    lm_scale: Annotated[float, typer.Option(help="Factor on the new model's costs.")] = 1.0,
    unknown_cost: Annotated[
        float | None, typer.Option(help="Nats for words that the new model lacks.", min=0)
    ] = None,
    words: Words = None,
    numbers: Numbers = None,
) -> None:
    """Put another language model in the place of the graph's own, exactly.

    Example: wfst-hmm lattice rescore OUT/lattices.npz --old-lm small.arpa --lm big.arpa -o big.npz
    """
    from wfst_hmm.apps.lattices import replace_language_model
    from wfst_hmm.errors import WfstHmmError
    from wfst_hmm.lattice.nbest import best_hypothesis

    if lm is None and old_lm is None and grammar is None:
        raise UsageError("nothing to rescore with", fix="Name --lm, --grammar or --old-lm.")
    failed: list[str] = []

    def skip(id_: str, error: WfstHmmError) -> None:
        failed.append(id_)
        warn(f"skipped: utterance {id_}: {error}")

    made = replace_language_model(_read(file, words), lm, old_lm, grammar=grammar, scale=lm_scale,
                                  unknown_cost=unknown_cost, on_error=skip)  # fmt: skip
    if old_lm is None:
        warn("without --old-lm, the new costs are added to those of the graph's own grammar")
    _write(out, made, numbers)
    empty = []
    for id_, lattice in made.items():
        hypothesis = best_hypothesis(lattice)
        if hypothesis is None:
            empty.append(id_)
        else:
            say(" ".join([id_, *hypothesis.words]))
    if failed:
        raise fail(f"{len(failed)} lattices could not be rescored; see above")
    _complain(empty)


@app.command("oracle")
def oracle(
    file: File,
    ref: Annotated[
        Path, typer.Option("--ref", help="Kaldi text file, data directory or manifest.")
    ],
    words: Words = None,
    as_json: Json = False,
) -> None:
    """Compute the word error rate of the best paths that the lattices hold.

    Example: wfst-hmm lattice oracle OUT/lattices.npz --ref DATA/text
    """
    from wfst_hmm.apps.lattices import oracle_score
    from wfst_hmm.formats.data import read_transcripts

    scored = oracle_score(_read(file, words), read_transcripts(ref))
    if as_json:
        print_json(scored.to_dict())
        return
    for id_ in scored.missing[:20]:
        warn(f"utterance {id_}: no lattice; its words count as errors")
    for id_, (n_errors, n_words, texts) in scored.utterances.items():
        if n_errors:
            say(f"{id_}: {n_errors} of {n_words}: {' '.join(texts)}")
    say(f"oracle WER {100 * scored.wer:.2f} % ({scored.n_errors} of {scored.n_words} words, "
        f"{len(scored.utterances)} utterances)")  # fmt: skip


@app.command("union")
def unite(
    files: Annotated[
        list[Path], typer.Argument(metavar="LATTICES...", help="Files of the same utterances.")
    ],
    out: Out,
    words: Words = None,
    numbers: Numbers = None,
) -> None:
    """Join the lattices of several searches or models, the best path of each word sequence.

    Example: wfst-hmm lattice union one.npz two.npz --out both.npz
    """
    from wfst_hmm.lattice.determinize import determinize_lattice
    from wfst_hmm.lattice.union import union

    parts: dict[str, list[Lattice]] = {}
    for file in files:
        for id_, lattice in _read(file, words).items():
            parts.setdefault(id_, []).append(lattice)
    made = {id_: determinize_lattice(union(lattices)) for id_, lattices in parts.items()}
    _write(out, made, numbers)
    say(f"{len(made)} lattices, {_n_arcs(made.values())} arcs: {out}")


@app.command("convert")
def convert(
    file: File,
    out: Out,
    lm_scale: LmScale = 1.0,
    acoustic_scale: AcousticScale = 1.0,
    word_penalty: Penalty = 0.0,
    words: Words = None,
    numbers: Numbers = None,
    utterance: Annotated[
        str | None, typer.Option(help="Only this one's lattice: an SLF file holds one.")
    ] = None,
) -> None:
    """Write lattices in another form, with other scales if asked for.

    The name says which: .npz, .slf (HTK), or any other for Kaldi's text.

    Example: wfst-hmm lattice convert OUT/lattices.npz --out lat.txt --numbers GRAPH/words.txt
    """
    made = {
        id_: _scaled(lattice, lm_scale, acoustic_scale, word_penalty)
        for id_, lattice in _read(file, words).items()
        if utterance in (None, id_)
    }
    if not made and utterance is not None:
        raise UsageError("no such utterance", where=str(file), got=utterance)
    _write(out, made, numbers)
    say(f"{len(made)} lattices: {out}")


def _symbols(path: Path | None) -> Symbols | None:
    from wfst_hmm.fst.symbols import Symbols

    return None if path is None else Symbols.read(path)


def _read(file: Path, words: Path | None) -> dict[str, Lattice]:
    from wfst_hmm.apps.lattices import read_any_lattices

    return read_any_lattices(file, _symbols(words))


def _write(out: Path, lattices: dict[str, Lattice], numbers: Path | None) -> None:
    from wfst_hmm.apps.lattices import write_any_lattices

    write_any_lattices(out, lattices, numbers=_symbols(numbers))


def _scaled(lattice: Lattice, lm: float, acoustic: float, penalty: float) -> Lattice:
    if (lm, acoustic, penalty) == (1.0, 1.0, 0.0):
        return lattice
    return lattice.reweighted(graph_scale=lm, acoustic_scale=acoustic, word_penalty=penalty)


def _n_arcs(lattices: Iterable[Lattice]) -> int:
    return sum(lattice.n_arcs for lattice in lattices)


def _complain(empty: list[str]) -> None:
    if empty:
        shown = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        raise fail(f"no path is left in {len(empty)} lattices: {shown}")
