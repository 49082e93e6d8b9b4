"""Models of other toolkits through the commands: in, out, and in again."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sphinx_models import write_model as write_sphinx_model
from tiny_speech import TinySpeech
from typer.testing import CliRunner

from wfst_hmm.apps.exchange import export_kaldi, import_kaldi, import_sphinx
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.cli.app import assemble
from wfst_hmm.errors import FormatError, ModelError, UsageError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.formats.kaldi.config import read_feature_options
from wfst_hmm.formats.kaldi.export import export_model
from wfst_hmm.formats.kaldi.graph import read_kaldi_graph
from wfst_hmm.formats.kaldi.model import read_kaldi_model
from wfst_hmm.fst.text import read_fst_text
from wfst_hmm.graph.compact import load_graph
from wfst_hmm.graph.compiler import build_compact
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.models.context import ContextMap, PhysicalHmm
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import load_model
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.search.decode import decode_exact
from wfst_hmm.signal.kaldi import FeatureOptions

CHAIN = Topology.left_to_right(2, self_loop=0.25)


def run(*arguments):
    arguments = [str(a) for a in arguments]
    return CliRunner().invoke(assemble(arguments), arguments)


@st.composite
def context_models(draw, n_positions=None):
    """Random triphone models: any HMM for any neighbours, some of them absent."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    phones = ("SIL", "A", "B")
    places = n_positions or draw(st.sampled_from([1, 4]))
    hmms = [PhysicalHmm(p, 0, (int(a), int(b))) for p in range(3)
            for a, b in 6 * p + rng.choice(6, (4, 2), replace=True)]  # fmt: skip
    hmms = list(dict.fromkeys(hmms))
    of_phone = [[i for i, h in enumerate(hmms) if h.phone == p] for p in range(3)]
    coarse = rng.integers(1, 3, size=2)
    rows, columns = rng.integers(coarse[0], size=4), rng.integers(coarse[1], size=4)

    def grid(centre, place):
        table = rng.choice(of_phone[centre], coarse)
        if centre and draw(st.booleans()):
            table[0, 0] = -1
        return table[rows][:, columns]

    context = ContextMap.build(phones, (CHAIN,), hmms, grid, n_positions=places)
    mixtures = MixtureSet.from_gaussians(rng.normal(size=(18, 13)), rng.uniform(0.5, 2, (18, 13)))
    options = FeatureOptions(delta_order=0, cmvn="utterance")
    return ContextModel(context, ("SIL",), mixtures, options)


