"""Recordings: every format comes back, every damage has its name."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError, WfstHmmWarning
from wfst_hmm.signal.audio import Audio, audio_info, read_audio, write_wav

RATE = 16000


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "FLOAT", 0.0),
        ("a.flac", "PCM_16", 1e-4),
        ("a.ogg", "VORBIS", 0.3),
    ],
)
def test_formats(tmp_path: Path, name: str, subtype: str, tolerance: float) -> None:
    x = noise(RATE)
    soundfile.write(tmp_path / name, x, RATE, subtype=subtype)
    audio = read_audio(tmp_path / name)
    assert audio.rate == RATE
    assert audio.samples.dtype == np.float32
    assert audio.seconds == 1.0
    np.testing.assert_allclose(audio.samples, x, atol=tolerance)
    assert not audio.samples.flags.writeable
    info = audio_info(tmp_path / name)
    assert (info.rate, info.n_channels, info.n_samples) == (RATE, 1, RATE)


@given(
    n=st.integers(20, 400),
    first=st.integers(0, 300),
    length=st.integers(1, 200),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_stretch_is_a_slice(tmp_path: Path, n: int, first: int, length: int) -> None:
    x, path, rate = noise(n), tmp_path / "a.wav", 1000
    soundfile.write(path, x, rate, subtype="FLOAT")
    start, end = first / rate, (first + length) / rate
    if first >= n or first + length > n + 100:
        with pytest.raises(DataError, match="outside the recording"):
            read_audio(path, start=start, end=end)
    else:
        got = read_audio(path, start=start, end=end).samples
        np.testing.assert_array_equal(got, x[first : first + length])


@pytest.mark.parametrize(("start", "end"), [(-0.1, None), (0.5, 0.5), (0.5, 0.2)])
def test_impossible_stretch(tmp_path: Path, start: float, end: float | None) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE), RATE)
    with pytest.raises(UsageError, match="0 <= start < end"):
        read_audio(tmp_path / "a.wav", start=start, end=end)


def test_stretch_without_a_sample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE), RATE)
    with pytest.raises(DataError, match="holds no sample"):
        read_audio(tmp_path / "a.wav", start=0.5, end=0.50001)


def test_channels(tmp_path: Path) -> None:
    x = np.stack([noise(100, 1), noise(100, 2)], axis=1)
    path = tmp_path / "two.wav"
    soundfile.write(path, x, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"two\.wav: 2 channels; expected one channel\. Choose"):
        read_audio(path)
    np.testing.assert_array_equal(read_audio(path, channel=1).samples, x[:, 1])
    with pytest.raises(DataError, match="no channel 2; got 2 channels"):
        read_audio(path, channel=2)


def test_resampling(tmp_path: Path) -> None:
    t = np.arange(8000) / 8000
    soundfile.write(tmp_path / "a.wav", np.sin(2 * np.pi * 440 * t), 8000, subtype="FLOAT")
    audio = read_audio(tmp_path / "a.wav", rate=RATE)
    assert (audio.rate, len(audio.samples)) == (RATE, RATE)
    wanted = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(audio.samples[2000:-2000], wanted[2000:-2000], atol=1e-3)
    with pytest.raises(DataError, match=r"a\.wav: wrong sampling rate; got 8000 Hz, expected 160"):
        read_audio(tmp_path / "a.wav", rate=RATE, resample=False)
    assert read_audio(tmp_path / "a.wav", rate=8000, resample=False).rate == 8000


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS")],
)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_truncated(tmp_path: Path, name: str, subtype: str, kept: float) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(3 * RATE), RATE, subtype=subtype)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DataError, match=r"a\.(wav|flac|ogg): a truncated recording .*Copy it"):
        read_audio(path)


def test_length_unknown_to_a_pipe_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, Audio(noise(1000), RATE))
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert len(read_audio(path).samples) == 1000


def test_not_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(DataError, match=r"a\.wav: no such audio file\. Check the path"):
        read_audio(path)
    with pytest.raises(DataError, match="is a directory"):
        read_audio(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.wav: an empty file"):
        read_audio(path)
    path.write_bytes(b"hello world\n" * 100)
    with pytest.raises(DataError, match=r"not a readable audio file .*expected WAV, FLAC or OGG"):
        read_audio(path)
    soundfile.write(path, np.zeros(0, dtype=np.float32), RATE)
    with pytest.raises(DataError, match="a recording without samples"):
        read_audio(path)


def test_not_a_number(tmp_path: Path) -> None:
    x = noise(100)
    x[17] = np.nan
    soundfile.write(tmp_path / "a.wav", x, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a\.wav: sample 17 is nan; expected finite"):
        read_audio(tmp_path / "a.wav")


def test_audio_values() -> None:
    with pytest.raises(DataError, match="one channel"):
        Audio(np.zeros((2, 2), dtype=np.float32), RATE)
    with pytest.raises(DataError, match="rate"):
        Audio(np.zeros(2, dtype=np.float32), 0)
    own = np.zeros(3, dtype=np.float32)
    Audio(own, RATE)
    own[0] = 1.0  # the caller's array stays writeable


def test_written_wav_is_clipped_not_wrapped(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", Audio(np.array([-2.0, -0.5, 0.25, 2.0]), RATE))
    got = read_audio(tmp_path / "a.wav").samples
    np.testing.assert_allclose(got, [-1.0, -0.5, 0.25, 32767 / 32768], atol=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@given(data=st.binary(max_size=300), cut=st.integers(0, 200))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damage_never_escapes_as_another_error(tmp_path: Path, data: bytes, cut: int) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, Audio(noise(50), RATE))
    path.write_bytes(path.read_bytes()[:cut] + data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WfstHmmWarning)
            read_audio(path)
    except DataError as error:
        assert "a.wav" in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


def test_real_recordings(shared: Path) -> None:
    assert read_audio(shared / "ami" / "trn01.wav").seconds == pytest.approx(30.0, abs=1e-3)
    flac = next((shared / "librispeech" / "dev").rglob("*.flac"))
    assert read_audio(flac, rate=8000).rate == 8000
    with pytest.raises(DataError, match=r"bad\.wav: not a readable audio file"):
        read_audio(shared / "sphinx" / "bad.wav")
