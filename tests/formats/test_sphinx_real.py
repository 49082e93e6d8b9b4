"""Sphinx models against what PocketSphinx itself computed: dumps, alignments, spoken digits."""

import json

import numpy as np
import pytest
from sphinx_graph import Expansion, read_dictionary, read_fsg

from wfst_hmm.apps.wer import score_words
from wfst_hmm.errors import DataError
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.container import read_cepstra
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.signal.audio import read_audio
from wfst_hmm.signal.sphinx import NoiseTracker, SphinxOptions, sphinx_cepstra

EN_US = SphinxOptions(nfilt=25, lowerf=130, upperf=6800, transform="dct", lifter=22,
                      svspec="0-12/13-25/26-38", remove_noise=True)  # fmt: skip
LIBRIVOX = [f"sense_and_sensibility_01_austen_64kb-{n}" for n in ("0870", "0880", "0890")]


@pytest.fixture(scope="module")
def en_us():
    try:
        paths = wheel.en_us()
    except DataError as error:
        pytest.skip(str(error))
    return read_sphinx_model(paths.acoustic)


@pytest.fixture(scope="module")
def sphinx(shared):
    return shared / "sphinx"


def raw_samples(path):
    return np.frombuffer(path.read_bytes(), "<i2") / 32768


def test_cepstra_equal_the_dump_of_pocketsphinx(sphinx):
    dump = read_cepstra(sphinx / "goforward.mfc")
    ours = sphinx_cepstra(raw_samples(sphinx / "goforward.raw"), EN_US)
    assert np.abs(ours[: len(dump)] - dump).max() == 0


def linear_graph(context, phones):
    """A chain of HMMs for ``(phone, left, right, position)``; label = score column + 1."""
    rows, n = [], 0
    exits = [(0, 0.0)]  # states from which the next phone is entered, and the cost so far
    n = 1
    for phone in phones:
        hmm = context.hmms[context.hmm_index(*phone)]
        topology = context.topologies[hmm.topology]
        first, n = n, n + topology.n_states
        for source, cost in exits:
            for s in np.flatnonzero(topology.initial):
                rows.append((source, first + s, hmm.columns[s], cost - np.log(topology.initial[s])))
        for i, j in np.argwhere(topology.transitions):
            rows.append((first + i, first + j, hmm.columns[j], -np.log(topology.transitions[i, j])))
        exits = [(first + s, -np.log(topology.final[s])) for s in np.flatnonzero(topology.final)]
    final = np.full(n, np.inf)
    for state, cost in exits:
        final[state] = cost
    table = np.array(rows)
    labels = table[:, 2].astype(int) + 1
    return Fst.from_arcs(0, table[:, 0].astype(int), labels, np.zeros(len(rows), int), table[:, 3],
                         table[:, 1].astype(int), final)  # fmt: skip


def align(context, phones, scores):
    graph = linear_graph(context, phones)
    columns = np.arange(scores.shape[1], dtype=np.int32)
    cost, arcs = viterbi_path(graph, scores, columns)
    return cost, graph.arcs[arcs]["ilabel"] - 1


def in_context(words, silence="SIL"):
    """Turn pronunciations into phones with their neighbours across words."""
    flat = [phone for word in words for phone in word]
    places = []
    for word in words:
        last = len(word) - 1
        names = [
            "begin" if i == 0 else "end" if i == last else "internal" for i in range(len(word))
        ]
        places += names if last else ["single"]
    neighbours = [silence, *flat, silence]
    return [(p, neighbours[i], neighbours[i + 2], places[i]) for i, p in enumerate(flat)]


def reference_alignment(path):
    """Words as phones, and the senone of every frame, of a ``state.json``."""
    words, senones = [], []
    for word in json.loads(path.read_text())["w"]:
        words.append([phone["t"] for phone in word["w"]])
        for phone in word["w"]:
            for state in phone["w"]:
                senones += [int(state["t"])] * round(state["d"] * 100)
    return words, np.array(senones)


def test_alignments_of_librivox(en_us, sphinx):
    context = en_us.context_map()
    tracker = NoiseTracker(en_us.options.nfilt)  # one decoder: noise removal stays warm
    agreements, whole, total = [], 0, 0
    for name in LIBRIVOX:
        words, expected = reference_alignment(sphinx / "librivox" / f"{name}.state.json")
        phones = in_context(words)
        columns = [c for p in phones for c in context.hmms[context.hmm_index(*p)].columns]
        assert columns == expected[np.flatnonzero(np.diff(expected, prepend=-1))].tolist()
        samples = read_audio(sphinx / "librivox" / f"{name}.wav").samples
        features = en_us.features(samples, tracker)
        _, states = align(context, phones, en_us.log_likelihoods(features, top_n=4))
        agreements.append(np.mean(states == expected))
        _, states = align(context, phones, en_us.log_likelihoods(features))
        whole, total = whole + np.sum(states == expected), total + len(states)
    assert min(agreements) >= 0.97  # PocketSphinx keeps four Gaussians, too, but in integers
    assert whole / total >= 0.93


def test_digits_of_tidigits(sphinx):
    model = read_sphinx_model(sphinx / "tidigits" / "hmm")
    context = model.context_map()
    lexicon = {}
    for line in (sphinx / "tidigits" / "lm" / "tidigits.dic").read_text().splitlines():
        word, *phones = line.split()
        lexicon[word] = phones
    single = [
        line.split() for line in (sphinx / "tidigits" / "tidigits.lsn").read_text().splitlines()
    ]
    checked = 0
    for *words, name in single:
        if not name.startswith("(man.ah"):
            continue
        features = model.finish(read_cepstra(sphinx / "tidigits" / f"{name.strip('()')}.mfc"))
        scores = model.log_likelihoods(features)
        right = align(
            context, in_context([["SIL"], *(lexicon[w] for w in words), ["SIL"]]), scores
        )[0]
        for position in range(len(words)):
            for other in lexicon:
                if other != words[position]:
                    changed = [*words[:position], other, *words[position + 1 :]]
                    chain = in_context([["SIL"], *(lexicon[w] for w in changed), ["SIL"]])
                    assert align(context, chain, scores)[0] > right, (name, changed)
                    checked += 1
    assert checked > 500