@settings(deadline=None, max_examples=25)
@given(context_models())
def test_context_models_mean_the_same_in_kaldi(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("kaldi")
    export_model(model, folder / "out")
    kaldi = read_kaldi_model(folder / "out")
    found = kaldi.context_model(model.front_end)
    placed = model.context.n_positions > 1
    suffixes = {"internal": "_I", "begin": "_B", "end": "_E", "single": "_S"} if placed else {"internal": ""}  # fmt: skip
    assert len(found.phones) == len(model.phones) * len(suffixes)
    for place, suffix in suffixes.items():
        for phone in model.phones:
            for left in (None, *model.phones):
                for right in (None, *model.phones):
                    names = [None if n is None else f"{n}{suffix}" for n in (left, right)]
                    try:
                        hmm = model.context.hmms[model.context.hmm_index(phone, left, right, place)]
                    except ModelError:
                        with pytest.raises(ModelError, match="no HMM"):
                            found.context.hmm_index(f"{phone}{suffix}", *names)
                        continue
                    twin = found.context.hmms[found.context.hmm_index(f"{phone}{suffix}", *names)]
                    assert twin.columns == hmm.columns
    x = np.random.default_rng(0).normal(size=(3, 13))
    np.testing.assert_allclose(found.score(x).array, model.score(x).array, rtol=1e-4)


@settings(deadline=None, max_examples=10)
@given(context_models(n_positions=1))
def test_round_trip_through_kaldi_is_exact(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("trip")
    model.save(folder / "ours")
    export_kaldi(folder / "ours", folder / "kaldi")
    (folder / "mfcc.conf").write_text("--use-energy=false\n--dither=0 # none\n")
    (folder / "kaldi" / "delta_opts").write_text("--delta-order=0")
    (folder / "kaldi" / "cmvn_opts").write_text("--norm-means=true --norm-vars=false")
    trip = []
    source = folder / "kaldi"
    for name in ("first", "second"):
        trip.append(import_kaldi(source, folder / name, config=folder / "mfcc.conf"))
        export_kaldi(folder / name, folder / f"{name}-kaldi")
        for file in ("final.mdl", "tree", "phones.txt"):
            assert (folder / f"{name}-kaldi" / file).read_bytes() == (folder / "kaldi" / file).read_bytes()  # fmt: skip
        source = folder / f"{name}-kaldi"
        (source / "delta_opts").write_text("--delta-order=0")
    assert trip[0].hash == trip[1].hash
    assert load_model(folder / "second").hash == trip[0].hash
    assert trip[0].silence_phones == ("SIL",)


def test_a_graph_goes_to_kaldi_and_decodes_there(tiny_speech: TinySpeech, tmp_path):
    recognizer = Recognizer.load(tiny_speech.graph)
    written = export_kaldi(tiny_speech.graph, tmp_path / "kaldi")
    assert {"HCLG.fst", "final.mdl", "tree", "words.txt", "phones.txt"} <= set(written)
    kaldi = read_kaldi_model(tmp_path / "kaldi")
    graph = read_kaldi_graph(tmp_path / "kaldi", kaldi)
    for outcome in decode_corpus(recognizer, read_corpus(tiny_speech.test)):
        raw = recognizer.model
        scores = raw.score(tiny_speech_features(raw, outcome.utterance))
        twin = decode_exact(graph, scores)
        ours = decode_exact(recognizer.searched, scores)
        assert twin.text == ours.text
        assert twin.total_cost == pytest.approx(ours.total_cost, rel=1e-4)
        break


def test_what_went_to_kaldi_comes_back_and_decodes_the_same(
    tiny_speech: TinySpeech, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run("export", "kaldi", tiny_speech.graph, "--out", "there").exit_code == 0
    result = run("import", "kaldi", "there", "--graph", "there", "--out", "back")
    assert result.exit_code == 0, result.output
    assert "conf/mfcc.conf says" in result.output
    ours, back = Recognizer.load(tiny_speech.graph), Recognizer.load("back")
    front = dataclasses.replace(ours.model.front_end, resample=False)
    assert back.model.front_end == front  # 8000 Hz, its own bins, deltas, normalization
    for graph, out in ((tiny_speech.graph, "ours"), ("back", "again")):
        done = run("decode", graph, tiny_speech.test, "--out", out, "--search", "exact")
        assert done.exit_code == 0, done.output
    for name in ("hyp.txt", "words.ctm", "phones.ctm"):
        assert (tmp_path / "again" / name).read_text() == (tmp_path / "ours" / name).read_text()
    costs = [[row["total_cost"] for row in json.loads((tmp_path / out / "decode.json").read_text())]
             for out in ("ours", "again")]  # fmt: skip
    np.testing.assert_allclose(costs[1], costs[0], rtol=1e-4)


@pytest.fixture
def kaldi_folder(tiny_speech: TinySpeech, tmp_path):
    """A Kaldi directory of which nothing says which phones are silence, but their names."""
    export_kaldi(tiny_speech.model, tmp_path / "kaldi")
    for file in (tmp_path / "kaldi" / "phones").iterdir():
        file.unlink()
    return tmp_path / "kaldi"


def test_silence_is_found_or_asked_for(kaldi_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = kaldi_folder / "phones.txt"
    result = run("import", "kaldi", "kaldi", "--out", "by-name")
    assert result.exit_code == 0, result.output
    assert "silence phones by their names: SIL" in result.output
    assert load_model("by-name").silence_phones == ("SIL",)
    number = names.read_text().split()[names.read_text().split().index("SIL") + 1]
    names.write_text(names.read_text().replace("SIL", "QUIET"))
    with pytest.raises(ModelError, match="--silence PHONE"):
        import_kaldi("kaldi", "none")
    assert run("import", "kaldi", "kaldi", "--silence", "QUIET", "--out", "asked").exit_code == 0
    assert load_model("asked").silence_phones == ("QUIET",)
    with pytest.raises(UsageError, match="silence phones that the model lacks"):
        import_kaldi("kaldi", "none", silence_phones=["LOUD"])
    (kaldi_folder / "silphones.csl").write_text(f"{number}\n")  # the flat lists of old recipes
    assert import_kaldi("kaldi", "flat").silence_phones == ("QUIET",)
    lang = tmp_path / "lang"
    lang.mkdir()
    for name in ("phones.txt", "silphones.csl"):
        (kaldi_folder / name).rename(lang / name)
    (lang / "words.txt").write_text("<eps> 0\nba 1\n")
    assert import_kaldi("kaldi", "old", lang="lang").silence_phones == ("QUIET",)


def test_lda_is_final_mat_by_another_name(tmp_path):
    rng = np.random.default_rng(3)
    hmms = (PhysicalHmm(0, 0, (0, 1)), PhysicalHmm(1, 0, (2, 3)))
    context = ContextMap.monophones(("SIL", "A"), (CHAIN, CHAIN), ((0, 1), (2, 3)))
    assert len(context.hmms) == len(hmms)
    mixtures = MixtureSet.from_gaussians(rng.normal(size=(4, 20)), np.ones((4, 20)))
    transform = rng.normal(size=(20, 13 * 7)).astype(np.float32)
    options = FeatureOptions(delta_order=0)
    model = ContextModel(context, ("SIL",), mixtures, options, transform, splice=3)
    model.save(tmp_path / "model")
    export_kaldi(tmp_path / "model", tmp_path / "kaldi")
    first = import_kaldi(tmp_path / "kaldi", tmp_path / "first")
    (tmp_path / "kaldi" / "final.mat").rename(tmp_path / "kaldi" / "lda.mat")
    second = import_kaldi(tmp_path / "kaldi", tmp_path / "second")
    assert first.hash == second.hash
    assert second.transform is not None
    assert second.front_end == options


def test_networks_are_called_by_their_name(kaldi_folder, tmp_path):
    for mark, message in ((b"<Nnet3> ", "nnet3"), (b"<SGMM> ", "subspace")):
        (kaldi_folder / "final.mdl").write_bytes(b"\0B" + mark)
        with pytest.raises(FormatError, match=message):
            import_kaldi(kaldi_folder, tmp_path / "net")


def tiny_speech_features(model, utterance):
    from wfst_hmm.signal.extract import utterance_cepstra

    return model.finish(utterance_cepstra(utterance, model.front_end))


def test_graphs_for_openfst(tiny_speech: TinySpeech, tmp_path):
    result = run("export", "openfst", tiny_speech.graph, "--out", tmp_path / "fst")
    assert result.exit_code == 0, result.output
    graph = Recognizer.load(tiny_speech.graph).searched
    found = read_fst_text(tmp_path / "fst" / "graph.txt", graph.fst.isymbols, graph.fst.osymbols)
    assert (found.n_states, found.n_arcs) == (graph.fst.n_states, graph.fst.n_arcs)
    model = load_model(tiny_speech.graph / "model")
    grammar = grammar_from_spec("loop", graph.lexicon, silence_phones=model.silence_phones)
    compact = build_compact(model, graph.lexicon, grammar)
    compact.save(tmp_path / "compact")
    assert run("export", "openfst", tmp_path / "compact", "--out", tmp_path / "c").exit_code == 0
    names = (tmp_path / "c" / "isymbols.txt").read_text().split()[0::2]
    assert names[1:] == [f"{phone}#{i}" for i, phone in enumerate(model.phones)]
    for folder, graph_folder in (("fst", tiny_speech.graph), ("c", tmp_path / "compact")):
        result = run("import", "openfst", tmp_path / folder, "--model",
                     tiny_speech.graph / "model", "--out", tmp_path / "back")  # fmt: skip
        assert result.exit_code == 0, result.output
        back, first = load_graph(tmp_path / "back"), load_graph(graph_folder)
        assert type(back) is type(first)
        assert [*back.words] == [*first.words]
        for name in ("arcs", "states"):
            assert getattr(back.fst, name).tolist() == getattr(first.fst, name).tolist()
        assert (back.model_hash, len(back.lexicon)) == (first.model_hash, len(first.lexicon))
    heard = [run("decode", folder, tiny_speech.test / "sp0-00.wav").output
             for folder in (tiny_speech.graph, tmp_path / "back")]  # fmt: skip
    assert heard[0] == heard[1]
    (tmp_path / "fst" / "isymbols.txt").write_text(
        (tmp_path / "fst" / "isymbols.txt").read_text().replace("\t2\n", "x\t2\n"))  # fmt: skip
    failed = run("import", "openfst", tmp_path / "fst", "--model", tiny_speech.graph / "model",
                 "--out", tmp_path / "no")  # fmt: skip
    assert "are no states or HMMs of the model" in str(failed.exception or failed.output)


def test_commands_of_sphinx(tmp_path):
    write_sphinx_model(tmp_path / "sphinx")
    result = run("import", "sphinx", tmp_path / "sphinx", "--out", tmp_path / "model", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["kind"], facts["phones"]) == ("acoustic model", ["+NOISE+", "A", "B", "SIL"])
    twin = import_sphinx(tmp_path / "sphinx", tmp_path / "again")
    assert facts["hash"] == twin.hash == load_model(tmp_path / "model").hash
    with pytest.raises(UsageError, match="is no model"):
        import_sphinx(tmp_path / "sphinx", tmp_path / "sphinx")
    for wrong in ([], [tmp_path / "sphinx", "--model", "en-us"], ["--model", "de-de"]):
        assert isinstance(run("import", "sphinx", *wrong).exception, UsageError)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--frame-size=3", "not supported"),
        ("frame-length=3", "not an option"),
        ("--num-ceps=many", "no value"),
        ("--use-energy=1", "no value"),
        ("--num-ceps=100", "impossible|n_ceps"),
        ("--htk-compat=true", "not supported"),
    ],
)
def test_wrong_options_of_features(tmp_path, line, message):
    (tmp_path / "mfcc.conf").write_text(f"--use-energy=false\n{line}\n")
    with pytest.raises(FormatError, match=message):
        read_feature_options(tmp_path / "mfcc.conf", tmp_path)


def test_options_of_features(tmp_path):
    (tmp_path / "mfcc.conf").write_text(
        "# a comment\n--sample-frequency=8000\n--frame-length=20 # ms\n--snip-edges=false\n"
    )
    (tmp_path / "cmvn_opts").write_text("--norm-means=true --norm-vars=true")
    found = read_feature_options(tmp_path / "mfcc.conf", tmp_path).features
    assert (found.rate, found.frame_length, found.snip_edges) == (8000, 0.02, False)
    assert (found.use_energy, found.cmvn_variance, found.n_dims) == (True, True, 39)
    assert read_feature_options(None, tmp_path).features == found  # found by itself, and said
    (tmp_path / "mfcc.conf").unlink()
    plain, assumed = read_feature_options(None, tmp_path, rate=11025)
    assert "11025 Hz" in assumed[0]
    assert (plain.use_energy, plain.rate) == (False, 11025)


def test_what_cannot_be_exported(tmp_path, tiny_speech):
    write_sphinx_model(tmp_path / "sphinx")
    model = import_sphinx(tmp_path / "sphinx", tmp_path / "model")
    if len(model.densities.streams) > 1:
        with pytest.raises(ModelError, match="one stream"):
            export_kaldi(tmp_path / "model", tmp_path / "kaldi")
        assert not (tmp_path / "kaldi").exists()
    with pytest.raises(FormatError, match="a data directory, not a model or graph"):
        export_kaldi(tiny_speech.test, tmp_path / "kaldi")


def test_kaldis_own_files_are_not_trusted_when_the_model_has_changed(tmp_path):
    model = context_models_example()
    model.save(tmp_path / "ours")
    export_kaldi(tmp_path / "ours", tmp_path / "kaldi")
    (tmp_path / "kaldi" / "delta_opts").write_text("--delta-order=0")
    found = import_kaldi(tmp_path / "kaldi", tmp_path / "in")
    moved = dataclasses.replace(found, densities=MixtureSet.from_gaussians(
        found.densities.means + 1, found.densities.variances))  # fmt: skip
    moved.save(tmp_path / "moved")
    (tmp_path / "in" / "kaldi").rename(tmp_path / "moved" / "kaldi")
    export_kaldi(tmp_path / "moved", tmp_path / "out")
    assert (tmp_path / "out" / "final.mdl").read_bytes() != (tmp_path / "kaldi" / "final.mdl").read_bytes()  # fmt: skip
    again = read_kaldi_model(tmp_path / "out").mixture_set()
    np.testing.assert_allclose(again.means, moved.densities.means, atol=1e-5)


def context_models_example():
    hmms = [PhysicalHmm(p, 0, (2 * p, 2 * p + 1)) for p in range(2)]
    context = ContextMap.build(("SIL", "A"), (CHAIN,), hmms, lambda c, _: np.array([[c]]))
    mixtures = MixtureSet.from_gaussians(np.zeros((4, 13)), np.ones((4, 13)))
    return ContextModel(context, ("SIL",), mixtures, FeatureOptions(delta_order=0))


def test_yesno_through_the_commands(shared, tmp_path):
    kaldi = shared / "yesno" / "kaldi"
    mono, lang = kaldi / "exp" / "mono", kaldi / "data" / "lang"
    result = run("import", "kaldi", mono, "--lang", lang, "--rate", "8000", "--out", tmp_path / "a")
    assert result.exit_code == 0, result.output
    assert run("export", "kaldi", tmp_path / "a", "--out", tmp_path / "b").exit_code == 0
    assert (tmp_path / "b" / "final.mdl").read_bytes() == (mono / "40.mdl").read_bytes()
    assert (tmp_path / "b" / "tree").read_bytes() == (mono / "tree").read_bytes()
    graph = mono / "graph_tgpr"
    assert run("import", "kaldi", mono, "--graph", graph, "--rate", "8000", "--out", tmp_path / "g").exit_code == 0  # fmt: skip
    wav = shared / "yesno" / "waves_yesno" / "0_0_0_0_1_1_1_1.wav"
    (outcome,) = decode_corpus(Recognizer.load(tmp_path / "g"), [wav])
    assert outcome.decoded.text == "NO NO NO NO YES YES YES YES"


def test_errors_are_errors_of_this_package(tmp_path):
    for arguments in (["import", "kaldi", tmp_path / "none", "--out", tmp_path / "x"],
                      ["import", "htk", tmp_path / "none", "--out", tmp_path / "x"],
                      ["export", "kaldi", tmp_path / "none", "--out", tmp_path / "x"]):  # fmt: skip
        assert isinstance(run(*arguments).exception, WfstHmmError)
    assert not (tmp_path / "x").exists()
