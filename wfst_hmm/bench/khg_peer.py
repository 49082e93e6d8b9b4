"""Train monophones with kaldi-hmm-gmm, in an interpreter of its own: its kaldifst clashes.

In: ``python khg_peer.py JOB.json``: a file of features, transcripts, a lexicon, numbers of passes
and Gaussians. Out: one JSON line with seconds and likelihoods on standard output. Imports nothing
of this package, so that any interpreter can run it.

The calls, their order, scales and beams, and the passes that align again are those of the recipe in the peer's own
documentation; one Python call a frame collects the statistics, since there is no other way.

Public names: `main`.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from typing import Any

__all__ = ["main"]

#: Passes that align again in the peer's own recipe.
REALIGN = {*range(1, 11), 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38}


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Run the recipe of job["n_passes"] passes; align in every pass if job["always"]."""
    import importlib.metadata

    import kaldi_hmm_gmm as khg
    import kaldifst
    import numpy as np

    with np.load(job["features"], allow_pickle=False) as arrays:
        frames, borders = arrays["frames"], arrays["borders"]
    begun, cpu_begun = time.perf_counter(), time.process_time()
    phones = job["phones"]
    topology = _topology(khg, len(phones))
    tree = khg.monophone_context_dependency(
        phones=topology.phones, phone2num_pdf_classes=topology.get_phone_to_num_pdf_classes()
    )
    transitions = khg.TransitionModel(ctx_dep=tree, hmm_topo=topology)
    acoustic = _flat_model(khg, np, frames, tree.num_pdfs)
    lexicon, words = _lexicon_fst(kaldifst, job["lexicon"], phones)
    options = khg.TrainingGraphCompilerOptions(0.0, 0.0)  # probabilities are added when aligning
    compiler = khg.TrainingGraphCompiler(
        trans_model=transitions, ctx_dep=tree, lex_fst=lexicon, disambig_syms=[], opts=options
    )
    graphs = [
        compiler.compile_graph_from_text([words[w] for w in text]) for text in job["transcripts"]
    ]
    features = [frames[a:b] for a, b in itertools.pairwise(borders)]
    aligned = [_even(kaldifst, g, len(x)) for g, x in zip(graphs, features)]  # noqa: B905
    n_gaussians, likelihoods = tree.num_pdfs, []
    growth = (job["n_gaussians"] - n_gaussians) / (0.75 * job["n_passes"])
    spent = {"align": 0.0, "accumulate": 0.0}
    n_aligning = 0
    for number in range(job["n_passes"]):
        since = time.perf_counter()
        if number and (job["always"] or number in REALIGN):
            n_aligning += 1
            for u, (graph, x) in enumerate(zip(graphs, features)):  # noqa: B905
                aligned[u] = _align(khg, acoustic, transitions, graph, x) or aligned[u]
        spent["align"] += time.perf_counter() - since
        since = time.perf_counter()
        stats, moves, total = _statistics(khg, acoustic, transitions, features, aligned)
        spent["accumulate"] += time.perf_counter() - since
        likelihoods.append(total / len(frames))
        transitions.mle_update(moves, khg.MleTransitionUpdateConfig())
        khg.mle_am_diag_gmm_update(
            config=khg.MleDiagGmmOptions(), amdiag_gmm_acc=stats,
            flags=khg.str_to_gmm_flags("mvwt"), am_gmm=acoustic,
        )  # fmt: skip
        if number + 1 <= 0.75 * job["n_passes"]:
            wanted = round(tree.num_pdfs + growth * (number + 1))
            occupancy = [stats.get_acc(i).occupancy.sum() for i in range(stats.num_accs)]
            acoustic.split_by_count(
                state_occs=np.array(occupancy, dtype=np.float32), target_components=wanted,
                perturb_factor=0.01, power=0.25, min_count=20.0,
            )  # fmt: skip
    seconds = time.perf_counter() - begun
    return {
        "version": importlib.metadata.version("kaldi-hmm-gmm"), "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu_begun,
        "n_gaussians": acoustic.num_gauss, "n_aligning": n_aligning, **spent,
        "log_likelihood": likelihoods[-1],
    }  # fmt: skip


