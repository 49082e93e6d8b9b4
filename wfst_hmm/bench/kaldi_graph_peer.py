"""Optimize L∘G with kaldifst, in an interpreter of its own: it clashes with other OpenFsts.

In: ``python kaldi_graph_peer.py L.fst G.fst JOB.json``: two OpenFst ``vector`` files; the job
lists the disambiguation symbols and sentences of word labels. Out: one JSON line. Imports
nothing of this package, so that any interpreter can run it.

Public names: `main`.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from typing import Any

__all__ = ["main"]


def main(lexicon: str, grammar: str, job_path: str) -> None:
    """Compose, determinize, minimize, bring phones into context; cost every sentence."""
    import kaldifst

    with open(job_path, encoding="utf-8") as stream:
        job = json.load(stream)
    answer: dict[str, Any] = {"version": importlib.metadata.version("kaldifst")}
    l_fst, g_fst = (kaldifst.StdVectorFst.read(path) for path in (lexicon, grammar))
    begin = time.process_time()
    kaldifst.arcsort(l_fst, sort_type="olabel")
    made = kaldifst.StdVectorFst(kaldifst.compose(l_fst, g_fst))
    kaldifst.determinize_star(made, delta=1e-6)
    kaldifst.minimize_encoded(made, delta=1e-6)
    answer["LG"] = {"seconds": time.process_time() - begin, **_size(made)}
    answer["LG"]["costs"] = _costs(made, job["sentences"])
    begin = time.process_time()
    context, labels = kaldifst.compose_context(job["marks"], 3, 1, made)
    answer["CLG"] = {"seconds": time.process_time() - begin, "labels": len(labels),
                     **_size(context)}  # fmt: skip
    answer["CLG"]["costs"] = _costs(context, job["sentences"])
    print(json.dumps(answer))


def _size(fst: Any) -> dict[str, int]:
    n = fst.num_states
    return {"states": n, "arcs": sum(fst.num_arcs(state) for state in range(n))}


def _costs(fst: Any, sentences: list[list[int]]) -> list[float | None]:
    import kaldifst

    kaldifst.arcsort(fst, sort_type="olabel")
    found: list[float | None] = []
    for words in sentences:
        line = kaldifst.make_linear_acceptor(words)
        best = kaldifst.shortest_path(kaldifst.compose(fst, line))
        if best.start < 0:
            found.append(None)
            continue
        weight = kaldifst.get_linear_symbol_sequence(best)[-1]
        found.append(float(weight.value))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:4])
