"""Recordings as recorders, phones and editors leave them: read by what is in them."""

import struct
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError, WfstHmmWarning
from wfst_hmm.signal.audio import RawFormat, audio_info, read_audio
from wfst_hmm.signal.containers import ENCODINGS
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.mpeg import with_exact_length

RATE = 16000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def written_wav(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, RATE, subtype="PCM_16", format="WAV")
    return path


# ---------------------------------------------------------------------------------- no header


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_samples_without_a_header(tmp_path: Path, encoding: str) -> None:
    subtype, endian = ENCODINGS[encoding]
    path, x = tmp_path / "a.raw", noise(0.5)
    with soundfile.SoundFile(path, "w", RATE, 1, subtype, endian, "RAW") as file:
        file.write(x)
    raw = RawFormat(RATE, encoding)
    got = read_audio(path, raw=raw)
    assert (got.rate, len(got.samples)) == (RATE, len(x))
    np.testing.assert_allclose(got.samples, x, atol=0.02)
    assert audio_info(path, raw=raw).n_samples == len(x)
    np.testing.assert_array_equal(
        read_audio(path, raw=raw, start=0.1, end=0.2).samples, got.samples[1600:3200]
    )
    with pytest.raises(DataError, match=r"a\.raw: not a readable audio file .*--raw RATE"):
        read_audio(path)


def test_what_has_a_header_is_read_by_it_whatever_its_name(tmp_path: Path) -> None:
    x = noise(0.2)
    named = written_wav(tmp_path / "a.wav", x).rename(tmp_path / "a.raw")
    np.testing.assert_allclose(read_audio(named).samples, x, atol=1e-4)
    assert read_audio(named, raw=RawFormat(8000, "mulaw")).rate == RATE


@pytest.mark.parametrize("text", ["", "fast", "0", "-8000", "16000:s17le", "16000:", "8000:mulaw"])
def test_formats_of_raw_samples(text: str) -> None:
    if text in ("16000:", "8000:mulaw"):
        assert RawFormat.parse(text).rate == int(text.partition(":")[0])
        return
    with pytest.raises(UsageError, match="no format of raw samples"):
        RawFormat.parse(text)


def test_a_corpus_says_how_its_recordings_are_read() -> None:
    said = Utterance("a", Path("a.wav"), None, "a", channel=1)
    corpus = Corpus((said, Utterance("b", Path("b.raw"), None, "b")))
    one, other = corpus.recorded(0, RawFormat(8000))
    assert (one.channel, other.channel) == (1, 0)
    assert one.raw == other.raw == RawFormat(8000)
    assert corpus.recorded() == corpus


# ---------------------------------------------------------------------------------- WAV headers


def with_sizes(path: Path, riff: int | None, data: int | None) -> Path:
    """Overwrite the two sizes in a header of 44 bytes."""
    content = bytearray(path.read_bytes())
    for at, size in ((4, riff), (40, data)):
        if size is not None:
            content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("extra", [1, 8, 36, 44, 128])
def test_a_size_that_is_a_few_bytes_too_long(tmp_path: Path, extra: int) -> None:
    path = written_wav(tmp_path / "a.wav", noise(1))
    whole = read_audio(path).samples
    with_sizes(path, None, 2 * RATE + extra)
    with pytest.warns(WfstHmmWarning, match=rf"a\.wav: its header promises {extra} bytes more"):
        got = read_audio(path).samples
    np.testing.assert_array_equal(got, whole)
    with_sizes(path, None, 2 * RATE + 2 * 129)
    with pytest.raises(DataError, match="a truncated recording"):
        read_audio(path)


