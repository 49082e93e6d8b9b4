"""Sphinx trie language models, ``.lm.bin``.

In: a path. Out: an `NgramModel`.

The layout, little endian: the text ``Trie Language Model``, the order (u8), the count of each
order (u32 each), for orders above one an ignored i32, tables of 65,536 quantized log
probabilities and backoff weights for each middle order and of probabilities for the highest, the
1-grams ``(f32 log probability, f32 backoff, u32 first child)`` with one more at the end, packed
bit arrays for orders 2 to N, the number of bytes of the words, and the words, each ended by NUL.
Logarithms have base 1.0001. The trie is *reversed*: the children of a word are the words before
it, so an entry at depth 3 reads ``w3 w2 w1``.

Public names: `read_lm_bin`.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_bytes
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.ngram import NgramModel, NgramRows, is_reserved
from wfst_hmm.orthography import is_symbol

__all__ = ["MAGIC", "read_lm_bin"]

MAGIC = b"Trie Language Model"
MAX_BYTES = 1 << 32
_LOG_BASE = math.log(1.0001)
_BINS = 1 << 16
_UNIGRAM = np.dtype([("prob", "<f4"), ("backoff", "<f4"), ("next", "<u4")])

Ints = npt.NDArray[np.int64]


def read_lm_bin(path: str | Path) -> NgramModel:
    """Read a Sphinx trie language model.

    The counts in the header may be larger than what the file holds (the en-us model of
    PocketSphinx claims six 2-grams too many); the entries that are linked count.

    Raises
    ------
    FormatError
        Not such a file, truncated, or its links, words or numbers are impossible; the message
        names the part and its byte.
    """
    file = _File(str(path), read_bytes(path, MAX_BYTES))
    if file.take(len(MAGIC), "header") != MAGIC:
        raise file.error("not a trie language model", expected=repr(MAGIC.decode()),
                         fix="Other Sphinx binary models must be converted to ARPA first.")  # fmt: skip
    (order,) = file.unpack("<B", "order")
    if not 1 <= order <= 10:
        raise file.error("an impossible order", got=order, expected="1 to 10")
    counts = file.unpack(f"<{order}I", "counts")
    if not counts[0]:
        raise file.error("no words")
    if order > 1:
        file.take(4, "header")
    tables = [
        (
            file.array("<f4", _BINS, f"{k}-gram probabilities"),
            file.array("<f4", _BINS if k < order else 0, f"{k}-gram backoff weights"),
        )
        for k in range(2, order + 1)
    ]
    unigrams = file.array(_UNIGRAM, counts[0] + 1, "1-grams")
    levels = [_read_level(file, k, counts) for k in range(2, order + 1)]
    words = _read_words(file, counts[0])
    rows = [NgramRows(
        np.arange(1, counts[0] + 1, dtype=np.int32)[:, None],
        _nats(file, unigrams["prob"][:-1], "1-gram probabilities"),
        _nats(file, unigrams["backoff"][:-1], "1-gram backoff weights")
        if order > 1 else np.zeros(counts[0]),
    )]  # fmt: skip
    following = unigrams["next"].astype(np.int64)
    for k, (word, prob, backoff, children) in enumerate(levels, start=2):
        n_linked = _check_links(file, k, following, len(word) - 1)
        if word[:n_linked].max(initial=0) >= counts[0]:
            raise file.error(f"a {k}-gram names a word that does not exist",
                             got=int(word[:n_linked].max()), expected=f"below {counts[0]}")  # fmt: skip
        parents = np.repeat(np.arange(len(following) - 1), np.diff(following))
        # level k-1 holds words in reading order; the new, earlier word goes in front
        ids = np.concatenate(
            (word[:n_linked, None].astype(np.int32) + 1, rows[-1].words[parents]), axis=1
        )
        probs, backoffs = tables[k - 2]
        rows.append(NgramRows(
            ids, _nats(file, probs[prob[:n_linked]], f"{k}-gram probabilities"),
            _nats(file, backoffs[backoff[:n_linked]], f"{k}-gram backoff weights")
            if k < order else np.zeros(n_linked),
        ))  # fmt: skip
        following = children[: n_linked + 1]
    return NgramModel.from_rows(words, rows, info={"source": str(path)},
                                place=lambda order, row: f"{path}: {order}-gram {row}")  # fmt: skip


class _File:
    """The bytes of a file and how far they are read; running out of them is an error."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def error(self, what: str, **more: Any) -> FormatError:
        return FormatError(what, where=f"{self.path}: byte {self.at}", **more)

    def take(self, n_bytes: int, part: str) -> bytes:
        if self.at + n_bytes > len(self.data):
            raise self.error(f"the file ends inside its {part}",
                             got=f"{len(self.data) - self.at} bytes", expected=f"{n_bytes} bytes")  # fmt: skip
        self.at += n_bytes
        return self.data[self.at - n_bytes : self.at]

    def unpack(self, layout: str, part: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout), part))

    def array(self, dtype: Any, count: int, part: str) -> npt.NDArray[Any]:
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count, part), dtype=dtype)


