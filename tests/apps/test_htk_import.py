"""Models and files of HTK through the commands, against what HTK's own tools logged."""

import dataclasses
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from wfst_hmm.apps.align import align_corpus
from wfst_hmm.apps.exchange import export_kaldi, import_htk
from wfst_hmm.apps.recognize import corpus_of_files, decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.cli.app import assemble
from wfst_hmm.errors import DataError, FormatError, ModelError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.formats.htk.labels import read_mlf
from wfst_hmm.formats.htk.script import read_script
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.models.loading import load_model
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.signal.htk import HtkOptions


def run(*arguments):
    arguments = [str(a) for a in arguments]
    return CliRunner().invoke(assemble(arguments), arguments)


HTK = """~o <VECSIZE> 4 <MFCC_0_D_Z>
~h "a" <BEGINHMM> <NUMSTATES> 3 <STATE> 2 <MEAN> 4 1 2 3 4 <VARIANCE> 4 1 2 1 4
<TRANSP> 3 0 1 0 0 0.5 0.5 0 0 0 <ENDHMM>
~h "sil" <BEGINHMM> <NUMSTATES> 3 <STATE> 2 <MEAN> 4 0 0 0 0 <VARIANCE> 4 1 1 1 1
<TRANSP> 3 0 1 0 0 0.5 0.5 0 0 0 <ENDHMM>
"""


def test_commands_of_htk(tmp_path):
    (tmp_path / "hmmdefs").write_text(HTK)
    result = run("import", "htk", tmp_path / "hmmdefs", "--rate", "8000", "--out", tmp_path / "model")  # fmt: skip
    assert result.exit_code == 0, result.output
    model = load_model(tmp_path / "model")
    assert (model.silence_phones, model.rate, model.n_dims) == (("sil",), 8000, 4)
    assert model.densities.means[0].tolist() == [1, 2, 3, 4]  # HTK's order: C0 last
    assert model.front_end == HtkOptions("MFCC_0_D_Z", rate=8000, windowsize=250000.0, numchans=26,
                                         numceps=1, enormalise=False)  # fmt: skip
    assert "assumed: MFCC_0_D_Z by the HTK Book's recipe" in result.stderr
    export_kaldi(tmp_path / "model", tmp_path / "kaldi")
    (tmp_path / "user").write_text(HTK.replace("MFCC_0_D_Z", "USER"))
    user = import_htk([tmp_path / "user"], tmp_path / "user-model")  # for HTK's own files
    with pytest.raises(DataError, match="cannot be computed here; got USER"):
        user.features(Audio(np.zeros(16000, np.float32), 16000))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("TARGETKIND PLP", r"config:2: not a setting; got 'TARGETKIND PLP'"),
        ("NUMCHANS = many", r"config:2: no value for NUMCHANS; got 'many'"),
        ("USEPOWER = 1", r"config:2: no value for USEPOWER"),
        ("VARSCALEFN = vars", r"config:2: a setting that is not supported; got VARSCALEFN = vars"),
        ("NUMCHANS = 1", r"config: HTK's NUMCHANS; got 1"),
        (
            "TARGETKIND = PLP_0_D",
            r"makes another kind of features; got PLP_0_D, expected MFCC_0_D_Z",
        ),
        ("NUMCEPS = 12", r"got MFCC_0_D_Z, 4 dimensions, expected NUMCEPS = 12"),
        ("SOURCERATE = 625", r"two sampling rates; got 8000 Hz, expected 16000 Hz"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path, line, message):
    (tmp_path / "hmmdefs").write_text(HTK)
    (tmp_path / "config").write_text(f"# mine\n{line}\n")
    with pytest.raises((FormatError, ModelError, UsageError), match=message):
        import_htk([tmp_path / "hmmdefs"], tmp_path / "m", config=tmp_path / "config", rate=8000)
    assert not (tmp_path / "m").exists()


def test_every_setting_is_used_or_named(tmp_path):
    (tmp_path / "hmmdefs").write_text(HTK)
    (tmp_path / "config").write_text(
        "TARGETKIND = MFCC_0_D_Z\nHPARM: LOFREQ=80\nHIFREQ = 3800 # telephone\nUSEPOWER = T\n"
        "sourcerate = 1250.0\nSAVECOMPRESSED = T\nADDDITHER = 1.0\nHNET: FORCECXTEXP = T\n"
    )
    model = import_htk([tmp_path / "hmmdefs"], tmp_path / "m", config=tmp_path / "config")
    assert model.front_end == HtkOptions("MFCC_0_D_Z", rate=8000, lofreq=80.0, hifreq=3800.0,
                                         usepower=True, numceps=1)  # fmt: skip
    assert [text.partition("config:")[2] for text in model.info["assumed"]] == [
        "7: ADDDITHER = 1.0 left aside: the same audio must give the same features, so there is "
        "no dither",
        "8: FORCECXTEXP = T left aside: the name is not known here",
    ]
    assert load_model(tmp_path / "m").front_end == model.front_end


