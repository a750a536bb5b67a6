"""Test the built site as readers see it, in Chromium: what its search finds, and that no code is cut off."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from chromium import Browser, Tab

ROOT = Path(__file__).resolve().parents[2]
BUILT = "TASKCLUSTER_TESTS_SITE"
"""The environment variable that names a site built before."""
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


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Print nothing."""


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
def home(site: Path) -> Iterator[str]:
    """The address of the built site's first page."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as tab:
        yield tab


@pytest.mark.parametrize("words", SEARCHES)
def test_search_finds_the_page(words: str, home: str, tab: Tab) -> None:
    tab.go(f"{home}?q={quote(words)}")
    tab.until("/matching/.test(document.querySelector('.md-search-result__meta').textContent)")
    found = tab.evaluate("document.querySelector('.md-search-result__link').href")
    assert found.startswith(home.replace("index.html", SEARCHES[words]))


@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_code_on_the_home_page_fits(width: int, home: str, tab: Tab) -> None:
    tab.resize(width, 900)
    tab.go(home)
    assert tab.evaluate("document.documentElement.clientWidth") == width
    blocks = tab.evaluate(
        "[...document.querySelectorAll('article pre > code')].map("
        "(block) => [block.textContent, block.scrollWidth > block.clientWidth])"
    )
    assert (len(blocks), [text for text, overflows in blocks if overflows]) == (4, [])
