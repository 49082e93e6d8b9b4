"""WFST-based speech decoding: train GMM-HMMs, build H∘C∘L∘G graphs, decode, align, look inside.

In: names. Out: the public names below, each loaded when it is first used, so that
``import wfst_hmm`` stays quick.

Examples
--------
From recordings to words (``corpus.tsv`` lists id, audio and text)::

    import wfst_hmm as wh

    model = wh.train("corpus.tsv", "lexicon.txt", "model")
    lexicon = wh.read_lexicon("lexicon.txt")
    graph = wh.build_graph(model, lexicon, wh.grammar_from_spec("loop", lexicon))
    for outcome in wh.decode_corpus(wh.Recognizer(graph, model), ["a.wav"]):
        print(outcome.utterance.id, outcome.problem or outcome.decoded.text)
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wfst_hmm.apps.recognize import decode_corpus
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.apps.stream import Stream
    from wfst_hmm.errors import WfstHmmError
    from wfst_hmm.fst.arrays import Fst
    from wfst_hmm.fst.sausage import sausage
    from wfst_hmm.fst.symbols import Symbols
    from wfst_hmm.graph.compiler import build_graph
    from wfst_hmm.graph.grammar import grammar_from_spec
    from wfst_hmm.graph.graph import Graph
    from wfst_hmm.graph.lexicon import read_lexicon
    from wfst_hmm.lattice.answer import AnswerOptions
    from wfst_hmm.models.acoustic import AcousticModel
    from wfst_hmm.models.gmm import GMM, GaussianMixture
    from wfst_hmm.models.gmm_hmm import GaussianHmm, GmmHmm
    from wfst_hmm.models.hmm import DiscreteHmm
    from wfst_hmm.search.cross_check import cross_check
    from wfst_hmm.search.decode import decode
    from wfst_hmm.search.options import SearchOptions
    from wfst_hmm.training.monophone import train
    from wfst_hmm.training.recipe import train_ladder

__version__ = "0.1.0"

#: public name -> the module that defines it
_HOME = {
    "AcousticModel": "wfst_hmm.models.acoustic",
    "AnswerOptions": "wfst_hmm.lattice.answer",
    "DiscreteHmm": "wfst_hmm.models.hmm",
    "Fst": "wfst_hmm.fst.arrays",
    "GMM": "wfst_hmm.models.gmm",
    "GaussianHmm": "wfst_hmm.models.gmm_hmm",
    "GaussianMixture": "wfst_hmm.models.gmm",
    "GmmHmm": "wfst_hmm.models.gmm_hmm",
    "Graph": "wfst_hmm.graph.graph",
    "Recognizer": "wfst_hmm.apps.recognizer",
    "SearchOptions": "wfst_hmm.search.options",
    "Stream": "wfst_hmm.apps.stream",
    "Symbols": "wfst_hmm.fst.symbols",
    "WfstHmmError": "wfst_hmm.errors",
    "build_graph": "wfst_hmm.graph.compiler",
    "cross_check": "wfst_hmm.search.cross_check",
    "decode": "wfst_hmm.search.decode",
    "decode_corpus": "wfst_hmm.apps.recognize",
    "grammar_from_spec": "wfst_hmm.graph.grammar",
    "read_lexicon": "wfst_hmm.graph.lexicon",
    "sausage": "wfst_hmm.fst.sausage",
    "train": "wfst_hmm.training.monophone",
    "train_ladder": "wfst_hmm.training.recipe",
}

__all__ = [
    "GMM",
    "AcousticModel",
    "AnswerOptions",
    "DiscreteHmm",
    "Fst",
    "GaussianHmm",
    "GaussianMixture",
    "GmmHmm",
    "Graph",
    "Recognizer",
    "SearchOptions",
    "Stream",
    "Symbols",
    "WfstHmmError",
    "__version__",
    "build_graph",
    "cross_check",
    "decode",
    "decode_corpus",
    "grammar_from_spec",
    "read_lexicon",
    "sausage",
    "train",
    "train_ladder",
]


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'wfst_hmm' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


if "IPython" in sys.modules:  # in a notebook, everything that can be drawn draws itself
    importlib.import_module("wfst_hmm.draw.display")
