"""Labels that want to break out of a picture, a page or a notebook."""

from __future__ import annotations

import numpy as np

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols

#: What a browser must show and never run; `window.broken` is set by those that got out.
LABELS = (
    "<script>window.broken=1</script>",
    "</script><script>window.broken=2</script>",
    "<img/src=x/onerror=window.broken=3>",
    '"onmouseover="window.broken=4"x="',
    "'-(window.broken=5)-'",
    "<!--",
    "]]>",
    "<svg/onload=window.broken=6>",
    "${window.broken=7}",
    "&lt;b&gt;&amp;",
    "\\N\\G\\l\\",
    "שלום",
    "‮drawkcab",
    "👩‍👩‍👧‍👦",
    "é" * 3 + "́",
    "a\u2028b".replace("\u2028", "\x7f"),
    "x" * 10_000,
)


def hostile_fst() -> Fst:
    """Return a chain whose arcs carry the labels, on both sides."""
    symbols = Symbols(LABELS)
    n = len(LABELS)
    final = np.full(n + 1, np.inf)
    final[n] = 0.5
    ids = np.arange(1, n + 1)
    return Fst.from_arcs(0, np.arange(n), ids, ids[::-1], ids / 4, ids, final, symbols, symbols)
