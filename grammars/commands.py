"""Commands to a house: lights, blinds and the thermostat; written as ``light on kitchen``."""

import pynini
from cardinals import below_hundred
from spoken import main, maybe, one_of, say

ACCEPTED = {
    "turn on the light": "light on",
    "please switch off the lights in the kitchen": "light off kitchen",
    "turn the light in the bedroom on": "light on bedroom",
    "open the blinds": "blinds open",
    "close the blinds in the living room": "blinds close living-room",
    "set the thermostat to twenty one degrees": "thermostat 21",
    "lights off": "light off",
}
REJECTED = ["", "turn the light", "open the light", "set the thermostat to forty degrees", "please",
            "set the thermostat to four degrees", "lights on off"]  # fmt: skip
ROOMS = ("kitchen", "bedroom", "bathroom", "living room", "garage", "hall")


def build() -> pynini.Fst:
    """Return the grammar: one command, perhaps with "please"."""
    room = maybe(one_of(*((f"in the {name}", " " + name.replace(" ", "-")) for name in ROOMS)))
    forms = []
    for state in ("on", "off"):
        for verb in ("turn", "switch"):
            for noun in ("light", "lights"):
                written = f"light {state}"
                forms.append(say(f"{verb} {state} the {noun}", written) + room)
                forms.append(say(f"{verb} the {noun}", written) + room + say(state))
        forms.append(say(f"lights {state}", f"light {state}"))
    forms += [say(f"{verb} the blinds", f"blinds {verb}") + room for verb in ("open", "close")]
    degrees = pynini.compose(below_hundred(), pynini.union(*map(str, range(5, 31))))
    forms.append(say("set the thermostat to", "thermostat ") + degrees + maybe(say("degrees")))
    return (maybe(say("please")) + one_of(*forms)).optimize()


if __name__ == "__main__":
    main(__doc__, build)
