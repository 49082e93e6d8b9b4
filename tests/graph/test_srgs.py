"""SRGS in both forms: the same sentences, safe XML, complaints with their line."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import FormatError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.graph.srgs import read_srgs

XML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE grammar PUBLIC "-//W3C//DTD GRAMMAR 1.0//EN" "http://www.w3.org/TR/speech-grammar/grammar.dtd">
<grammar version="1.0" xmlns="http://www.w3.org/2001/06/grammar" xml:lang="en" root="request">
  <meta name="x" content="y"/>
  <rule id="request" scope="public">
    <example>call four two now</example>
    <item repeat="0-1">please</item> call
    <item repeat="1-2"><ruleref uri="#digit"/></item><tag>out.x = 1</tag>
    <one-of><item weight="3">now</item><item>later <ruleref special="NULL"/></item></one-of>
  </rule>
  <rule id="digit"><one-of><item>two<tag>2</tag></item><item>"four"</item></one-of></rule>
  <rule id="unused"><ruleref uri="#nowhere"/></rule>
</grammar>
"""
ABNF = """#ABNF 1.0 UTF-8;
language en; mode voice; root $request; tag-format <semantics/1.0>;
/** a comment */
public $request = [please] call $digit<1-2> {out.x = 1} (/3/ now | /1/ later $NULL);
$digit = two {!{2}!} | "four"!en-US; // another
$unused = $nowhere;
"""


def sentences(fst: Fst, longest: int = 6) -> dict[str, float]:
    """Return every sentence of at most so many words, with its cheapest cost."""
    found: dict[str, float] = {}
    waiting = [(fst.start, "", 0.0, 0)]
    while waiting:
        state, text, cost, n_words = waiting.pop()
        end = cost + float(fst.states["final"][state])
        if end < found.get(text, float("inf")):
            found[text] = end
        for arc in fst.arcs_of(state):
            word = fst.isymbols[int(arc["ilabel"])] if arc["ilabel"] else ""  # type: ignore[index]
            if n_words + bool(word) <= longest:
                waiting.append((int(arc["nextstate"]), f"{text} {word}".strip(),
                                cost + float(arc["weight"]), n_words + bool(word)))  # fmt: skip
    return {text: cost for text, cost in found.items() if cost < float("inf")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_forms_say_the_same(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.grxml").write_bytes(XML.replace("UTF-8", encoding[:6]).encode(encoding))
    (tmp_path / "a.gram").write_bytes(ABNF.encode(encoding))
    one, other = (sentences(read_grammar(tmp_path / n).fst) for n in ("a.grxml", "a.gram"))
    wanted = {
        f"{please}call {digits} {when}"
        for please in ("", "please ") for when in ("now", "later")
        for n in (1, 2) for digits in map(" ".join, itertools.product(("two", "four"), repeat=n))
    }  # fmt: skip
    assert one.keys() == other.keys() == wanted
    assert all(one[text] == pytest.approx(other[text], abs=1e-5) for text in wanted)


def test_other_files_are_referred_to_by_name(tmp_path: Path) -> None:
    (tmp_path / "digits.grxml").write_text(XML)
    (tmp_path / "a.abnf").write_text(
        "#ABNF 1.0;\nroot $a;\n$a = dial $<digits.grxml#digit> | $<digits.grxml>;\n"
    )
    found = sentences(read_srgs(tmp_path / "a.abnf").to_fst())
    assert {"dial two", "dial four", "call two now"} <= found.keys()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 2)),
                min_size=1, max_size=3))  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_repetitions_by_their_definition(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "r.gram"
    text = " ".join(f"{word}<{low}-{low + more}>" for word, low, more in items)
    path.write_text(f"#ABNF 1.0;\nroot $r;\n$r = x {text};\n")
    turns = [[" ".join([w] * n) for n in range(low, low + more + 1)] for w, low, more in items]
    wanted = {" ".join(f"x {' '.join(t)}".split()) for t in itertools.product(*turns)}
    assert sentences(read_grammar(path).fst, 13).keys() == wanted


BOMB = '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a "{}">]><grammar root="a"/>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB.format("x" * 10), "a document type with declarations of its own"),
        (XML.replace("</rule>", "", 1), r"a:11:3: <rule> within <rule>"),
        (XML.replace('"#digit"', '"#digits"'), r"a:8:24: no rule 'digits'"),
        (XML.replace('uri="#digit"', 'special="ANY"'), r"a:8:24: a reference to nothing"),
        (XML.replace("0-1", "2-1"), r"a:7:5: not a number of repetitions; got '2-1'"),
        (XML.replace('root="request"', 'root="r"'), "no rule 'r', which is to be the root"),
        (XML.replace("xml:lang", 'mode="dtmf" xml:lang'), "a grammar of keys, not of speech"),
        (XML.replace("<tag>2</tag>", "<oops/>"), "<oops> within <item>"),
        (ABNF.replace("$digit<", "$digits<"), r"a:4:\d+: no rule 'digits'"),
        (ABNF.replace("mode voice", "mode dtmf"), "a grammar of keys"),
        (ABNF.replace("root $request;", "").replace("public", ""), "no root and no public rule"),
        (ABNF.replace("[please]", "[please"), r"a:4:\d+: unexpected text"),
        (ABNF.replace("<1-2>", "<9999>"), "not a number of repetitions"),
    ],
)
def test_mistakes_have_a_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_grammar(tmp_path / "a")


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_damaged_grammars_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    text = data.draw(st.sampled_from([XML, ABNF]))
    at = data.draw(st.integers(15, len(text)))
    cut = data.draw(st.integers(0, 9))
    path.write_text(
        text[:at] + data.draw(st.text("<>{}$/;|\"'ab 01", max_size=5)) + text[at + cut :]
    )
    try:
        read_srgs(path).to_fst()
    except FormatError as error:
        assert str(path.parent) in str(error) or "g" in str(error)  # noqa: PT017
