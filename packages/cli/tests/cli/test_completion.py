"""Completion in bash, zsh and fish themselves: offline, not signed in, and with words that hold colons."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from taskcluster_cli.known import save

from .conftest import TASK

pytestmark = pytest.mark.once


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the command, which is first on PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    script = path / "taskcluster"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m taskcluster_cli "$@"\n', "utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    # Nothing can be reached, and half a pair of credentials does not matter.
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", "half")
    save({}, {"http://127.0.0.1:1": {"task": [TASK], "pool": ["proj/ci", "other/ci"]}})
    return path


@pytest.fixture
def need(unavailable: Callable[[str], NoReturn]) -> Callable[[str], None]:
    """Return a function that requires a program to be installed."""

    def need(program: str) -> None:
        if shutil.which(program) is None:
            unavailable(f"{program} is not installed: apt-get install {program}")

    return need


CASES = [
    ("taskcluster ta", {"task"}),
    ("taskcluster task st", {"status"}),
    ("taskcluster api que", {"queue"}),
    ("taskcluster api queue createT", {"createTask"}),
    ("taskcluster group list --st", {"--state"}),
    ("taskcluster group list --state fa", {"failed"}),
    ("taskcluster group priority x very-h", {"very-high"}),
    ("taskcluster completion z", {"zsh"}),
    ("taskcluster nonsense x", set()),
    ("taskcluster task status fN", {TASK}),
    ("taskcluster pool show proj/", {"proj/ci"}),
]


def test_bash(folder: Path, need: Callable[[str], None]) -> None:
    need("bash")
    script = 'eval "$(taskcluster completion bash)"\n'
    for line, _ in CASES:
        script += (
            f"COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=($COMP_LINE)\n"
            'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _taskcluster_completion taskcluster; echo "${COMPREPLY[*]}"\n'
        )
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    assert [set(line.split()) for line in done.stdout.splitlines()] == [expected for _, expected in CASES]


def test_bash_words_with_colons(folder: Path) -> None:
    """bash splits words at `:` and `=`, and inserts completions after the last of them."""
    from click.shell_completion import CompletionItem

    from taskcluster_cli.completing import ColonBashComplete
    from taskcluster_cli.main import root

    complete = ColonBashComplete(root, {}, "taskcluster", "_TASKCLUSTER_COMPLETE")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setenv("COMP_LINE", "taskcluster --color=never task status 'index:a b' index:project.x")
        patch.setenv("COMP_POINT", str(len(os.environ["COMP_LINE"])))
        patch.setenv("COMP_BREAKS", " \t\n\"'><=;|&(:")
        assert complete.get_completion_args() == (
            ["--color=never", "task", "status", "index:a b"],
            "index:project.x",
        )
        assert complete.format_completion(CompletionItem("index:project.xyz")) == "plain,project.xyz"
        patch.setenv("COMP_POINT", str(len("taskcluster --color=never ta")))
        assert complete.get_completion_args() == (["--color=never"], "ta")
        patch.setenv("COMP_LINE", "taskcluster é ")
        patch.setenv("COMP_POINT", str(len("taskcluster é ".encode())))
        assert complete.get_completion_args() == (["é"], "")


def test_zsh(folder: Path, need: Callable[[str], None]) -> None:
    """The words that the script offers, which is what compadd gets."""
    need("zsh")
    script = (
        "compdef() { :; }\n"
        'eval "$(taskcluster completion zsh)"\n'
        "compadd() { local name=${@[-1]}; offered+=(${(P)name}) }\n"
        "_describe() { local name=$3; offered+=(${(P)name}) }\n"
    )
    show = 'for each in $offered; do echo -n "${each%%:*} "; done; echo\n'
    for line, _ in CASES:
        script += f"offered=(); words=({line}); CURRENT=${{#words}}; _taskcluster_completion; {show}"
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, encoding="utf-8")
    assert [set(line.split()) for line in done.stdout.splitlines()] == [expected for _, expected in CASES], done


def test_fish(folder: Path, need: Callable[[str], None]) -> None:
    need("fish")
    script = "taskcluster completion fish | source\n"
    script += "".join(f"complete -C {line!r}; echo END\n" for line, _ in CASES)
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, encoding="utf-8", check=True)
    found = [{each.split("\t")[0] for each in part.split("\n") if each} for part in done.stdout.split("END\n")[:-1]]
    assert found == [expected for _, expected in CASES], done
