"""Small corpora with known answers for the tests of training."""

from __future__ import annotations

import numpy as np
from graph_models import lexicons, models
from hypothesis import strategies as st

from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.features import Take
from wfst_hmm.training.options import TrainingOptions

WORDS = Lexicon(
    [
        Entry("ab", ("A", "B")),
        Entry("ba", ("B", "A")),
        Entry("ba", ("B", "C"), 0.5),
        Entry("c", ("C",)),
    ]
)
#: Silence is quiet: its first dimension is low.
_SOUND = {"SIL": (-9.0, 0.0), "A": (4.0, 0.0), "B": (1.0, 4.0), "C": (0.0, -4.0)}


def small_options(**changes: object) -> TrainingOptions:
    """Two dimensions, two states a phone, six passes."""
    usual: dict[str, object] = {
        "features": FeatureOptions(n_ceps=2, delta_order=0), "n_passes": 6, "n_states": 2,
        "n_silence_states": 1, "n_gaussians": 14, "n_workers": 1, "min_occupancy": 3.0,
        "split_occupancy": 6.0,
    }  # fmt: skip
    return TrainingOptions(**{**usual, **changes})  # type: ignore[arg-type]


def spoken(n: int = 30, seed: int = 0) -> list[Take]:
    """Return utterances whose phones lie far apart, so that everyone can tell them."""
    rng = np.random.default_rng(seed)
    takes = []
    for number in range(n):
        words = [str(w) for w in rng.choice(["ab", "ba", "c"], rng.integers(1, 4))]
        phones = ["SIL"]
        for word in words:
            prons = WORDS.prons(word)
            phones += prons[int(rng.integers(len(prons)))].phones
            phones += ["SIL"] * int(rng.integers(0, 2))
        rows = []
        for phone in phones:
            for half in (0.0, 1.0):
                mean = np.array(_SOUND[phone]) + half * np.array([0.8, -0.8])
                rows.append(mean + 0.4 * rng.standard_normal((int(rng.integers(3, 7)), 2)))
        takes.append(Take(f"u{number:02d}", tuple(words), np.concatenate(rows).astype(np.float32)))
    return takes


@st.composite
def alignments(draw: st.DrawFn) -> tuple[TranscriptCompiler, tuple[str, ...], np.random.Generator]:
    """Draw a compiler for a random model and lexicon, one or two of its words, randomness."""
    lexicon = draw(lexicons())
    options = LexiconOptions(draw(st.sampled_from([0.0, 0.3])))
    compiler = TranscriptCompiler(draw(models()), lexicon, options)
    words = draw(st.lists(st.sampled_from(lexicon.words), min_size=1, max_size=2))
    return compiler, tuple(words), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def graphs_of(compiler: TranscriptCompiler, words: tuple[str, ...]) -> AlignmentGraphs:
    graphs = AlignmentGraphs(compiler)
    graphs.add(words)
    return graphs
