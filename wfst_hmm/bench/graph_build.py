"""Build one large graph from the files of the pocketsphinx package, in a process of its own.

In: ``python -m wfst_hmm.bench.graph_build WORDS ORDER KIND FOLDER``. Out: the saved graph in
FOLDER, and one JSON line: seconds from files to saved graph, processor seconds, peak memory,
stages. A process of its own, so that memory is that of this build alone.

Public names: `KINDS`, `Material`, `Phones`, `build`, `material`, `model_folder`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wfst_hmm.bench.material import need
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.graph.compiler import GraphOptions, build_compact
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.graph.lm_bin import read_lm_bin
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.stages import peak_megabytes
from wfst_hmm.graph.units import PhoneModel, PhonesInContext
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = ["KINDS", "Material", "Phones", "build", "material", "model_folder"]

#: What can be built: phones or triphones, HMMs expanded or left on the arcs.
KINDS = ("HLG", "CLG", "HCLG")


@dataclasses.dataclass(frozen=True, eq=False)
class Phones:
    """A model without densities: three-state phones, every state with a column of its own."""

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...] = ("SIL",)
    hash: str = ""
    frame_shift: float = 0.01
    frame_offset: float = 0.0

    @property
    def topologies(self) -> Sequence[Topology]:
        """Chains of three states."""
        return [Topology.left_to_right(3)] * len(self.phones)

    def state_labels(self) -> StateLabels:
        """Number the states."""
        columns = [np.arange(3 * i, 3 * i + 3, dtype=np.int32) for i in range(len(self.phones))]
        return StateLabels.build(self.phones, self.topologies, columns)


class Material(NamedTuple):
    """What graphs are built from."""

    lexicon: Lexicon
    grammar: Grammar
    phones: Phones


def material(n_words: int, order: int) -> Material:
    """Return the likeliest words of the package's language model, and its n-grams over them."""
    folder = model_folder()
    lexicon = read_lexicon(folder / "cmudict-en-us.dict")
    model = read_lm_bin(folder / "en-us.lm.bin").truncated(order)
    unigrams = model.tables[0]
    by_probability = unigrams.word[np.argsort(-unigrams.log_prob, kind="stable")]
    known = (word for word in (model.words[int(i)] for i in by_probability) if word in lexicon)
    chosen = [word for word, _ in zip(known, range(n_words), strict=False)]
    grammar = Grammar(ngram_to_fst(model.restricted_to(chosen)), f"en-us.lm.bin, {order}-grams")
    return Material(lexicon, grammar, Phones((*lexicon.phones, "SIL")))


def model_folder() -> Path:
    """Return where the pocketsphinx package has model, dictionary and language model of en-us."""
    pocketsphinx, _ = need("pocketsphinx", "pocketsphinx")
    return Path(pocketsphinx.__file__).parent / "model" / "en-us"


def build(n_words: int, order: int, kind: str, folder: Path) -> dict[str, Any]:
    """Build and save a graph; return what it took."""
    begin, worked = time.perf_counter(), time.process_time()
    lexicon, grammar, phones = material(n_words, order)
    model: PhoneModel | PhonesInContext = phones
    if kind != "HLG":
        model = read_sphinx_model(model_folder() / "en-us").context_model()
    compact = build_compact(model, lexicon, grammar, GraphOptions(max_states=200_000_000))
    del lexicon, grammar
    if kind == "CLG":
        compact.save(folder)
        stages, fst = compact.info["stages"], compact.fst
    else:
        graph = compact.expanded()
        graph.save(folder)
        stages, fst = graph.info["stages"], graph.fst
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - worked,
        "peak_mb": peak_megabytes(),
        "states": fst.n_states,
        "arcs": fst.n_arcs,
        "stages": stages,
    }


if __name__ == "__main__":
    print(json.dumps(build(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))))
