"""Models and graphs of other toolkits, to this package's directories and back.

In: directories and files of Sphinx, Kaldi and HTK. Out: model and graph directories; the other
way, directories for Kaldi and OpenFst.

A model that came from Kaldi keeps Kaldi's own files in the folder ``kaldi`` of its directory, so
that leaving again gives the same bytes: trees and transition-ids say more than decoding needs.

Public names: `export_kaldi`, `export_openfst`, `import_htk`, `import_kaldi`, `import_openfst`, `import_sphinx`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wfst_hmm.apps.recognizer import Recognizer, check_new
from wfst_hmm.arrays import as_words
from wfst_hmm.errors import DataError, ModelError, UsageError
from wfst_hmm.files import atomic_directory
from wfst_hmm.formats.htk.config import read_htk_config
from wfst_hmm.formats.htk.model import read_htk_model
from wfst_hmm.formats.kaldi.config import read_feature_options, write_feature_options
from wfst_hmm.formats.kaldi.export import export_model, write_kaldi_model
from wfst_hmm.formats.kaldi.graph import read_kaldi_graph, write_graph_files
from wfst_hmm.formats.kaldi.lang import silence_by_name
from wfst_hmm.formats.kaldi.model import KaldiModel, read_kaldi_model
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.tables import read_any_fst
from wfst_hmm.fst.text import write_fst_text
from wfst_hmm.graph.compact import AnyGraph, CompactGraph, load_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.units import Units
from wfst_hmm.kinds import kind_of, wrong_kind
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = [
    "export_kaldi",
    "export_openfst",
    "import_htk",
    "import_kaldi",
    "import_openfst",
    "import_sphinx",
]

_KALDI = "kaldi"
_MODEL = "model"


def import_sphinx(source: str | Path, out: str | Path) -> ContextModel:
    """Import a Sphinx model directory, or ``en-us`` of the pocketsphinx wheel.

    Raises
    ------
    FormatError
        See `formats.sphinx.model.read_sphinx_model`.
    """
    check_new(out, "model.json", "model")
    folder = wheel.en_us().acoustic if str(source) == "en-us" else Path(source)
    model = read_sphinx_model(folder).context_model()
    model.save(out)
    return model


def import_kaldi(
    source: str | Path,
    out: str | Path,
    *,
    lang: str | Path | None = None,
    config: str | Path | None = None,
    rate: int | None = None,
    graph: str | Path | None = None,
    silence_phones: Sequence[str] = (),
) -> SpeechModel | Recognizer:
    """Import a Kaldi model directory, or with `graph` a decoding graph and its model.

    Parameters
    ----------
    source : path
        Holds ``final.mdl`` and ``tree``.
    out : path
        A model directory, or with `graph` a graph directory.
    lang : path, optional
        Says which phones are silence; by default `graph`, then the model directory, then the
        phones' names.
    config : path, optional
        ``conf/mfcc.conf`` (`formats.kaldi.config.read_feature_options`).
    rate : int, optional
        Samples per second, where `config` does not say.
    graph : path, optional
        A directory with ``HCLG.fst``.
    silence_phones : sequence of str, optional
        Overrules what is found.

    Returns
    -------
    SpeechModel or Recognizer
        The model's ``info["assumed"]`` says what no file said.

    Raises
    ------
    FormatError
        A file is missing or damaged, or the parts do not belong together.
    ModelError
        The tree looks further than one phone to either side, features do not fit, or nothing
        tells which phones are silence.
    """
    mark, what = ("graph.json", "graph") if graph is not None else ("model.json", "model")
    check_new(out, mark, what)
    kaldi = read_kaldi_model(source, lang if lang is not None else graph)
    kaldi, assumed = _with_silence(kaldi, silence_phones, str(source))
    features, more = read_feature_options(config, source, rate=rate)
    model = kaldi.context_model(features)
    if assumed or more:
        model = dataclasses.replace(model, info={**model.info, "assumed": [*assumed, *more]})
    if graph is None:
        model.save(out)
        _keep(kaldi, Path(out))
        return model
    made = read_kaldi_graph(graph, kaldi, model_hash=model.hash, frame_shift=model.frame_shift,
                            acoustic_scale=model.acoustic_scale,
                            frame_offset=model.frame_offset)  # fmt: skip
    recognizer = Recognizer(made, model)
    recognizer.save(out)
    _keep(kaldi, Path(out) / _MODEL)
    return recognizer


def _with_silence(
    kaldi: KaldiModel, wanted: Sequence[str], where: str
) -> tuple[KaldiModel, tuple[str, ...]]:
    """Return the model with its silence phones, and what was assumed about them."""
    names = [kaldi.phones[number] for number in kaldi.phone_numbers]
    unknown = [phone for phone in wanted if phone not in names]
    if unknown:
        raise UsageError("silence phones that the model lacks", where=where,
                         got=", ".join(unknown), expected=", ".join(names[:20]))  # fmt: skip
    assumed: tuple[str, ...] = ()
    silence = tuple(wanted) or kaldi.silence_phones
    if not silence:
        silence = silence_by_name(names)
        assumed = (f"silence phones by their names: {', '.join(silence)}",)
    if not silence:
        raise ModelError("nothing tells which phones are silence", where=where,
                         got=f"phones {', '.join(names[:12])} ...",
                         fix="Name the lang directory (--lang), or --silence PHONE.")  # fmt: skip
    return dataclasses.replace(kaldi, silence_phones=silence), assumed


def _keep(kaldi: KaldiModel, model: Path) -> None:
    """Put Kaldi's own files into a model directory."""
    write_kaldi_model(kaldi, model / _KALDI)


