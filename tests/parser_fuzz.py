"""Damaged inputs for every parser of grammars, lexicons and transducers.

In CI ``fuzz/test_parsers.py`` runs a few hundred inputs per parser. By hand::

    python tests/parser_fuzz.py --inputs 100000          # spread over all parsers
    python tests/parser_fuzz.py --inputs 5000 --parser jsgf --seed 7

An input that makes a parser fail other than by a `WfstHmmError` of one line that names its place,
or take longer than `MAX_SECONDS`, is kept and shown.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import random
import resource
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from ngram_strategies import SMALL, pack

from wfst_hmm.errors import GraphError, WfstHmmError
from wfst_hmm.fst.binary import read_fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.text import read_fst_text
from wfst_hmm.graph.arpa import read_arpa
from wfst_hmm.graph.fsg import read_fsg
from wfst_hmm.graph.jsgf import read_jsgf
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.lexicon_silence import read_silence_lexicon, read_silence_probabilities
from wfst_hmm.graph.lm_bin import read_lm_bin
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import read_phrases

MAX_SECONDS = 10.0  # a loaded machine needs some patience
MAX_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Parser:
    """What to feed: a reader, sound inputs to damage, and scraps that belong to the format."""

    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    scraps: tuple[bytes, ...]


ARPA = b"""\\data\\
ngram 1=4
ngram 2=3
ngram 3=1

\\1-grams:
-99 <s> -0.5
-1.0\tone\t-0.25
-2 tw\xc3\xb6
-0.5 </s>

\\2-grams:
-0.3 <s> one -0.1
-0.4 one tw\xc3\xb6 0.0
-0.2 one </s>

\\3-grams:
-0.1 <s> one </s>

