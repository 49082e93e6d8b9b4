"""Search options that suit speech, shared by API, command line and demo.

In: nothing. Out: `SPEECH`.

Public names: `SPEECH`.
"""

from __future__ import annotations

from wfst_hmm.search.options import SearchOptions

__all__ = ["SPEECH"]

#: Neighbouring frames say nearly the same, so that the product of their likelihoods claims far
#: too much; a tenth of the logarithm is the usual remedy. Once scaled, 24 nats is a wide beam: on
#: the demo's corpus, beams of 16 and 20 lost the best path of one utterance with one seed, 24 of
#: none; `max_active` bounds its price on large graphs.
SPEECH = SearchOptions(acoustic_scale=0.1, beam=24.0)
