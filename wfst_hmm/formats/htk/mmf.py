"""HTK master macro files (MMF): the text of ``macros`` and ``hmmdefs``.

In: one or more files. Out: `HtkModels`: every HMM with its tied states, Gaussians and
transitions.

One stream with diagonal covariances is read, mixtures and tied mixtures (``<TMIX>``) alike; what
is beyond that (full covariances, several streams, transforms, binary files) is refused by name.

Public names: `HtkHmm`, `HtkModels`, `HtkState`, `read_mmf`.

Notes
-----
Format: The HTK Book (3.5), chapter 7.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import FormatError
from wfst_hmm.formats.htk.tokens import MAX_SIZE, Token, TokenReader, real_of
from wfst_hmm.signal.htk_files import kind_code, kind_name

__all__ = ["HtkHmm", "HtkModels", "HtkState", "read_mmf"]

_MAX_STATES = 1000
_UNSUPPORTED = ("<INVCOVAR>", "<LLTCOVAR>", "<XFORM>", "<DPROB>", "<BIAS>")
_OPTIONS = ("<NULLD>", "<POISSOND>", "<GAMMAD>", "<GEND>", "<DIAGC>")
_SUM_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class HtkState:
    """The mixture of a tied state: indices of Gaussians and their weights, which sum to 1."""

    name: str
    gaussians: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class HtkHmm:
    """One physical HMM.

    Attributes
    ----------
    states : tuple of int
        Tied states, by index.
    transitions : ndarray of float64, shape (n + 2, n + 2)
        As HTK has them: the first row enters, the last column leaves; ``transitions[0, -1]``
        passes the model by without a frame.
    """

    states: tuple[int, ...]
    transitions: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class HtkModels:
    """A set of HMMs.

    Attributes
    ----------
    n_dims : int
    kind : str
        Parameter kind such as ``MFCC_0_D_A``; empty when the files do not say.
    means, variances : ndarrays of float64, shape (G, D)
    states : tuple of `HtkState`
    hmms : dict
        Physical name -> `HtkHmm`.
    """

    __repr__ = brief

    n_dims: int
    kind: str
    means: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]
    states: tuple[HtkState, ...]
    hmms: dict[str, HtkHmm]


def read_mmf(*paths: str | Path) -> HtkModels:
    """Read model files; macros that a file uses must stand in it or in one before.

    Raises
    ------
    FormatError
        Names file and line: a macro that is not defined or defined twice, a vector of the wrong
        length, probabilities that do not sum to 1, something that is not supported.
    """
    parser = _Parser()
    for path in paths:
        parser.read(path)
    return parser.finish(str(paths[-1]) if paths else "no files")


class _Parser(TokenReader):
    """Reads definitions one after the other and keeps what macros stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.n_dims = 0
        self.kind = ""
        self.means: list[npt.NDArray[np.float64]] = []
        self.variances: list[npt.NDArray[np.float64]] = []
        self.states: list[HtkState] = []
        self.hmms: dict[str, HtkHmm] = {}
        self.macros: dict[tuple[str, str], Any] = {}

    def read(self, path: str | Path) -> None:
        self.open(path)
        while (token := self.peek()) is not None:
            self.definition(token)

    def reference(self, kind: str) -> Any:
        """Return what a macro of this kind stands for when one is named here, else None."""
        token = self.peek()
        if token is None or token.text.lower() != f"~{kind}":
            return None
        self.next("macro")
        name = self.name()
        if (kind, name) not in self.macros:
            raise FormatError(f"macro ~{kind} {name!r} is not defined", where=token.where,
                              fix="Name the file with the macros first.")  # fmt: skip
        return self.macros[kind, name]

    # -- definitions -------------------------------------------------------------------------

    def definition(self, token: Token) -> None:
        kind = self.next("macro").text.lower()
        if kind == "~o":
            self.options()
            return
        readers = {"~h": self.hmm, "~s": self.state, "~m": self.gaussian, "~u": self.mean,
                   "~v": self.variance, "~t": self.matrix, "~w": self.stream_weights}  # fmt: skip
        if kind not in readers:
            raise FormatError("a definition that is not supported", where=token.where,
                              got=repr(kind[:20]), expected=f"~o, {', '.join(readers)}")  # fmt: skip
        name = self.name()
        if (kind[1:], name) in self.macros or (kind == "~h" and name in self.hmms):
            raise FormatError(f"{kind} {name!r} is defined twice", where=token.where)
        if kind == "~h":
            self.hmms[name] = self.hmm(name)
        else:
            found = readers[kind](name)
            if kind == "~v" and name.lower().startswith("varfloor"):
                return
            self.macros[kind[1:], name] = found

    def options(self) -> None:
        while (key := self.key()) not in ("", "<NUMSTATES>"):
            token = self.next("option")
            if key == "<STREAMINFO>":
                n = self.integer("number of streams", 1, 50)
                widths = [self.integer("width of a stream", 1, MAX_SIZE) for _ in range(n)]
                if n > 1:
                    raise FormatError("several streams are not supported", where=token.where, got=n)
                self.size(widths[0], token.where)
            elif key == "<VECSIZE>":
                self.size(self.integer("vector size", 1, MAX_SIZE), token.where)
            elif key == "<HMMSETID>":
                self.next("name of the set")
            elif key in ("<FULLC>", "<INVDIAGC>", "<LLTC>", "<XFORMC>"):
                raise FormatError("only diagonal covariances are supported", where=token.where, got=key)  # fmt: skip
            elif key not in _OPTIONS:
                try:
                    self.kind = kind_name(kind_code(key[1:-1]))
                except FormatError:
                    raise FormatError("an option that is not known", where=token.where,
                                      got=key[:40]) from None  # fmt: skip

    def size(self, n_dims: int, where: str) -> None:
        if self.n_dims not in (0, n_dims):
            raise FormatError("vector sizes differ", where=where, got=n_dims, expected=self.n_dims)
        self.n_dims = n_dims

    def hmm(self, name: str) -> HtkHmm:
        self.expect("<BEGINHMM>")
        self.options()
        self.expect("<NUMSTATES>")
        n = self.integer("number of states", 3, _MAX_STATES)
        states: dict[int, int] = {}
        while self.take("<STATE>"):
            token = self.peek()
            number = self.integer("state", 2, n - 1)
            if number in states:
                raise FormatError(f"state {number} is listed twice", where=token.where if token else None)  # fmt: skip
            found = self.reference("s")
            states[number] = self.state(f"{name}[{number}]") if found is None else found
        where = self.peek()
        if len(states) != n - 2:
            raise FormatError(f"HMM {name!r} lacks states", where=where.where if where else self.path,
                              got=len(states), expected=n - 2)  # fmt: skip
        matrix = self.reference("t")
        matrix = self.matrix(name) if matrix is None else matrix
        if len(matrix) != n:
            raise FormatError(f"transitions of {name!r} have another number of states",
                              where=where.where if where else self.path, got=len(matrix), expected=n)  # fmt: skip
        if self.take("<DURATION>"):
            self.vector("durations")
        self.expect("<ENDHMM>")
        return HtkHmm(tuple(states[number] for number in sorted(states)), matrix)

    def state(self, name: str) -> int:
        """Read a state's mixture and return its index."""
        n_mixtures = self.integer("number of mixtures", 1, MAX_SIZE) if self.take("<NUMMIXES>") else 1  # fmt: skip
        if self.take("<SWEIGHTS>"):
            self.stream_weights(name)
        else:
            self.reference("w")
        if self.take("<STREAM>"):
            self.integer("stream", 1, 1)
        where = self.peek()
        place = where.where if where else self.path
        if self.take("<TMIX>"):
            members, weights = self.tied_mixture(n_mixtures, place)
        elif self.key() == "<MIXTURE>":
            members, weights = self.mixture(n_mixtures, place)
        else:
            members, weights = [self.component()], [1.0]
        if self.take("<DURATION>"):
            self.vector("durations")
        total = float(np.sum(weights))
        if not (min(weights) >= 0 and abs(total - 1) <= _SUM_TOLERANCE):
            raise FormatError(f"weights of state {name!r} do not sum to 1", where=place, got=total)
        self.states.append(HtkState(name, np.array(members), np.array(weights) / total))
        return len(self.states) - 1

    def mixture(self, n_mixtures: int, place: str) -> tuple[list[int], list[float]]:
        members, weights, seen = [], [], set()
        while self.take("<MIXTURE>"):
            number = self.integer("mixture", 1, n_mixtures)
            if number in seen:
                raise FormatError(f"mixture {number} is listed twice", where=place)
            seen.add(number)
            weights.append(self.real("weight"))
            members.append(self.component())
        return members, weights

    def tied_mixture(self, n_mixtures: int, place: str) -> tuple[list[int], list[float]]:
        """Read ``<TMIX> pool w1 w2*3 ...``: weights of the macros ``pool1``, ``pool2`` ..."""
        pool = self.name()
        weights: list[float] = []
        while len(weights) < n_mixtures:
            token = self.next("weight")
            text, star, times = token.text.partition("*")
            count = int(times) if times.isdigit() and len(times) < 7 else 0
            if (star and not 1 <= count <= n_mixtures - len(weights)) or (times and not star):
                raise FormatError(
                    "no repeated weight", where=token.where, got=repr(token.text[:20])
                )
            weights += [real_of(text, "weight", token.where)] * (count if star else 1)
        members = [self.macros.get(("m", f"{pool}{i + 1}")) for i in range(n_mixtures)]
        if None in members:
            raise FormatError(
                f"macro ~m {pool}{members.index(None) + 1} is not defined", where=place
            )
        return [m for m in members if m is not None], weights

    def component(self) -> int:
        found = self.reference("m")
        return int(self.gaussian("") if found is None else found)

    def gaussian(self, _: str) -> int:
        """Read a mean and a variance and return the Gaussian's index."""
        if self.take("<RCLASS>"):
            self.integer("regression class", 0, MAX_SIZE)
        mean = self.reference("u")
        mean = self.mean("") if mean is None else mean
        variance = self.reference("v")
        variance = self.variance("") if variance is None else variance
        if self.take("<GCONST>"):
            self.real("constant")  # follows from the variances
        self.means.append(mean)
        self.variances.append(variance)
        return len(self.means) - 1

    def mean(self, _: str) -> npt.NDArray[np.float64]:
        self.expect("<MEAN>")
        token = self.peek()
        found = self.vector("mean", self.n_dims or None)
        self.size(len(found), token.where if token else self.path)
        return found

    def variance(self, _: str) -> npt.NDArray[np.float64]:
        token = self.peek()
        if self.key() in _UNSUPPORTED:
            raise FormatError("only diagonal covariances are supported",
                              where=token.where if token else None, got=self.key())  # fmt: skip
        self.expect("<VARIANCE>")
        found = self.vector("variance", self.n_dims or None)
        if not found.min() > 0:
            raise FormatError("a variance is not positive", where=token.where if token else None,
                              got=found.min())  # fmt: skip
        return found

    def stream_weights(self, _: str) -> npt.NDArray[np.float64]:
        token = self.peek()
        found = self.vector("stream weights")
        if len(found) != 1 or found[0] != 1:
            raise FormatError("stream weights are not supported", where=token.where if token else None,
                              got=found.tolist())  # fmt: skip
        return found

    def matrix(self, name: str) -> npt.NDArray[np.float64]:
        token = self.peek()
        self.expect("<TRANSP>")
        n = self.integer("number of states", 3, _MAX_STATES)
        found = np.array([self.real("transition") for _ in range(n * n)]).reshape(n, n)
        sums = found.sum(axis=1)
        wrong = not found.min() >= 0 or found[:, 0].any() or found[-1].any()
        if wrong or np.any(np.abs(sums[:-1] - 1) > _SUM_TOLERANCE):
            raise FormatError(f"transitions of {name!r} are no probabilities",
                              where=token.where if token else None, got=sums.tolist()[:8],
                              expected="rows that sum to 1, nothing back to the entry")  # fmt: skip
        found[:-1] /= sums[:-1, None]
        return found

    def finish(self, where: str) -> HtkModels:
        if not self.hmms:
            raise FormatError("no HMM", where=where, expected="~h definitions")
        return HtkModels(self.n_dims, self.kind, np.array(self.means), np.array(self.variances),
                         tuple(self.states), self.hmms)  # fmt: skip