\\end\\
"""
JSGF = b"""#JSGF V1.0 UTF-8 en;
/** a grammar */
grammar com.acme.t;
import <sizes.*>;
public <a> = [please] (turn | /* quick */ switch) <what>+ {tag \\} one} | <b>;
<what> = /2.5/ "the light" | /1/ lamp* | /0/ nothing; // choice
public <b> = x <b> | y <size> <NULL>;
<com.acme.t.c> = <VOID>;
"""
LEXICON = b"""# words
YES Y EH S
NO N OW
NO(2) N AA
CAF\xc3\x89 K AE F EY
"""
PHRASES = b"yes please\t0.5\nno\nturn on the light\t-1.5\n\n# comment\n"
FST_TEXT = b"0 1 a x 0.5\n1 2 b y\n0 2 <eps> z 1.25\n2 2 a a 3\n2 0.5\n1\n"
FSG = b"""FSG_BEGIN x
NUM_STATES 3
S 0
FINAL_STATE 2
TRANSITION 0 1 0.5 one # comment
T 1 2 1.0
FSG_END
"""
SYMBOLS = b"<eps> 0\na 1\nb 2\n#0 3\n"

TEXT_SCRAPS = (
    b"\n", b"\r\n", b" ", b"\t", b"\xc2\xa0", b"\xff", b"\xed\xa0\x80", b"\0", b"\xef\xbb\xbf",
    b"-1", b"0", b"1e999", b"-1e999", b"nan", b"inf", b"-inf", b"9" * 40, b"1_0", b"0x10",
    b"<eps>", b"#0", b"<s>", b"</s>", b"(2)", b";;;", b"#", b"a" * 5000, b"\xe2\x80\xa8",
)  # fmt: skip
ARPA_SCRAPS = (b"\\data\\\n", b"\\end\\\n", b"\\1-grams:\n", b"\\2-grams:\n", b"\\9-grams:\n",
               b"ngram 1=4\n", b"ngram 2=999999999999\n", b"\\", b"-0.3 one one -0.1\n")  # fmt: skip
JSGF_SCRAPS = (b"(", b")", b"[", b"]", b"*", b"+", b"|", b";", b"=", b"<", b">", b"{", b"}", b"/",
               b"/*", b"*/", b"//", b'"', b"\\", b"<a>", b"<b>", b"<what>", b"<NULL>", b"<VOID>",
               b"public ", b"import <a.b>;", b"grammar x;", b"<a> = <a> x;", b"/1/", b"(" * 99,
               b"([" * 40, b"*" * 50, b"#JSGF V1.0 UTF-16;", b"<sizes.size>", b"(<what> <what>)+ ",
               b"<what> " * 30)  # fmt: skip
SILENCE_LEXICON = b"""one 1 0.25 1.1 0.93 W AH N
one 0.5 0.01 0.8 1.2 HH W AH N
tw\xc3\xb6 1 0.99 1 1 T UW
"""
SILPROB = b"<s> 0.99\n</s>_s 2.50\n</s>_n 0.01\noverall 0.20\n"
NUMBERS = (b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f",
           b"\x00\x00\x80\xff", b"\x01\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00" * 8)  # fmt: skip


def parsers() -> dict[str, Parser]:
    """Return the parsers by name."""
    words = {gram: value for gram, value in SMALL.items() if len(gram) == 1}
    pairs = {gram: value for gram, value in SMALL.items() if len(gram) <= 2}
    return {
        "arpa": Parser(lambda p: ngram_to_fst(read_arpa(p)), (ARPA, gzip.compress(ARPA, mtime=0)),
                       TEXT_SCRAPS + ARPA_SCRAPS),
        "lm_bin": Parser(lambda p: ngram_to_fst(read_lm_bin(p)), (pack(words), pack(pairs)),
                         NUMBERS),
        "jsgf": Parser(lambda p: read_jsgf(p).to_fst(), (JSGF,), TEXT_SCRAPS + JSGF_SCRAPS),
        "phrases": Parser(read_phrases, (PHRASES,), TEXT_SCRAPS),
        "lexicon": Parser(read_lexicon, (LEXICON, gzip.compress(LEXICON, mtime=0)), TEXT_SCRAPS),
        "lexicon_silence": Parser(read_silence_lexicon, (SILENCE_LEXICON,), TEXT_SCRAPS),
        "silprob": Parser(read_silence_probabilities, (SILPROB,), TEXT_SCRAPS),
        "fst_text": Parser(read_fst_text, (FST_TEXT,), TEXT_SCRAPS),
        "fst_binary": Parser(read_fst, (_binary(),), NUMBERS),
        "fsg": Parser(read_fsg, (FSG,), TEXT_SCRAPS),
        "symbols": Parser(Symbols.read, (SYMBOLS,), TEXT_SCRAPS),
    }  # fmt: skip


def _binary() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.fst.txt"
        path.write_bytes(FST_TEXT)
        return read_fst_text(path).to_bytes()


def damaged(data: bytes, scraps: Iterable[bytes], rng: random.Random) -> bytes:
    """Return `data` after one to four random injuries."""
    copy, scraps = bytearray(data), list(scraps)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        # headers and ends are hit as often as everything between
        at = rng.randrange(rng.choice((len(copy), min(60, len(copy)))) + 1)
        if rng.random() < 0.3:
            at = max(0, len(copy) - rng.randrange(400))
        kind = rng.randrange(9)
        if kind == 0:
            del copy[at:]
        elif kind == 1 and copy:
            copy[min(at, len(copy) - 1)] = rng.randrange(256)
        elif kind == 2:
            scrap = rng.choice(scraps)
            copy[at : at + rng.choice((0, len(scrap)))] = scrap
        elif kind == 3:
            del copy[at : at + rng.choice((1, 2, 4, 30))]
        elif kind == 4:
            copy[at:at] = rng.randbytes(rng.choice((1, 4, 40)))
        elif kind == 5:
            start = rng.randrange(len(copy) + 1)
            copy[at:at] = copy[start : start + rng.choice((5, 40, 400))]
        elif kind in (6, 7):
            lines = bytes(copy).split(b"\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            if kind == 6:
                lines[i], lines[j] = lines[j], lines[i]
            else:
                lines[i:i] = [lines[j]] * rng.choice((1, 2, 50))
            copy = bytearray(b"\n".join(lines))
        else:
            digits = [i for i, byte in enumerate(copy[:4000]) if 48 <= byte <= 57]
            if digits:
                copy[rng.choice(digits)] = rng.randrange(48, 58)
    return bytes(copy)


@dataclasses.dataclass
class Report:
    """What a run found."""

    n_inputs: int = 0
    n_refused: int = 0
    slowest: float = 0.0


def check(parser: Parser, data: bytes, path: Path) -> bool:
    """Feed one input; return whether it was refused, raise `AssertionError` when badly.

    A refusal names the file, unless it concerns the grammar as a whole.
    """
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parser.read(path)
    except WfstHmmError as error:
        refusal = error
    except Exception as error:
        raise AssertionError(f"{path}: {type(error).__name__}: {str(error)[:300]}") from error
    else:
        return False
    message = str(refusal)
    assert "\n" not in message, message[:300]
    assert len(message) < 5000, message[:300]
    assert str(path) in message or isinstance(refusal, GraphError) or refusal.where, message[:300]
    return True


def fuzz(parser: Parser, n: int, seed: int, folder: Path, *, memory: bool = False) -> Report:
    """Feed `n` damaged inputs; the first that is handled badly is left in `folder`."""
    rng, report = random.Random(seed), Report()
    path = folder / "input"
    sizes = b"#JSGF V1.0;\ngrammar sizes;\npublic <size> = big | small;"
    (folder / "sizes.gram").write_bytes(sizes)
    if memory:
        tracemalloc.start()
    try:
        for _ in range(n):
            data = damaged(rng.choice(parser.seeds), parser.scraps, rng)
            if memory:  # what earlier inputs left for the garbage collector is not this one's
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
            start = time.monotonic()
            report.n_refused += check(parser, data, path)
            report.slowest = max(report.slowest, time.monotonic() - start)
            report.n_inputs += 1
            assert report.slowest < MAX_SECONDS, f"{report.slowest:.1f} s for {path}"
            if memory:
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak < MAX_BYTES, f"{peak} bytes for {path}"
    finally:
        if memory:
            tracemalloc.stop()
    return report


def main() -> None:
    """Run by hand."""
    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("--inputs", type=int, default=100_000, help="how many, in all")
    arguments.add_argument("--parser", choices=sorted(parsers()), help="one parser only")
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    names = [chosen.parser] if chosen.parser else list(parsers())
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for i, name in enumerate(names):
        share = chosen.inputs // len(names) + (i < chosen.inputs % len(names))
        report = fuzz(parsers()[name], share, chosen.seed, folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:12s} {report.n_inputs:7d} inputs, {report.n_refused:7d} refused, "
              f"slowest {report.slowest:.2f} s, process peak {peak} MB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
