"""How closely imported models follow the toolkits that they come from.

In: the test data of PocketSphinx (``sphinx/``) and Kaldi's yesno experiment (``yesno/kaldi``).
Out: rows: differences of features, scores and costs, agreement of alignments, recognition errors.

Public names: `bench_imports`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.transcription import EN_US, transcriber
from wfst_hmm.apps.wer import score_words
from wfst_hmm.bench.report import Progress, Row, silent
from wfst_hmm.formats.kaldi.archives import read_cmvn, read_integer_lists, read_script
from wfst_hmm.formats.kaldi.lattices import KaldiLattice, read_lattices
from wfst_hmm.formats.kaldi.model import KaldiModel, read_kaldi_model
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.container import read_cepstra
from wfst_hmm.formats.sphinx.model import SphinxModel, read_sphinx_model
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.binary import read_fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.models.context import ContextMap
from wfst_hmm.search.decode import decode
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.signal.audio import Audio, read_audio, write_wav
from wfst_hmm.signal.features import add_deltas
from wfst_hmm.signal.sphinx import NoiseTracker, sphinx_cepstra

__all__ = ["bench_imports"]

Phone = tuple[str, str, str, str]  # phone, left and right neighbour, place in the word


def bench_imports(
    data: str | Path, folder: str | Path | None = None, *, progress: Progress = silent
) -> list[Row]:
    """Compare with what is found below `data`.

    Parameters
    ----------
    data : path
        Holds ``sphinx`` or ``yesno``.
    folder : path, optional
        For graphs and recordings that are made on the way; by default one that is removed again.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as name:
            return bench_imports(data, name, progress=progress)
    data, folder = Path(data), Path(folder)
    rows: list[Row] = []
    if (data / "sphinx").is_dir():
        progress("Sphinx")
        rows += _sphinx(data / "sphinx", folder)
    if (data / "yesno" / "kaldi").is_dir():
        progress("Kaldi")
        rows += _yesno(data / "yesno" / "kaldi")
    return rows


def _samples(path: Path) -> npt.NDArray[np.float32]:
    return np.asarray(np.frombuffer(path.read_bytes(), "<i2") / 32768, dtype=np.float32)


def _sphinx(data: Path, folder: Path) -> Iterator[Row]:
    en_us = read_sphinx_model(wheel.en_us().acoustic)
    dump = read_cepstra(data / "goforward.mfc")
    ours = sphinx_cepstra(_samples(data / "goforward.raw"), en_us.options)
    yield Row("goforward.mfc: largest difference of a cepstrum", "",
              float(np.abs(ours[: len(dump)] - dump).max()), target=1e-4, less_is_better=True)  # fmt: skip
    yield _librivox(en_us, data / "librivox")
    cards = [data / "cards" / f"00{n}.wav" for n in (1, 2, 3)]
    lines = (data / "cards" / "cards.transcription").read_text(encoding="utf-8").splitlines()
    yield _grammar("cards", data / "cards" / "cards.gram", cards,
                   [line.split()[1:-2] for line in lines], folder, 0)  # fmt: skip
    write_wav(folder / "goforward.wav", Audio(_samples(data / "goforward.raw"), 16000))
    spoken = ["go", "forward", "ten", "meters"]
    for name in ("goforward.gram", "goforward.fsg"):
        yield _grammar(name, data / name, [folder / "goforward.wav"], [spoken], folder, 0)
    yield _tidigits(data / "tidigits")
    yield _an4(data)


def _grammar(
    name: str, grammar: Path, audio: list[Path], said: list[list[str]], folder: Path, target: int
) -> Row:
    ready = transcriber(grammar=grammar, cache=folder)
    errors = n_words = 0
    for outcome, words in zip(decode_corpus(ready.recognizer, audio, ready.options), said, strict=True):  # fmt: skip
        found = outcome.decoded.text.split() if outcome.decoded is not None else []
        counted = score_words(words, found)
        errors, n_words = errors + counted.n_errors, n_words + counted.n_words
    return Row(f"{name}: word errors", f"of {n_words}", errors, target=target, less_is_better=True)


