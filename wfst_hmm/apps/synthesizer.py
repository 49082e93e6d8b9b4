"""Speech from text, in this process: espeak-ng from the wheel ``espeakng-loader``.

In: a text, a voice, a speed and a pitch. Out: `Audio`, the same to the bit for the same calls.

Public names: `Synthesizer`.
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import Audio

__all__ = ["Synthesizer"]

# Numbers of espeak-ng's C interface (speak_lib.h).
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_RATE, _PITCH = 1, 3
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesizer:
    """espeak-ng with a state of its own; use it in a ``with`` block, in one thread.

    The library keeps its state, noise generator included, in global variables that outlive
    ``espeak_Terminate``. Each synthesizer therefore loads a private copy of the library and
    seeds it: what it says depends on the seed and on its own calls only.

    Parameters
    ----------
    seed : int
        Of the breath noise.

    Raises
    ------
    DataError
        The library cannot be loaded or finds no voices.
    """

    def __init__(self, seed: int = 0) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise UsageError(
                "the package espeakng-loader is not installed",
                fix='Install it: pip install "wfst_hmm[demo]".',
            ) from None

        self._chunks: list[npt.NDArray[np.int16]] = []
        self._library = _private_copy(Path(espeakng_loader.get_library_path()))
        data = str(espeakng_loader.get_data_path()).encode()
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT))
        if self.rate <= 0:
            raise DataError(
                "espeak-ng finds no voices",
                where=data.decode(),
                fix="Install espeakng-loader again.",
            )
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._callback = _Callback(self._receive)  # the library holds no reference to it
        self._library.espeak_SetSynthCallback(self._callback)

    def __enter__(self) -> Synthesizer:
        return self

    def __exit__(self, *error: object) -> None:
        self._library.espeak_Terminate()

    def say(self, text: str, *, voice: str = "en-us", speed: int = 170, pitch: int = 50) -> Audio:
        """Speak a text.

        Parameters
        ----------
        text : str
        voice : str
            Language and variant, such as ``en-us+f2``; espeak-ng ignores unknown variants.
        speed : int
            Words per minute, 80 to 450.
        pitch : int
            0 to 100; 50 is the voice's own.

        Returns
        -------
        Audio
            At `rate` samples per second.

        Raises
        ------
        UsageError
            The voice is unknown, or the speed or pitch out of range.
        DataError
            The text gives no sound.
        """
        if not (80 <= speed <= 450 and 0 <= pitch <= 100):
            raise UsageError(
                "speed or pitch", got=f"{speed}, {pitch}", expected="80 to 450, 0 to 100"
            )
        library, encoded = self._library, text.encode("utf-8")
        if library.espeak_SetVoiceByName(voice.encode("utf-8")) != 0:
            raise UsageError("unknown voice", got=repr(voice), expected="such as en-us+f2")
        library.espeak_SetParameter(_RATE, speed, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        self._chunks.clear()
        status = library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None
        )
        library.espeak_Synchronize()
        if status != 0 or not any(chunk.any() for chunk in self._chunks):
            raise DataError("a text without sound", got=repr(text), expected="words to speak")
        return Audio(np.concatenate(self._chunks).astype(np.float32) / 32768.0, self.rate)

    def _receive(self, samples: Any, n_samples: int, _events: Any) -> int:
        if samples and n_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        return 0


def _private_copy(library: Path) -> ctypes.CDLL:
    folder = tempfile.mkdtemp(prefix="espeak-ng-")
    try:
        return ctypes.CDLL(shutil.copy(library, folder))
    except OSError as error:
        raise DataError(
            f"espeak-ng cannot be loaded ({error})",
            where=str(library),
            fix="Install espeakng-loader again.",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a loaded library no longer needs its file
