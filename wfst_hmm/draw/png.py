"""Small raster images inside our drawings: spectrograms and score matrices.

In: a matrix of numbers. Out: a PNG (RFC 2083: eight bits a sample, one zlib stream).

Public names: `data_url`, `heat_png`, `png_of`, `veil_png`.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

__all__ = ["data_url", "heat_png", "png_of", "veil_png"]

# From paper white through the blue of our lines to ink: prints well, even darkening.
_RAMP = np.array(
    [(255, 255, 255), (214, 231, 243), (138, 184, 216), (58, 124, 172), (24, 62, 104), (10, 22, 48)],
    dtype=np.float64,
)  # fmt: skip


def png_of(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return an image, shape (height, width, 3) for RGB or 4 for RGBA, as PNG bytes."""
    height, width, n_samples = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[n_samples], 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def heat_png(matrix: npt.NDArray[np.floating], *, low: float = 2.0, high: float = 99.5) -> bytes:
    """Return a matrix as an image: first row at the bottom, larger values darker.

    Parameters
    ----------
    matrix : ndarray, shape (rows, columns)
        Infinite values are drawn as the palest or darkest colour.
    low, high : float
        Percentiles of the finite values that become the palest and the darkest colour.
    """
    share = _shares(matrix, low, high)
    at = share * (len(_RAMP) - 1)
    left = np.minimum(at.astype(np.intp), len(_RAMP) - 2)
    rest = (at - left)[..., None]
    colours = _RAMP[left] * (1 - rest) + _RAMP[left + 1] * rest
    return png_of(np.round(colours[::-1]).astype(np.uint8))


def veil_png(
    matrix: npt.NDArray[np.floating], *, low: float = 2.0, high: float = 99.5,
    colour: tuple[int, int, int] = (58, 124, 172),
) -> bytes:  # fmt: skip
    """Return a matrix as an image of one colour, smaller values more transparent.

    It shows on light and on dark ground; otherwise as `heat_png`.
    """
    share = _shares(matrix, low, high)[::-1]
    pixels = np.empty((*share.shape, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.round(255 * share)
    return png_of(pixels)


def _shares(matrix: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.float64]:
    values = np.asarray(matrix, dtype=np.float64)
    finite = values[np.isfinite(values)]
    bottom, top = np.percentile(finite, [low, high]) if finite.size else (0.0, 1.0)
    span = (top - bottom) or 1.0
    share = np.nan_to_num((values - bottom) / span, nan=0.0, posinf=1.0, neginf=0.0)
    return np.clip(share, 0.0, 1.0)


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Return bytes as a URL that carries them inside."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
