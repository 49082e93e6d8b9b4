"""Recordings and lists that lie elsewhere: in memory, on a web server, in a bucket."""

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_speech import TinySpeech

from wfst_hmm import remote
from wfst_hmm.apps.recognize import corpus_of_inputs, decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.remote import as_url, exists, is_folder, local_copy
from wfst_hmm.signal.corpus import Corpus

fsspec = pytest.importorskip("fsspec", reason="needs the extra [cluster]")


def test_what_is_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_url(Path("s3://bucket/a/b.wav")) == "s3://bucket/a/b.wav"
    assert as_url("https://host:8/a.tsv?x=1") == "https://host:8/a.tsv?x=1"
    assert as_url("file:///a/b.wav") == as_url(Path("file:///a/b.wav")) == "file:///a/b.wav"
    for local in ("a.wav", "/a/b.wav", "C:/a", "a:b", "", "s3:", "s3:///a"):
        assert as_url(local) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "a.wav").touch()
    assert as_url(Path("s3://a.wav")) is None, "a file that lies here is meant"
    for bad in ("ssh://host/a", "git://x/y", "github://x/y", "s3://b/a::zip://c"):
        with pytest.raises(UsageError, match="no place to read from"):
            as_url(Path(bad))
    assert as_url("zip::s3://b/a.zip") is None


def decoded(tiny: TinySpeech, corpus: Corpus) -> list[tuple[str, str | None]]:
    outcomes = decode_corpus(Recognizer.load(tiny.graph), corpus)
    return [(o.utterance.id, o.decoded.text if o.decoded else o.problem) for o in outcomes]


@pytest.fixture
def in_memory(tiny_speech: TinySpeech) -> Iterator[str]:
    system = fsspec.filesystem("memory")
    for path in tiny_speech.test.iterdir():
        system.pipe(f"/tiny/{path.name}", path.read_bytes())
    yield "memory://tiny"
    system.rm("/tiny", recursive=True)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            return

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of an S3 server in this process, with the files of a folder."""
    server_room = pytest.importorskip("moto.server", reason="needs moto's S3 server")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
    server = server_room.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        system = s3fs.S3FileSystem()
        system.mkdir("speech")
        for path in folder.iterdir():
            system.pipe(f"speech/tiny/{path.name}", path.read_bytes())
        yield "s3://speech/tiny"
        s3fs.S3FileSystem.clear_instance_cache()
    finally:
        server.stop()


def test_a_data_directory_in_memory(tiny_speech: TinySpeech, in_memory: str) -> None:
    wanted = decoded(tiny_speech, read_corpus(tiny_speech.test))
    assert is_folder(Path(in_memory))
    assert decoded(tiny_speech, read_corpus(in_memory)) == wanted
    assert decoded(tiny_speech, corpus_of_inputs([Path(in_memory)])) == wanted


@pytest.mark.filterwarnings("ignore")  # of botocore and werkzeug, who warn of each other
def test_a_data_directory_in_a_bucket(
    tiny_speech: TinySpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket(tiny_speech.test, monkeypatch) as url:
        assert exists(f"{url}/wav.scp")
        assert not exists(f"{url}/none")
        corpus = read_corpus(url)
        wanted = decoded(tiny_speech, read_corpus(tiny_speech.test))
        assert decoded(tiny_speech, corpus) == wanted
        with pytest.raises(DataError, match="no such file"), local_copy(f"{url}/none.wav"):
            pass


@pytest.mark.filterwarnings("ignore")
def test_a_manifest_here_with_recordings_on_a_server(
    tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    local = read_corpus(tiny_speech.test)
    wanted = decoded(tiny_speech, local)
    with served(tiny_speech.test) as url:
        rows = ["id\taudio\ttext\tspeaker"] + [
            f"{u.id}\t{url}/{u.audio.name}\t{' '.join(u.words or ())}\t{u.speaker}" for u in local
        ] + [f"gone\t{url}/gone.wav\tba\tsp9"]  # fmt: skip
        (tmp_path / "corpus.tsv").write_text("\n".join(rows))
        found = decoded(tiny_speech, read_corpus(tmp_path / "corpus.tsv"))
        assert found[:-1] == wanted
        assert "no such file" in str(found[-1][1])


def test_one_copy_serves_many_readers(in_memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{in_memory}/wav.scp"
    copies = remote._Copies()
    monkeypatch.setattr(remote, "_COPIES", copies)
    with local_copy(url) as first, local_copy(Path(url)) as second:
        assert first == second
        monkeypatch.setattr(remote, "KEPT_BYTES", 0)
    assert not first.exists(), "a copy that nobody uses gives way when there are too many"
    with local_copy(url) as third:
        assert third != first
        assert third.read_bytes().startswith(b"sp0-00")
    monkeypatch.setattr(remote, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="too large"), local_copy(f"{in_memory}/text"):
        pass
    with pytest.raises(DataError, match="no such file"), local_copy(f"{in_memory}/none"):
        pass
