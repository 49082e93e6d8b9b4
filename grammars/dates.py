"""Dates: "march third twenty twenty six", "the third of march", "may fifth nineteen oh five".

Written day first in the order spoken: "March 3, 2026" or "3 March 2026". No month has more days
than it can have (February has 29).
"""

import pynini
from cardinals import digits, tens
from ordinals import below_hundredth
from spoken import main, maybe, one_of, say, table

ACCEPTED = {
    "march third twenty twenty six": "March 3, 2026",
    "march third": "March 3",
    "the third of march": "3 March",
    "the first of may nineteen eighty four": "1 May 1984",
    "february twenty ninth two thousand": "February 29, 2000",
    "may fifth nineteen oh five": "May 5, 1905",
    "december the thirty first nineteen hundred": "December 31, 1900",
    "july fourth two thousand and six": "July 4, 2006",
}
REJECTED = ["", "february thirtieth", "march", "april thirty first", "third march", "march three",
            "the march third", "march thirty second"]  # fmt: skip
MONTHS = {
    "january": 31, "february": 29, "march": 31, "april": 30, "may": 31, "june": 30, "july": 31,
    "august": 31, "september": 30, "october": 31, "november": 30, "december": 31,
}  # fmt: skip


def days(last: int) -> pynini.Fst:
    """First to the last day of a month, written without a suffix."""
    suffix = pynini.cross(pynini.union("st", "nd", "rd", "th"), "")
    plain = pynini.compose(
        below_hundredth(), pynini.closure(pynini.union(*"0123456789"), 1) + suffix
    )
    return pynini.compose(plain, pynini.union(*map(str, range(1, last + 1)))).optimize()


def years() -> pynini.Fst:
    """1100 to 2999 the way years are spoken."""
    century = table(
        "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty",
        map(str, range(11, 21)),
    )
    ten_to_99 = one_of(
        table("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
              map(str, range(10, 20))),
        tens() + one_of(digits(), say("", "0")),
    )  # fmt: skip
    in_century = one_of(ten_to_99, say("oh", "0") + digits(), say("hundred", "00"))
    thousand = one_of(
        say("thousand", "000"), say("thousand") + maybe(say("and")) + say("", "00") + digits(),
        say("thousand") + maybe(say("and")) + say("", "0") + ten_to_99,
    )  # fmt: skip
    return one_of(century + in_century, say("two", "2") + thousand)


def build() -> pynini.Fst:
    """Return the grammar: a day with its month, and perhaps the year."""
    forms = []
    for month, last in MONTHS.items():
        day, name = days(last), month.capitalize()
        forms.append(say(month, name + " ") + maybe(say("the")) + day
                     + maybe(say("", ", ") + years()))  # fmt: skip
        forms.append(say("the") + day + say("of " + month, " " + name)
                     + maybe(say("", " ") + years()))  # fmt: skip
    return one_of(*forms).optimize()


if __name__ == "__main__":
    main(__doc__, build)
