"""The picture of a decoded utterance: every word and phone stands where it was spoken."""

import base64
import struct
import xml.dom.minidom
import zlib

import numpy as np
import pytest

from wfst_hmm.draw.png import heat_png, png_of
from wfst_hmm.draw.timeline import decoded_svg
from wfst_hmm.search.result import Decoded, Phone, Word
from wfst_hmm.signal.audio import Audio


def decoded(words: tuple[Word, ...], phones: tuple[Phone, ...], n_frames: int) -> Decoded:
    return Decoded(words, phones, 12.5, 2.5, np.zeros(n_frames, np.int32), np.zeros(0, np.int32),
                   0.01, "beam")  # fmt: skip


def one_two() -> Decoded:
    phones = (Phone("W", 0.0, 0.4, (0,) * 20 + (1,) * 20), Phone("T", 0.4, 1.0, (0,) * 60))
    return decoded((Word("one", 0.0, 0.4, 0.9), Word("two", 0.4, 1.0)), phones, 100)


def boxes(svg: str) -> dict[str, tuple[float, float]]:
    """Left edge and width of the rectangle of every titled group."""
    tree = xml.dom.minidom.parseString(svg)
    found = {}
    for group in tree.getElementsByTagName("g"):
        rectangle = group.getElementsByTagName("rect")[0]
        name = group.getElementsByTagName("title")[0].firstChild.data.split(",")[0]
        found[name] = (float(rectangle.getAttribute("x")), float(rectangle.getAttribute("width")))
    return found


def test_boxes_follow_the_times() -> None:
    place = boxes(decoded_svg(one_two(), width=1104))  # 1000 pixels for one second
    assert place["one"] == (88.5, 399.0)
    assert place["two"] == (488.5, 599.0)
    assert place["W"] == place["one"]


def test_all_rows_and_the_verdict() -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 16000).astype(np.float32)
    svg = decoded_svg(one_two(), audio=Audio(noise, 16000), reference=["one", "one"], title="u-1")
    for text in ("waveform", "0-8 kHz", "HMM state", "phones", "words", "seconds", "said",
                 "one one  ≠ recognized", "confidence 0.90", "cost 15.00 nats", "u-1"):  # fmt: skip
        assert text in svg
    assert "= recognized" in decoded_svg(one_two(), reference=["one", "two"])
    assert len(svg) < 400_000


@pytest.mark.parametrize("n_samples", [1, 300, 16000])
def test_silence_short_sound_and_no_words(n_samples: int) -> None:
    audio = Audio(np.zeros(n_samples, np.float32), 16000)
    svg = decoded_svg(decoded((), (), 1), audio=audio, reference=[])
    xml.dom.minidom.parseString(svg)
    assert "(nothing)" in svg


def test_hostile_words() -> None:
    word = '<script>"&\u202e' + "x" * 10_000
    svg = decoded_svg(decoded((Word(word, 0.0, 0.5),), (), 50), title=word, reference=[word])
    tags = {e.tagName for e in xml.dom.minidom.parseString(svg).getElementsByTagName("*")}
    assert "script" not in tags
    assert "\u202e" not in svg
    assert len(svg) < 20_000


def pixels_of(png: bytes) -> np.ndarray:
    """Read a PNG of our own kind: one chunk, no filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, found = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack_from(">I", png, at + 8 + length)
        assert check == zlib.crc32(kind + data)
        found[kind] = data
        at += 12 + length
    width, height = struct.unpack_from(">II", found[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_png_keeps_its_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    assert (pixels_of(png_of(image)) == image).all()


def test_heat_is_darker_where_values_are_larger_and_upside_up() -> None:
    matrix = np.array([[0.0, 1.0], [2.0, 3.0]])
    pixels = pixels_of(heat_png(matrix, low=0, high=100)).astype(int).sum(axis=2)
    assert pixels[1, 0] > pixels[1, 1] > pixels[0, 0] > pixels[0, 1]
    with_infinite = pixels_of(heat_png(np.array([[-np.inf, 0.0, 1.0, np.inf, np.nan]])))
    assert (with_infinite[0, 0] == 255).all()
    assert (with_infinite[0, 4] == 255).all()
    assert pixels_of(heat_png(np.full((2, 2), -np.inf))).shape == (2, 2, 3)


def test_image_is_carried_inside() -> None:
    svg = decoded_svg(one_two(), audio=Audio(np.zeros(16000, np.float32), 16000))
    href = xml.dom.minidom.parseString(svg).getElementsByTagName("image")[0].getAttribute("href")
    assert href.startswith("data:image/png;base64,")
    assert pixels_of(base64.b64decode(href.split(",")[1])).shape[0] == 128
