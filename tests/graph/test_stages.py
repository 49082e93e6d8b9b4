import subprocess
import sys

import numpy as np

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.stages import Stages, peak_megabytes


def test_stages_count_and_time() -> None:
    fst = Fst.from_arcs(0, [0], [1], [1], [0.0], [1], [np.inf, 0.0])
    stages = Stages([{"name": "earlier"}])
    assert stages.done("made", fst) is fst
    assert stages.rows[0] == {"name": "earlier"}
    row = stages.rows[1]
    assert (row["name"], row["states"], row["arcs"]) == ("made", 2, 1)
    assert row["seconds"] >= 0


def test_memory_is_that_of_this_process() -> None:
    """A child does not count what its parent held."""
    before = peak_megabytes()
    held = np.ones(25_000_000)
    after = peak_megabytes()
    code = "from wfst_hmm.graph.stages import peak_megabytes; print(peak_megabytes())"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          check=True)  # fmt: skip
    if before is None or after is None:
        return
    assert held.sum() > 0
    assert after >= held.nbytes / (1 << 20)
    assert float(done.stdout) < after - 50
