"""Times of day: "half past three", "quarter to four p m", "ten thirty", "five oh seven", "noon"."""

import pynini
from spoken import main, maybe, one_of, say

ACCEPTED = {
    "three o'clock": "3:00",
    "half past three": "3:30",
    "quarter to four p m": "3:45 p.m.",
    "a quarter past one": "1:15",
    "twenty five to one": "12:35",
    "ten thirty a m": "10:30 a.m.",
    "five oh seven": "5:07",
    "seven p m": "7:00 p.m.",
    "noon": "12:00 p.m.",
    "midnight": "12:00 a.m.",
}
REJECTED = ["", "thirteen o'clock", "half to three", "five seven", "three", "noon a m", "ten sixty"]
HOURS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
SMALL = (*HOURS, "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")


def number(n: int) -> str:
    """Return the words of 1 to 59."""
    if n < 20:
        return SMALL[n - 1]
    ten = ("twenty", "thirty", "forty", "fifty")[n // 10 - 2]
    return ten if n % 10 == 0 else f"{ten} {SMALL[n % 10 - 1]}"


def build() -> pynini.Fst:
    """Return the grammar: a time on a twelve-hour clock, and perhaps the half of the day."""
    half = maybe(one_of(("a m", " a.m."), ("p m", " p.m.")))
    minutes = one_of(
        *((number(n), f":{n}") for n in range(10, 60)),
        *((f"oh {number(n)}", f":0{n}") for n in range(1, 10)),
        ("o'clock", ":00"),
    )
    forms = []
    for at, hour in enumerate(HOURS):
        now, before = str(at + 1), str((at - 1) % 12 + 1)
        spans = [(number(n), n) for n in range(1, 30)]
        spans += [("quarter", 15), ("a quarter", 15)]
        forms += [say(f"{text} past {hour}", f"{now}:{n:02d}") for text, n in spans]
        forms += [say(f"{text} to {hour}", f"{before}:{60 - n}") for text, n in spans]
        forms += [say(f"half past {hour}", f"{now}:30"), say(hour, now) + minutes]
    with_half = one_of(*forms) + half
    on_the_hour = one_of(*((f"{hour} {letter} m", f"{at}:00 {letter}.m.")
                           for at, hour in enumerate(HOURS, start=1) for letter in "ap"))  # fmt: skip
    return one_of(
        with_half, on_the_hour, say("noon", "12:00 p.m."), say("midnight", "12:00 a.m.")
    ).optimize()


if __name__ == "__main__":
    main(__doc__, build)
