"""Damaged inputs for every other reader: audio, lists, models, graphs, lattices, the service.

In CI ``fuzz/test_readers.py`` runs a few dozen inputs per reader. By hand, each reader in a process
of its own, with 4 GB of address space and 5 seconds for each input::

    python tests/reader_fuzz.py --inputs 1000000         # all readers, these and those of parser_fuzz
    python tests/reader_fuzz.py --seconds 600 --jobs 2   # or for so long
    python tests/reader_fuzz.py --guided --seconds 800   # inputs chosen by coverage (atheris)
    python tests/reader_fuzz.py --guided --reader kaldi_tree_text --seconds 60

An input that makes a reader fail other than by a `WfstHmmError` of one line, crash, or take longer
than 5 seconds, is kept and shown. ``parser_fuzz`` holds the parsers of grammars and lexicons.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import io
import json
import multiprocessing
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, FunctionType
from typing import NoReturn

import numpy as np
import parser_fuzz
import soundfile
import sphinx_models
from numba.core.dispatcher import Dispatcher
from parser_fuzz import NUMBERS, TEXT_SCRAPS, damaged

from wfst_hmm.apps.diarization.options import read_ini
from wfst_hmm.apps.diarization.regions import read_regions
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.cluster.journal import ShardJournal
from wfst_hmm.cluster.values import pack, unpack
from wfst_hmm.errors import WfstHmmError, WfstHmmWarning
from wfst_hmm.formats.ctm import read_ctm, write_ctm
from wfst_hmm.formats.data import read_corpus, read_transcripts
from wfst_hmm.formats.htk.labels import read_labels, read_mlf
from wfst_hmm.formats.htk.mmf import read_mmf
from wfst_hmm.formats.htk.model import read_hmm_list
from wfst_hmm.formats.htk.slf import read_slf
from wfst_hmm.formats.kaldi.archives import (
    read_archive,
    read_cmvn,
    read_integer_lists,
    read_object,
    read_script,
    write_archive,
    write_integer_lists,
    write_object,
)
from wfst_hmm.formats.kaldi.config import read_feature_options
from wfst_hmm.formats.kaldi.export import export_model
from wfst_hmm.formats.kaldi.gmm import read_model as read_kaldi_gmm
from wfst_hmm.formats.kaldi.lattices import read_lattices as read_kaldi_lattices
from wfst_hmm.formats.kaldi.model import read_kaldi_model
from wfst_hmm.formats.kaldi.tree import PDF_CLASS, DecisionTree, Node
from wfst_hmm.formats.msd import read_timbre_csv, read_track
from wfst_hmm.formats.nist import read_stm, read_timed, read_trn
from wfst_hmm.formats.rttm import read_rttm, read_uem
from wfst_hmm.formats.sphinx.container import read_cepstra, write_cepstra
from wfst_hmm.formats.sphinx.mdef import read_mdef
from wfst_hmm.formats.sphinx.model import read_feat_params, read_sphinx_model
from wfst_hmm.formats.sphinx.parameters import (
    read_gaussians,
    read_mixture_weights,
    read_sendump,
    read_transitions,
)
from wfst_hmm.formats.subtitles import read_srt, read_vtt
from wfst_hmm.formats.textgrid import read_textgrid, textgrid_text
from wfst_hmm.graph.biasing import read_boosts
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.lattice.store import read_lattices, write_lattices
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.loading import load_model
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.search.result import Word
from wfst_hmm.signal.audio import read_audio
from wfst_hmm.signal.htk_files import HtkFeatures, read_htk_features, write_htk_features
from wfst_hmm.signal.kaldi import FeatureOptions

MAX_SECONDS = 5.0
MAX_BYTES = 1 << 30
ADDRESS_SPACE = 4 << 30  # libraries and their arenas take most of it

BINARY_SCRAPS = (*NUMBERS, b"\0B", b"<?>", b"\x04\x00\x00\x10", b"FM ", b"CM2", b"\xff" * 8)
JSON_SCRAPS = (b"{", b"}", b"[", b"]", b",", b'"', b"null", b"true", b"-1", b"1e999", b"1e-999",
               b"NaN", b"9" * 30, b'"x"', b"[" * 300, b"\\u0000", b"\xff")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Reader:
    """What to feed: a reader of a path, sound files of which one is damaged, scraps.

    Attributes
    ----------
    read : callable
        Takes the file, or the folder where there are several.
    files : dict of str to bytes
        By name below the folder. A single file is called ``input``.
    victims : tuple of str
        The files that are damaged; by default all.
    writes : bool
        Whether the reader changes the files.
    """

    read: Callable[[Path], object]
    files: dict[str, bytes]
    scraps: tuple[bytes, ...] = BINARY_SCRAPS
    victims: tuple[str, ...] = ()
    writes: bool = False

    @property
    def is_folder(self) -> bool:
        return set(self.files) != {"input"}


@functools.cache
def readers() -> dict[str, Reader]:
    """Return all readers by name, those of ``parser_fuzz`` included."""
    found: dict[str, Reader] = {}
    for name, parser in parser_fuzz.parsers().items():
        for number, seed in enumerate(parser.seeds):
            suffix = f"_{number}" if number else ""
            found[name + suffix] = Reader(parser.read, {"input": seed}, parser.scraps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found |= _audio(folder) | _lists() | _models(folder) | _kaldi(folder) | _sphinx(folder)
        found |= _htk(folder) | _others(folder)
    return found


def single(read: Callable[[Path], object], data: bytes | str, scraps: tuple[bytes, ...]) -> Reader:
    """Return a reader of one file."""
    return Reader(read, {"input": data.encode() if isinstance(data, str) else data}, scraps)


def text(read: Callable[[Path], object], data: str) -> Reader:
    """Return a reader of one text."""
    return single(read, data, TEXT_SCRAPS)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _audio(folder: Path) -> dict[str, Reader]:
    rng = np.random.default_rng(0)
    wave = (0.1 * rng.normal(size=800)).clip(-1, 1)
    made = {}
    for kind, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"),
                          ("OGG", "VORBIS"), ("AIFF", "PCM_16"), ("AU", "ULAW"),
                          ("RF64", "PCM_16"), ("W64", "PCM_16")):  # fmt: skip
        stream = io.BytesIO()
        soundfile.write(stream, wave, 8000, format=kind, subtype=subtype)
        made[f"audio_{kind}_{subtype}".lower()] = single(
            lambda p: read_audio(p, rate=16000), stream.getvalue(),
            (*NUMBERS, b"RIFF", b"data", b"fmt ", b"LIST", b"OggS", b"fLaC"),
        )  # fmt: skip
    return made


def _lists() -> dict[str, Reader]:
    manifest = (
        "id\taudio\ttext\tspeaker\tstart\tend\nu1\ta.wav\tone two\ts\t0.5\t1.5\nu2\ta.wav\t\t\t\t\n"
    )
    lists = {"wav.scp": b"u1 a.wav\nu2 a.wav\n", "text": b"x one two\ny\n", "a.wav": b"RIFF",
             "utt2spk": b"x s\ny s\n", "segments": b"x u1 0.0 1.5\ny u2 1 -1\n"}  # fmt: skip
    victims = ("wav.scp", "text", "utt2spk", "segments")
    return {
        "manifest": Reader(lambda p: read_corpus(p / "m.tsv"),
                           {"m.tsv": manifest.encode(), "a.wav": b"RIFF"}, TEXT_SCRAPS, ("m.tsv",)),
        "data_directory": Reader(read_corpus, lists, TEXT_SCRAPS, victims),
        "transcripts": text(read_transcripts, "u1 one two\nu2\n"),
        "rttm": text(read_rttm, "SPEAKER rec 1 0.50 1.25 <NA> <NA> spk0 <NA> <NA>\n" * 3),
        "uem": text(read_uem, "rec 1 0.0 30.0\nrec 1 40 50\n"),
        "trn": text(read_trn, "one { two / too too / @ } (uh) (u1)\n;; comment\n(u2)\n"),
        "stm": text(read_stm, "rec 1 anna 0.5 1.25 <o,f0> one { two / @ }\nrec 1 bert 2 3\n"),
        "textgrid": text(read_textgrid, textgrid_text({"words": [Word("one", 0.1, 0.5)]}, duration=1)),
        "ctm_choices": text(read_timed, "f 1 * * <ALT_BEGIN>\nf 1 0.1 0.2 a\nf 1 * * <ALT>\n"
                            "f 1 * * <ALT_END>\nf 1 0.5 0.1 no NA lex NA\n"),
        "ctm": text(read_ctm, "rec 1 0.50 0.25 one 0.9\nrec 1 0.75 0.25 two\n"),
        "srt": text(read_srt, "1\n00:00:00,500 --> 00:00:01,000\none\ntwo\n\n"),
        "vtt": text(read_vtt, "WEBVTT\n\n00:00.500 --> 00:01.000\none &lt;two\n\nNOTE x\n"),
        "regions": text(read_regions, "0.5 1.5 speech\n2 3 nonspeech\n"),
        "boosts": text(lambda p: read_boosts(p, boost=1.0), "turn on the light\t2.5\nno\n"),
        "diarizer_ini": text(read_ini, "[Diarizer]\nbasename = a\naudio = a.wav\n"
                             "output_cluster = o\ngmm_output = g\ninitial_clusters = 16\nM_mfcc=5\n"),
        "timbre_csv": text(read_timbre_csv, "track_id,artist,title,year,"
                           + ",".join(f"timbre_avg{i}" for i in range(1, 13))
                           + "\nTR1,a,b,1987," + ",".join("1" * 12) + "\n"),
    }  # fmt: skip


def small_model() -> AcousticModel:
    """Return a model of three phones in two dimensions' worth of cepstra."""
    rng = np.random.default_rng(7)
    topologies = (Topology.silence(3), Topology.left_to_right(2), Topology.left_to_right(2))
    columns = tuple(np.arange(a, b, dtype=np.int32) for a, b in ((0, 3), (3, 5), (5, 7)))
    options = FeatureOptions(rate=8000, n_ceps=3, delta_order=0)
    n = options.n_dims
    states = [(np.full(2, 0.5), rng.normal(size=(2, n)), np.full((2, n), 2.0)) for _ in range(7)]
    return AcousticModel(("SIL", "Y", "N"), ("SIL",), topologies, columns,
                         MixtureSet.from_states(states), options)  # fmt: skip


