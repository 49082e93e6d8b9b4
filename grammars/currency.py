"""Amounts of money: "twelve dollars and fifty cents" is $12.50; pounds and euros likewise."""

import pynini
from cardinals import from_ten, positive, two_digits
from spoken import main, maybe, one_of, say

ACCEPTED = {
    "one dollar": "$1",
    "five dollars": "$5",
    "twelve dollars and fifty cents": "$12.50",
    "twelve dollars five cents": "$12.05",
    "one cent": "$0.01",
    "ninety nine cents": "$0.99",
    "two thousand pounds": "\u00a32000",
    "one pound ten": "\u00a31.10",
    "one pound and one penny": "\u00a31.01",
    "three euros and twenty cents": "\u20ac3.20",
}
REJECTED = ["", "one dollars", "two dollar", "dollars", "one hundred cents", "five dollars ten pence",
            "one cents", "five"]  # fmt: skip
UNITS = (
    ("$", "dollar", "dollars", "cent", "cents"),
    ("\u00a3", "pound", "pounds", "penny", "pence"),
    ("\u20ac", "euro", "euros", "cent", "cents"),
)


def build() -> pynini.Fst:
    """Return the grammar: whole amounts, parts, or both; "one" goes with the singular only."""
    figures = pynini.closure(pynini.union(*"0123456789"), 1)
    several = pynini.compose(positive(), pynini.difference(figures, "1").optimize())
    parts = pynini.compose(two_digits(), pynini.difference(figures, "01").optimize())
    forms = []
    for sign, unit, units, part, pieces in UNITS:
        whole = say("", sign) + one_of(say(f"one {unit}", "1"), several + say(units))
        small = one_of(say(f"one {part}", "01"), parts + say(pieces))
        forms.append(whole + maybe(say("", ".") + one_of(maybe(say("and")) + small, from_ten())))
        if sign != "\u20ac":  # cents alone are taken for dollars
            forms.append(say("", sign + "0.") + small)
    return one_of(*forms).optimize()


if __name__ == "__main__":
    main(__doc__, build)
