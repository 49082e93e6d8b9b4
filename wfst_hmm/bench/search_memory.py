"""Memory of a search above its graph, in a process of its own.

In: ``python -m wfst_hmm.bench.search_memory FOLDER SCALE FRAMES``: a folder with a saved graph and
``scores.npy``, which come over and over until that many frames are searched. Out: one number,
the most anonymous memory that the search added, in MB; mapped files are not counted.

Public names: `main`, `measured`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from wfst_hmm.graph.compact import load_graph
from wfst_hmm.search.begin import begin_search
from wfst_hmm.search.options import SearchOptions

__all__ = ["main", "measured"]

_STATUS = Path("/proc/self/status")


def measured(folder: Path, scale: float, n_frames: int) -> float | None:
    """Return what a process of its own measures, None where the system does not tell."""
    if not _STATUS.is_file():
        return None
    command = [sys.executable, "-m", "wfst_hmm.bench.search_memory", str(folder), str(scale),
               str(n_frames)]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def main(folder: Path, scale: float, n_frames: int) -> float:
    """Search `n_frames` frames, settling now and then, and return the most memory added, MB."""
    graph = load_graph(folder / "graph")
    scores = np.load(folder / "scores.npy", mmap_mode="r")
    options = SearchOptions(beam=10.0, acoustic_scale=scale)
    warm = begin_search(graph, options)  # compiles
    warm.advance(np.ascontiguousarray(scores[:10]))
    warm.path()
    warm.settle()
    del warm
    before = _anonymous_megabytes()
    most = before
    search = begin_search(graph, options)
    done = 0
    while done < n_frames and search.lost_at is None:
        begin = done % len(scores)
        block = scores[begin : begin + min(500, n_frames - done)]
        search.advance(np.ascontiguousarray(block))
        search.settle()
        done += len(block)
        most = max(most, _anonymous_megabytes())
    return most - before


def _anonymous_megabytes() -> float:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
