"""What lies at a path: a model, a graph, a corpus, a recording, a lexicon, an FST.

In: a path. Out: its kind and the facts that a reader of it needs, JSON-ready.

Public names: `describe`, `kind_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.files import read_lines
from wfst_hmm.fst.binary import FST_MAGIC

if TYPE_CHECKING:
    from wfst_hmm.models.context_model import ContextModel
    from wfst_hmm.signal.containers import RawFormat

__all__ = ["describe", "kind_of"]

_AUDIO = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf"}
_AUDIO_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"FORM", b".snd", b"riff", b"caff", b"ID3")
_LINES = 200  # lines looked at to tell what a text file is


def kind_of(path: str | Path) -> str:
    """Return what `path` is: ``acoustic model``, ``decoding graph``, ``data directory``,
    ``manifest``, ``recording``, ``FST``, ``lattices``, ``symbol table``, ``ARPA model`` or
    ``lexicon``.

    Raises
    ------
    FormatError
        Nothing is there, or nothing that this package knows.
    """
    path = Path(path)
    if path.is_dir():
        for name, kind in (("graph.json", "decoding graph"), ("units.npz", "decoding graph"),
                           ("model.json", "acoustic model"),
                           ("wav.scp", "data directory")):  # fmt: skip
            if (path / name).is_file():
                return kind
        raise FormatError(
            "a directory of an unknown kind", where=str(path),
            expected="graph.json, model.json or wav.scp in it",
            fix="Name a graph, a model, a Kaldi data directory or a file.",
        )  # fmt: skip
    if not path.exists():
        raise FormatError("no such file or directory", where=str(path), fix="Check the path.")
    with open(path, "rb") as stream:
        magic = stream.read(8)
    if magic.startswith(FST_MAGIC):
        return "FST"
    if magic.startswith(_AUDIO_MAGIC) or path.suffix.lower() in _AUDIO:
        return "recording"
    if magic.startswith(b"PK\3\4"):
        return "lattices"
    return _kind_of_text(path)


def _kind_of_text(path: Path) -> str:
    rows = []
    for number, line in read_lines(path):
        if line.strip():
            rows.append(line)
        if number >= _LINES:
            break
    if not rows:
        raise FormatError("an empty file", where=str(path), fix="Name another one.")
    if {"id", "audio"} <= set(rows[0].split("\t")):
        return "manifest"
    if any(row.strip() == "\\data\\" for row in rows):
        return "ARPA model"
    fields = [row.split() for row in rows]
    if all(len(row) == 2 and row[1].isdigit() for row in fields):
        return "symbol table"
    return "lexicon"


def describe(path: str | Path, *, raw: RawFormat | None = None) -> dict[str, Any]:
    """Return the kind of what lies at `path` and its facts.

    Parameters
    ----------
    path : path
    raw : RawFormat, optional
        It is a recording without a header, of this format.

    Returns
    -------
    dict
        ``kind`` and ``path`` first, then facts in reading order: numbers, strings, lists.

    Raises
    ------
    WfstHmmError
        Nothing is there, its kind is unknown, or it is damaged.
    """
    if raw is not None:
        return {"kind": "recording", "path": str(path), **_recording(Path(path), raw)}
    kind = kind_of(path)
    tell = {
        "acoustic model": _model,
        "decoding graph": _graph,
        "data directory": _corpus,
        "manifest": _corpus,
        "recording": _recording,
        "FST": _fst,
        "lattices": _lattices,
        "symbol table": _symbols,
        "ARPA model": _arpa,
        "lexicon": _lexicon,
    }[kind]
    return {"kind": kind, "path": str(path), **tell(Path(path))}


def _model(path: Path) -> dict[str, Any]:
    from wfst_hmm.models.context_model import ContextModel
    from wfst_hmm.models.loading import load_model

    model = load_model(path)
    return {
        "hash": model.hash,
        "phones": list(model.phones),
        "silence_phones": list(model.silence_phones),
        **(_in_context(model) if isinstance(model, ContextModel) else {}),
        "tied_states": model.n_columns,
        "gaussians": model.n_gaussians,
        "dimensions": model.n_dims,
        "rate": model.rate,
        "frame_shift": model.frame_shift,
        "front_end": model.front_end.kind,
        "features": model.front_end.to_dict(),
        "info": _in_short(model.info),
    }


def _in_short(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model tells of its making, passes and lists of utterances in short."""
    short = dict(info)
    training = short.get("training")
    if isinstance(training, dict) and training.get("passes"):
        training = dict(training)
        passes, skipped = training.pop("passes"), training.pop("skipped", [])
        facts = training.pop("diagnostics", None)
        training |= {"n_passes": len(passes), "n_skipped": len(skipped),
                     "log_likelihood": passes[-1]["log_likelihood"]}  # fmt: skip
        if facts:
            training["silence_share"] = facts["silence_share"]
        short["training"] = training
    return short


def _in_context(model: ContextModel) -> dict[str, Any]:
    from wfst_hmm.models.codebooks import CodebookSet

    facts: dict[str, Any] = {"hmms": len(model.context.hmms)}
    if isinstance(model.densities, CodebookSet):
        facts |= {"codebooks": model.densities.n_codebooks, "streams": len(model.densities.streams)}
    if model.fillers:
        facts["fillers"] = sorted(model.fillers)
    if model.splice:
        facts["spliced_frames"] = 2 * model.splice + 1
    if model.transform is not None:
        facts["transform"] = "x".join(map(str, model.transform.shape))
    if model.tree is not None:
        facts["questions"] = len(model.tree.questions)
    if model.unadapted is not None:
        facts["unadapted_gaussians"] = model.unadapted.n_components
    return facts


