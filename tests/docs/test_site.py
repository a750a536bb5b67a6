"""Test the built site as readers see it, in Chromium: what its search finds, and that no code is cut off."""

from __future__ import annotations

import functools
import http.server
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = "TASKCLUSTER_TESTS_SITE"
"""The environment variable that names a site built before."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium is not installed: apt-get install chromium"
SEARCHES = {
    "retry": "guides/options.html",
    "pagination": "guides/pagination.html",
    "timeout": "guides/options.html",
    "403": "guides/errors.html",
    "missing_scopes": "guides/errors.html",
    "install": "guides/installation.html",
    "logging": "guides/logging.html",
    "HTTPS_PROXY": "guides/connections.html",
    "certificate": "guides/connections.html",
    "secrets": "guides/helper.html",
    "pandas": "guides/fsspec.html",
    "mypy": "guides/types.html",
}
WIDTHS = (1280, 390)
"""The width of a common screen and of a phone, in CSS pixels."""
OBSERVER = Path(__file__).with_name("observer.html")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site and the observer, and receives what the observer reports."""

    def __init__(self, *args: Any, reports: queue.Queue[Any], **kwargs: Any) -> None:
        self._reports = reports
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.path != "/observer":
            return super().do_GET()
        page = OBSERVER.read_text("utf-8").replace("TASKS", json.dumps({"searches": [*SEARCHES], "widths": WIDTHS}))
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())
        return None

    def do_POST(self) -> None:
        self._reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def browser(unavailable: Callable[[str], NoReturn]) -> str:
    """The path of Chromium."""
    found = [path for path in map(shutil.which, CHROMIUM) if path]
    if not found:
        unavailable(MISSING)
    return found[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    if BUILT in os.environ:
        return Path(os.environ[BUILT])
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    return folder


@pytest.fixture(scope="module")
def observed(browser: str, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What observer.html reports of the site: the results of each search, and the overflowing code at each width."""
    reports: queue.Queue[Any] = queue.Queue()
    handler = functools.partial(_Handler, directory=str(site), reports=reports)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # Containers run tests as root, which Chromium's sandbox refuses, and have little /dev/shm.
        flags = ["--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"]
        flags += ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags += ["--no-proxy-server", "--remote-debugging-port=0"]
        flags.append(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
        command = [browser, *flags, f"http://127.0.0.1:{server.server_port}/observer"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield reports.get(timeout=120)
            finally:
                process.terminate()
        server.shutdown()


@pytest.mark.parametrize("words", SEARCHES)
def test_search_finds_the_page(words: str, observed: Any) -> None:
    assert observed["results"][words][0] == SEARCHES[words]


@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_code_on_the_home_page_fits(width: int, observed: Any) -> None:
    assert observed["code"][str(width)] == {"width": width, "blocks": 4, "overflowing": []}
