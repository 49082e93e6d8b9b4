"""What a killed writer leaves is taken over by the next; living writers never meet."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wfst_hmm.claims import swapped
from wfst_hmm.files import atomic_directory, atomic_file

_FILE = """
import sys, time
from pathlib import Path
from wfst_hmm.files import atomic_directory, atomic_file
writer = {"file": atomic_file, "directory": atomic_directory}[sys.argv[1]]
with writer(sys.argv[2]) as temporary:
    (temporary if sys.argv[1] == "file" else temporary / "half").write_text("half")
    print(temporary.name, flush=True)
    time.sleep(60)
"""


def written(kind: str, path: Path, text: str) -> str:
    """Write `text` to `path` as a file, or as the only file of a directory; tell the claim."""
    if kind == "file":
        with atomic_file(path) as temporary:
            assert temporary.read_bytes() == b""
            temporary.write_text(text)
    else:
        with atomic_directory(path) as temporary:
            assert not list(temporary.iterdir())
            (temporary / "whole").write_text(text)
    return temporary.name


def content(kind: str, path: Path) -> str:
    return path.read_text() if kind == "file" else (path / "whole").read_text()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_killed_writer_is_followed_up_and_a_living_one_is_left_alone(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    command = [sys.executable, "-c", _FILE, kind, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        claim = writer.stdout.readline().strip()
        assert written(kind, path, "beside a living one") != claim
        assert (tmp_path / claim).exists()
        writer.send_signal(signal.SIGKILL)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([claim, "out"])
    assert content(kind, path) == "beside a living one"
    assert written(kind, path, "after a dead one") == claim
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert content(kind, path) == "after a dead one"


def test_many_writers_of_one_path_leave_one_whole_result(tmp_path: Path) -> None:
    path = tmp_path / "out"
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            for _ in range(100):
                written("file", path, str(number) * 1000)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert len(set(path.read_text())) == 1
    assert not errors
    assert len(set(content("file", path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_name_that_leads_elsewhere_is_not_written_through(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / ".link.part").symlink_to(other)
    os.link(other, tmp_path / ".hard.part")
    os.mkfifo(tmp_path / ".pipe.part")
    (tmp_path / ".folder.part").symlink_to(tmp_path, target_is_directory=True)
    for name in ("link", "hard", "pipe"):
        assert written("file", tmp_path / name, "new") != f".{name}.part"
    assert written("directory", tmp_path / "folder", "new") != ".folder.part"
    assert other.read_text() == "precious"


def test_a_directory_that_is_replaced_is_never_missing(tmp_path: Path) -> None:
    path = tmp_path / "out"
    written("directory", path, "0")
    if not swapped(Path(shutil.copytree(path, tmp_path / "copy")), path):
        pytest.skip("this file system cannot exchange names")
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            written("directory", path, str(number))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    n_looks = 0
    while not done.is_set():
        assert path.is_dir()
        n_looks += 1
    writer.join()
    assert n_looks > 100
    assert content("directory", path) == "199"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_what_was_put_aside_goes_too(
    exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanges:
        monkeypatch.setattr("wfst_hmm.files.swapped", lambda new, path: False)
        (tmp_path / ".out.old" / "old").mkdir(parents=True)
    (tmp_path / ".out.part" / "deep").mkdir(parents=True)
    (tmp_path / ".out.part" / "deep" / "file").write_text("of a killed process")
    written("directory", tmp_path / "out", "1")
    written("directory", tmp_path / "out", "2")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