@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
def test_sizes_that_a_killed_recorder_never_wrote(tmp_path: Path, riff: int) -> None:
    path = written_wav(tmp_path / "a.wav", noise(1))
    whole = read_audio(path).samples
    with_sizes(path, riff, 0)
    with pytest.warns(WfstHmmWarning, match=r"a\.wav: the sizes in its header were never written"):
        got = read_audio(path, start=0.25).samples
    np.testing.assert_array_equal(got, whole[RATE // 4 :])


def test_a_real_recorder_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with open(path, "wb") as stream, wave.open(stream, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for part in np.array_split(np.arange(2 * RATE, dtype="<i2"), 4):
            file.writeframesraw(part.tobytes())  # the header counts the first of them
        killed = path.read_bytes() if stream.flush() is None else b""
    path.write_bytes(killed)
    with pytest.warns(WfstHmmWarning, match="its header counts 16000 of 64000 bytes"):
        got = read_audio(path, channel=1)
    assert got.seconds == 1.0
    np.testing.assert_array_equal(np.rint(got.samples * 32768), np.arange(1, 2 * RATE, 2))


def test_a_wav_that_is_truly_empty_is_still_that(tmp_path: Path) -> None:
    path = written_wav(tmp_path / "a.wav", noise(0))
    path.write_bytes(path.read_bytes() + b"LIST\4\0\0\0INFO")
    with_sizes(path, 36 + 12, 0)
    with pytest.raises(DataError, match="a recording without samples"):
        read_audio(path)


def test_two_wavs_glued(tmp_path: Path) -> None:
    first = written_wav(tmp_path / "a.wav", noise(1))
    second = written_wav(tmp_path / "b.wav", noise(2, seed=1))
    path = tmp_path / "both.wav"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.warns(WfstHmmWarning, match=r"both\.wav: another WAV is glued to its end"):
        got = read_audio(path)
    np.testing.assert_array_equal(got.samples, read_audio(first).samples)


def test_chunks_behind_the_samples_are_no_samples(tmp_path: Path) -> None:
    path = written_wav(tmp_path / "a.wav", noise(1))
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 9000) + bytes(9000))
    assert read_audio(path).seconds == 1.0


# ---------------------------------------------------------------------------------- MP3


def mp3(path: Path, samples: np.ndarray, bit_rate: int, *, header: bool = False) -> bytes:
    """Return an MP3 of a constant bit rate; without the header frame that states its length."""
    options = {} if header else {"write_xing": "0", "id3v2_version": "0"}
    with av.open(str(path), "w", options=options) as file:
        stream = file.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("bit_rates", [(96_000, 16_000), (16_000, 96_000)])
def test_mp3_whose_length_is_an_estimate(tmp_path: Path, bit_rates: tuple[int, int]) -> None:
    parts = [
        mp3(tmp_path / "part.mp3", noise(3, seed), rate) for seed, rate in enumerate(bit_rates)
    ]
    path = tmp_path / "a.mp3"
    path.write_bytes(b"".join(parts))
    estimate = soundfile.info(path).frames / RATE
    assert abs(estimate - 6.0) > 2  # what libsndfile believes of it
    got = read_audio(path)
    assert got.seconds == pytest.approx(6.0, abs=0.25)  # each part has a coder's delay
    assert audio_info(path).n_samples == len(got.samples)
    np.testing.assert_allclose(read_audio(path, start=4.0, end=4.5).samples,
                               got.samples[4 * RATE : 4 * RATE + RATE // 2], atol=1e-4)  # fmt: skip


def test_mp3_that_states_its_length_stays_as_it_is(tmp_path: Path) -> None:
    whole = mp3(tmp_path / "a.mp3", noise(2), 32_000, header=True)
    assert with_exact_length(whole) is None
    path = tmp_path / "twice.mp3"
    path.write_bytes(whole + whole)
    assert read_audio(path).seconds == pytest.approx(4.0, abs=0.25)


@given(st.binary(max_size=400), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_whatever_is_called_mp3(data: bytes, sync: int) -> None:
    with_exact_length(b"\xff\xf3\x18\xc4" * sync + data)


def test_a_real_mp3(shared: Path) -> None:
    audio = read_audio(shared / "mfa" / "common_voice_en_22058264.mp3", rate=RATE)
    with av.open(str(shared / "mfa" / "common_voice_en_22058264.mp3")) as container:
        decoded = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert audio.seconds == pytest.approx(len(decoded) / 48000, abs=0.05)


# ---------------------------------------------------------------------------------- FFmpeg's


def film(path: Path, samples: np.ndarray | None, *, codec: str = "aac", late: float = 0.0) -> Path:
    """Write a film of one second of black, and sound that begins `late` seconds after it."""
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 32
        sound = file.add_stream(codec, rate=RATE, layout="mono") if samples is not None else None
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            picture.pts = number
            file.mux(pictures.encode(picture))
        file.mux(pictures.encode(None))
        if sound is not None and samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.rate, frame.pts = RATE, round(late * RATE)
            file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
    return path


def similar(got: np.ndarray, wanted: np.ndarray) -> float:
    n = min(len(got), len(wanted))
    return float(np.corrcoef(got[:n], wanted[:n])[0, 1])


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.mkv"])
def test_sound_of_films(tmp_path: Path, name: str) -> None:
    x = np.convolve(noise(1), np.ones(8) / 8, "same").astype(np.float32)
    if name == "a.m4a":
        path = tmp_path / name
        with av.open(str(path), "w", format="ipod") as file:
            stream = file.add_stream("aac", rate=RATE, layout="mono")
            frame = av.AudioFrame.from_ndarray(x[None], format="fltp", layout="mono")
            frame.rate, frame.pts = RATE, 0
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    else:
        path = film(tmp_path / name, x)
    got = read_audio(path)
    assert got.rate == RATE
    assert got.seconds == pytest.approx(1.0, abs=0.15)
    assert similar(got.samples, x) > 0.9
    part = read_audio(path, start=0.25, end=0.5).samples
    np.testing.assert_array_equal(part, got.samples[RATE // 4 : RATE // 2])


def test_sound_that_begins_late_keeps_the_films_clock(tmp_path: Path) -> None:
    x = np.convolve(noise(1), np.ones(8) / 8, "same").astype(np.float32)
    got = read_audio(film(tmp_path / "a.mkv", x, late=0.5)).samples
    assert similar(got[RATE // 2 :], x) > 0.9
    assert np.abs(got[: RATE // 2 - 1100]).max() < 1e-3


def test_a_film_without_sound(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.mp4: a film without sound; expected an audio track"):
        read_audio(film(tmp_path / "a.mp4", None))


def test_without_pyav_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4", noise(1))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"a\.mp4: .*Install PyAV: pip install \"wfst_hmm\[media\]"):
        read_audio(path)


def test_a_flac_stream_that_does_not_say_its_length(tmp_path: Path) -> None:
    x, path = noise(1), tmp_path / "a.flac"
    soundfile.write(path, x, RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # 36 bits: the number of samples, 0 where an encoder wrote to a pipe
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert audio_info(path).n_samples == RATE
    np.testing.assert_allclose(read_audio(path).samples, x, atol=1e-4)


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["", "....ftyp", "\x1aE", "G", "ID3"]))
@settings(max_examples=60, deadline=None)
def test_nothing_that_a_library_raises_escapes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, begin: str
) -> None:
    path = tmp_path_factory.mktemp("odd") / "a.raw"
    path.write_bytes(begin.encode("latin-1") + data)
    try:
        read_audio(path)
    except DataError as error:
        assert "a.raw" in str(error)  # noqa: PT017
    if begin != "ID3":
        read_audio(path, raw=RawFormat(8000, "s8"), channel=0)