def _librivox(model: SphinxModel, folder: Path) -> Row:
    """Align as PocketSphinx did: noise removal goes on from one recording to the next."""
    context = model.context_map()
    tracker = NoiseTracker(model.options.nfilt)
    same = total = 0
    for path in sorted(folder.glob("*.state.json")):
        words, expected = _reference(path)
        name = path.name.removesuffix(".state.json")
        features = model.features(read_audio(folder / f"{name}.wav").samples, tracker)
        scores = model.log_likelihoods(features, top_n=4)
        states = _aligned(context, _in_context(words), scores)
        same, total = same + int(np.sum(states == expected)), total + len(states)
    return Row("librivox: frames in the state that PocketSphinx has", "%", 100 * same / total,
               target=95.0, note=f"{total} frames, 4 Gaussians")  # fmt: skip


def _reference(path: Path) -> tuple[list[list[str]], npt.NDArray[np.int64]]:
    words, senones = [], []
    for word in json.loads(path.read_text(encoding="utf-8"))["w"]:
        words.append([phone["t"] for phone in word["w"]])
        for state in (state for phone in word["w"] for state in phone["w"]):
            senones += [int(state["t"])] * round(state["d"] * 100)
    return words, np.array(senones)


def _in_context(words: Sequence[Sequence[str]]) -> list[Phone]:
    flat = [phone for word in words for phone in word]
    around = ["SIL", *flat, "SIL"]
    places: list[str] = []
    for word in words:
        inner = ["internal"] * (len(word) - 2)
        places += ["single"] if len(word) == 1 else ["begin", *inner, "end"]
    return [(p, around[i], around[i + 2], places[i]) for i, p in enumerate(flat)]


