"""What a file is, by its content: whatever its name, packed, with a byte order mark."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.errors import FormatError
from wfst_hmm.kinds import KINDS, USES, kind_for, kind_of, reader_of

TEXTS = {
    "JSGF grammar": "\n#JSGF V1.0;\ngrammar a;\npublic <a> = one;\n",
    "SRGS grammar": '<?xml version="1.0"?>\n<!-- digits -->\n<grammar xmlns="http://www.w3.org/2001/'
                    '06/grammar" root="d"><rule id="d">one</rule></grammar>\n',
    "Sphinx FSG": "# a grammar\nFSG_BEGIN x\nN 2\nS 0\nF 1\nT 0 1 1.0 one\nFSG_END\n",
    "ARPA model": "made by hand\n" * 5000 + "\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a\n\\end\\\n",
    "word list of Vosk": '["one two", "three", "[unk]"]\n',
    "PocketSphinx keyword list": "hello world /1e-20/\nstop /1.0/\n",
    "phrase list": "turn on the light\nturn off the light\nstop\n",
    "lexicon": "yes Y EH S\nno N OW\nmaybe M EY B IY\n",
    "Kaldi text": "anna-01 turn on the light\nanna-02 stop\n",
    "trn file": "turn on the light (anna-01)\nstop (anna-02)\n",
    "CTM file": ";; made by hand\na 1 0.10 0.30 turn 0.9\na 1 0.40 0.20 on\n",
    "STM file": "a 1 anna 0.0 1.5 <o,f0,female> turn on\nb 1 bob 0.0 2.0 stop\n",
    "RTTM file": "SPEAKER a 1 0.0 1.5 <NA> <NA> anna <NA> <NA>\n",
    "UEM file": "a 1 0.0 30.0\n",
    "segments file of Kaldi": "a-1 rec-a 0.0 2.5\n",
    "TextGrid": 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\n',
    "subtitles": "1\n00:00:01,000 --> 00:00:02,000\nturn on\n",
    "manifest": "id\taudio\ttext\na\ta.wav\tone\n",
    "table of recordings with a wrong header": "name\tfile\twords\na\ta.wav\tone\nb\tb.wav\ttwo\n",
    "list of recordings or features of Kaldi (scp)": "a audio/a.wav\nb audio/b.wav\n",
    "symbol table": "<eps>\t0\nnew york\t1\n",
    "text FST": "0\t1\tzero\t0\t0.5\n1\t1.5\n",
    "HTK master label file": '#!MLF!#\n"*/a.lab"\n0 500000 sil\n.\n',
    "HTK model file": '~o\n<STREAMINFO> 1 39\n<VECSIZE> 39<NULLD><MFCC_0_D_A><DIAGC>\n~h "a"\n',
    "HTK list of HMMs": "sil\na-b+c\na-d+e a-b+c\n",
    "HTK lattice": "VERSION=1.0\nN=2 L=1\nI=0 t=0.0\nI=1 t=1.0\nJ=0 S=0 E=1 W=one a=-1 l=-1\n",
    "lattices of Kaldi, text": "a \n0 1 one 0.5,1.5,3_4\n1 0,0,\n\n",
    "label file": "0 500000 sil\n500000 900000 a\n",
    "CSV table": "word,count\nyes,3\nno,4\n",
    "JSON file": '{"a": 1}',
    "XML document": '<?xml version="1.0"?><songs><song/></songs>',
    "HTML page": "<!doctype html>\n<html><body>x</body></html>",
    "topology of Kaldi": "<Topology>\n<TopologyEntry>\n",
    "file of settings": "TARGETKIND = MFCC_0\nNUMCHANS = 26\n",
    "settings": "[Diarizer]\nbasename = x\n",
}  # fmt: skip
HEADS = {
    "PDF document": b"%PDF-1.7\n\0\0\1", "PNG picture": b"\x89PNG\r\n\x1a\n\0\0",
    "recording": b"RIFF\0\0\0\0WAVEfmt ", "FST": b"\xd6\xfd\xb2\x7e\6\0\0\0vector",
    "Sphinx language model": b"Trie Language Model\3", "HDF5 file": b"\x89HDF\r\n\x1a\n\0\0",
    "file of parameters of Sphinx": b"s3\nversion 1.0\nendhdr\n\0\0\0\0",
    "model of Kaldi (transitions and mixtures)": b"\0B<TransitionModel> \0\0",
    "decision tree of Kaldi": b"\0BContextDependency \4\3\0\0\0",
    "neural network of Kaldi": b"\0B<Nnet3> \0\0",
    "archive of Kaldi": b"utt-1 \0BFM \4\1\0\0\0",
    "damaged archive (ZIP)": b"PK\3\4\0\0\0\0\0",
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_known_whatever_they_are_called(tmp_path: Path, name: str) -> None:
    text = TEXTS[name].encode()
    packed = {
        "plain.txt": text, "marked.wave": b"\xef\xbb\xbf" + text,
        "wide.tmp": TEXTS[name].encode("utf-16"), "a.lm.gz": gzip.compress(text),
        "b": bz2.compress(text), "c.bin": lzma.compress(text),
        "dos.txt": text.replace(b"\n", b"\r\n"),
    }  # fmt: skip
    for file, data in packed.items():
        if file == "a.lm.gz" and not name.startswith("ARPA"):
            file = "a.gz"
        (tmp_path / file).write_bytes(data)
        assert kind_of(tmp_path / file).name == name, file


@pytest.mark.parametrize("name", HEADS)
def test_binary_files_are_known_by_their_magic(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.txt").write_bytes(HEADS[name])
    assert kind_of(tmp_path / "x.txt").name == name


def test_our_own_arrays_are_known_by_their_header(tmp_path: Path) -> None:
    for header, name in (
        ({"kind": "gmm", "version": 1}, "mixture of Gaussians"),
        ({"kind": "gmm-hmm"}, "HMM with mixtures of Gaussians"),
        ({"kind": "speaker mixtures"}, "mixtures of a diarization's speakers"),
        ({"kind": "speakers"}, "enrolled speakers"), ({"format": "wfst_hmm lattices"}, "lattices"),
        ({"format": "wfst_hmm training journal 2"}, "journal of training"),
        ({}, "archive of arrays"),
    ):  # fmt: skip
        text = json.dumps(header)
        np.savez(tmp_path / "a.npz", header=np.array(text), x=np.zeros(3))
        assert kind_of(tmp_path / "a.npz").name == name
        np.savez(tmp_path / "a.npz", header=np.frombuffer(text.encode(), np.uint8))
        assert kind_of(tmp_path / "a.npz").name == name


def test_each_reader_is_there_and_each_kind_says_what_to_do() -> None:
    for kind in KINDS:
        assert kind.remedy.endswith("."), kind.a
        for use, reader in kind.readers.items():
            assert use in USES
            if reader:
                assert callable(reader_of(kind, use))


def test_a_wrong_kind_is_called_by_its_name_with_the_command_that_takes_it(tmp_path: Path) -> None:
    (tmp_path / "corpus.tsv").write_text(TEXTS["manifest"])
    with pytest.raises(FormatError, match=r"corpus\.tsv: a manifest, not a lexicon.*score"):
        kind_for(tmp_path / "corpus.tsv", "lexicon")
    (tmp_path / "digits.grxml").write_text(TEXTS["XML document"])
    with pytest.raises(FormatError, match="an XML document, not a grammar"):
        kind_for(tmp_path / "digits.grxml", "grammar")
    (tmp_path / "p").write_text(TEXTS["lexicon"])  # shapes are no proof: the user knows better
    assert kind_for(tmp_path / "p", "grammar").name == "phrase list"


def test_every_file_of_the_shared_data_has_a_kind(shared: Path) -> None:
    expected = {
        "sphinx/cards/cards.gram": "JSGF grammar", "sphinx/goforward.fsg": "Sphinx FSG",
        "sphinx/goforward.kws": "PocketSphinx keyword list", "sphinx/turtle.dic": "lexicon",
        "sphinx/tidigits/lm/tidigits.dic": "lexicon", "sphinx/tidigits/tidigits.lsn": "trn file",
        "sphinx/tidigits/hmm": "model of Sphinx",
        "sphinx/an4_ci_cont/mdef": "file of parameters of Sphinx",
        "sphinx/tidigits/test-tidigits-fsg.match": "trn file", "sphinx/goforward.mfc": "feature file of Sphinx",
        "yesno/kaldi/data/test_yesno/text": "Kaldi text", "htk/hmm15/hmmdefs": "HTK model file",
        "yesno/kaldi/exp/mono/decode_test_yesno/lat.1.gz": "lattices of Kaldi, binary",
        "htk/mfcc/sample1.mfc": "HTK feature file", "ami/sample.rttm": "RTTM file",
        "mfa/dictionaries/test_mixed_format_dictionary.txt": "lexicon",
        "mfa/mono_model.zip": "model of the Montreal Forced Aligner",
        "mfa/michaelandsickmichael_short_tg.TextGrid": "TextGrid",
        "msd/msd_subset_timbre_avg.csv": "CSV table", "emu/msajc003.TextGrid": "TextGrid",
    }  # fmt: skip
    found = {name: kind_of(shared / name).name for name in expected if (shared / name).exists()}
    assert found == {name: expected[name] for name in found}
