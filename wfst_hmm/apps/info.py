"""What lies at a path: a model, a graph, a corpus, a recording, a lexicon, an FST ...

In: a path. Out: its kind (`kinds.KINDS`) and the facts that a reader of it needs, JSON-ready.

Public names: `describe`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.files import read_arrays, read_lines, read_text
from wfst_hmm.kinds import Look, kind_of, read_as

if TYPE_CHECKING:
    from wfst_hmm.models.context_model import ContextModel
    from wfst_hmm.signal.containers import RawFormat

__all__ = ["describe"]


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
        ``kind`` and ``path`` first, then facts in reading order: numbers, strings, lists; at the
        end ``use``: which command takes it, or what else to do with it.

    Raises
    ------
    WfstHmmError
        Nothing is there, its kind is unknown, or it is damaged.
    """
    if raw is not None:
        return {"kind": "recording", "path": str(path), **_recording(Path(path), raw)}
    kind = kind_of(path)
    tell = _FACTS.get(kind.name)
    if tell is None:
        tell = next((_FACTS[use] for use in kind.readers if use in _FACTS), _anything)
    try:
        told = tell(Path(path))
    except WfstHmmError as error:
        if kind.marked:
            raise
        told = {**_anything(Path(path)), "note": str(error)}  # its shape misled
    facts = {"kind": kind.name, "path": str(path), **told}
    return {**facts, "use": kind.remedy} if kind.remedy else facts


def _anything(path: Path) -> dict[str, Any]:
    look = Look(path)
    if look.is_folder:
        return {"holds": sorted(look.names)}
    if look.members:
        return {"bytes": path.stat().st_size, "files": sorted(look.members)}
    if not look.text:
        return {"bytes": path.stat().st_size}
    return {"bytes": path.stat().st_size, "lines": sum(1 for _ in read_lines(path))}


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
    from wfst_hmm.apps.building import corpus_from

    problems: list[str] = []
    try:
        corpus = corpus_from(path, on_error=lambda id_, error: problems.append(str(error)))
    except DataError:
        if not problems:
            raise
        return {"utterances": 0, "problems": problems}
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
    from wfst_hmm.fst.ops import is_acyclic, is_deterministic
    from wfst_hmm.fst.tables import read_any_fst

    found = read_any_fst(path)
    fst, arcs = found.fst, found.fst.arcs
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
        **({"notes": list(found.notes)} if found.notes else {}),
    }


def _openfst(path: Path) -> dict[str, Any]:
    return _fst(path / "graph.fst")


def _lattices(path: Path) -> dict[str, Any]:
    from wfst_hmm.apps.lattices import read_any_lattices
    from wfst_hmm.lattice.stats import lattice_stats

    try:
        lattices = read_any_lattices(path)
    except FormatError as error:
        if "without a table" not in error.what:
            raise
        return {**_anything(path), "note": str(error)}
    stats = [lattice_stats(lattice) for lattice in lattices.values()]
    return {
        "utterances": len(stats),
        "frames": sum(one.n_frames for one in stats),
        "states": sum(one.n_states for one in stats),
        "arcs": sum(one.n_arcs for one in stats),
        "without_a_path": sum(not np.isfinite(one.best_cost) for one in stats),
    }


def _symbols(path: Path) -> dict[str, Any]:
    from wfst_hmm.fst.symbols import read_numbers

    table = read_numbers(path)
    return {"symbols": len(table), "first": [table[number] for number in sorted(table)[:10]]}


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


def _ngrams(path: Path) -> dict[str, Any]:
    model = read_as(path, "language model")
    return {"order": model.order, "ngrams": list(model.counts)}


def _grammar(path: Path) -> dict[str, Any]:
    grammar = read_as(path, "grammar")
    words = grammar.words
    return {
        "words": len(words),
        "first_words": list(words[:10]),
        "states": grammar.fst.n_states,
        "arcs": grammar.fst.n_arcs,
        **({"notes": list(grammar.notes)} if grammar.notes else {}),
    }


def _transcripts(path: Path) -> dict[str, Any]:
    said = read_as(path, "transcripts").said()
    words = [word for transcript in said.values() for word in transcript.words()]
    return {"utterances": len(said), "running_words": len(words),
            "distinct_words": len(set(words))}  # fmt: skip


def _results(path: Path) -> dict[str, Any]:
    return {**_transcripts(path), "holds": sorted(p.name for p in path.iterdir())}


def _textgrid(path: Path) -> dict[str, Any]:
    text = read_text(path)
    names = re.findall(r'name\s*=\s*"((?:[^"]|"")*)"', text) or re.findall(
        r'"(?:Interval|Text)Tier"\s*"((?:[^"]|"")*)"', text)  # fmt: skip
    end = re.search(r"xmax\s*=\s*([\d.]+)", text) or re.search(
        r'(?s)"TextGrid"\s*[\d.]+\s+([\d.]+)', text)  # fmt: skip
    return {"tiers": names, "seconds": float(end[1]) if end else None}