def _models(folder: Path) -> dict[str, Reader]:
    model = small_model()
    lexicon = Lexicon([Entry("yes", ("Y", "N")), Entry("no", ("N",))])
    grammar = grammar_from_spec("loop", lexicon, silence_phones=["SIL"])
    model.save(folder / "model")
    graph = build_graph(model, lexicon, grammar)
    Recognizer(graph, model).save(folder / "graph")
    gmm = GaussianMixture(2, 2)
    gmm.train(np.random.default_rng(0).normal(size=(50, 2)), 2)
    gmm.save(folder / "gmm.npz")
    Calibration(1.5, 0.1).save(folder / "calibration.json")
    model_files, graph_files = files_of(folder / "model"), files_of(folder / "graph")
    jsons = {"model": ("model.json",), "graph": ("graph.json",)}
    return {
        "model_json": Reader(load_model, model_files, JSON_SCRAPS, jsons["model"]),
        "model_arrays": Reader(load_model, model_files, (*BINARY_SCRAPS, b"PK\1\2"),
                               ("mixtures.npz",)),
        "graph_json": Reader(Recognizer.load, graph_files, JSON_SCRAPS, jsons["graph"]),
        "graph_files": Reader(_searched, graph_files, BINARY_SCRAPS,
                              ("graph.fst", "labels.npz", "words.txt", "lexicon.txt")),
        "gmm": single(GaussianMixture.load, (folder / "gmm.npz").read_bytes(), BINARY_SCRAPS),
        "calibration": single(Calibration.load, (folder / "calibration.json").read_bytes(),
                              JSON_SCRAPS),
    }  # fmt: skip


