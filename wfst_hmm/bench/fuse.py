"""Language models put together while searching, beside a graph that holds the larger one.

In: dictionary and language model of the pocketsphinx package. Out: rows.

A graph with 1-grams is searched with the difference to the 2-grams added on the way; beside it, the
graph with the 2-grams is searched as it is. Scores are drawn around a path through the latter.

Public names: `bench_fuse`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.word_costs import word_costs
from wfst_hmm.bench.beds import sampled_scores
from wfst_hmm.bench.graph_build import Phones, model_folder
from wfst_hmm.bench.material import need
from wfst_hmm.bench.report import Row
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.lm_bin import read_lm_bin
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.graph.word_machine import Phrase
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.options import SearchOptions

__all__ = ["bench_fuse"]

Array = npt.NDArray[np.float32]


def bench_fuse(
    n_words: int = 5000,
    *,
    n_frames: int = 1000,
    beam: float = 12.0,
    n_phrases: int = 1000,
    repeat: int = 3,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Build both graphs and search them.

    Parameters
    ----------
    n_words : int
        The most frequent words of the model.
    n_frames : int
    beam : float
    n_phrases : int
        Two-word phrases to be boosted, drawn from the model's 2-grams.
    repeat : int
        The best of so many turns counts; the sides take turns.
    progress : callable
        Hears what is being done.

    Notes
    -----
    One thread each; processor time.
    """
    _, version = need("pocketsphinx", "pocketsphinx")
    folder = model_folder()
    lexicon = read_lexicon(folder / "cmudict-en-us.dict")
    whole = read_lm_bin(folder / "en-us.lm.bin").truncated(2)
    unigrams = whole.tables[0]
    by_probability = unigrams.word[np.argsort(-unigrams.log_prob, kind="stable")]
    known = (word for word in (whole.words[int(i)] for i in by_probability) if word in lexicon)
    chosen = [word for word, _ in zip(known, range(n_words), strict=False)]
    large = whole.restricted_to(chosen)
    small = large.truncated(1)
    lexicon = lexicon.restricted(chosen)
    phones = Phones((*lexicon.phones, "SIL"))
    graphs = []
    for name, model in (("1-grams", small), ("2-grams", large)):
        progress(f"building the graph with {name}")
        graphs.append(build_graph(phones, lexicon, Grammar(ngram_to_fst(model), name)))
    little, big = graphs
    progress("searching")
    scores = sampled_scores(big, n_frames, 0.4, 1).array
    words = little.words
    difference = word_costs(words, language_model=large, graph_model=small)
    phrases = _phrases(large.words.strings, large.rows(2), n_phrases)
    boosts = word_costs(words, [Phrase(p, 3.0) for p in phrases])
    options = SearchOptions(beam=beam)
    tries: dict[str, tuple[Graph, WordCosts | None]] = {
        "big": (big, None), "difference": (little, difference), "little": (little, None),
        "boosts": (little, boosts),
    }  # fmt: skip
    seconds = dict.fromkeys(tries, np.inf)
    costs = dict.fromkeys(tries, np.inf)
    for turn in range(repeat + 1):  # the first one compiles
        for name, (graph, added) in tries.items():
            taken, costs[name] = _search(graph, added, scores, options)
            seconds[name] = min(seconds[name], taken) if turn else np.inf
    n = len(scores)
    what = f"{len(chosen)} words, beam {beam:g}"
    return [
        Row(f"{what}: arcs of the graph with 1-grams over the one with 2-grams", "arcs",
            little.fst.n_arcs, big.fst.n_arcs, "the graph with 2-grams", less_is_better=True,
            note=version),
        Row(f"{what}: 1-grams and the difference while searching", "frames/s",
            n / seconds["difference"], n / seconds["big"], "the graph with 2-grams",
            note=f"cost {costs['difference']:.2f}, the graph's {costs['big']:.2f}"),
        Row(f"{what}: {len(phrases)} boosted phrases", "frames/s", n / seconds["boosts"],
            n / seconds["little"], "the same graph without",
            note=f"cost {costs['boosts']:.2f}, without {costs['little']:.2f}"),
    ]  # fmt: skip


def _search(
    graph: Graph, added: WordCosts | None, scores: Array, options: SearchOptions
) -> tuple[float, float]:
    """Return processor time and cost of a search."""
    begun = time.process_time()
    columns = graph.labels.column
    search = BeamSearch(graph.fst, columns, options, words=added)
    search.advance(scores)
    return time.process_time() - begun, search.path().cost


def _phrases(
    names: Callable[[list[int]], list[str]], rows: npt.NDArray[np.int32], n: int
) -> list[tuple[str, ...]]:
    """Draw 2-grams without sentence marks."""
    rng = np.random.default_rng(2)
    found: list[tuple[str, ...]] = []
    for at in rng.permutation(len(rows)):
        words = tuple(names(rows[at].tolist()))
        if not any(word.startswith("<") for word in words):
            found.append(words)
            if len(found) == n:
                break
    return found