def _kept(path: Path, model: SpeechModel) -> KaldiModel | None:
    """Return what `_keep` kept, when it is still this very model."""
    if not (path / _KALDI).is_dir() or not isinstance(model, ContextModel):
        return None
    kaldi = read_kaldi_model(path / _KALDI)
    kaldi = dataclasses.replace(kaldi, silence_phones=model.silence_phones)
    return kaldi if kaldi.context_model(model.front_end).hash == model.hash else None


def import_htk(
    files: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    hmm_list: str | Path | None = None,
    silence_phones: str | Sequence[str] = (),
    config: str | Path | None = None,
    rate: int | None = None,
) -> ContextModel:
    """Import HTK model files; ``info["assumed"]`` says what no file did, or was left aside.

    Parameters
    ----------
    files : path, or sequence of paths
        ``macros`` before ``hmmdefs``.
    out : path
    hmm_list : path, optional
        ``tiedlist``: which logical models share which physical ones.
    silence_phones : sequence of str, optional
        By default those of ``sil`` and ``sp`` that there are.
    config : path, optional
        HTK's configuration file, which says how features were made: the model files name their
        kind only. By default the HTK Book's recipe (`formats.htk.model.HtkModel.front_end`).
    rate : int, optional
        Samples per second, where the configuration does not say; 16000 by default.

    Raises
    ------
    FormatError
        See `formats.htk.model.read_htk_model` and `formats.htk.config.read_htk_config`.
    ModelError
        Models and configuration do not fit.
    """
    check_new(out, "model.json", "model")
    htk = read_htk_model(files, hmm_list)
    silence = tuple(as_words(silence_phones)) or tuple(p for p in ("sil", "sp") if p in htk.phones)
    settings = None if config is None else read_htk_config(config, rate=rate)
    front_end = htk.front_end(settings, rate=rate)
    assumed = [] if settings is None else list(settings.notes)
    if settings is None:
        assumed.append(f"{front_end.targetkind} by the HTK Book's recipe, windows of 25 ms, "
                       f"{front_end.numchans} filters; --config names another")  # fmt: skip
    if rate is None and (settings is None or "rate" not in settings.given):
        assumed.append(f"{front_end.rate} samples per second; --rate says otherwise")
    model = htk.context_model(front_end, silence)
    if assumed:
        model = dataclasses.replace(model, info={**model.info, "assumed": assumed})
    model.save(out)
    return model


def export_kaldi(source: str | Path, out: str | Path, *, binary: bool = True) -> list[str]:
    """Write a model or a graph directory as Kaldi's files.

    Parameters
    ----------
    source : path
        A model directory, or a graph directory with its model inside.
    out : path
        ``final.mdl``, ``tree``, ``phones.txt``, ``conf/mfcc.conf`` of a model; of a graph ``HCLG.fst`` and
        ``words.txt`` as well.
    binary : bool
        Kaldi's binary form, or text.

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    ModelError
        Kaldi cannot express the model: codebooks of several streams, Sphinx's front end.
    """
    check_new(out, "final.mdl", "Kaldi directory")
    kind, source = kind_of(source), Path(source)
    if not {"model", "graph"} & {*kind.readers}:
        raise wrong_kind(kind, source, "a model or graph that could be exported")
    graph: AnyGraph | None = None
    folder = source
    if "graph" in kind.readers:
        recognizer = Recognizer.load(source)
        graph, model, folder = recognizer.graph, recognizer.model, source / _MODEL
    else:
        model = load_model(source)
    with atomic_directory(out) as temporary:
        kept = _kept(folder, model)
        if kept is not None:
            write_kaldi_model(kept, temporary, binary=binary)
        else:
            export_model(model, temporary, binary=binary)
        if isinstance(model.front_end, FeatureOptions):
            write_feature_options(model.front_end, temporary)
        if graph is not None:
            transitions = read_kaldi_model(temporary).transitions
            whole = graph.expanded() if isinstance(graph, CompactGraph) else graph
            write_graph_files(whole, transitions, temporary)
        return sorted(str(p.relative_to(temporary)) for p in temporary.rglob("*") if p.is_file())