def _searched(folder: Path) -> object:
    """Load a graph whatever its digests say (they are checked on request), and look at its arcs."""
    recognizer = Recognizer.load(folder)
    recognizer.searched.fst.validate()
    return recognizer.graph.lexicon


def _kaldi(folder: Path) -> dict[str, Reader]:
    rng = np.random.default_rng(0)
    arrays = {"u1": rng.normal(size=(3, 2)).astype(np.float32), "u2": np.zeros((0, 0), np.float32)}
    made = {}
    for binary in (True, False):
        kind = "binary" if binary else "text"
        scraps = BINARY_SCRAPS if binary else TEXT_SCRAPS
        write_archive(folder / "a", arrays, binary=binary)
        made[f"kaldi_archive_{kind}"] = single(read_archive, (folder / "a").read_bytes(), scraps)
        write_object(folder / "o", rng.normal(size=4), binary=binary)
        made[f"kaldi_vector_{kind}"] = single(
            lambda p: read_object(p, "vector"), (folder / "o").read_bytes(), scraps
        )
        write_integer_lists(folder / "i", {"u": [1, 2, 3]}, binary=binary)
        made[f"kaldi_lists_{kind}"] = single(
            read_integer_lists, (folder / "i").read_bytes(), scraps
        )
        tree = DecisionTree(3, 1, (
            Node("SE", 1, (1,), (1, 2)), Node("TE", PDF_CLASS, (), (3, 4)), Node("CE", 2),
            Node("CE", 0), Node("CE", 1),
        ))  # fmt: skip
        tree.write(folder / "tree", binary=binary)
        made[f"kaldi_tree_{kind}"] = single(
            DecisionTree.read, (folder / "tree").read_bytes(), scraps
        )
        export_model(small_model(), folder / f"k-{kind}", binary=binary)
        files = files_of(folder / f"k-{kind}")
        made[f"kaldi_model_{kind}"] = Reader(read_kaldi_model, files, scraps + TEXT_SCRAPS)
        made[f"kaldi_gmm_{kind}"] = single(read_kaldi_gmm, files["final.mdl"], scraps)
    lattice = "u1 \n0\t1\t3\t1.5,20,2_2_1\n0\t1\t4\n1\t0.5,0,7\n\nu2 \n0 1 5 3 1,2\n1 0,1\n\n"
    cmvn = {"s": np.array([[2.0, 4, 2], [3, 9, 0]])}
    write_archive(folder / "c", cmvn)
    write_archive(folder / "ark", arrays, script=folder / "f.scp")
    return made | {
        "kaldi_lattice_text": text(read_kaldi_lattices, lattice),
        "kaldi_cmvn": single(read_cmvn, (folder / "c").read_bytes(), BINARY_SCRAPS),
        "kaldi_script": Reader(lambda p: read_script(p / "f.scp"),
                               {name: (folder / name).read_bytes() for name in ("f.scp", "ark")},
                               (*TEXT_SCRAPS, b"../../../etc/passwd:0", b"|", b":99999999999999")),
        "kaldi_mfcc_conf": text(lambda p: read_feature_options(p, p.parent),
                                "--use-energy=false\n--num-mel-bins=23\n"),
    }  # fmt: skip


