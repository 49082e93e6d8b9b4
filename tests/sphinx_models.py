"""Small Sphinx models, written the way SphinxTrain would."""

import struct

import numpy as np

from wfst_hmm.formats.sphinx.container import write_container

NAMES = ("+NOISE+", "A", "B", "SIL")
FILLERS = (True, False, False, True)
#: base, left, right, place, senones
TRIPHONES = [
    ("A", "B", "B", "i", (8, 9)), ("A", "SIL", "B", "b", (8, 10)), ("A", "B", "SIL", "e", (11, 9)),
    ("B", "A", "A", "i", (12, 13)), ("B", "A", "SIL", "s", (12, 14)), ("B", "SIL", "SIL", "s", (15, 13)),
]  # fmt: skip
N_EMIT, N_SENONES = 2, 16


def mdef_rows():
    rows = [
        (n, "-", "-", "-", f, i, (2 * i, 2 * i + 1))
        for i, (n, f) in enumerate(zip(NAMES, FILLERS, strict=True))
    ]
    rows += [(*row[:4], False, NAMES.index(row[0]), row[4]) for row in TRIPHONES]
    return rows


def mdef_text():
    rows = mdef_rows()
    counts = {
        "n_base": len(NAMES), "n_tri": len(TRIPHONES), "n_state_map": len(rows) * (N_EMIT + 1),
        "n_tied_state": N_SENONES, "n_tied_ci_state": len(NAMES) * N_EMIT, "n_tied_tmat": len(NAMES),
    }  # fmt: skip
    lines = ["# made by a test", "0.3", *(f"{value} {key}" for key, value in counts.items())]
    for base, left, right, place, filler, tmat, senones in rows:
        kind = "filler" if filler else "n/a"
        lines.append(f"{base} {left} {right} {place} {kind} {tmat} {' '.join(map(str, senones))} N")
    return "\n".join(lines) + "\n"


def mdef_binary(order="<"):
    rows = mdef_rows()
    sequences = list(dict.fromkeys(row[-1] for row in rows))
    text = b"a description"
    out = [b"BMDF" if order == "<" else b"FDMB", struct.pack(order + "ii", 1, len(text)), text]
    out.append(struct.pack(order + "10i", len(NAMES), len(rows), N_EMIT, len(NAMES) * N_EMIT,
                           N_SENONES, len(NAMES), len(sequences), 3, 0, 0))  # fmt: skip
    names = b"".join(name.encode() + b"\0" for name in NAMES)
    out.append(names + bytes(-len(names) % 4))
    for base, left, right, place, filler, tmat, senones in rows:
        if left == "-":
            attributes = bytes([filler, 0, 0, 0])
        else:
            attributes = bytes(
                ["ibes".index(place), *(NAMES.index(n) for n in (base, left, right))]
            )
        out.append(struct.pack(order + "ii", sequences.index(senones), tmat) + attributes)
    flat = [s for sequence in sequences for s in sequence]
    out.append(struct.pack(f"{order}i{len(flat)}H", len(flat), *flat))
    return b"".join(out)


def sendump(packed, *, bits=8, order="<", centroids=None, n_senones=None):
    """Pack weights (streams, densities, senones) of bytes, or of nibbles with 16 centroids."""
    n_streams, n_densities, n_columns = packed.shape
    strings = ["title", "cluster_count centroids", f"feature_count {n_streams}",
               f"mixture_count {n_densities}", f"model_count {n_senones or n_columns}"]  # fmt: skip
    strings += [f"cluster_count {0 if bits == 8 else 15}", f"cluster_bits {bits}"]
    out = []
    for text in strings:
        raw = text.encode() + b"\0"
        out.append(struct.pack(order + "i", len(raw)) + raw)
    out.append(struct.pack(order + "i", 0))
    if bits == 8:
        out.append(
            struct.pack(order + "ii", n_densities, n_columns) + packed.astype("u1").tobytes()
        )
        return b"".join(out)
    padded = np.concatenate(
        [packed, np.zeros((n_streams, n_densities, n_columns % 2), int)], axis=2
    )
    nibbles = padded[:, :, ::2] | (padded[:, :, 1::2] << 4)
    out.append(np.asarray(centroids, "u1").tobytes() + nibbles.astype("u1").tobytes())
    return b"".join(out)


def write_model(folder, *, n_codebooks=1, seed=0, order="<", text=True, dump=False):
    """Write a whole model; returns means, variances and weights as they should be read."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mdef").write_bytes(mdef_text().encode() if text else mdef_binary(order))
    (folder / "feat.params").write_text("-feat 1s_c_d_dd\n-svspec 0-12/13-38\n-cmn current\n")
    lengths, n_densities = (13, 26), 4
    values = []
    for name, low, high in (("means", -2.0, 2.0), ("variances", 0.5, 3.0)):
        size = n_codebooks * n_densities * sum(lengths)
        flat = rng.uniform(low, high, size).astype(np.float32)
        head = np.array([n_codebooks, 2, n_densities, *lengths, size], np.int32)
        write_container(folder / name, [head, flat], order=order)
        blocks = np.split(flat.reshape(n_codebooks, -1), [n_densities * lengths[0]], axis=1)
        values.append(
            [b.reshape(n_codebooks, n_densities, n) for b, n in zip(blocks, lengths, strict=True)]
        )
    if dump:
        packed = rng.integers(0, 60, (2, n_densities, N_SENONES))
        (folder / "sendump").write_bytes(sendump(packed, order=order))
        weights = np.exp(-packed * 1024 * np.log(1.0001)).transpose(0, 2, 1)
    else:
        counts = rng.uniform(0.1, 5, (N_SENONES, 2, n_densities)).astype(np.float32)
        head = np.array([N_SENONES, 2, n_densities, counts.size], np.int32)
        write_container(folder / "mixture_weights", [head, counts], order=order)
        weights = (counts / counts.sum(axis=2, keepdims=True)).transpose(1, 0, 2)
    moves = np.tile(np.array([[3.0, 1, 0], [0, 2, 2]], np.float32), (len(NAMES), 1, 1))
    head = np.array([len(NAMES), 2, 3, moves.size], np.int32)
    write_container(folder / "transition_matrices", [head, moves], order=order)
    return values[0], values[1], weights