def _aligned(
    context: ContextMap, phones: Sequence[Phone], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """Return the score column of every frame on the best path through a chain of HMMs."""
    rows: list[tuple[int, int, int, float]] = []  # source, target, column, cost
    open_ends, n = [(0, 0.0)], 1
    for phone in phones:
        hmm = context.hmms[context.hmm_index(*phone)]
        topology = context.topologies[hmm.topology]
        with np.errstate(divide="ignore"):
            enter, move, leave = (-np.log(p) for p in (topology.initial, topology.transitions, topology.final))  # fmt: skip
        rows += [(source, n + s, hmm.columns[s], cost + enter[s])
                 for source, cost in open_ends for s in np.flatnonzero(topology.initial)]  # fmt: skip
        rows += [(n + i, n + j, hmm.columns[j], move[i, j])
                 for i, j in np.argwhere(topology.transitions)]  # fmt: skip
        open_ends = [(n + s, leave[s]) for s in np.flatnonzero(topology.final)]
        n += topology.n_states
    final = np.full(n, np.inf)
    for state, cost in open_ends:
        final[state] = cost
    table = np.array(rows)
    whole = table[:, :3].astype(np.int64)
    fst = Fst.from_arcs(0, whole[:, 0], whole[:, 2] + 1, np.zeros(len(rows), int), table[:, 3],
                        whole[:, 1], final)  # fmt: skip
    _, arcs = viterbi_path(fst, scores, np.arange(scores.shape[1], dtype=np.int32))
    return fst.arcs[arcs]["ilabel"].astype(np.int64) - 1


def _tidigits(data: Path) -> Row:
    model = read_sphinx_model(data / "hmm")
    lexicon = read_lexicon(data / "lm" / "tidigits.dic")
    grammar = read_grammar(data / "lm" / "tidigits.fsg").penalized(EN_US.word_penalty)
    context = model.context_model()
    graph = build_graph(context, lexicon, grammar, EN_US.graph)
    errors = n_words = 0
    for line in (data / "tidigits.lsn").read_text(encoding="utf-8").splitlines():
        *words, name = line.split()
        path = data / f"{name.strip('()')}.mfc"
        if name.startswith("(man.ah") and path.is_file():
            scores = context.score(model.finish(read_cepstra(path)))
            found = decode(graph, scores, EN_US.search)
            counted = score_words(words, found.text.split() if hasattr(found, "text") else [])
            errors, n_words = errors + counted.n_errors, n_words + counted.n_words
    return Row("tidigits, man.ah: word errors", f"of {n_words}", errors, target=1,
               less_is_better=True)  # fmt: skip


def _an4(data: Path) -> Row:
    model = read_sphinx_model(data / "an4_ci_cont")
    context = model.context_map()
    scores = model.log_likelihoods(model.features(_samples(data / "goforward.raw")))
    words = [["G", "OW"], ["F", "AO", "R", "W", "ER", "D"], ["T", "EH", "N"],
             ["M", "IY", "T", "ER", "Z"]]  # fmt: skip
    states = _aligned(context, _in_context([["SIL"], *words, ["SIL"]]), scores)
    return Row("an4: goforward aligned", f"of {len(scores)} frames", len(states),
               target=len(scores))  # fmt: skip


def _yesno(kaldi: Path) -> list[Row]:
    mono = kaldi / "exp" / "mono"
    model = read_kaldi_model(mono, kaldi / "data" / "lang")
    lattices = read_lattices(mono / "decode_test_yesno" / "lat.1.gz")
    data = kaldi / "data" / "test_yesno"
    stats = read_cmvn(data / "cmvn.scp")["global"]
    mixtures = model.mixture_set()
    scores = {
        key: mixtures.log_likelihoods(add_deltas((raw - stats.sum / stats.count).astype("f")))
        for key, raw in read_script(data / "feats.scp").items()
    }
    return [
        Row("yesno: log-likelihoods beside those in Kaldi's lattices", "relative",
            _likelihoods(model, lattices, scores), target=1e-4, less_is_better=True),
        Row("yesno: best paths through Kaldi's HCLG beside its lattices", "relative",
            _costs(model, lattices, scores, mono / "graph_tgpr"), target=1e-4, less_is_better=True),
        _weights(lattices, kaldi, mono / "decode_test_yesno"),
    ]  # fmt: skip


def _likelihoods(
    model: KaldiModel, lattices: dict[str, KaldiLattice], scores: dict[str, Any]
) -> float:
    worst = 0.0
    for key, lattice in lattices.items():
        path = lattice.best_path(acoustic_scale=1 / 10)
        picked = scores[key][np.arange(len(path.ids)), model.transitions.pdf_of[path.ids]]
        total = -float(picked.sum(dtype=np.float64))
        worst = max(worst, abs(total / path.acoustic_cost - 1))
    return worst


def _costs(
    model: KaldiModel, lattices: dict[str, KaldiLattice], scores: dict[str, Any], graph: Path
) -> float:
    fst, labels = read_fst(graph / "HCLG.fst"), model.state_labels()
    worst, scale = 0.0, 1 / 12  # the scale of Kaldi's own search
    for key, lattice in lattices.items():
        path = lattice.best_path(acoustic_scale=scale)
        cost, _ = viterbi_path(fst, scores[key], labels.column, acoustic_scale=scale)
        worst = max(worst, abs(cost / (path.graph_cost + path.acoustic_cost * scale) - 1))
    return worst


def _weights(lattices: dict[str, KaldiLattice], kaldi: Path, decode_folder: Path) -> Row:
    """Count the language model weights at which words and errors are Kaldi's."""
    words = Symbols.read(kaldi / "data" / "lang" / "words.txt")
    scoring = decode_folder / "scoring"
    said = {row.split()[0]: row.split()[1:] for row in
            (scoring / "test_filt.txt").read_text(encoding="utf-8").splitlines()}  # fmt: skip
    same, checked = 0, sorted(int(p.stem) for p in scoring.glob("*.tra"))
    for weight in checked:
        kaldis = read_integer_lists(scoring / f"{weight}.tra")
        errors, alike = 0, True
        for key, lattice in lattices.items():
            found = lattice.best_path(acoustic_scale=1 / weight).words
            alike &= list(found) == kaldis[key].tolist()
            errors += score_words(said[key], words.strings(found)).n_errors
        told = (decode_folder / f"wer_{weight}").read_text(encoding="utf-8")
        same += alike and f"[ {errors} / 232" in told
    return Row("yesno: LM weights with Kaldi's words and errors", f"of {len(checked)}", same,
               target=len(checked))  # fmt: skip
