"""Spelled letters, plain or by the alphabet of the International Civil Aviation Organization.

"a b c" and "alfa bravo charlie" are both ABC.
"""

import pynini
from spoken import main, one_of

ACCEPTED = {"a": "A", "a b c": "ABC", "alfa bravo charlie": "ABC", "x-ray y": "XY"}
REJECTED = ["", "ab", "x ray", "bravo two"]
NAMES = [
    "alfa",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
    "quebec",
    "romeo",
    "sierra",
    "tango",
    "uniform",
    "victor",
    "whiskey",
    "x-ray",
    "yankee",
    "zulu",
]


def build() -> pynini.Fst:
    """Return the grammar: any number of letters, at least one."""
    letters = [chr(ord("a") + i) for i in range(26)]
    plain = one_of(*((letter, letter.upper()) for letter in letters))
    named = one_of(*((name, name[0].upper()) for name in NAMES))
    return pynini.closure(one_of(plain, named), 1).optimize()


if __name__ == "__main__":
    main(__doc__, build)
