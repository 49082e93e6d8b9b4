"""What the grammars of this folder share: words that stand for writing.

In: phrases with what they are written as. Out: pynini transducers from words to characters, files
for ``wfst-hmm --grammar``, and the writing of a spoken phrase.

Labels: words are numbered in `WORDS` on the input side; characters by their code point on the
output side.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import pynini

WORDS = pynini.SymbolTable()
WORDS.add_symbol("<eps>")


def say(words: str, written: str = "") -> pynini.Fst:
    """Return the transducer from a phrase, its words between blanks, to what is written for it."""
    for word in words.split():
        WORDS.add_symbol(word)
    spoken = pynini.accep(words, token_type=WORDS) if words else pynini.accep("")
    # "[" and "]" quote labels in pynini's strings
    return pynini.cross(spoken, pynini.accep(pynini.escape(written), token_type="utf8"))


def one_of(*choices: pynini.Fst | tuple[str, str]) -> pynini.Fst:
    """Return the union of transducers and (words, written) pairs."""
    machines = [say(*item) if isinstance(item, tuple) else item for item in choices]
    return pynini.union(*machines).optimize()


def table(text: str, written: Iterable[str]) -> pynini.Fst:
    """Return the union of the words of `text`, each with its writing."""
    return one_of(*zip(text.split(), written, strict=True))


def maybe(machine: pynini.Fst) -> pynini.Fst:
    """Return the machine, or nothing said and nothing written."""
    return pynini.closure(machine, 0, 1)


def acceptor(machine: pynini.Fst) -> pynini.Fst:
    """Return what may be spoken, as a minimal acceptor with its words."""
    spoken = pynini.project(machine, "input").rmepsilon()
    spoken = pynini.determinize(spoken).minimize()
    spoken.set_input_symbols(WORDS)
    spoken.set_output_symbols(WORDS)
    return spoken


def accepts(machine: pynini.Fst, phrase: str) -> bool:
    """Tell whether a phrase belongs to the grammar."""
    return _paths(machine, phrase).start() != pynini.NO_STATE_ID


def written(machine: pynini.Fst, phrase: str) -> str | None:
    """Return how a phrase is written, None when it does not belong to the grammar."""
    best = pynini.shortestpath(pynini.project(_paths(machine, phrase), "output")).rmepsilon()
    if best.start() == pynini.NO_STATE_ID:
        return None
    return str(best.string(token_type="utf8"))


def _paths(machine: pynini.Fst, phrase: str) -> pynini.Fst:
    words = phrase.split()
    if any(not WORDS.member(word) for word in words):
        return pynini.Fst()
    spoken = pynini.accep(" ".join(words), token_type=WORDS) if words else pynini.accep("")
    return pynini.compose(spoken, machine)


def main(title: str, build: Callable[[], pynini.Fst]) -> None:
    """Serve a grammar from the command line: write it to a file, or write phrases out."""
    arguments = argparse.ArgumentParser(description=title)
    arguments.add_argument("--out", type=Path, help="write the acceptor of words here (.fst)")
    arguments.add_argument("phrase", nargs="*", help="a phrase to be written out")
    chosen = arguments.parse_args()
    machine = build()
    if chosen.out:
        acceptor(machine).write(str(chosen.out))
    if chosen.phrase:
        text = written(machine, " ".join(chosen.phrase))
        print("not in the grammar" if text is None else text)
