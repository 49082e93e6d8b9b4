"""Tags of a grammar's rules, carried to the result."""

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.graph.jsgf import jsgf_from_text
from wfst_hmm.graph.tags import tag_machine, tags_of

HEAD = "#JSGF V1.0;\ngrammar t;\n"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from(["", "x", "y z"])),
                min_size=1, max_size=4))  # fmt: skip
@settings(deadline=None, max_examples=50)
def test_the_tags_of_the_words_that_were_said(items: list[tuple[str, bool, str]]) -> None:
    """Words that differ by their place, some of which may be left out: tags as one reads them."""
    words = [f"{word}{i}" for i, (word, _, _) in enumerate(items)]
    pieces = [
        (f"[{name} {{{tag}}}]" if optional else f"{name} {{{tag}}}") if tag
        else (f"[{name}]" if optional else name)
        for name, (_, optional, tag) in zip(words, items, strict=True)
    ]  # fmt: skip
    machine = tag_machine(jsgf_from_text(f"{HEAD}public <a> = start {' '.join(pieces)};"))
    if machine is None:
        assert not any(tag for _, _, tag in items)
        return
    machine = json.loads(json.dumps(machine))
    choices = [(True, False) if optional else (True,) for _, optional, _ in items]
    for said in itertools.product(*choices):
        text = ["start", *(w for w, heard in zip(words, said, strict=True) if heard)]
        wanted = [tag for (_, _, tag), heard in zip(items, said, strict=True) if heard and tag]
        assert tags_of(machine, text) == tuple(wanted)


def test_rules_within_rules_and_what_is_no_sentence() -> None:
    text = HEAD + "public <a> = <d>+ {number} | stop {stop} {now}; <d> = one {1} | two {2};"
    machine = tag_machine(jsgf_from_text(text))
    assert machine is not None
    assert tags_of(machine, ["two", "one", "two"]) == ("2", "1", "2", "number")
    assert tags_of(machine, ["stop"]) == ("stop", "now")
    assert tags_of(machine, ["three"]) == tags_of(machine, []) == ()
    assert tag_machine(jsgf_from_text(HEAD + "public <a> = x;")) is None
