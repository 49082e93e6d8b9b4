"""Forced alignment: the tones begin and end where they were put."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_speech import LEXICON, PHONES, RATE, TinySpeech, sound

from wfst_hmm.apps.align import align_corpus, write_alignments
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.models.acoustic import AcousticModel


def spoken_with_borders(words: list[str]) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Return samples and the phones' true times, 0.15 s of silence around every word."""
    rng = np.random.default_rng(5)
    parts, times, at = [np.zeros(int(0.15 * RATE))], [], 0.15
    for word in words:
        for phone in LEXICON[word]:
            seconds = PHONES[phone][1]
            parts.append(sound(phone, seconds, rng))
            times.append((phone, at, at + seconds))
            at += seconds
        parts.append(np.zeros(int(0.15 * RATE)))
        at += 0.15
    samples = np.concatenate(parts)
    return samples + 0.003 * rng.standard_normal(len(samples)), times


@pytest.fixture
def measured(tiny_speech: TinySpeech, tmp_path: Path) -> tuple[Path, list]:
    words = ["su", "ba", "bi", "su"]
    samples, times = spoken_with_borders(words)
    soundfile.write(tmp_path / "u.wav", samples, RATE)
    manifest = tmp_path / "m.tsv"
    manifest.write_text(
        "id\taudio\ttext\tspeaker\tstart\tend\n"
        f"whole\tu.wav\t{' '.join(words)}\tsp0\t\t\n"
        f"part\tu.wav\tba\tsp0\t{times[1][2] + 0.02}\t{times[4][1] - 0.03}\n"
    )
    return manifest, times


def test_phones_lie_where_they_were_put(tiny_speech: TinySpeech, measured: tuple) -> None:
    manifest, times = measured
    model, lexicon = AcousticModel.load(tiny_speech.model), read_lexicon(tiny_speech.lexicon)
    whole, _ = align_corpus(model, lexicon, read_corpus(manifest))
    assert whole.decoded is not None
    assert [word.text for word in whole.decoded.words] == ["su", "ba", "bi", "su"]
    phones = [phone for phone in whole.decoded.phones if phone.text != "SIL"]
    assert [phone.text for phone in phones] == [name for name, _, _ in times]
    for phone, (_, start, end) in zip(phones, times, strict=True):
        assert abs(phone.start - start) < 0.05  # a frame is 0.025 s long
        assert abs(phone.end - end) < 0.05
    times = whole.decoded.frame_times()
    borders = np.cumsum([0, *(len(phone.states) for phone in whole.decoded.phones)])
    for phone, first, end in zip(whole.decoded.phones, borders, borders[1:], strict=False):
        assert (phone.start, phone.end) == (times[first], times[end])


def test_times_of_a_stretch_are_those_of_the_recording(
    tiny_speech: TinySpeech, measured: tuple, tmp_path: Path
) -> None:
    manifest, times = measured
    model, lexicon = AcousticModel.load(tiny_speech.model), read_lexicon(tiny_speech.lexicon)
    outcomes = list(align_corpus(model, lexicon, read_corpus(manifest), n_threads=2))
    written = write_alignments(outcomes, tmp_path / "out")
    assert len(written) == 6
    rows = [line.split() for line in (tmp_path / "out" / "words.ctm").read_text().splitlines()]
    (part,) = [row for row in rows if row[0] == "u"]  # times are those of u.wav
    assert float(part[2]) == pytest.approx(times[2][1], abs=0.05)
    found = json.loads((tmp_path / "out" / "alignments.json").read_text())
    assert [entry["id"] for entry in found] == ["whole", "part"]


def test_textgrids_are_read_by_praatio(
    tiny_speech: TinySpeech, measured: tuple, tmp_path: Path
) -> None:
    textgrid = pytest.importorskip("praatio.textgrid", reason="needs praatio (test extra)")
    manifest, _ = measured
    model, lexicon = AcousticModel.load(tiny_speech.model), read_lexicon(tiny_speech.lexicon)
    outcomes = list(align_corpus(model, lexicon, read_corpus(manifest)))
    write_alignments(outcomes, tmp_path / "out", ["textgrid"])
    grid = textgrid.openTextgrid(
        str(tmp_path / "out" / "textgrid" / "whole.TextGrid"), includeEmptyIntervals=False
    )
    words = [entry.label for entry in grid.getTier("words").entries]
    assert words == ["su", "ba", "bi", "su"]
    assert outcomes[0].decoded is not None
    assert len(grid.getTier("phones").entries) == len(outcomes[0].decoded.phones)


def test_unknown_form(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown form"):
        write_alignments([], tmp_path / "x", ["xml"])
    assert not (tmp_path / "x").exists()
