"""Decode with kaldi_decoder, in an interpreter of its own: kaldifst clashes with other OpenFsts.

In: ``python kaldi_peer.py GRAPH.fst SCORES.npy`` and one JSON job per line on standard input.
Out: one JSON line per job on standard output. Imports nothing of this package, so that any
interpreter can run it; between two jobs it waits, so that two sides can take turns.

Public names: `main`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

__all__ = ["main"]


def main(graph: str, scores_path: str) -> None:
    """Run jobs until the input ends.

    A job has ``kind`` ("best" or "lattice"), ``beam``, ``max_active`` (0: no limit) and
    ``lattice_beam``. The answer adds ``seconds`` of processor time, ``cost`` (None: no final state) and
    ``words``.
    """
    import kaldi_decoder
    import kaldifst
    import numpy as np

    fst = kaldifst.StdConstFst.read(graph)  # this name must outlive the decoders
    scores = np.ascontiguousarray(np.load(scores_path), dtype=np.float32)
    print(json.dumps({"version": kaldi_decoder.__version__}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        decoder = _decoder(kaldi_decoder, fst, job)
        begin = time.process_time()
        decoder.decode(kaldi_decoder.DecodableCtc(scores))
        if job["kind"] == "lattice":
            made = decoder.get_raw_lattice(True)
            seconds = time.process_time() - begin
            del made
            reached = decoder.final_relative_cost() < float("inf")
            ok, best = decoder.get_best_path(True)
        else:
            reached = decoder.reached_final()
            ok, best = decoder.get_best_path(True)
            seconds = time.process_time() - begin
        cost, words = None, []
        if reached and ok:
            _, _, words, weight = kaldifst.get_linear_symbol_sequence(best)
            cost = float(weight.value1 + weight.value2)
        print(json.dumps({**job, "seconds": seconds, "cost": cost, "words": list(words)}),
              flush=True)  # fmt: skip


def _decoder(kaldi_decoder: Any, fst: Any, job: dict[str, Any]) -> Any:
    if job["kind"] == "lattice":
        options = kaldi_decoder.LatticeSimpleDecoderConfig(
            beam=job["beam"], lattice_beam=job["lattice_beam"]
        )
        return kaldi_decoder.LatticeSimpleDecoder(fst, options)
    options = kaldi_decoder.FasterDecoderOptions(
        beam=job["beam"], max_active=job["max_active"] or 2**31 - 1
    )
    return kaldi_decoder.FasterDecoder(fst, options)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
