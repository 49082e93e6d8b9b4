"""Strings of digits, as in telephone and card numbers: "double five oh seven" is 5507."""

import pynini
from spoken import main, one_of, say

ACCEPTED = {"one": "1", "oh seven": "07", "zero zero one": "001", "double five three": "553",
            "triple nine": "999", "nine double oh": "900"}  # fmt: skip
REJECTED = ["", "ten", "double", "double double five", "hundred"]
NAMES = {"zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
         "six": "6", "seven": "7", "eight": "8", "nine": "9"}  # fmt: skip


def single() -> pynini.Fst:
    """One digit; zero may be "oh"."""
    return one_of(*NAMES.items())


def build() -> pynini.Fst:
    """Return the grammar: any number of digits, at least one."""
    repeated = [
        say(f"{times} {name}", digit * n)
        for times, n in (("double", 2), ("triple", 3))
        for name, digit in NAMES.items()
    ]
    return pynini.closure(one_of(single(), *repeated), 1).optimize()


if __name__ == "__main__":
    main(__doc__, build)
