"""Every command that writes, as users run it: in a folder of theirs, with names relative to it."""

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_speech as tiny
from command_line import CommandLine, contents
from tiny_speech import TinySpeech

from wfst_hmm.apps.align import align_corpus, write_alignments
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.results import FORMS, write_forms, write_results
from wfst_hmm.formats.data import read_corpus, write_manifest
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.models.loading import load_model

_FORMS = "--form ctm --form textgrid --form srt --form vtt --form json"
#: A word that starts with @ is a path below the working folder.
COMMANDS = {
    "train": "train @test @new --lexicon @lexicon.txt --passes 2 --gaussians 10 -j 1",
    "adapt": "adapt @model @test @new --lexicon @lexicon.txt",
    "vtln": "vtln @test --graph @graph --out @new/warps",
    "vtln-beside": "vtln @table.tsv --model @model --lexicon @lexicon.txt",
    "prons": "prons @test --model @model --lexicon @lexicon.txt --out @new/lexiconp.txt",
    "graph": "graph --model @model --lexicon @lexicon.txt --grammar @phrases.txt --out @new "
    "--cache @cache",
    "export-kaldi": "export kaldi @graph --out @new",
    "export-openfst": "export openfst @graph --out @new",
    "import-kaldi": "import kaldi @kaldi --lang @kaldi/lang --out @new",
    "decode": f"decode @graph @table.tsv --out @new --lattice --nbest 2 {_FORMS}",
    "decode-a-recording": f"decode @graph @test/sp0-00.wav --out @new {_FORMS}",
    "transcribe": "transcribe @test/sp0-00.wav --model @model --lexicon @lexicon.txt --grammar "
    f"@phrases.txt --cache @cache --out @new {_FORMS}",
    "calibrate": "calibrate @graph @wrong.tsv --acoustic-scale 0.006 --out @new/confidence.json",
    "calibrate-inside": "calibrate @graph @wrong.tsv --acoustic-scale 0.006",
    "align": f"align @test --model @model --lexicon @lexicon.txt --out @new {_FORMS}",
    "features": "features @test --model @model --out @new",
    "lattice-prune": "lattice prune @lattices.npz --beam 4 --out @new/pruned.npz",
    "lattice-rescore": "lattice rescore @lattices.npz --grammar @any.gram --out @new/lat.npz",
    "lattice-union": "lattice union @lattices.npz @lattices.npz --out @new/both.npz",
    "lattice-convert": "lattice convert @lattices.npz --out @new/lat.txt --numbers @words.txt",
    "diarize": "diarize @long/sp0/0.wav --out @new/a.rttm --gmm-output @new/mixtures.npz "
    "--picture @new/turns.svg --initial-clusters 2",
    "diarize-several": "diarize @long/sp0/0.wav @long/sp1/0.wav --out @new/all.rttm --initial-clusters 2",
    "recommend": "recommend @songs.csv --tag artist --model @new/tag.npz --cache @new/cache.npz "
    "--format html --out @new/page.html --components 2",
    "speaker-enroll": "speaker enroll @long --model @new/speakers.npz --components 2",
    "speaker-test": "speaker test @long --components 2 --seconds 1 --picture @new/det.svg",
    "words-train": "words train @said --model @new/words --states 3 --mixtures 1 --iterations 2 "
    "--held-out 0.5 --picture @new/confusion.svg",
    "draw": "draw @graph --out @new/graph.svg",
    "draw-lattice": "draw @lattices.npz --utterance sp0-00 --out @new/lattice.html",
    "draw-film": "draw @graph --film @test/sp0-00.wav --out @new/film.html",
}  # fmt: skip