def _sphinx(folder: Path) -> dict[str, Reader]:
    sphinx_models.write_model(folder / "s")
    sphinx_models.write_model(folder / "d", text=False, dump=True)
    plain, dumped = files_of(folder / "s"), files_of(folder / "d")
    cepstra = np.random.default_rng(0).normal(size=(4, 13)).astype(np.float32)
    write_cepstra(folder / "mfc", cepstra)
    n = sphinx_models.N_SENONES
    return {
        "sphinx_model": Reader(lambda p: read_sphinx_model(p).context_model(), plain,
                               TEXT_SCRAPS[:12] + BINARY_SCRAPS),
        "sphinx_model_dump": Reader(read_sphinx_model, dumped, BINARY_SCRAPS),
        "sphinx_mdef": single(read_mdef, plain["mdef"], TEXT_SCRAPS),
        "sphinx_mdef_binary": single(read_mdef, dumped["mdef"], BINARY_SCRAPS),
        "sphinx_means": single(read_gaussians, plain["means"], BINARY_SCRAPS),
        "sphinx_weights": single(read_mixture_weights, plain["mixture_weights"], BINARY_SCRAPS),
        "sphinx_sendump": single(lambda p: read_sendump(p, n, 2), dumped["sendump"],
                                 BINARY_SCRAPS),
        "sphinx_transitions": single(read_transitions, plain["transition_matrices"],
                                     BINARY_SCRAPS),
        "sphinx_feat_params": text(read_feat_params, "-nfilt 25\n-feat 1s_c_d_dd\n-lowerf 130\n"),
        "sphinx_cepstra": single(read_cepstra, (folder / "mfc").read_bytes(), BINARY_SCRAPS),
    }  # fmt: skip