def _read_level(file: _File, order: int, counts: tuple[int, ...]) -> tuple[Ints, Ints, Ints, Ints]:
    """Unpack one bit array: previous word, probability and backoff bins, first child."""
    highest = order == len(counts)
    widths = [counts[0].bit_length(), *([16] if highest else [16, 16, counts[order].bit_length()])]
    n_entries, width = counts[order - 1] + 1, sum(widths)
    n_bytes = (n_entries * width + 7) // 8 + 8
    packed = np.frombuffer(file.take(n_bytes, f"{order}-grams"), dtype=np.uint8)
    columns = []
    offset = 0
    for bits in widths:
        columns.append(_unpack_bits(packed, n_entries, width, offset, bits))
        offset += bits
    if highest:
        word, prob = columns
        return word, prob, word[:0], word[:0]
    word, backoff, prob, following = columns
    return word, prob, backoff, following


def _unpack_bits(
    packed: npt.NDArray[np.uint8], n_entries: int, width: int, offset: int, bits: int
) -> Ints:
    """Return field `bits` wide at bit `offset` of every entry, least significant bit first."""
    first = np.arange(n_entries, dtype=np.int64) * width + offset
    byte, shift = first >> 3, first & 7
    value = np.zeros(n_entries, dtype=np.int64)
    for k in range((bits + 7 + 7) // 8):  # a field may start anywhere in its first byte
        value |= packed[np.minimum(byte + k, len(packed) - 1)].astype(np.int64) << (8 * k)
    return (value >> shift) & ((1 << bits) - 1)


def _check_links(file: _File, order: int, following: Ints, n_entries: int) -> int:
    """Check that children follow one another; return how many entries are linked."""
    if following[0] != 0 or (np.diff(following) < 0).any() or following[-1] > n_entries:
        raise file.error(f"the links to the {order}-grams are out of order or range",
                         expected=f"0 to {n_entries}, increasing", fix="The file is damaged.")  # fmt: skip
    return int(following[-1])


def _nats(file: _File, logs: npt.NDArray[Any], part: str) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is cast
        values = logs.astype(np.float64) * _LOG_BASE
    if not (np.abs(values) < 1e4).all() or ("prob" in part and (values > 1e-3).any()):
        raise file.error(f"impossible {part}", expected="logarithms", fix="The file is damaged.")
    return np.minimum(values, 0.0) if "prob" in part else values


def _read_words(file: _File, count: int) -> Symbols:
    (n_bytes,) = file.unpack("<I", "words")
    texts = file.take(n_bytes, "words").split(b"\0")
    if len(texts) != count + 1 or texts[-1]:
        raise file.error("wrong number of words", got=len(texts) - 1, expected=count)
    seen: set[str] = set()
    for number, text in enumerate(texts[:-1]):
        try:
            word = text.decode("utf-8")
        except UnicodeDecodeError:
            raise file.error(f"word {number} is not UTF-8", got=repr(text[:40])) from None
        if not is_symbol(word) or is_reserved(word) or word in seen:
            raise file.error(f"word {number} is empty, reserved, holds white space or occurs twice",
                             got=repr(word[:40]))  # fmt: skip
        seen.add(word)
    return Symbols(text.decode("utf-8") for text in texts[:-1])