@pytest.fixture(scope="session")
def materials(tiny_speech: TinySpeech, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the commands read, in one folder."""
    from wfst_hmm.cli import main

    room = tmp_path_factory.mktemp("materials")
    for name in ("test", "model", "graph"):
        shutil.copytree(getattr(tiny_speech, name), room / name)
    shutil.copy(tiny_speech.lexicon, room / "lexicon.txt")
    (room / "phrases.txt").write_text("ba\nbi\nsu\nba bi\nsu ba bi\n")
    (room / "any.gram").write_text("#JSGF V1.0;\ngrammar g;\npublic <g> = (ba | bi | su)+;\n")
    write_manifest(room / "table.tsv", read_corpus(room / "test"))
    tiny.write_one_wrong(room / "wrong.tsv", room / "graph", room / "test", 0.006)
    rng = np.random.default_rng(0)
    for word in tiny.LEXICON:
        (room / "said" / word).mkdir(parents=True)
        for take in range(4):
            soundfile.write(
                room / "said" / word / f"a_{take}.wav", tiny.say([word], rng), tiny.RATE
            )
    for speaker, take in itertools.product(("sp0", "sp1"), range(3)):
        (room / "long" / speaker).mkdir(parents=True, exist_ok=True)
        sound = tiny.say(10 * list(tiny.LEXICON), rng, 1.0 + 0.1 * (speaker == "sp1"))
        soundfile.write(room / "long" / speaker / f"{take}.wav", sound, tiny.RATE)
    rows = ["track_id,artist,title,year," + ",".join(f"timbre{i + 1}" for i in range(12))]
    for number in range(40):
        loud = number % 2
        timbre = ",".join(f"{x:.3f}" for x in rng.normal(loud, 1.0, 12))
        rows.append(f"T{number},{'artist' if loud else 'other'},Title {number},1980,{timbre}")
    (room / "songs.csv").write_text("\n".join(rows) + "\n")
    found = main(["decode", str(room / "graph"), str(room / "test"), "--lattice", "--out",
                  str(room / "decoded")])  # fmt: skip
    exported = main(["export", "kaldi", str(room / "graph"), "--out", str(room / "kaldi")])
    assert (found, exported) == (0, 0)
    shutil.move(room / "decoded" / "lattices.npz", room / "lattices.npz")
    shutil.rmtree(room / "decoded")
    shutil.copy(room / "kaldi" / "words.txt", room / "words.txt")
    (room / "kaldi" / "lang" / "phones").mkdir(parents=True)
    for name in ("phones.txt", "words.txt"):
        shutil.copy(room / "kaldi" / name, room / "kaldi" / "lang" / name)
    (room / "kaldi" / "lang" / "phones" / "silence.txt").write_text("SIL\n")
    return room


def made_by(
    run: CommandLine, command: str, materials: Path, room: Path, begin: str
) -> dict[str, bytes]:
    """Run a command in `room`; return what it wrote there, texts without the room's own name."""
    shutil.copytree(materials, room)
    done = run(*(begin + word[1:] if word.startswith("@") else word for word in command.split()))
    assert done.code == 0, done.err
    before = contents(materials)
    own = f"{room}{os.sep}".encode()
    return {
        name: data.replace(own, b"")
        for name, data in contents(room).items()
        if before.get(name) != data
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_relative_and_absolute_names_lead_to_the_same_files(
    run: CommandLine, materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    there = made_by(run, COMMANDS[name], materials, tmp_path / "one", f"{tmp_path}/one/")
    assert not contents(tmp_path / "elsewhere")
    (tmp_path / "two").mkdir()
    monkeypatch.chdir(tmp_path / "two")
    here = made_by(run, COMMANDS[name], materials, tmp_path / "two" / "in", "in/")
    shutil.rmtree(tmp_path / "two" / "in")
    assert not contents(tmp_path / "two")
    assert there
    assert sorted(here) == sorted(there)
    for file in there:
        if not file.endswith((".npz", ".json")):
            assert here[file].replace(b"in/", b"") == there[file], file


def test_python_writes_below_the_folder_that_is_named(
    materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(materials, tmp_path / "in")
    monkeypatch.chdir(tmp_path / "in")
    corpus = read_corpus("test")
    aligned = list(align_corpus(load_model("model"), lexicon_from_spec("lexicon.txt"), corpus))
    decoded = list(decode_corpus(Recognizer.load("graph"), corpus))
    files = [
        *write_alignments(aligned, "one/aligned"),
        *write_forms(decoded, Path("two"), FORMS),
        *write_results(decoded, "./three", FORMS),
    ]
    names = {str(path) for path in files}
    assert {"one/aligned/textgrid/sp0-00.TextGrid", "one/aligned/alignments.json",
            "two/textgrid/sp0-00.TextGrid", "two/srt/sp0-00.srt",
            "three/textgrid/sp0-00.TextGrid", "three/hyp.txt"} <= names  # fmt: skip
    assert all(path.is_file() for path in files)
    assert not list(Path().glob("*/*/one")) + list(Path().glob("two/two"))