_MACROS = """~o <STREAMINFO> 1 2
<VECSIZE> 2 <NULLD> <USER_D> <DIAGC>
~u "m1" <MEAN> 2 0.5 -0.5
~v "v1" <VARIANCE> 2 2.0 0.5
~s "tied" <NUMMIXES> 2
 <MIXTURE> 1 0.25 <MEAN> 2 1 2 <VARIANCE> 2 1 1 <GCONST> 3.7
 <MIXTURE> 2 0.75 ~u "m1" ~v "v1"
~t "T" <TRANSP> 4
 0 1 0 0
 0 0.5 0.5 0
 0 0 0.6 0.4
 0 0 0 0
~h "b" <BeginHMM> <NumStates> 4 <State> 3 ~s "tied" <State> 2 ~s "tied" ~t "T" <EndHMM>
"""
_SLF = """VERSION=1.0
UTTERANCE=test base=10 lmscale=2.0 wdpenalty=-1.0
NODES=4 LINKS=4
I=0 t=0.0 W=!NULL
I=1 t=0.5 W=bat
I=2 t=0.5 W="cat"
I=3 t=1.0 W=!NULL
J=0 S=0 E=1 a=-3 l=-1
J=1 START=0 END=2 acoustic=-2 language=-1
J=2 S=1 E=3 a=-1
J=3 S=2 E=3 a=-1
"""


def _htk(folder: Path) -> dict[str, Reader]:
    found = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    made = {}
    for compress in (False, True):
        write_htk_features(folder / "f", HtkFeatures(found, 0.01, "MFCC_0"), compress=compress)
        name = "htk_features_compressed" if compress else "htk_features"
        made[name] = single(read_htk_features, (folder / "f").read_bytes(), BINARY_SCRAPS)
    scraps = (*TEXT_SCRAPS, b"~h", b"<MEAN>", b"<NUMSTATES> 99999999", b"<TRANSP> 9", b'"', b"~s")
    return made | {
        "htk_mmf": single(read_mmf, _MACROS, scraps),
        "htk_slf": single(read_slf, _SLF, (*TEXT_SCRAPS, b"NODES=99999999", b"S=9", b"J=", b"=")),
        "htk_hmm_list": text(read_hmm_list, "a\nb\na-b+a\nb-b+a a-b+a\n"),
        "htk_labels": text(read_labels, "0 5000000 one -3.5\n5000000 9000000 two\n"),
        "htk_mlf": text(read_mlf, '#!MLF!#\n"*/a.lab"\n0 50000 a\n.\n"*/b.lab"\nb\n.\n'),
    }


