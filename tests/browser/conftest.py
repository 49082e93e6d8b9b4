"""A headless Chromium, and a JupyterLab to point it at; where either is absent, tests skip."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--disable-dev-shm-usage", "--window-size=1280,1000", "--force-color-profile=srgb",
)  # fmt: skip
#: Where screenshots go: a folder outside the repository; by default they are not kept.
SCREENSHOTS = "WFST_HMM_SCREENSHOTS"


class Page:
    """A browser with what the tests ask of it."""

    def __init__(self, driver: Any, shots: Path) -> None:
        self.driver = driver
        self._shots = shots

    def open(self, address: str) -> None:
        self.driver.get(address)
        self.driver.get_log("browser")  # what earlier pages said is theirs

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def text(self, selector: str) -> str:
        return str(
            self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)
        )

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 40.0) -> Any:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Exception):
                value = condition()
                if value:
                    return value
            if time.monotonic() > end:
                self.shot("timeout")
                pytest.fail(f"waited {seconds:g} s in vain: {what}")
            time.sleep(0.1)

    def click(self, selector: str) -> None:
        """Click the middle of an element, whatever lies on top of it there."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).click().perform()

    def keys(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def shot(self, name: str) -> None:
        self.driver.save_screenshot(str(self._shots / f"{name}.png"))

    def errors(self) -> list[str]:
        """Return what the console has complained about since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE"]  # fmt: skip


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get(SCREENSHOTS)
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def page(shots: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if importlib.util.find_spec("selenium") is None:
        pytest.skip("needs selenium (test extra)")
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs a browser: apt install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Page(browser, shots)
    finally:
        browser.quit()


@pytest.fixture(scope="session")
def jupyter(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start JupyterLab; yield a function that writes a notebook and returns its address."""
    for module in ("jupyterlab", "anywidget", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module} (test extra)")
    home, token = tmp_path_factory.mktemp("jupyter"), secrets.token_hex(16)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "work").mkdir()
    package = Path(importlib.util.find_spec("wfst_hmm").origin).parents[1]  # type: ignore
    paths = [str(package), str(Path(__file__).parents[1])]
    environment = {
        **os.environ, "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_TOKEN": token,
        "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "run"),
        "IPYTHONDIR": str(home / "ipython"), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={home / 'work'}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=", "--ip=127.0.0.1",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    log = open(home / "log.txt", "wb")  # noqa: SIM115 - as long as the server lives
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    root = f"http://127.0.0.1:{port}"
    try:
        _await_server(server, f"{root}/api/status?token={token}", home / "log.txt")

        def write(name: str, *cells: str) -> str:
            book = {
                "nbformat": 4, "nbformat_minor": 5,
                "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
                "cells": [{"cell_type": "code", "id": f"cell{i}", "metadata": {}, "outputs": [],
                           "execution_count": None, "source": source}
                          for i, source in enumerate(cells)],
            }  # fmt: skip
            (home / "work" / f"{name}.ipynb").write_text(json.dumps(book), encoding="utf-8")
            return f"{root}/lab/tree/{name}.ipynb?token={token}"

        yield write
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
        server.wait()
        log.close()


def _await_server(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    pytest.fail("JupyterLab did not start:\n" + log.read_text(encoding="utf-8")[-2000:])