def _graph(path: Path) -> dict[str, Any]:
    from wfst_hmm.graph.compact import is_compact, load_graph

    graph = load_graph(path, verify=True)
    return {
        "compact": is_compact(path),
        "states": graph.fst.n_states,
        "arcs": graph.fst.n_arcs,
        "epsilon_arcs": int(np.count_nonzero(graph.fst.arcs["ilabel"] == 0)),
        "words": len(graph.words) - 1,
        "first_words": list(graph.words)[1:11],
        "pronunciations": len(graph.lexicon),
        "phones": list(graph.phones),
        "silence_phones": list(graph.silence_phones),
        "model_hash": graph.model_hash,
        "carries_its_model": (path / "model" / "model.json").is_file(),
        "frame_shift": graph.frame_shift,
        "info": dict(graph.info),
    }


def _corpus(path: Path) -> dict[str, Any]:
    from wfst_hmm.formats.data import read_corpus

    problems: list[str] = []
    corpus = read_corpus(path, on_error=lambda id_, error: problems.append(str(error)))
    seconds, rates = 0.0, set()
    for utterance in corpus:
        try:
            header = utterance.header()
        except WfstHmmError as error:
            problems.append(str(error))
            continue
        rates.add(header.rate)
        whole = header.n_samples / header.rate
        seconds += (utterance.end or whole) - (utterance.start or 0.0)
    return {
        "utterances": len(corpus),
        "with_transcript": sum(utterance.words is not None for utterance in corpus),
        "speakers": len(corpus.speakers()),
        "seconds": round(seconds, 3),
        "rates": sorted(rates),
        "running_words": sum(len(utterance.words or ()) for utterance in corpus),
        "distinct_words": len(corpus.words()),
        "problems": problems,
    }


def _recording(path: Path, raw: RawFormat | None = None) -> dict[str, Any]:
    from wfst_hmm.signal.audio import audio_info

    header = audio_info(path, raw=raw)
    return {
        "rate": header.rate,
        "channels": header.n_channels,
        "samples": header.n_samples,
        "seconds": round(header.n_samples / header.rate, 6),
    }


def _fst(path: Path) -> dict[str, Any]:
    from wfst_hmm.fst.binary import read_fst
    from wfst_hmm.fst.ops import is_acyclic, is_deterministic

    fst = read_fst(path)
    arcs = fst.arcs
    return {
        "states": fst.n_states,
        "arcs": fst.n_arcs,
        "start": fst.start,
        "final_states": int(np.count_nonzero(np.isfinite(fst.states["final"]))),
        "epsilon_arcs": int(np.count_nonzero((arcs["ilabel"] == 0) & (arcs["olabel"] == 0))),
        "acceptor": bool(np.all(arcs["ilabel"] == arcs["olabel"])),
        "acyclic": is_acyclic(fst),
        "input_deterministic": is_deterministic(fst),
        "input_symbols": len(fst.isymbols) if fst.isymbols else None,
        "output_symbols": len(fst.osymbols) if fst.osymbols else None,
    }


def _lattices(path: Path) -> dict[str, Any]:
    from wfst_hmm.lattice.stats import lattice_stats
    from wfst_hmm.lattice.store import read_lattices

    stats = [lattice_stats(lattice) for lattice in read_lattices(path).values()]
    return {
        "utterances": len(stats),
        "frames": sum(one.n_frames for one in stats),
        "states": sum(one.n_states for one in stats),
        "arcs": sum(one.n_arcs for one in stats),
        "without_a_path": sum(not np.isfinite(one.best_cost) for one in stats),
    }


def _symbols(path: Path) -> dict[str, Any]:
    from wfst_hmm.fst.symbols import Symbols

    table = Symbols.read(path)
    return {"symbols": len(table), "first": list(table)[:10]}


def _arpa(path: Path) -> dict[str, Any]:
    counts = []
    for number, line in read_lines(path):
        text = line.strip()
        if text.startswith("ngram "):
            order, _, count = text[len("ngram ") :].partition("=")
            if not (order.strip().isdigit() and count.strip().isdigit()):
                raise FormatError("not a count of n-grams", where=f"{path}:{number}",
                                  got=repr(text[:60]), expected="ngram N=count")  # fmt: skip
            counts.append(int(count))
        elif counts and text:
            break
    if not counts:
        raise FormatError("no counts of n-grams", where=str(path))
    return {"order": len(counts), "ngrams": counts}


def _lexicon(path: Path) -> dict[str, Any]:
    from wfst_hmm.graph.lexicon import read_lexicon

    try:
        lexicon = read_lexicon(path)
    except WfstHmmError as error:
        raise DataError(f"none of the files that this program knows; as a lexicon: {error}") from None  # fmt: skip
    lengths = [len(entry.phones) for entry in lexicon.entries]
    return {
        "words": len(lexicon.words),
        "pronunciations": len(lexicon),
        "merged_duplicates": lexicon.n_merged,
        "phones": list(lexicon.phones),
        "mean_phones_per_pronunciation": round(float(np.mean(lengths)), 3),
        "with_probabilities": any(entry.probability != 1.0 for entry in lexicon.entries),
    }
