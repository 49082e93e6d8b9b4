"""Yes or no, in the words people use."""

import pynini
from spoken import main, maybe, one_of, say

ACCEPTED = {"yes": "yes", "yeah": "yes", "yes please": "yes", "no": "no", "no thank you": "no",
            "of course": "yes", "certainly not": "no"}  # fmt: skip
REJECTED = ["", "yes no", "please", "thank you", "not"]
YES = ("yes", "yeah", "yep", "sure", "okay", "right", "of course", "certainly", "that's right")
NO = ("no", "nope", "nah", "not really", "of course not", "certainly not", "no way")


def build() -> pynini.Fst:
    """Return the grammar: one answer, perhaps with "please", or "thanks"."""
    yes = one_of(*((phrase, "yes") for phrase in YES)) + maybe(one_of(say("please"), say("thanks")))
    no = one_of(*((phrase, "no") for phrase in NO)) + maybe(one_of(say("thanks"), say("thank you")))
    return one_of(yes, no).optimize()


if __name__ == "__main__":
    main(__doc__, build)
