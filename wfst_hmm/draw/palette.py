"""The colours of every picture: readable on paper, apart for the colour-blind.

In: nothing. Out: colour constants (hues after Okabe & Ito, 2008, darkened for text).

Public names: the constants of `__all__`.
"""

from __future__ import annotations

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "LINE",
    "ORANGE",
    "PALE_BLUE",
    "PALE_GREY",
    "PALE_ORANGE",
    "PAPER",
]

INK = "#1f2933"  # states, arcs, text
GREY = "#66717d"  # epsilons, notes
BLUE = "#1f6f9f"  # self-loops, phones
GREEN = "#0b7a5b"  # agreement
ORANGE = "#c2410c"  # the highlighted path, words
LINE = "#c3ccd4"  # moves that are there but do not matter
PALE_BLUE = "#e3f1fa"
PALE_GREY = "#eef1f4"
PALE_ORANGE = "#fff1e6"
PAPER = "#ffffff"