def _topology(khg: Any, n_phones: int) -> Any:
    """Three states from left to right for every phone, silence (phone 1) included."""
    ids = " ".join(map(str, range(1, n_phones + 1)))
    states = " ".join(
        f"<State> {i} <PdfClass> {i} <Transition> {i} 0.5 <Transition> {i + 1} 0.5 </State>"
        for i in range(3)
    )
    text = (f"<Topology> <TopologyEntry> <ForPhones> {ids} </ForPhones> {states} "
            "<State> 3 </State> </TopologyEntry> </Topology>")  # fmt: skip
    topology = khg.HmmTopology()
    topology.read(text)
    return topology


def _flat_model(khg: Any, np: Any, frames: Any, n_pdfs: int) -> Any:
    mean = frames.mean(axis=0, keepdims=True, dtype=np.float64)
    variance = frames.var(axis=0, keepdims=True, dtype=np.float64)
    gmm = khg.DiagGmm(nmix=1, dim=frames.shape[1])
    gmm.set_weights(np.ones(1, dtype=np.float32))
    inverse = (1 / variance).astype(np.float32)
    gmm.set_invvars_and_means(inverse, mean.astype(np.float32))
    gmm.compute_gconsts()
    acoustic = khg.AmDiagGmm()
    for _ in range(n_pdfs):
        acoustic.add_pdf(gmm)
    return acoustic


def _lexicon_fst(
    kaldifst: Any, lexicon: list[tuple[str, list[str]]], phones: list[str]
) -> tuple[Any, dict[str, int]]:
    """L with optional silence: state 0 before words, 1 after them, 2 where silence follows."""
    words = {word: i + 1 for i, word in enumerate(dict.fromkeys(w for w, _ in lexicon))}
    number = {phone: i + 1 for i, phone in enumerate(phones)}
    half = math.log(2)
    lines = [f"0 1 0 0 {half}", f"0 1 1 0 {half}", "2 1 1 0 0"]
    fresh = 3
    for word, sound in lexicon:
        at, label = 1, words[word]
        for phone in sound[:-1]:
            lines.append(f"{at} {fresh} {number[phone]} {label} 0")
            at, label, fresh = fresh, 0, fresh + 1
        last = number[sound[-1]]
        lines += [f"{at} {to} {last} {label} {half}" for to in (1, 2)]
    fst = kaldifst.compile("\n".join([*lines, "1 0"]), acceptor=False)
    kaldifst.arcsort(fst, sort_type="olabel")
    return fst, words


def _even(kaldifst: Any, graph: Any, n_frames: int) -> list[int]:
    found, path = kaldifst.equal_align(ifst=graph, length=n_frames, rand_seed=3, num_retries=10)
    return list(kaldifst.get_linear_symbol_sequence(path)[1]) if found else []


def _align(khg: Any, acoustic: Any, transitions: Any, graph: Any, x: Any) -> list[int]:
    weighted = graph.copy()
    khg.add_transition_probs(
        trans_model=transitions, transition_scale=1.0, self_loop_scale=0.1, fst=weighted
    )
    config = khg.AlignConfig(beam=6.0, retry_beam=40.0, careful=False)
    decodable = khg.DecodableAmDiagGmmScaled(am=acoustic, tm=transitions, feats=x, scale=0.1)
    result = khg.align_utterance_wrapper(
        config=config, utt="u", acoustic_scale=0.1, fst=weighted, decodable=decodable,
        num_done=0, num_error=0, num_retried=0, tot_like=0.0, frame_count=0,
    )  # fmt: skip
    return list(result[5])


def _statistics(
    khg: Any, acoustic: Any, transitions: Any, features: list[Any], aligned: list[list[int]]
) -> tuple[Any, Any, float]:
    stats = khg.AccumAmDiagGmm()
    stats.init(model=acoustic, flags=khg.str_to_gmm_flags("mvwt"))
    moves = transitions.init_stats()
    total = 0.0
    for x, path in zip(features, aligned):  # noqa: B905
        for frame, move in zip(x, path):  # noqa: B905
            moves = transitions.accumulate(prob=1.0, trans_id=move, stats=moves)
            pdf = transitions.transition_id_to_pdf(move)
            total += stats.accumulate_for_gmm(model=acoustic, data=frame, gmm_index=pdf, weight=1.0)
    return stats, moves, total


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as stream:
        print(json.dumps(main(json.load(stream))))
