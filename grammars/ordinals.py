"""English ordinal numbers from first to nine hundred ninety nine thousand ... ninety ninth."""

import pynini
from cardinals import below_thousand, digits, tens
from spoken import main, maybe, one_of, say, table

ACCEPTED = {
    "first": "1st",
    "second": "2nd",
    "third": "3rd",
    "eleventh": "11th",
    "twelfth": "12th",
    "twentieth": "20th",
    "twenty first": "21st",
    "one hundredth": "100th",
    "one hundred and second": "102nd",
    "one thousandth": "1000th",
    "two thousand third": "2003rd",
    "twelve thousand three hundred forty fifth": "12345th",
}
REJECTED = [
    "",
    "one",
    "twenty one",
    "first second",
    "twentieth first",
    "hundredth",
    "first hundred",
]


def unit_ordinals() -> pynini.Fst:
    """First to ninth."""
    names = "first second third fourth fifth sixth seventh eighth ninth"
    return table(names, ["1st", "2nd", "3rd", *(f"{n}th" for n in range(4, 10))])


def from_tenth() -> pynini.Fst:
    """10th to 99th."""
    teens = "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth"
    round_ = "twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth"
    return one_of(
        table(f"{teens} eighteenth nineteenth", [f"{n}th" for n in range(10, 20)]),
        table(round_, [f"{n}th" for n in range(20, 100, 10)]),
        tens() + unit_ordinals(),
    )


def below_hundredth() -> pynini.Fst:
    """1st to 99th."""
    return one_of(unit_ordinals(), from_tenth())


def hundreds() -> pynini.Fst:
    """100th to 999th."""
    two_digits = one_of(say("", "0") + unit_ordinals(), from_tenth())
    return digits() + one_of(
        say("hundredth", "00th"), say("hundred") + maybe(say("and")) + two_digits
    )


def build() -> pynini.Fst:
    """Return the grammar: words to digits with their suffix."""
    two_digits = one_of(say("", "0") + unit_ordinals(), from_tenth())
    three_digits = one_of(say("", "0") + maybe(say("and")) + two_digits, hundreds())
    thousands = below_thousand() + one_of(
        say("thousandth", "000th"), say("thousand") + three_digits
    )
    return one_of(below_hundredth(), hundreds(), thousands).optimize()


if __name__ == "__main__":
    main(__doc__, build)
