"""A model adapted to the toy language's second speaker, from Python and from the command line."""

import numpy as np
import pytest
from tiny_speech import TinySpeech

from wfst_hmm.apps.map_adaptation import MapOptions, map_adapt
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.signal.corpus import Corpus


def test_the_corpus_becomes_likelier(tiny_speech: TinySpeech) -> None:
    model = AcousticModel.load(tiny_speech.model)
    lexicon, corpus = read_lexicon(tiny_speech.lexicon), read_corpus(tiny_speech.test)
    own = Corpus(tuple(u for u in corpus if u.speaker == "sp1"))
    moved = [map_adapt(model, lexicon, own, MapOptions(tau=tau)) for tau in (1e9, 20.0, 1.0)]
    assert all(isinstance(m, AcousticModel) for m in moved)
    distance = [float(np.abs(m.mixtures.means - model.mixtures.means).sum()) for m in moved]  # type: ignore[union-attr]
    assert distance[0] < 1e-3 < distance[1] < distance[2]
    facts = moved[1].info["adapted"]
    assert facts["from"] == model.hash
    assert facts["n_utterances"] == len(own)
    assert moved[1].hash != model.hash
    two = map_adapt(model, lexicon, own, MapOptions(tau=20.0, n_workers=2))
    assert two.hash == moved[1].hash


def test_what_cannot_be_used(tiny_speech: TinySpeech) -> None:
    model = AcousticModel.load(tiny_speech.model)
    lexicon, corpus = read_lexicon(tiny_speech.lexicon), read_corpus(tiny_speech.test)
    with pytest.raises(DataError, match="no utterance with a transcript"):
        map_adapt(model, lexicon, Corpus(()))
    with pytest.raises(UsageError, match="tau"):
        MapOptions(tau=-1.0)
    with pytest.raises(DataError, match="lacks"):
        map_adapt(model, lexicon.restricted(["ba"]), corpus)