def _others(folder: Path) -> dict[str, Reader]:
    words = {"u": [Word("one", 0.0, 0.5, 0.9), Word("two", 0.5, 1.0)]}
    write_ctm(folder / "w.ctm", words)
    made = {"ctm_ours": single(read_ctm, (folder / "w.ctm").read_bytes(), TEXT_SCRAPS)}
    write_lattices(folder / "l.npz", {"u": _lattice()})
    made["lattices"] = single(read_lattices, (folder / "l.npz").read_bytes(), BINARY_SCRAPS)
    packed = pack([(Word("a", 0.0, 1.0),), {"x": np.arange(9.0)}])
    made["packed_results"] = single(lambda p: unpack(p.read_bytes()), packed, BINARY_SCRAPS)
    with contextlib.closing(ShardJournal(folder / "j", "work", [["a"], ["b"]])) as journal:
        journal.write(0, packed)
        files = {f"j.journal/{k}": v for k, v in files_of(journal.folder).items() if k != "lock"}
    made["shard_journal"] = Reader(_journal, files, JSON_SCRAPS, writes=True)
    made |= _hdf5(folder)
    with contextlib.suppress(ImportError):
        from wfst_hmm.service.protocol import ProtocolError, parse_message, parse_start, samples_of

        def message(path: Path) -> object:
            with contextlib.suppress(ProtocolError):
                return parse_start(parse_message(path.read_bytes().decode("latin-1")))
            return None

        def audio(path: Path) -> object:
            with contextlib.suppress(ProtocolError):
                return samples_of(path.read_bytes(), "f32le")
            return None

        start = json.dumps({"type": "start", "rate": 16000, "encoding": "f32le", "token": "x"})
        made["service_message"] = single(message, start, JSON_SCRAPS)
        made["service_audio"] = single(audio, np.zeros(40, np.float32).tobytes(), NUMBERS)
    return made


def _journal(folder: Path) -> object:
    with contextlib.closing(ShardJournal(folder / "j", "work", [["a"], ["b"]])) as journal:
        return [journal.read(number) for number in journal.done()]


def _lattice() -> object:
    from wfst_hmm.fst.symbols import Symbols
    from wfst_hmm.lattice.lattice import Lattice

    return Lattice(
        np.array([0, 0, 1], np.int32), np.array([1, 1, 2], np.int32), np.array([1, 2, 0], np.int32),
        np.array([0.5, 1.0, 0.0]), np.array([3.0, 4.0, 1.0]), np.array([1, 1, 2, 3], np.int32),
        np.array([0, 2, 3, 4]), np.array([np.inf, np.inf, 0.0]), Symbols(["<eps>", "a", "b"]),
    )  # fmt: skip


def _hdf5(folder: Path) -> dict[str, Reader]:
    try:
        import h5py
    except ImportError:
        return {}
    with h5py.File(folder / "t.h5", "w") as file:
        file["analysis/segments_timbre"] = np.zeros((7, 12))
        file["analysis/songs"] = np.array([(b"TR1",)], dtype=[("track_id", "S20")])
        facts = [("artist_name", "S50"), ("title", "S50")]
        file["metadata/songs"] = np.array([(b"a", b"b")], dtype=facts)
        file["metadata/artist_terms"] = np.array([b"rock"], dtype="S50")
        file["musicbrainz/artist_mbtags"] = np.array([b"rock"], dtype="S50")
        file["musicbrainz/songs"] = np.array([(1995,)], dtype=[("year", "i4")])
    return {"hdf5": single(read_track, (folder / "t.h5").read_bytes(), BINARY_SCRAPS)}


