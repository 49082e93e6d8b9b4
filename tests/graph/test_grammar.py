import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import relation

from wfst_hmm.errors import DataError, FormatError, GraphError, UsageError, WfstHmmError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.text import write_fst_text
from wfst_hmm.graph.grammar import grammar_from_spec, read_grammar
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import Grammar, fixed_length, phrase_list, word_list, word_loop

LEXICON = Lexicon(
    [Entry("yes", ("Y",)), Entry("no", ("N",)), Entry("no", ("M",)), Entry("<sil>", ("SIL",))]
)


def sentences(grammar: Grammar, length: int = 3) -> dict[str, float]:
    return {
        " ".join(grammar.isymbols.strings(inputs)): round(cost, 5)
        for (inputs, _), cost in relation(grammar.fst, length).items()
    }


def test_word_loop() -> None:
    half = round(math.log(2), 5)
    assert sentences(word_loop(["a", "b", "a"]), 1) == {"": 0.0, "a": half, "b": half}
    assert sentences(word_loop(["a", "b"], {"b": 2.0}), 2)["b b"] == 4.0


def test_word_list_and_lengths() -> None:
    assert sentences(word_list(["a", "b"], {"a": 0.5, "b": 1.0})) == {"a": 0.5, "b": 1.0}
    assert set(sentences(fixed_length(["a"], 2, 3), 5)) == {"a a", "a a a"}
    with pytest.raises(UsageError, match="3-2"):
        fixed_length(["a"], 3, 2)


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), st.integers(0, 9)),
        min_size=1, max_size=6,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_phrase_lists(phrases: list[tuple[list[str], int]]) -> None:
    expected: dict[str, float] = {}
    for words, cost in phrases:
        expected[" ".join(words)] = min(cost, expected.get(" ".join(words), math.inf))
    assert sentences(phrase_list(phrases)) == expected


def test_phrase_files(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("# commands\n\nturn on\t0.5\nturn off \t\nstop\n")
    found = read_grammar(tmp_path / "p.txt")
    assert sentences(found) == {"turn on": 0.5, "turn off": 0.0, "stop": 0.0}
    assert found.source.endswith("p.txt")
    (tmp_path / "p.txt").write_text("stop\nturn on\tcheap\n")
    with pytest.raises(FormatError, match=r"p\.txt:2: not a cost behind the tab; got 'cheap'"):
        read_grammar(tmp_path / "p.txt")
    (tmp_path / "p.txt").write_text("\t3\n")
    with pytest.raises(FormatError, match=r"p\.txt:1: a cost without a phrase"):
        read_grammar(tmp_path / "p.txt")
    (tmp_path / "p.txt").write_text("# nothing\n")
    with pytest.raises(GraphError, match=r"p\.txt: an empty grammar"):
        read_grammar(tmp_path / "p.txt")


def test_fst_files(tmp_path: Path) -> None:
    symbols = Symbols(["a", "b"])
    fst = Fst.from_arcs(
        0, [0, 0], [1, 2], [1, 2], [0.5, 1.0], [1, 1], [np.inf, 0], symbols, symbols
    )
    write_fst_text(fst, tmp_path / "g.fst.txt")
    assert sentences(read_grammar(tmp_path / "g.fst.txt")) == {"a": 0.5, "b": 1.0}
    fst.write(tmp_path / "g.fst")
    with pytest.raises(GraphError, match=r"g\.fst: a grammar needs symbol tables"):
        read_grammar(tmp_path / "g.fst")
    symbols.write(tmp_path / "words.txt")
    found = read_grammar(tmp_path / "g.fst")
    assert sentences(found) == {"a": 0.5, "b": 1.0}
    assert found.notes == (
        f"{tmp_path / 'g.fst'}: its symbols are those of {tmp_path / 'words.txt'}",
    )
    (tmp_path / "g.fst").write_text("0 1 a\n")  # the text form, whatever its name
    with pytest.raises(GraphError, match="accepts no sentence"):
        read_grammar(tmp_path / "g.fst")
    (tmp_path / "g.fst").write_text("hello\n")
    with pytest.raises(FormatError, match="not a state number"):
        read_grammar(tmp_path / "g.fst")


def test_arpa_is_told_by_its_content(tmp_path: Path) -> None:
    text = "\\data\\\nngram 1=3\n\n\\1-grams:\n-99 <s>\n-0.30103 </s>\n-0.30103 yes\n\n\\end\\\n"
    (tmp_path / "model.gz").write_bytes(gzip.compress(text.encode()))
    found = grammar_from_spec(str(tmp_path / "model.gz"), LEXICON)
    assert sentences(found, 1)["yes"] == pytest.approx(2 * math.log(2), abs=1e-4)


def test_empty_grammars() -> None:
    symbols = Symbols(["a"])
    dead = Fst.from_arcs(0, [0], [1], [1], [0], [1], [np.inf, np.inf], symbols, symbols)
    with pytest.raises(GraphError, match="accepts no sentence"):
        Grammar(dead)
    for build in (word_loop, word_list):
        with pytest.raises(GraphError, match="empty grammar"):
            build([])


def test_specifications() -> None:
    assert set(sentences(grammar_from_spec("words", LEXICON, silence_phones=["SIL"]))) == {
        "yes", "no"
    }  # fmt: skip
    assert grammar_from_spec("loop", LEXICON).words == ("yes", "no", "<sil>")
    assert sentences(grammar_from_spec("loop:1.5", LEXICON), 1)["no"] == 1.5
    assert grammar_from_spec("length:2-3", LEXICON).fst.n_states == 4
    assert grammar_from_spec("length:2", LEXICON).source == "length:2"


@pytest.mark.parametrize("spec", ["length", "length:x", "length:0", "loop:x", "words:3", "nowhere"])
def test_wrong_specifications(spec: str) -> None:
    with pytest.raises(UsageError):
        grammar_from_spec(spec, LEXICON)


def test_words_the_lexicon_lacks(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("yes\nyess no\nperhaps\n")
    with pytest.raises(
        DataError, match=r"lacks 2 words of the grammar: yess \(nearest: yes\); per"
    ):
        grammar_from_spec(str(tmp_path / "p.txt"), LEXICON)
    found = grammar_from_spec(str(tmp_path / "p.txt"), LEXICON, on_oov="skip")
    assert set(sentences(found)) == {"yes"}
    (tmp_path / "p.txt").write_text("perhaps\n")
    with pytest.raises(GraphError, match="accepts no sentence"):
        grammar_from_spec(str(tmp_path / "p.txt"), LEXICON, on_oov="skip")


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for start in (b"", b"\x1f\x8b", b"\xd6\xfd\xb2\x7e", b"\\data\\\n", b"Trie Language Model"):
        path.write_bytes(start + data)
        try:
            read_grammar(path)
        except WfstHmmError as error:
            assert str(path) in str(error)  # noqa: PT017


def test_words_for_silence_and_unknown_ones_are_not_in_a_loop() -> None:
    """Kaldi's lexicon.txt begins with them."""
    entries = [("<SIL>", "sil"), ("<UNK>", "spn"), ("!SIL", "sil"), ("one", "W"), ("sil", "S")]
    lexicon = Lexicon(Entry(word, (phone,)) for word, phone in entries)
    found = grammar_from_spec("loop", lexicon, silence_phones=["SIL"])
    assert found.words == ("one", "sil")