@pytest.fixture(scope="module")
def voxforge(shared, tmp_path_factory):
    """HTK's models, imported; its dictionary with the word of HVite's -b."""
    htk, out = shared / "htk", tmp_path_factory.mktemp("voxforge")
    for name, more in (("hmm7", ()), ("hmm15", ("--list", htk / "tiedlist"))):
        result = run("import", "htk", htk / name / "macros", htk / name / "hmmdefs", *more,
                     "--config", htk / "config", "--out", out / name)  # fmt: skip
        assert result.exit_code == 0, result.output
    (out / "dict").write_text((htk / "dict").read_text() + "silence [] sil\n")
    texts = {n: [x.name for x in labels] for n, labels in read_mlf(htk / "words.mlf").items()}
    for kind, ending in (("wav", "wav"), ("mfcc", "mfc")):
        rows = [
            f"{file.stem}\t{file}\t{' '.join(texts[file.stem])}"
            for file in sorted((htk / kind).glob(f"*.{ending}"))
        ]
        assert len(rows) == 10
        (out / f"{kind}.tsv").write_text("\n".join(["id\taudio\ttext", *rows]) + "\n")
    spoken = {word for text in texts.values() for word in text}
    lines = [x for x in (htk / "dict").read_text().splitlines() if x.split()[0] in spoken]
    (out / "spoken").write_text("\n".join(lines) + "\n")
    return out


def test_alignments_are_as_likely_as_hvite_says(shared, voxforge):
    """Step8_HVite.log: log-likelihood of each recording's best alignment, transitions included."""
    log = (shared / "htk" / "Step8_HVite.log").read_text()
    lines = re.findall(r"/(sample\d+)\.mfc\n.*\n(.+?) +== +\[(\d+) frames\] \S+ \[Ac=(\S+) ", log)
    known = {name: (tuple(words.split()), int(n), float(ac)) for name, words, n, ac in lines}
    model, lexicon = load_model(voxforge / "hmm7"), read_lexicon(voxforge / "dict")
    assert model.optional_phones == {"sp": pytest.approx(0.4061241)}
    corpus = read_corpus(voxforge / "mfcc.tsv")
    corpus = Corpus(tuple(dataclasses.replace(u, words=known[u.id][0]) for u in corpus))
    for outcome in align_corpus(model, lexicon, corpus, silence=LexiconOptions(0.0)):
        _, n_frames, likelihood = known[outcome.utterance.id]
        assert outcome.decoded.n_frames == n_frames
        assert -outcome.decoded.total_cost == pytest.approx(likelihood, rel=1e-5)


@pytest.mark.parametrize(("name", "most"), [("hmm7", 12), ("hmm15", 5)])
def test_models_of_htk_hear_recordings_and_its_files(voxforge, tmp_path, monkeypatch, name, most):
    monkeypatch.chdir(voxforge)
    assert run("graph", "--model", name, "--lexicon", "spoken", "--grammar", "loop", "--compact",
               "--out", tmp_path / "graph").exit_code == 0  # fmt: skip
    texts = []
    for kind in ("wav", "mfcc"):
        result = run("decode", tmp_path / "graph", f"{kind}.tsv", "--out", tmp_path / kind)
        assert result.exit_code == 0, result.output
        score = run("score", f"{kind}.tsv", tmp_path / kind / "hyp.txt", "--json")
        found = json.loads(score.stdout)
        assert found["words"] == 92
        assert found["substitutions"] + found["deletions"] + found["insertions"] <= most
        texts.append((tmp_path / kind / "hyp.txt").read_text())
    assert texts[0] == texts[1]


def test_scripts_of_htk_are_lists(voxforge, shared, tmp_path, monkeypatch):
    monkeypatch.chdir(voxforge)
    mfcc = shared / "htk" / "mfcc"
    (tmp_path / "files.scp").write_text(
        f"{mfcc / 'sample10.mfc'}\nfirst.mfc={mfcc / 'sample4.mfc'}[0,300]\n"
    )
    run("graph", "--model", "hmm15", "--lexicon", "spoken", "--grammar", "loop", "--out", "g")
    result = run("decode", "g", tmp_path / "files.scp")
    assert result.stdout.splitlines() == [
        "sample10 COMPLAIN CHAMPLAIN AIRPLANE ELAINE EXPLAIN", "first DIAL ONE TWO TWO",
    ]  # fmt: skip
    (tmp_path / "bad.scp").write_text("a.mfc[1\n")
    with pytest.raises(FormatError, match=r"bad\.scp:1: not a line of a script"):
        read_script(tmp_path / "bad.scp")


def test_features_of_htk_need_its_front_end(voxforge, shared, tiny_speech):
    corpus = corpus_of_files([shared / "htk" / "mfcc" / "sample1.mfc"])
    (outcome,) = decode_corpus(Recognizer.load(tiny_speech.graph), corpus)
    assert "features of HTK, but the model's front end is 'kaldi'" in str(outcome.problem)