class _TooSlow(BaseException):
    """An input took longer than `MAX_SECONDS`; none of our handlers catches it."""


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Interrupt what takes too long (Python's own code at once, a library when it returns)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def feed(reader: Reader, data: bytes, victim: str, folder: Path) -> bool:
    """Feed one input; return whether it was refused, raise `AssertionError` when badly."""
    path = folder / victim
    path.write_bytes(data)
    try:
        with warnings.catch_warnings(), impatient():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", WfstHmmWarning)  # read, and said what was odd
            reader.read(folder if reader.is_folder else path)
    except WfstHmmError as error:
        message = str(error)
        assert "\n" not in message, f"{path}: {message[:300]}"
        assert len(message) < 5000, f"{path}: {message[:300]}"
        return True
    except _TooSlow:
        raise AssertionError(f"{path}: more than {MAX_SECONDS} seconds") from None
    except Exception as error:
        raise AssertionError(f"{path}: {type(error).__name__}: {str(error)[:300]}") from error
    return False


def laid_out(reader: Reader, folder: Path) -> None:
    """Write the sound files, and the grammar that one of them imports."""
    (folder / "sizes.gram").write_bytes(b"#JSGF V1.0;\ngrammar sizes;\npublic <size> = big;")
    for name, data in reader.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@dataclasses.dataclass
class Tally:
    """What a run found."""

    n_inputs: int = 0
    n_refused: int = 0
    slowest: float = 0.0
    grown: int = 0
    problem: str = ""


def fuzz(reader: Reader, folder: Path, *, n: int, seconds: float, seed: int) -> Tally:
    """Feed damaged inputs until there were `n`, or for so long; stop at the first problem."""
    rng, tally = random.Random(seed), Tally()
    laid_out(reader, folder)
    victims = reader.victims or tuple(reader.files)
    end = time.monotonic() + seconds
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while tally.n_inputs < n and time.monotonic() < end:
        victim = rng.choice(victims)
        data = damaged(reader.files[victim], reader.scraps, rng)
        begin = time.monotonic()
        try:
            tally.n_refused += feed(reader, data, victim, folder)
        except AssertionError as error:
            tally.problem = str(error)
            return tally
        tally.slowest = max(tally.slowest, time.monotonic() - begin)
        tally.n_inputs += 1
        if reader.writes:
            laid_out(reader, folder)
        elif reader.is_folder:
            (folder / victim).write_bytes(reader.files[victim])
    tally.grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if tally.grown > MAX_BYTES:
        tally.problem = f"{tally.grown >> 20} MB for one of the inputs"
    return tally


def _run(name: str, folder: Path, n: int, seconds: float, seed: int, pipe: object) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    tally = fuzz(readers()[name], folder, n=n, seconds=seconds, seed=seed)
    pipe.send(dataclasses.asdict(tally))  # type: ignore[attr-defined]


def run_all(names: list[str], n: int, seconds: float, seed: int, jobs: int) -> int:
    """Fuzz every reader in a process of its own; return how many problems there were."""
    readers()  # made once, inherited by the forks
    share, time_share = -(-n // len(names)), seconds * jobs / len(names)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk would set the pace
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory))
    context = multiprocessing.get_context("fork")
    waiting, running = list(names[::-1]), {}
    total, problems = Tally(), []
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop()
            (folder / name).mkdir()
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run, args=(name, folder / name, share, time_share, seed, theirs)
            )
            process.start()
            theirs.close()
            running[name] = (process, ours)
        for name, (process, pipe) in list(running.items()):
            if process.is_alive() and not pipe.poll(0.05):
                continue
            try:
                tally = Tally(**pipe.recv())
            except EOFError:
                process.join()
                tally = Tally(problem=f"{folder / name}: the process died ({process.exitcode})")
            process.join()
            del running[name]
            total.n_inputs += tally.n_inputs
            total.n_refused += tally.n_refused
            total.slowest = max(total.slowest, tally.slowest)
            total.grown = max(total.grown, tally.grown)
            print(f"{name:28s} {tally.n_inputs:8d} inputs, {tally.n_refused:8d} refused, slowest "
                  f"{tally.slowest:.2f} s, memory +{tally.grown >> 20} MB {tally.problem}",
                  flush=True)  # fmt: skip
            if tally.problem:
                problems.append(name)
            else:
                shutil.rmtree(folder / name)
    print(f"{len(names)} readers: {total.n_inputs:,} inputs, {total.n_refused:,} refused, slowest "
          f"{total.slowest:.2f} s, memory at most +{total.grown >> 20} MB, {len(problems)} problems "
          f"{' '.join(problems)}")  # fmt: skip
    return len(problems)


