"""JSGF: the machine accepts what the rules say, at the cost they say; mistakes have a place."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from jsgf_strategies import Language, grammar_text, jsgf_rules, language_of

from wfst_hmm.errors import FormatError, GraphError, WfstHmmError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph import jsgf_fst
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.graph.jsgf import jsgf_from_text, read_jsgf
from wfst_hmm.graph.jsgf_parser import Expansion, Tagged, parse_jsgf

HEAD = "#JSGF V1.0;\ngrammar t;\n"


def accepted(fst: Fst, longest: int) -> Language:
    """Return every sentence of up to `longest` words with its least cost; arcs carry words."""
    assert fst.isymbols is not None
    found: Language = {}
    paths = {(fst.start, ()): 0.0}
    for _ in range(longest + 1):
        following: dict[tuple[int, tuple[str, ...]], float] = {}
        for (state, sentence), cost in paths.items():
            total = cost + float(fst.states[state]["final"])
            if total < found.get(sentence, math.inf):
                found[sentence] = total
            for arc in fst.arcs_of(state):
                assert arc["ilabel"] == arc["olabel"] > 0
                key = (int(arc["nextstate"]), (*sentence, fst.isymbols[int(arc["ilabel"])]))
                total = cost + float(arc["weight"])
                following[key] = min(total, following.get(key, math.inf))
        paths = following
    return found


def language(body: str, longest: int = 4) -> Language:
    fst = jsgf_from_text(HEAD + body).to_fst()
    return accepted(fst, longest)


@given(jsgf_rules())
@settings(deadline=None, max_examples=60)
def test_language_by_the_definition(rules: dict[str, Expansion]):
    expected = language_of(rules["a"], rules, 4)
    grammar = jsgf_from_text(grammar_text(rules))
    try:
        found = accepted(grammar.to_fst(), 4)
    except GraphError:  # no sentence at all
        found = {}
    assert found == pytest.approx(expected, abs=1e-5)


def test_epsilons_kept_when_removal_would_multiply_arcs(monkeypatch: pytest.MonkeyPatch):
    body = HEAD + "public <a> = [x] [y] [z] x;"
    plain = accepted(jsgf_from_text(body).to_fst(), 4)
    monkeypatch.setattr(jsgf_fst._Machine, "without_epsilons", lambda *_: None)
    fst = jsgf_from_text(body).to_fst()
    assert (fst.arcs["ilabel"] == 0).any()
    assert len(plain) == 8
    total = 3 * math.log(2)
    assert all(cost == pytest.approx(total, abs=1e-5) for cost in plain.values())


def test_a_chain_of_options_stays_small():
    fst = jsgf_from_text(HEAD + "public <a> = " + "[x] " * 5000 + "y;").to_fst()
    assert fst.n_arcs < 1_000_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("public <a> = x y;", {"x y": 1}),
        ("public <a> = x | y;", {"x": 1 / 2, "y": 1 / 2}),
        ("public <a> = /3/ x | /1/ y | /0/ z;", {"x": 3 / 4, "y": 1 / 4}),
        ("public <a> = /.5f/ x;", {"x": 1}),
        ("public <a> = [x] y;", {"x y": 1 / 2, "y": 1 / 2}),
        ("public <a> = x*;", {"": 1 / 2, "x": 1 / 4, "x x": 1 / 8, "x x x": 1 / 16}),
        ("public <a> = x+;", {"x": 1 / 2, "x x": 1 / 4, "x x x": 1 / 8}),
        ("public <a> = x <a> | y;", {"y": 1 / 2, "x y": 1 / 4, "x x y": 1 / 8}),
        ("public <a> = x;\npublic <b> = y;", {"x": 1 / 2, "y": 1 / 2}),
        ('public <a> = "New York" {city} | "a\\"b";', {"New York": 1 / 2, 'a"b': 1 / 2}),
        ("public <a> = x (y | z {a\\}b}) <NULL>;", {"x y": 1 / 2, "x z": 1 / 2}),
        ("public <a> = x | <VOID> y;", {"x": 1 / 2}),
        ("public <a> = x <b>; <b> = y <a> | z;", {"x z": 1 / 2, "x y x z": 1 / 4}),
        ("public <a> = <t.b>; <b> = grammar public import;", {"grammar public import": 1}),
        ("public <a> = caf\u00e9 \u6771\u4eac;", {"caf\u00e9 \u6771\u4eac": 1}),
        ("/** doc\n * @example x */ public <a> = x // end\n;", {"x": 1}),
    ],
)
def test_small_grammars(body: str, expected: dict[str, float]):
    found = {
        " ".join(s): math.exp(-c) for s, c in language(body, 4).items() if len(s) < 4 or "z" in s
    }
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"JSGF:1:1: not a JSGF grammar"),
        ("#ABNF 1.0;", r"JSGF:1:1: not a JSGF grammar"),
        (
            "#JSGF V1.0;",
            r"JSGF:1:12: unexpected text; got 'the end of the file', expected 'grammar'",
        ),
        ("#JSGF V1.0;\ngrammar t", r"JSGF:2:10: unexpected text.*expected ';'"),
        (HEAD + "<a> = x", r"JSGF:3:8: unexpected text.*expected ';'"),
        (HEAD + "public <a> = (x;", r"JSGF:3:16: unexpected text; got ';', expected '\)'"),
        (HEAD + "public <a> = x )", r"JSGF:3:16: unexpected text"),
        (HEAD + "public <a> = x**;", r"JSGF:3:16: unexpected text"),
        (HEAD + "public <a> = *;", r"JSGF:3:14: an empty alternative"),
        (HEAD + 'public <a> = "x;\n', r"JSGF:3:14: cannot read on; got .* closing quote"),
        (HEAD + "public <a> = x {tag;\n", r"JSGF:3:16: cannot read on; .*'}'"),
        (HEAD + "public <a> = x <b;\n", r"JSGF:3:16: cannot read on; .*'>'"),
        (HEAD + "public <a> = x/y;\n", r"JSGF:3:15: cannot read on; .*needs quotes"),
        (HEAD + "/* never\n closed", r"JSGF:3:1: a comment that never ends"),
        (HEAD + "public <a> = /2/ x | y;", r"JSGF:3:14: weights must .*; got 1 of 2"),
        (HEAD + "public <a> = /0/ x;", r"JSGF:3:14: all weights are zero"),
        (HEAD + "<a> = x;\n<a> = y;", r"JSGF:4:1: rule <a> is defined twice; got first at .*3:1"),
        (HEAD + "<NULL> = x;", r"JSGF:3:1: <NULL> has its own meaning"),
        (HEAD + "public <a> = #0;", r"JSGF:3:14: the word '#0' is reserved"),
        (HEAD + 'public <a> = "<eps>";', r"JSGF:3:14: the word '<eps>' is reserved"),
        (HEAD + 'public <a> = "";', r"JSGF:3:14: an empty word"),
        (HEAD + "public <a> = x\n  <b>;", r"JSGF:4:3: no rule <b>"),
        (HEAD + "import <b>;", r"JSGF:3:8: an import without a grammar's name"),
        (HEAD + "import <b.c>;", r"JSGF:3:8: no file for the imported grammar 'b'"),
        (HEAD + "<a> = x;", r"t: no public rule"),
        (HEAD + "public <a> = x <a> y;", r"JSGF:3:16: rule <a> is recursive .*<a> -> <a>"),
        (HEAD + "public <a> = x <b> y;\n<b> = z <a>;", r"JSGF:3:16: .*<a> -> <b> -> <a>"),
        (HEAD + "public <a> = (x <a>)*;", r"JSGF:3:17: rule <a> is recursive before its end"),
        (HEAD + "public <a> = <VOID>;", r"t: the grammar has no sentence"),
        (HEAD + "public <a> = x <a>;", r"t: the grammar has no sentence"),
        (HEAD + "public <a> = " + "(" * 100 + "x", r"JSGF:3:78: brackets nested deeper than 64"),
    ],
)
def test_mistakes_have_a_place(text: str, message: str):
    with pytest.raises(WfstHmmError, match=message):
        jsgf_from_text(text).to_fst()


def test_rules_that_double_each_other_stop_at_the_budget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jsgf_fst, "MAX_ARCS", 10_000)
    body = "".join(f"<r{i}> = <r{i + 1}> <r{i + 1}>;\n" for i in range(1, 60)) + "<r60> = x;"
    with pytest.raises(GraphError, match="more than 10000 arcs"):
        jsgf_from_text(HEAD + "public <a> = <r1>;" + body).to_fst()


def test_long_chains_of_rules_need_no_stack():
    n = 3000
    body = "".join(f"<r{i}> = x <r{i + 1}>;\n" for i in range(n)) + f"<r{n}> = y | x <r0>;"
    fst = jsgf_from_text(HEAD + "public <a> = <r0>;" + body).to_fst()
    assert fst.n_states >= n


def test_imports(tmp_path: Path):
    (tmp_path / "com" / "acme").mkdir(parents=True)
    (tmp_path / "com" / "acme" / "colors.gram").write_text(
        "#JSGF V1.0 UTF-8 en;\ngrammar com.acme.colors;\nimport <main.more>;\n"
        "public <color> = red | <shade> blue; <shade> = dark; public <other> = <more>;"
    )
    (tmp_path / "sizes.jsgf").write_text("#JSGF V1.0;\ngrammar sizes;\npublic <size> = big;")
    main = tmp_path / "main.gram"

    def found(body: str) -> set[str]:
        main.write_text("#JSGF V1.0;\ngrammar main;\npublic <more> = more;\n" + body)
        grammar = read_jsgf(main)
        return {" ".join(s) for s in accepted(grammar.to_fst(["a"]), 5)}

    one = "import <com.acme.colors.color>; import <sizes.*>;\n"
    assert found(one + "public <a> = <size> <color>;") == {"big red", "big dark blue"}
    assert found(one + "public <a> = <colors.color>;") == {"red", "dark blue"}
    assert found("public <a> = <com.acme.colors.other>;") == {"more"}
    grammar = read_jsgf(main)
    assert set(grammar.rules) == {"main.more", "main.a", "com.acme.colors.other"}
    with pytest.raises(FormatError, match=r"main.gram:4:8: no public rule <shade> to import"):
        found("import <com.acme.colors.shade>;")
    with pytest.raises(FormatError, match=r"main.gram:4:8: no file for .*'nowhere'"):
        found("import <nowhere.*>;")
    with pytest.raises(FormatError, match=r"no file for"):
        found("import <..sizes.*>;")
    (tmp_path / "sizes2.gram").write_text("#JSGF V1.0;\ngrammar sizes2;\npublic <size> = tall;")
    with pytest.raises(
        FormatError, match=r"main.gram:5:14: <size> may mean several imported rules"
    ):
        found("import <sizes.*>; import <sizes2.*>;\npublic <a> = <size>;")
    assert found("import <sizes.*>; import <sizes2.*>;\npublic <a> = <sizes2.size>;") == {"tall"}
    (tmp_path / "wrong.gram").write_text("#JSGF V1.0;\ngrammar right;")
    with pytest.raises(FormatError, match="another grammar's name; got right, expected wrong"):
        found("import <wrong.*>;")


def test_encodings(tmp_path: Path):
    path = tmp_path / "g.gram"
    text = "#JSGF V1.0 {};\ngrammar g;\npublic <a> = caf\u00e9;"
    for name in ("ISO8859-1", "UTF-8", "utf-8"):
        path.write_bytes(text.format(name).encode(name))
        assert set(accepted(read_jsgf(path).to_fst(), 1)) == {("caf\u00e9",)}
    for codec in ("utf-16", "utf-8-sig"):
        path.write_bytes(text.format("UTF-8").encode(codec))
        assert set(accepted(read_jsgf(path).to_fst(), 1)) == {("caf\u00e9",)}
    path.write_bytes(text.format("UTF-8").encode("latin-1"))
    with pytest.raises(FormatError, match=r"g.gram:3: not UTF-8 at byte .*Name the encoding"):
        read_jsgf(path)
    for name in ("klingon", "rot13", "zlib", "idna"):
        path.write_bytes(text.format(name).encode("latin-1"))
        with pytest.raises(FormatError, match=r"g.gram:"):
            read_jsgf(path)


@pytest.mark.parametrize(
    ("text", "longest", "expected", "note"),
    [
        ("public <a> = one (two | );", 3, {"one", "one two"}, "3:25: an empty alternative"),
        ("public <a> = x |;", 3, {"", "x"}, "3:17: an empty alternative"),
        ("public <a> = one; <b> = <nowhere>; <c> = <b>;", 2, {"one"}, "no rule <nowhere>"),
        ("public <a> = one; <b> = x <b> y;", 2, {"one"}, ""),
        ("public <a> = <a> | x;", 2, {"x"}, ""),
        ("public <a> = [x] <b>; <b> = y* <a> | z;", 2, {"z", "x z", "y z"}, ""),
    ],
)  # fmt: skip
def test_what_pocketsphinx_puts_up_with(
    tmp_path: Path, text: str, longest: int, expected: set[str], note: str
):
    (tmp_path / "a.gram").write_text("\n" + HEAD + text)
    grammar = read_grammar(tmp_path / "a.gram")
    assert expected <= {" ".join(words) for words in accepted(grammar.fst, longest)}
    assert any("blank lines before the header" in text for text in grammar.notes)
    assert note.replace("3:", "4:") in " ".join(grammar.notes)


def test_tags_and_places_are_kept():
    grammar = parse_jsgf(HEAD + "public <a> = x {one} { two };")
    expansion = grammar.rules["a"].expansion
    assert isinstance(expansion, Tagged)
    assert expansion.tags == ("one", "two")
    assert grammar.rules["a"].place[1:] == (3, 8)


def test_a_given_word_table():
    table = Symbols(["y", "x"])
    fst = jsgf_from_text(HEAD + "public <a> = x;").to_fst(words=table)
    assert fst.isymbols == table
    assert fst.arcs["ilabel"].tolist() == [2]
    with pytest.raises(GraphError, match="'x' is not in the given table"):
        jsgf_from_text(HEAD + "public <a> = x;").to_fst(words=Symbols(["z"]))
    with pytest.raises(FormatError, match=r"no rule <b>; expected <t\.a>"):
        jsgf_from_text(HEAD + "public <a> = x;").to_fst(["b"])


def test_the_shared_grammars(shared: Path):
    move = read_jsgf(shared / "sphinx" / "goforward.gram")
    found = accepted(move.to_fst(), 5)
    assert found[("go", "forward", "ten", "meters")] == pytest.approx(math.log(2), abs=1e-5)
    assert len(found) == 1 + 2 * 10 * 3 - 1
    cards = accepted(read_jsgf(shared / "sphinx" / "cards" / "cards.gram").to_fst(), 3)
    assert ("ace", "of", "clubs") in cards
    assert ("of", "clubs") not in cards
    grammar = read_grammar(shared / "sphinx" / "cards" / "cards.gram")
    assert "diamonds" in grammar.words
    assert np.isfinite(grammar.fst.arcs["weight"]).all()
    with pytest.raises(FormatError, match=r"invalid.gram:5:8"):
        read_jsgf(shared / "sphinx" / "invalid.gram")
