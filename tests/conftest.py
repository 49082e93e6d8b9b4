"""What all tests share: the optional folder of real data, and a quiet, repeatable machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tiny_speech import TinySpeech

_REPOSITORY = Path(__file__).resolve().parents[1]


def shared_data() -> Path | None:
    """Return the folder of real recordings beside the checkout, or None when it is absent."""
    named = os.environ.get("WFST_HMM_SHARED")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = shared_data()
    if folder is None:
        pytest.skip("needs the recordings of ../shared/data (or WFST_HMM_SHARED), not present")
    return folder


@pytest.fixture(scope="session")
def tiny_speech(tmp_path_factory: pytest.TempPathFactory) -> "TinySpeech":
    """A toy language with its corpus, model and graph, made once; do not change its files."""
    import tiny_speech

    return tiny_speech.make(tmp_path_factory.mktemp("tiny-speech"))
