from wfst_hmm.draw.turns import turns_svg
from wfst_hmm.formats.rttm import Turn


def test_partners_share_a_colour_and_names_are_escaped() -> None:
    reference = [Turn(0, 30, "a<b"), Turn(31, 59, "c")]
    found = [Turn(0, 30, "spk0"), Turn(31, 60, "spk1"), Turn(70, 90, "spk2")]
    svg = turns_svg({"reference": reference, "found": found},
                    partners={"spk0": "a<b", "spk1": "c"}, title="t & t")  # fmt: skip
    bars = [line for line in svg.splitlines() if 'height="13.0"' in line]
    colours = [bar.split('fill="')[1].split('"')[0] for bar in bars]
    assert colours[:2] == colours[2:4]
    assert colours[4] not in colours[:2]
    assert "a&lt;b" in svg
    assert "t &amp; t" in svg
    assert "1:30" in svg


def test_nothing_to_draw() -> None:
    assert turns_svg({"found": []}).startswith("<svg")
