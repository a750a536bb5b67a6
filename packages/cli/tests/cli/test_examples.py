"""Run every example in `--help` and in the README, against a deployment that has what they name."""

from __future__ import annotations

import html
import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskcluster_cli.command import Command, Group
from taskcluster_local import LocalTaskcluster

from .conftest import Done
from .test_frame import commands
from .world import build, write_files

README = Path(__file__).resolve().parents[2] / "README.md"
ROOT = README.parents[2]
ELSEWHERE = {
    "taskcluster --root-url https://tc.example.com --profile example signin --expires 8h",
    "eval \"$(taskcluster signin --export --scope 'queue:create-task:*')\"",
    "taskcluster signout --keep-client",
}
"""Examples that other tests run, because they need a browser."""
FIRST = {
    "taskcluster profile use example": "taskcluster --root-url https://tc.example.com profile add example",
    "taskcluster profile remove example": "taskcluster --root-url https://tc.example.com profile add example",
}
"""What has to be run before."""


READS = {
    "status",
    "name",
    "def",
    "artifacts",
    "dependents",
    "watch",
    "log",
    "list",
    "show",
    "find",
    "get",
    "expand",
    "check",
}
"""Words of commands that change nothing, after which the deployment can be used again."""


def examples() -> Iterator[str]:
    for _, found in commands():
        if isinstance(found, Command | Group):
            yield from found.examples
    yield from re.findall(r"^\$ (taskcluster .*)$", README.read_text("utf-8"), re.MULTILINE)


@pytest.mark.once
def test_examples_work(
    local: LocalTaskcluster,
    call: Callable[..., Done],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDITOR", "touch")
    monkeypatch.setenv("CI", "true")
    problems: list[str] = []
    is_fresh = False
    known = list(dict.fromkeys(examples()))
    assert len(known) > 100
    for number, example in enumerate(known):
        if example in ELSEWHERE:
            continue
        folder = tmp_path / f"example{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_files(folder)
        if not is_fresh or "upload artifact" in example:
            local.reset()
            build(local, resolved="upload artifact" not in example)
        is_fresh = bool(READS & set(shlex.split(example)[1:3]))
        for line in filter(None, [FIRST.get(example), example]):
            done = call(*shlex.split(line)[1:])
            if done.status != 0 or "hunter2" in done.err:
                problems.append(f"{line}: {done}")
    assert problems == []


def shown_lines(picture: str) -> list[str]:
    """Return the lines of text in a picture, without what depends on the time."""
    lines: dict[str, str] = {}
    for found in re.finditer(r'<text [^>]*y="([0-9.]+)"[^>]*>(.*?)</text>', picture):
        lines[found[1]] = lines.get(found[1], "") + html.unescape(found[2]).replace("\xa0", " ")
    return [re.sub(r"(\d+ (s|min) ago|now)", "…", line).rstrip() for line in lines.values()]


@pytest.mark.once
def test_picture_is_of_a_session() -> None:
    tool = ROOT / "tools" / "terminal_picture.py"
    spec = importlib.util.spec_from_file_location("terminal_picture", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert shown_lines(module.picture()) == shown_lines(module.PICTURE.read_text("utf-8"))