def _timed(path: Path) -> dict[str, Any]:
    """Lines whose first field is a recording: CTM, STM, UEM."""
    rows = [line.split() for _, line in read_lines(path) if line.strip()]
    rows = [row for row in rows if not row[0].startswith((";", "#"))]
    return {"recordings": len({row[0] for row in rows}), "lines": len(rows)}


def _turns(path: Path) -> dict[str, Any]:
    turns = read_as(path, "turns")
    return {
        "recordings": len(turns),
        "speakers": len({turn.speaker for found in turns.values() for turn in found}),
        "turns": sum(map(len, turns.values())),
        "seconds": round(sum(turn.seconds for found in turns.values() for turn in found), 3),
    }


def _mlf(path: Path) -> dict[str, Any]:
    from wfst_hmm.formats.htk.labels import read_mlf

    found = read_mlf(path)
    return {"recordings": len(found), "labels": sum(map(len, found.values()))}


def _mmf(path: Path) -> dict[str, Any]:
    text = read_text(path)
    kinds = re.findall(r"<((?:MFCC|FBANK|PLP|MELSPEC|LPC|USER|LPCEPSTRA|LPDELCEP)[A-Z_0-9]*)>",
                       text, re.IGNORECASE)  # fmt: skip
    return {"hmms": len(re.findall(r"(?m)^~h\b", text)), "features": sorted(set(kinds))}


def _features(path: Path) -> dict[str, Any]:
    found = read_as(path, "features")
    return {"features": found.kind, "frames": found.array.shape[0],
            "dimensions": found.array.shape[1], "frame_shift": found.frame_shift}  # fmt: skip


def _sphinx_features(path: Path) -> dict[str, Any]:
    return {"values": path.stat().st_size // 4 - 1}


def _cues(path: Path) -> dict[str, Any]:
    return {"cues": sum("-->" in line for _, line in read_lines(path))}


def _arrays(path: Path) -> dict[str, Any]:
    """Our own files of arrays: their header, and what the arrays are."""
    arrays = read_arrays(path)
    shapes = {name: "x".join(map(str, a.shape)) or "one value"
              for name, a in arrays.items() if name != "header"}  # fmt: skip
    header = {k: v for k, v in Look(path).header.items() if k not in ("kind", "version")}
    return {**header, "arrays": shapes}


def _speakers(path: Path) -> dict[str, Any]:
    models = read_as(path, "speakers")
    return {
        "speakers": list(models.speakers),
        "gaussians": models.models.background.n_components,
        "threshold": models.threshold,
    }


def _track(path: Path) -> dict[str, Any]:
    from wfst_hmm.formats.msd import read_track

    try:
        song = read_track(path)
    except WfstHmmError as error:
        return {**_anything(path), "note": f"no track of the Million Song Dataset: {error}"}
    return {"artist": song.artist, "title": song.title, "year": song.year,
            "frames": len(song.timbre)}  # fmt: skip


def _csv(path: Path) -> dict[str, Any]:
    look = Look(path)
    separator = "," if "," in look.first else ";"
    return {"columns": look.first.split(separator), **_anything(path)}


def _json(path: Path) -> dict[str, Any]:
    look = Look(path)
    if isinstance(look.json, dict):
        return {"fields": list(look.json)[:40], **_anything(path)}
    if isinstance(look.json, list):
        return {"items": len(look.json), **_anything(path)}
    return _anything(path)


def _xml(path: Path) -> dict[str, Any]:
    return {"root": Look(path).root, **_anything(path)}


def _lexicon(path: Path) -> dict[str, Any]:
    lexicon = read_as(path, "lexicon")
    lengths = [len(entry.phones) for entry in lexicon.entries]
    return {
        "words": len(lexicon.words),
        "pronunciations": len(lexicon),
        "merged_duplicates": lexicon.n_merged,
        "phones": list(lexicon.phones),
        "mean_phones_per_pronunciation": round(float(np.mean(lengths)), 3),
        "with_probabilities": any(entry.probability != 1.0 for entry in lexicon.entries),
    }


#: What tells of a kind by its name, else by its first use that stands here.
_FACTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "results of decoding": _results, "ARPA model": _arpa, "Sphinx language model": _ngrams,
    "machine for OpenFst": _openfst, "TextGrid": _textgrid, "CTM file": _timed,
    "STM file": _timed, "UEM file": _timed, "HTK master label file": _mlf,
    "HTK model file": _mmf, "feature file of Sphinx": _sphinx_features, "subtitles": _cues,
    "mixture of Gaussians": _arrays, "HMM with mixtures of Gaussians": _arrays,
    "HMM with Gaussians": _arrays, "HMM with discrete symbols": _arrays,
    "mixtures of a diarization's speakers": _arrays, "model of a tag": _arrays,
    "library of songs": _arrays, "archive of arrays": _arrays, "HDF5 file": _track,
    "CSV table": _csv, "JSON file": _json, "XML document": _xml,
    "model": _model, "graph": _graph, "corpus": _corpus, "audio": _recording,
    "fst": _fst, "lattices": _lattices, "symbols": _symbols, "grammar": _grammar,
    "transcripts": _transcripts, "turns": _turns, "features": _features,
    "speakers": _speakers, "lexicon": _lexicon,
}  # fmt: skip
