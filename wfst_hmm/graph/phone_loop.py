"""A graph of any sequence of phones: what an utterance is, when it is nothing that the grammar knows.

In: an acoustic model. Out: a `Graph` whose words are the phones.

Public names: `phone_loop`.
"""

from __future__ import annotations

from wfst_hmm.errors import ModelError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.graph.units import PhoneModel, PhonesInContext

__all__ = ["phone_loop"]


def phone_loop(model: PhoneModel | PhonesInContext) -> Graph:
    """Return the loop of the model's phones, all equally probable, with optional silence.

    Parameters
    ----------
    model : AcousticModel or ContextModel
        Of models in context, each phone is the HMM of a phone that is a word by itself.

    Raises
    ------
    ModelError
        All phones of the model are silence.
    """
    phones = [phone for phone in model.phones if phone not in model.silence_phones]
    if not phones:
        raise ModelError("a model of silence only: there are no phones to make a loop of")
    lexicon = Lexicon([Entry(phone, (phone,)) for phone in phones])
    return build_graph(model, lexicon, word_loop(phones))
