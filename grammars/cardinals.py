"""English cardinal numbers from zero to nine hundred ninety nine thousand nine hundred ninety nine.

British "and" is optional: "one hundred and five" and "one hundred five" are both 105.
"""

import pynini
from spoken import main, maybe, one_of, say, table

ACCEPTED = {
    "zero": "0",
    "seven": "7",
    "thirteen": "13",
    "twenty": "20",
    "twenty one": "21",
    "one hundred": "100",
    "one hundred and five": "105",
    "one hundred five": "105",
    "nine hundred ninety nine": "999",
    "one thousand": "1000",
    "two thousand and six": "2006",
    "forty two thousand seven hundred": "42700",
    "nine hundred ninety nine thousand nine hundred and ninety nine": "999999",
}
REJECTED = [
    "",
    "and five",
    "twenty ten",
    "one two",
    "hundred",
    "zero thousand",
    "one thousand zero",
    "one thousand thousand",
    "ten hundred",
    "one hundred and",
]


def digits() -> pynini.Fst:
    """One to nine."""
    return table("one two three four five six seven eight nine", "123456789")


def teens() -> pynini.Fst:
    """Ten to nineteen."""
    names = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    return table(names, map(str, range(10, 20)))


def tens() -> pynini.Fst:
    """Twenty to ninety, as their first digit."""
    return table("twenty thirty forty fifty sixty seventy eighty ninety", "23456789")


def from_ten() -> pynini.Fst:
    """10 to 99."""
    return one_of(teens(), tens() + one_of(digits(), say("", "0")))


def below_hundred() -> pynini.Fst:
    """1 to 99, as they are."""
    return one_of(digits(), from_ten())


def two_digits() -> pynini.Fst:
    """01 to 99: always two digits."""
    return one_of(say("", "0") + digits(), from_ten())


def below_thousand() -> pynini.Fst:
    """1 to 999."""
    return one_of(below_hundred(), hundreds())


def hundreds() -> pynini.Fst:
    """100 to 999."""
    rest = one_of(say("", "00"), maybe(say("and")) + two_digits())
    return digits() + say("hundred") + rest


def three_digits() -> pynini.Fst:
    """001 to 999: always three digits, and what comes after "thousand"."""
    return one_of(say("", "0") + maybe(say("and")) + two_digits(), hundreds())


def positive() -> pynini.Fst:
    """1 to 999,999."""
    thousands = below_thousand() + say("thousand") + one_of(say("", "000"), three_digits())
    return one_of(below_thousand(), thousands)


def build() -> pynini.Fst:
    """Return the grammar: words to digits."""
    return one_of(say("zero", "0"), positive()).optimize()


if __name__ == "__main__":
    main(__doc__, build)