def export_openfst(source: str | Path, out: str | Path) -> AnyGraph:
    """Write the machine of a graph directory for OpenFst's tools.

    The folder gets ``graph.fst`` (vector, standard arcs), ``graph.txt`` (text form), the symbol
    tables ``isymbols.txt`` and ``osymbols.txt``, and ``lexicon.txt``, which times of words rest on.

    Parameters
    ----------
    source : path
        A graph directory; a compact one has units (``phone#HMM``) on its input side.
    """
    check_new(out, "graph.fst", "OpenFst directory")
    graph = load_graph(source)
    fst = graph.fst
    if isinstance(graph, CompactGraph):
        fst = fst.with_symbols(graph.unit_symbols(), graph.words)
    with atomic_directory(out) as folder:
        fst.write(folder / "graph.fst")
        for name, table in (("isymbols.txt", fst.isymbols), ("osymbols.txt", fst.osymbols)):
            if table is None:
                raise ModelError("a graph without symbols", where=str(source))
            table.write(folder / name)
        write_fst_text(fst, folder / "graph.txt")
        graph.lexicon.write(folder / "lexicon.txt")
    return graph


def import_openfst(
    source: str | Path,
    out: str | Path,
    model: str | Path,
    *,
    lexicon: str | Path | None = None,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
) -> Recognizer:
    """Make a graph directory of a machine that OpenFst's tools have been at.

    Parameters
    ----------
    source : path
        What `export_openfst` wrote, with ``graph.fst`` changed or not; or any FST whose input
        symbols are the names of the model's states (``^AH.0``, ``AH.0``), or of its HMMs
        (``AH#17``) for a graph that is expanded in the search.
    out : path
        New, empty, or an older graph.
    model : path
        The acoustic model that the graph is for.
    lexicon : path, optional
        By default ``lexicon.txt`` beside the machine; without one, words have rough times.
    isymbols, osymbols : path, optional
        By default those beside the machine (`fst.tables.read_any_fst`).

    Raises
    ------
    DataError
        An input symbol is none of the model's states or HMMs.
    """
    check_new(out, "graph.json", "graph")
    path = Path(source) / "graph.fst" if Path(source).is_dir() else Path(source)
    acoustic = load_model(model)
    fst = read_any_fst(path, isymbols, osymbols).fst
    if fst.isymbols is None or fst.osymbols is None:
        raise DataError("a machine without symbol tables", where=str(path),
                        fix="Name them: --isymbols, --osymbols.")  # fmt: skip
    beside = path.parent / "lexicon.txt"
    if lexicon is None and beside.is_file():
        lexicon = beside
    entries = Lexicon(()) if lexicon is None else lexicon_from_spec(lexicon)
    labels = acoustic.state_labels()
    parts = (fst.osymbols, tuple(acoustic.phones), tuple(acoustic.silence_phones), entries,
             acoustic.hash, acoustic.frame_shift, {"source": str(source)},
             acoustic.acoustic_scale)  # fmt: skip
    made: AnyGraph
    used = fst.isymbols.strings(np.unique(fst.arcs["ilabel"]))
    if used and all("#" in name for name in used):
        if isinstance(acoustic, ContextModel):
            units = Units.of_map(acoustic.context, labels)
        else:
            units = Units.of_phones(acoustic.topologies, labels)
        made = CompactGraph(fst.with_symbols(None, fst.osymbols), units, labels, *parts)
        made = dataclasses.replace(made, fst=_relabelled(fst, made.unit_symbols(), path))
    else:
        made = Graph(_relabelled(fst, labels.symbols, path), labels, *parts)
    recognizer = Recognizer(made, acoustic)
    recognizer.save(out)
    return recognizer


def _relabelled(fst: Fst, symbols: Symbols, path: Path) -> Fst:
    """Return the machine with the numbers of `symbols` on its input side."""
    names = [*(fst.isymbols or ())]
    used = np.unique(fst.arcs["ilabel"])
    strange = [names[i] for i in used[used > 0].tolist() if names[i] not in symbols]
    if strange:
        raise DataError(f"{len(strange)} input symbols are no states or HMMs of the model",
                        where=str(path), got=", ".join(strange[:5]),
                        expected=", ".join([*symbols][1:4]) + " ...",
                        fix="Name the model that the graph was made for.")  # fmt: skip
    number = np.array([symbols.id(name) if name in symbols else 0 for name in names], np.int32)
    return Fst.from_arcs(
        fst.start, fst.sources(), number[fst.arcs["ilabel"]], fst.arcs["olabel"],
        fst.arcs["weight"], fst.arcs["nextstate"], fst.states["final"], symbols, fst.osymbols,
    )  # fmt: skip
