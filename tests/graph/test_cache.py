"""Stages from a cache beside stages made anew."""

import dataclasses
from pathlib import Path

import pytest
from graph_models import (
    SmallContextModel,
    SmallModel,
    context_models,
    lexicons,
    models,
    small_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import UsageError
from wfst_hmm.files import read_json, write_json
from wfst_hmm.graph.cache import context_key, spelling_key
from wfst_hmm.graph.compiler import GraphOptions, build_compact, build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import Grammar, fixed_length, phrase_list, word_loop

LEXICON = Lexicon([Entry("two", ("A", "B")), Entry("too", ("A", "B")), Entry("a", ("A",)),
                   Entry("a", ("C",), 0.5)])  # fmt: skip
GRAMMAR = phrase_list([(("two", "a"), 0.0), (("too",), 0.5)])


def names(graph: Graph) -> list[str]:
    return [row["name"] for row in graph.info["stages"] if row.get("from_cache")]


@given(models() | context_models(), lexicons(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=25)
def test_the_same_bytes_with_and_without(
    tmp_path_factory: pytest.TempPathFactory, model: SmallModel | SmallContextModel,
    lexicon: Lexicon, loop: bool, determinize: bool,
) -> None:  # fmt: skip
    grammar = word_loop(lexicon.words) if loop else fixed_length(lexicon.words, 1, 2)
    options = GraphOptions(determinize=determinize)
    folder = tmp_path_factory.mktemp("cache")
    plain, first, second = (build_graph(model, lexicon, grammar, options, cache=cache)
                            for cache in (None, folder, folder))  # fmt: skip
    assert plain.fst.to_bytes() == first.fst.to_bytes() == second.fst.to_bytes()
    assert plain.words == first.words == second.words
    assert names(plain) == names(first) == []
    assert names(second) == ["C∘L∘G" if isinstance(model, SmallContextModel) else "L∘G"]


@given(context_models())
@settings(deadline=None, max_examples=5)
def test_another_model_of_the_same_phones_shares_the_spelling(
    tmp_path_factory: pytest.TempPathFactory, model: SmallContextModel
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    build_compact(model, LEXICON, GRAMMAR, cache=folder)
    other = dataclasses.replace(model, hash="another")
    made = build_graph(other, LEXICON, GRAMMAR, cache=folder)
    assert names(made) == ["L∘G"]
    assert made.fst.to_bytes() == build_graph(other, LEXICON, GRAMMAR).fst.to_bytes()


def _cut(data: Path, about: Path) -> None:
    data.write_bytes(data.read_bytes()[:-7])


def _flip(data: Path, about: Path) -> None:
    content = bytearray(data.read_bytes())
    content[-20] ^= 1
    data.write_bytes(content)


def _lie(data: Path, about: Path) -> None:
    """The content of another entry, with its own hash."""
    write_json(about, {**read_json(about), "key": "0" * 64})


DAMAGE = {
    "cut": (_cut, r"bytes instead of"),
    "a bit": (_flip, r"SHA-256 differs"),
    "another key": (_lie, r"another stage under this name"),
    "no JSON": (lambda data, about: about.unlink(), r"no such file"),
    "no FST": (lambda data, about: data.unlink(), r"No such file"),
    "not JSON": (lambda data, about: about.write_text("{"), r"not JSON"),
    "a list": (lambda data, about: about.write_text("[]"), r"not that of a stage"),
    "empty": (lambda data, about: data.write_bytes(b""), r"0 bytes instead of"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_entries_are_made_again(tmp_path: Path, kind: str) -> None:
    damage, note = DAMAGE[kind]
    model = small_model()
    good = build_graph(model, LEXICON, GRAMMAR, cache=tmp_path).fst.to_bytes()
    (data,), (about,) = tmp_path.glob("*.fst"), tmp_path.glob("*.json")
    kept = data.read_bytes(), about.read_bytes()
    damage(data, about)
    again = build_graph(model, LEXICON, GRAMMAR, cache=tmp_path)
    assert again.fst.to_bytes() == good
    assert names(again) == []
    (told,) = again.info["cache_notes"]
    assert note in told
    assert (data.read_bytes(), about.read_bytes()) == kept
    assert names(build_graph(model, LEXICON, GRAMMAR, cache=tmp_path)) == ["L∘G"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".fst", ".json"]


def test_keys_tell_everything_apart() -> None:
    model, options = small_model(), GraphOptions()

    def key(
        model: SmallModel = model, lexicon: Lexicon = LEXICON, grammar: Grammar = GRAMMAR,
        options: GraphOptions = options, n_positions: int = 1,
    ) -> str:  # fmt: skip
        return spelling_key(model, lexicon, grammar, options, n_positions)

    entries = LEXICON.entries

    def changed(**change: object) -> Lexicon:
        return Lexicon([dataclasses.replace(entries[0], **change), *entries[1:]])

    fields = {"silence_probability": 0.25, "silence_phone": "A", "determinize": False,
              "minimize": False, "max_states": 1000, "initial_silence": False}  # fmt: skip
    different = [
        key(), key(n_positions=4), key(small_model("A B C D")),
        key(dataclasses.replace(model, silence_phones=())),
        *(key(options=dataclasses.replace(options, **{k: v})) for k, v in fields.items()),
        key(lexicon=changed(phones=("A", "C"))), key(lexicon=changed(probability=0.5)),
        key(lexicon=changed(silence=0.5)), key(lexicon=Lexicon(entries[::-1])),
        key(grammar=phrase_list([(("two", "a"), 0.0), (("too",), 0.25)])),
        key(grammar=phrase_list([(("two", "too"), 0.0), (("a",), 0.5)])),
        context_key(key(), model), context_key(key(), dataclasses.replace(model, hash="new")),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert set(fields) <= {field.name for field in dataclasses.fields(GraphOptions)}
    same = [
        key(lexicon=changed(where="lexicon.txt:7")), key(dataclasses.replace(model, hash="new")),
        key(lexicon=Lexicon([*entries, Entry("unused", ("A",))])),
        key(options=dataclasses.replace(options, max_memory_mb=9.0)),
    ]  # fmt: skip
    assert {*same} == {key()}


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file: the cache cannot be a folder there"):
        build_graph(small_model(), LEXICON, GRAMMAR, cache=tmp_path / "file")


def test_what_cannot_be_kept_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wfst_hmm.fst.arrays.Fst.write", full)
    made = build_graph(small_model(), LEXICON, GRAMMAR, cache=tmp_path)
    assert made.fst.n_states
    assert "not kept in the cache (No space left" in made.info["cache_notes"][0]