def interpreted() -> list[FunctionType]:
    """Return all functions and methods of this package that Python itself runs."""
    objects = [o for o in gc.get_objects() if isinstance(o, (FunctionType, Dispatcher))]
    compiled = {id(o.py_func) for o in objects if isinstance(o, Dispatcher)}
    return [
        o for o in objects
        if isinstance(o, FunctionType) and id(o) not in compiled
        and (o.__module__ or "").startswith("wfst_hmm.") and "wfst_hmm" in o.__code__.co_filename
    ]  # fmt: skip


def run_guided(name: str, seconds: float, seed: int) -> NoReturn:
    """Let atheris choose inputs by the lines of this package that they reach; it ends the process."""
    import atheris

    reader = readers()[name]
    for function in interpreted():
        atheris.instrument_func(function)
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    victims = reader.victims or tuple(reader.files)
    for number, victim in enumerate(victims):
        (corpus / str(number)).write_bytes(bytes([number]) + reader.files[victim])
    work = folder / "work"
    work.mkdir()
    laid_out(reader, work)

    def one(data: bytes) -> None:
        if data:
            victim = victims[data[0] % len(victims)]
            feed(reader, data[1:], victim, work)
            if reader.is_folder:
                laid_out(reader, work)

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, size))
        return (data[:1] + damaged(data[1:], reader.scraps, rng))[:size]

    arguments = [sys.argv[0], str(corpus), f"-max_total_time={int(seconds)}", f"-seed={seed + 1}",
                 "-rss_limit_mb=4096", "-timeout=30", f"-artifact_prefix={folder}/"]  # fmt: skip
    atheris.Setup(arguments, one, custom_mutator=mutate)
    atheris.Fuzz()
    raise SystemExit


def run_all_guided(names: list[str], seconds: float, seed: int) -> int:
    """Do so for every reader, in a process of its own; return how many problems there were."""
    total, problems = 0, []
    for name in names:
        command = [sys.executable, __file__, "--guided", "--reader", name, "--seed", str(seed),
                   "--seconds", str(max(1, round(seconds / len(names))))]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        lines = done.stderr.splitlines()
        last = [line for line in lines if "cov: " in line][-1:] or ["nothing was run"]
        runs = re.search(r"Done (\d+) runs", done.stderr)
        total += int(runs[1]) if runs else 0
        print(f"{name:28s} {last[0].partition(' lim:')[0]}", flush=True)
        if done.returncode:
            problems.append(name)
            print(*[line[:400] for line in lines if "Error" in line], sep="\n", flush=True)
    print(f"{len(names)} readers: {total:,} inputs, {len(problems)} problems {' '.join(problems)}")
    return len(problems)


def main() -> int:
    """Run by hand."""
    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("--inputs", type=int, default=100_000, help="how many, in all")
    arguments.add_argument("--seconds", type=float, default=1e9, help="for how long at most")
    arguments.add_argument("--reader", choices=sorted(readers()), help="one reader only")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--jobs", type=int, default=1)
    arguments.add_argument("--guided", action="store_true", help="by coverage; needs atheris")
    chosen = arguments.parse_args()
    if chosen.guided:
        if not chosen.reader:
            return min(1, run_all_guided(list(readers()), min(chosen.seconds, 1e6), chosen.seed))
        run_guided(chosen.reader, min(chosen.seconds, 1e6), chosen.seed)
    names = [chosen.reader] if chosen.reader else list(readers())
    return min(1, run_all(names, chosen.inputs, chosen.seconds, chosen.seed, chosen.jobs))


if __name__ == "__main__":
    sys.exit(main())
