"""Run the code blocks of each documentation page in order, and compare their output.

Each block runs alone, unless the page says that its blocks continue each other.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from taskcluster.options import KNOWN_OPTIONS
from taskcluster_local import LocalTaskcluster

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

_BLOCK = re.compile(
    r"(?:^<!-- (?P<reason>not run: [^>]+) -->\n)?^```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S
)
_CONTINUED = re.compile(r"continue\s+each\s+other|continues\s+the\s+code\s+above")
NOT_RUN = 32
"""The number of blocks that tests cannot run. Each has a comment with the reason."""


class Block(NamedTuple):
    """A code block of a page."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Block(found["language"], found["code"], line, found["reason"])


@pytest.fixture(scope="module")
def deployment() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as deployment:
        yield deployment


@pytest.fixture
def reader(deployment: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A clean deployment, named by the environment, and a working directory."""
    deployment.reset()
    for name in [name for name in os.environ if name.startswith("TASKCLUSTER_")]:
        monkeypatch.delenv(name)
    credentials = deployment.credentials
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", deployment.root_url)
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", credentials["accessToken"])
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_blocks_print_what_the_page_shows(page: Path) -> None:
    continued = _CONTINUED.search(page.read_text("utf-8"))
    names: dict[str, object] = {}
    printed: str | None = None
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.language == "text":
            assert printed == block.code, where
            printed = None
        elif block.reason is None:
            assert block.language == "python", f"{where}: nothing runs {block.language}; say `<!-- not run: why -->`"
            # Padded, so that tracebacks have the line number of the page.
            code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
            names = {**(names if continued else {}), "__name__": "__main__"}
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, names)
            printed = output.getvalue()


def test_number_of_skipped_blocks() -> None:
    assert sum(block.reason is not None for page in PAGES for block in blocks(page)) == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_option_tables_give_units(page: Path) -> None:
    assert re.findall(r"^\| option \|(?! unit \|).*", page.read_text("utf-8"), re.MULTILINE) == []


def test_every_client_option_is_documented() -> None:
    text = (DOCS / "guides" / "options.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == KNOWN_OPTIONS
