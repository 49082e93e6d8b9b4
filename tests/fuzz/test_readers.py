"""Every reader, and the service's messages: sound files are read, damaged ones politely refused."""

from pathlib import Path

import pytest
from reader_fuzz import feed, fuzz, laid_out, readers

READERS = readers()


@pytest.mark.parametrize("name", READERS)
def test_damaged_inputs_of_every_reader(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    laid_out(reader, tmp_path)
    victim = (reader.victims or tuple(reader.files))[0]
    assert not feed(reader, reader.files[victim], victim, tmp_path), "the sound file is read"
    tally = fuzz(reader, tmp_path, n=20, seconds=60, seed=3)
    assert tally.problem == ""
    assert tally.n_inputs == 20


def test_a_recording_that_promises_what_would_fill_the_memory(tmp_path: Path) -> None:
    from wfst_hmm.errors import DataError
    from wfst_hmm.signal.audio import read_audio

    data = bytearray(READERS["audio_flac_pcm_16"].files["input"])
    assert data[4] & 0x7F == 0, "STREAMINFO comes first"
    data[21] |= 0x0F  # the 36-bit number of samples (RFC 9639, section 8.2)
    data[22:26] = b"\xff\xff\xff\xff"
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(DataError, match="truncated recording"):
        read_audio(tmp_path / "a.flac")
