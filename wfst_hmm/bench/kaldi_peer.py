"""Decode with kaldi_decoder, in an interpreter of its own: kaldifst clashes with other OpenFsts.

In: ``python kaldi_peer.py GRAPH.fst SCORES.npy JOBS.json``. Out: one JSON line per job on
standard output. Imports nothing of this package, so that any interpreter can run it.

Public names: `main`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

__all__ = ["main"]


def main(graph: str, scores_path: str, jobs: list[dict[str, Any]]) -> None:
    """Run every job on the same graph and scores; the best of ``repeat`` times counts.

    A job has ``kind`` ("best" or "lattice"), ``beam``, ``max_active`` (0: no limit),
    ``lattice_beam`` and ``repeat``.
    """
    import kaldi_decoder
    import kaldifst
    import numpy as np

    fst = kaldifst.StdConstFst.read(graph)  # this name must outlive the decoders
    scores = np.ascontiguousarray(np.load(scores_path), dtype=np.float32)
    for job in jobs:
        seconds = float("inf")
        reached, cost, words = False, None, []
        for _ in range(job.get("repeat", 1)):
            decoder = _decoder(kaldi_decoder, fst, job)
            begin = time.perf_counter()
            decoder.decode(kaldi_decoder.DecodableCtc(scores))
            if job["kind"] == "lattice":
                made = decoder.get_raw_lattice(True)
                seconds = min(seconds, time.perf_counter() - begin)
                job["lattice"] = str(type(made))
            reached = (
                decoder.reached_final()
                if job["kind"] == "best"
                else decoder.final_relative_cost() < float("inf")
            )
            ok, best = decoder.get_best_path(True)
            if job["kind"] == "best":
                seconds = min(seconds, time.perf_counter() - begin)
        if reached and ok:
            _, _, words, weight = kaldifst.get_linear_symbol_sequence(best)
            cost = float(weight.value1 + weight.value2)
        row = {**job, "seconds": seconds, "frames": len(scores), "cost": cost,
               "words": list(words), "version": kaldi_decoder.__version__}  # fmt: skip
        print(json.dumps(row), flush=True)


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
    with open(sys.argv[3], encoding="utf-8") as stream:
        main(sys.argv[1], sys.argv[2], json.load(stream))
