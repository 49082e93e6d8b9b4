"""A decoded utterance on its time axis: sound, states, phones and words under each other.

In: `Decoded`, and if wanted the audio and what was really said. Out: an SVG.

Public names: `decoded_svg`, `spectrum`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE_BLUE,
    PALE_GREY,
    PALE_ORANGE,
    PAPER,
)
from wfst_hmm.draw.png import heat_png
from wfst_hmm.draw.svg import Svg, text_width
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.audio import Audio

__all__ = ["decoded_svg", "spectrum"]

_LEFT = 88.0  # room for the names of the rows
_RIGHT = 16.0
_WAVE, _SPECTRUM, _BOX, _STATES = 56.0, 92.0, 26.0, 34.0
_GAP = 8.0
_FFT = 512  # samples of a spectrum
_RANGE = 13.8  # nats of power below the loudest that are still drawn: 60 dB


def decoded_svg(
    decoded: Decoded,
    *,
    audio: Audio | None = None,
    reference: Sequence[str] | None = None,
    title: str = "",
    width: float = 900.0,
) -> str:
    """Return the best path as a picture: waveform, spectrogram, HMM states, phones, words.

    Parameters
    ----------
    decoded : Decoded
    audio : Audio, optional
        Its waveform and spectrogram are drawn above the path.
    reference : sequence of str, optional
        What was said; drawn as a line of text, words that were missed in orange.
    title : str
    width : float
        Pixels.
    """
    seconds = audio.seconds if audio else float(decoded.frame_times()[-1])
    seconds = max(seconds, decoded.frame_shift)
    rows = [_BOX + _GAP, _BOX + _GAP, _STATES + _GAP, 30.0]
    if audio is not None:
        rows += [_WAVE + _GAP, _SPECTRUM + _GAP]
    height = 34.0 + sum(rows) + (22.0 if reference is not None else 0.0) + 20.0
    svg = Svg(width, height)
    name = f"{title}: {decoded.text}" if title else decoded.text or "no words"
    svg.title(shown(name, 200))
    svg.rectangle(0, 0, width, height, fill=PAPER)
    axis = _Axis(seconds, width - _LEFT - _RIGHT)
    svg.text(_LEFT, 20, shown(title, 90), size=13, anchor="start", bold=True)
    y = 32.0
    if audio is not None:
        y = _waveform(svg, axis, y, audio)
        y = _spectrogram(svg, axis, y, audio)
    y = _states(svg, axis, y, decoded)
    y = _boxes(svg, axis, y, "phones", decoded.phones, BLUE, PALE_BLUE)
    y = _boxes(svg, axis, y, "words", decoded.words, ORANGE, PALE_ORANGE)
    y = _seconds(svg, axis, y)
    if reference is not None:
        y = _reference(svg, y, reference, [word.text for word in decoded.words])
    svg.text(_LEFT, y + 8, _costs(decoded), size=10, fill=GREY, anchor="start")
    return svg.done()


class _Axis:
    """Seconds to pixels."""

    def __init__(self, seconds: float, pixels: float) -> None:
        self.seconds = seconds
        self.pixels = pixels

    def __call__(self, time: float) -> float:
        return _LEFT + self.pixels * min(max(time / self.seconds, 0.0), 1.0)


def _name(svg: Svg, y: float, text: str) -> None:
    svg.text(_LEFT - 10, y + 4, text, size=11, fill=GREY, anchor="end")


def _waveform(svg: Svg, axis: _Axis, y: float, audio: Audio) -> float:
    n_bins = int(min(axis.pixels, max(1, len(audio.samples))))
    edges = np.linspace(0, len(audio.samples), n_bins + 1).astype(np.intp)[:-1]
    top = np.maximum.reduceat(audio.samples, edges) if len(audio.samples) else np.zeros(1)
    low = np.minimum.reduceat(audio.samples, edges) if len(audio.samples) else np.zeros(1)
    scale = _WAVE / 2 / max(float(np.abs(audio.samples).max(initial=0.0)), 1e-3)
    middle = y + _WAVE / 2
    x = _LEFT + axis.pixels * (np.arange(len(top)) + 0.5) / len(top)
    outline = [*zip(x, middle - top * scale, strict=True)]
    outline += [*zip(x, middle - low * scale, strict=True)][::-1]
    points = " L".join(f"{a:.1f} {b:.1f}" for a, b in outline)
    svg.path(f"M{points} Z", stroke=INK, width=0.5, fill=INK)
    _name(svg, middle, "waveform")
    return y + _WAVE + _GAP


def _spectrogram(svg: Svg, axis: _Axis, y: float, audio: Audio) -> float:
    svg.image(_LEFT, y, axis.pixels, _SPECTRUM, heat_png(spectrum(audio, int(axis.pixels)), low=5))
    svg.rectangle(_LEFT, y, axis.pixels, _SPECTRUM, fill="none", stroke=PALE_GREY)
    _name(svg, y + _SPECTRUM / 2, f"0-{audio.rate / 2000:.3g} kHz")
    return y + _SPECTRUM + _GAP


def spectrum(audio: Audio, n_columns: int) -> npt.NDArray[np.float64]:
    """Return log magnitudes, shape (bins, columns), from Hann windows of `_FFT` samples."""
    samples = np.pad(audio.samples.astype(np.float64), (0, _FFT))
    n_columns = max(1, min(n_columns, len(audio.samples)))
    starts = np.linspace(0, max(len(audio.samples) - _FFT, 0), n_columns).astype(np.intp)
    frames = samples[starts[:, None] + np.arange(_FFT)] * np.hanning(_FFT)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    pooled = power[:, :-1].reshape(len(power), -1, 2).sum(axis=2)  # finer than the picture
    logs: npt.NDArray[np.float64] = np.log(pooled + 1e-9).T
    floor: float = float(logs.max()) - _RANGE
    return np.clip(logs, floor, None)


def _states(svg: Svg, axis: _Axis, y: float, decoded: Decoded) -> float:
    """Draw which HMM state of its phone every frame is in, as a stair."""
    states = [state for phone in decoded.phones for state in phone.states]
    _name(svg, y + _STATES / 2, "HMM state")
    if states:
        step = _STATES / (max(states) + 1)
        points, times = [], decoded.frame_times()
        for frame, state in enumerate(states):
            level = y + _STATES - (state + 0.5) * step
            points.append((axis(times[frame]), level))
            points.append((axis(times[frame + 1]), level))
        svg.polyline(points, stroke=INK, width=1.2)
    return y + _STATES + _GAP


def _boxes(
    svg: Svg, axis: _Axis, y: float, name: str, spans: Sequence[Any], colour: str, fill: str
) -> float:
    _name(svg, y + _BOX / 2, name)
    for span in spans:
        left, right = axis(span.start), axis(span.end)
        hint = f"{shown(span.text, 200)}, {span.start:.2f} to {span.end:.2f} s"
        confidence = getattr(span, "confidence", None)
        if confidence is not None:
            hint += f", confidence {confidence:.2f}"
        with svg.group(hint):
            svg.rectangle(left + 0.5, y, max(right - left - 1, 1), _BOX, fill=fill, stroke=colour,
                          radius=3)  # fmt: skip
            text = shown(span.text, 40)
            size = min(12.0, 12.0 * (right - left - 3) / max(text_width(text, 12.0), 1e-6))
            if size >= 5.0:
                svg.text((left + right) / 2, y + _BOX / 2 + size / 3, text, size=round(size, 1),
                         fill=colour)  # fmt: skip
    return y + _BOX + _GAP


def _seconds(svg: Svg, axis: _Axis, y: float) -> float:
    """Draw the time axis with ticks at round numbers."""
    svg.line(_LEFT, y, _LEFT + axis.pixels, y, stroke=GREY)
    step = next((s for s in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600)
                 if axis.seconds / s <= 12), 3600)  # fmt: skip
    for number in range(int(axis.seconds / step + 1e-9) + 1):
        x = axis(number * step)
        svg.line(x, y, x, y + 4, stroke=GREY)
        svg.text(x, y + 15, f"{number * step:g}", size=9, fill=GREY)
    _name(svg, y + 8, "seconds")
    return y + 30.0


def _reference(svg: Svg, y: float, reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    _name(svg, y + 4, "said")
    said = shown(" ".join(reference), 110) or "(nothing)"
    right = list(reference) == list(hypothesis)
    verdict = "  = recognized" if right else "  ≠ recognized"
    svg.text(_LEFT, y + 8, said + verdict, size=12, fill=GREEN if right else ORANGE, anchor="start")
    return y + 22.0


def _costs(decoded: Decoded) -> str:
    text = (f"{decoded.search} search: cost {decoded.total_cost:.2f} nats "
            f"= acoustic {decoded.acoustic_cost:.2f} + graph {decoded.graph_cost:.2f}; "
            f"{decoded.n_frames} frames")  # fmt: skip
    return text if decoded.complete else text + "; incomplete: no final state was reached"
