"""`taskcluster-local run` of real repositories: an example with taskgraph from the package index, and this one."""

from __future__ import annotations

import html
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from .serving import COMMAND, environment

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "ci-taskgraph"
PIP = [f"--env={name}" for name in os.environ if name.startswith("PIP_")]
"""The settings of pip, which tasks do not see otherwise."""


def run(checkout: Path, *arguments: str, path: Path | None = None) -> tuple[int, str]:
    """Run tasks of a checkout, and return the exit status and the output."""
    kept = environment()
    if path is not None:
        kept["PATH"] = f"{path}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        [*COMMAND, "run", str(checkout), *arguments], capture_output=True, encoding="utf-8", env=kept, timeout=900
    )
    assert done.stderr == "", done.stdout + done.stderr
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def taskgraph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]
) -> Path:
    """The directory of the programs of an environment with taskgraph, kept in pytest's cache."""
    requirements = (EXAMPLE / "requirements.txt").read_text("utf-8").strip()
    name = re.sub(r"\W", "-", f"{requirements}-{sys.version_info.minor}-{sys.prefix}")
    cache = getattr(request.config, "cache", None)
    above = cache.mkdir("taskgraph") if cache else tmp_path_factory.mktemp("taskgraph")
    if not (above / name).exists():
        # Renamed when complete, because another process may create it too.
        made = Path(tempfile.mkdtemp(dir=above))
        venv.create(made, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(made / "bin" / "python"), "install", "--quiet"]
        installed = subprocess.run([*pip, requirements], capture_output=True, encoding="utf-8", timeout=600)
        if installed.returncode != 0:
            shutil.rmtree(made)
            unavailable(f"needs a package index: pip install {requirements} failed: {installed.stderr.strip()[-500:]}")
        try:
            made.rename(above / name)
        except OSError:
            shutil.rmtree(made)
    # The scripts of an environment name the directory in which it was created.
    programs = tmp_path_factory.mktemp("programs")
    (programs / "main.py").write_text("import sys\nfrom taskgraph.main import main\nsys.exit(main())\n", "utf-8")
    script = programs / "taskgraph"
    script.write_text(f'#!/bin/sh\nexec "{above / name}/bin/python" "{programs}/main.py" "$@"\n', "utf-8")
    script.chmod(0o755)
    return programs


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A git repository with the example."""
    checkout = tmp_path / "example"
    shutil.copytree(EXAMPLE, checkout)
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "Start"],
    ):
        subprocess.run([*git, *command], cwd=checkout, check=True)
    return checkout


@pytest.mark.parametrize("event", ["push", "pull_request", "cron"])
def test_runs_what_taskgraph_creates(example: Path, taskgraph: Path, tmp_path: Path, event: str) -> None:
    status, printed = run(example, "--event", event, "--artifacts", str(tmp_path / "saved"), path=taskgraph)
    assert status == 0, printed
    assert printed.endswith("\n3 completed\n")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=example, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    log = (tmp_path / "saved" / "test-greeting" / "public" / "logs" / "live_backing.log").read_text("utf-8")
    assert f"\nHello from {head.stdout}" in log
    assert (tmp_path / "saved" / "decision" / "public" / "task-graph.json").exists()


def test_selects_a_task_of_taskgraph(example: Path, taskgraph: Path) -> None:
    status, printed = run(example, "--task", "package-*", path=taskgraph)
    assert (status, printed.splitlines()[-1]) == (0, "2 completed"), printed


def test_readme_shows_a_recorded_run(taskgraph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(taskgraph), prepend=os.pathsep)
    tool = runpy.run_path(str(ROOT / "tools" / "record_run.py"))
    recorded = tool["record"](tmp_path)
    image = tool["IMAGE"].read_text("utf-8")
    assert str(tool["IMAGE"].relative_to(ROOT)) in (ROOT / "README.md").read_text("utf-8")
    for shown in (image, tool["as_svg"](recorded)):
        # The last group is the end of the session.
        texts = re.findall(r"<text[^>]*>(.*?)</text>", shown.rpartition("<g>")[2])
        lines = [html.unescape(re.sub("<[^>]+>", "", text)) for text in texts]
        assert tool["shown"](lines) == tool["shown"](recorded[-1].lines)


def test_runs_a_part_of_this_repository(unavailable: Callable[[str], NoReturn]) -> None:
    status, printed = run(ROOT, "--host", "--branch", "main", "--task", "tox lint", *PIP)
    if status and re.search("No matching distribution|Could not find a version", printed):
        unavailable(f"needs a package index: {printed}")
    assert status == 0, printed
    assert printed.endswith("\n1 completed\n")