def test_the_continuous_model_of_an4(sphinx):
    model = read_sphinx_model(sphinx / "an4_ci_cont")
    assert model.codebooks.weights.shape == (1, 102, 1)
    context = model.context_map()
    features = model.features(raw_samples(sphinx / "goforward.raw"))
    scores = model.log_likelihoods(features)
    words = {"GO": ["G", "OW"], "FORWARD": ["F", "AO", "R", "W", "ER", "D"],
             "TEN": ["T", "EH", "N"], "METERS": ["M", "IY", "T", "ER", "Z"]}  # fmt: skip
    right = ["GO", "FORWARD", "TEN", "METERS"]
    costs = {}
    for order in (right, ["TEN", "METERS", "GO", "FORWARD"], right[::-1]):
        chain = in_context([["SIL"], *(words[w] for w in order), ["SIL"]])
        costs[tuple(order)] = align(context, chain, scores)[0]
    assert min(costs, key=costs.__getitem__) == tuple(right)


def test_the_error_of_keeping_four_gaussians(en_us, sphinx):
    features = en_us.features(raw_samples(sphinx / "goforward.raw"))
    error = en_us.codebooks.top_n_error(features, 4)
    assert 0.5 < error < 1.5  # nats; 0.88 was measured over more audio
    assert en_us.codebooks.top_n_error(features, 128) == pytest.approx(0, abs=1e-4)


def test_a_saved_model_scores_the_same(en_us, sphinx, tmp_path):
    model = en_us.context_model()
    model.save(tmp_path / "en-us")
    found = ContextModel.load(tmp_path / "en-us")
    audio = read_audio(sphinx / "cards" / "001.wav")
    features = found.features(audio)
    np.testing.assert_array_equal(features.array, en_us.features(audio.samples))
    np.testing.assert_array_equal(found.score(features).array, model.score(features).array)
    assert (len(found.phones), len(found.context.hmms), found.n_columns) == (42, 29324, 5126)


LM_SCALE, WORD_PENALTY = 6.5, -6.5 * np.log(0.65)  # PocketSphinx's defaults
SILENCE_COST = -6.5 * np.log(0.005) + WORD_PENALTY


def recognizer(arcs, start, finals, lexicon, context):
    """Return a function from scores to words, over one grammar."""
    arcs = [(a, b, w, c + (WORD_PENALTY if w else 0)) for a, b, w, c in arcs]
    expansion = Expansion(arcs, start, finals, lexicon, context, sil_cost=SILENCE_COST)
    graph = expansion.fst()

    def words(scores):
        columns = np.arange(scores.shape[1], dtype=np.int32)
        _, path = viterbi_path(graph, scores, columns)
        return [w for w in expansion.words.strings(graph.arcs[path]["olabel"]) if w != "<sil>"]

    return words


def test_strings_of_tidigits(sphinx):
    model = read_sphinx_model(sphinx / "tidigits" / "hmm")
    folder = sphinx / "tidigits"
    lexicon = read_dictionary(folder / "lm" / "tidigits.dic")
    grammar = read_fsg(folder / "lm" / "tidigits.fsg", LM_SCALE)
    recognize = recognizer(*grammar, lexicon, model.context_map())
    errors = n_words = 0
    for line in (folder / "tidigits.lsn").read_text().splitlines():
        *reference, name = line.split()
        path = folder / f"{name.strip('()')}.mfc"
        if not path.is_file():
            continue
        features = model.finish(read_cepstra(path))
        found = recognize(model.log_likelihoods(features))
        errors += score_words(reference, found).n_errors
        n_words += len(reference)
    assert n_words > 50
    assert errors <= 1


def test_go_forward_ten_meters(en_us, sphinx):
    arcs, start, finals = read_fsg(sphinx / "goforward.fsg", LM_SCALE)
    lexicon = read_dictionary(wheel.en_us().dictionary, {a[2] for a in arcs})
    recognize = recognizer(arcs, start, finals, lexicon, en_us.context_map())
    scores = en_us.log_likelihoods(en_us.features(raw_samples(sphinx / "goforward.raw")))
    assert recognize(scores) == ["go", "forward", "ten", "meters"]


def test_cards(en_us, sphinx):
    grammar = read_grammar(sphinx / "cards" / "cards.gram").fst
    sources = grammar.sources().tolist()
    arcs = [
        (source, int(a["nextstate"]), grammar.isymbols[int(a["ilabel"])] if a["ilabel"] else None,
         LM_SCALE * float(a["weight"]))
        for source, a in zip(sources, grammar.arcs, strict=True)
    ]  # fmt: skip
    finals = {
        n: LM_SCALE * float(c) for n, c in enumerate(grammar.states["final"]) if np.isfinite(c)
    }
    lexicon = read_dictionary(wheel.en_us().dictionary, {a[2] for a in arcs})
    recognize = recognizer(arcs, grammar.start, finals, lexicon, en_us.context_map())
    lines = (sphinx / "cards" / "cards.transcription").read_text().splitlines()
    for line in lines:
        _, *reference, _, name = line.split()
        samples = read_audio(sphinx / "cards" / f"{name.strip('()')}.wav").samples
        assert recognize(en_us.log_likelihoods(en_us.features(samples))) == reference
