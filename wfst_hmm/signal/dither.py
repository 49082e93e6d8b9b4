"""Noise of one unit in the place of samples that stand still.

In: samples at full scale 1, in pieces of any size. Out: the same samples, but where a muted
microphone, an editor or a codec left the same value for a frame's shift or longer, with noise of
plus or minus one unit of 16 bits; the same noise every time.

Public names: `Dither`, `dithered`, `unit_noise`.

Notes
-----
The logarithm of no energy is whatever a front end's floor says, hundreds of nats away from
everything that a model was trained on: one broad Gaussian then wins by more than any beam, all
other paths die, and with them every final state. Kaldi and Sphinx add noise to every sample
(``--dither``, ``-dither``), which changes recordings that have a noise of their own and gives other
features every time; here only what stands still is touched.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from wfst_hmm.signal.audio import INT16_SCALE

__all__ = ["Dither", "dithered", "unit_noise"]

Array = npt.NDArray[np.float32]
_LEAST_SECONDS = 0.01  # that a value must stay: no window of a front end is shorter
_PERIOD = 1 << 16  # samples after which the noise repeats


@functools.cache
def unit_noise() -> Array:
    """Return white noise, plus or minus one unit of 16 bits, shape (65536,); always the same."""
    # RandomState: numpy promises that its numbers never change.
    signs = np.random.RandomState(0).randint(0, 2, _PERIOD) * 2 - 1
    noise = (signs / INT16_SCALE).astype(np.float32)
    noise.flags.writeable = False
    return noise


class Dither:
    """Takes samples in pieces; what comes out does not depend on how they are cut.

    Parameters
    ----------
    rate : int
        Samples per second.

    Notes
    -----
    Samples that round to the same 16-bit number are a run. A run of a hundredth of a second or
    more gets noise from its first sample on, so that up to so much is held back while it is not
    yet known how long the run becomes.
    """

    def __init__(self, rate: int) -> None:
        self._least = max(2, round(_LEAST_SECONDS * rate))
        self._held: Array = np.zeros(0, dtype=np.float32)  # samples of a run that is short so far
        self._value = np.float32(np.nan)  # of the run that is under way, in units
        self._length = 0  # of that run so far

    def accept(self, samples: Array) -> Array:
        """Return the samples (n,) that are ready."""
        if not len(samples):
            return samples
        x = np.concatenate([self._held, samples])
        units = np.rint(x * np.float32(INT16_SCALE))
        begins = np.flatnonzero(np.diff(units, prepend=self._value) != 0)  # NaN differs from all
        before = self._length - len(self._held)  # of the first run, emitted already
        if not len(begins) or begins[0] > 0:
            begins = np.concatenate([[0], begins])
        else:
            before = 0
        lengths = np.diff(begins, append=len(x))
        lengths[0] += before
        out: Array = x.copy()
        for i in np.flatnonzero(lengths >= self._least):
            of_run = np.arange(before if i == 0 else 0, lengths[i])
            out[begins[i] : begins[i] + len(of_run)] += unit_noise().take(of_run, mode="wrap")
        self._value = units[-1]
        self._length = int(lengths[-1])
        n_ready = len(x) if self._length >= self._least else int(begins[-1])
        self._held = x[n_ready:]
        return out[:n_ready]

    def finish(self) -> Array:
        """Return the samples that were held back."""
        last, self._held = self._held, np.zeros(0, dtype=np.float32)
        return last


def dithered(samples: Array, rate: int) -> Array:
    """Return a whole recording's samples with noise where they stand still.

    Examples
    --------
    >>> still = np.zeros(800, dtype=np.float32)
    >>> set((dithered(still, 8000) * 32768).tolist()) == {-1.0, 1.0}
    True
    """
    dither = Dither(rate)
    return np.concatenate([dither.accept(samples), dither.finish()])
