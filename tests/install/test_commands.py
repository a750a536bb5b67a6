"""Test that every documented install command works as written, in a checkout and a fresh environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Workshop
from .environments import ROOT, Environment, clean
from .test_environments import SERVICES, assert_queue_works

FAMILY = "python tools/family.py install"
PARTS = ("cli", "core", "codegen", "fsspec", "helper", "local", "objects", "pulse", "worker")

COMBINED = {f"{FAMILY} {name}" for name in (*SERVICES, *PARTS)}
"""Commands that one test executes as one, because they differ in the name only."""

ALONE = {
    f"{FAMILY} meta": "import taskcluster; taskcluster.WorkerManager, taskcluster.upload, taskcluster.helper",
    f'{FAMILY} "meta[pulse]"': "import taskcluster; taskcluster.pulse.Consumer, taskcluster.aio.pulse.Consumer",
    f"{FAMILY} meta local": "import taskcluster, taskcluster_local; taskcluster.upload, taskcluster.helper",
    f"{FAMILY} local objects helper": "import taskcluster_local; taskcluster_local.LocalTaskcluster",
    f"{FAMILY} local worker": "import taskcluster_local.run.live",
    f"{FAMILY} worker local helper": "import taskcluster_local, taskcluster_helper, taskcluster_worker",
    f'{FAMILY} "core[validate]"': "import taskcluster, jsonschema",
    f'{FAMILY} "local[pytest]"': "import taskcluster_local, pytest",
    f'{FAMILY} "local[pulse]"': "import taskcluster_local; taskcluster_local.LocalTaskcluster(pulse='amqp://a:b@c')",
    f"{FAMILY} --editable": f"import taskcluster; assert taskcluster.__file__.startswith({str(ROOT)!r})",
    'pip install "jsonschema>=4.18"': "import jsonschema",
    'pip install "requests[socks]"': "import requests, socks",
    "pip install jmespath": "import jmespath",
    "pip install keyring": "import keyring",
    "pip install pytest": "import pytest",
}
"""Commands, each with a program that then works."""

ELSEWHERE = {
    # Of a generated distribution; below.
    "python CHECKOUT/tools/family.py install core",
    'python CHECKOUT/tools/family.py install codegen "local[pytest]"',
    "pip install .",
    "pip install -e '.[test]'",
    # test_index.py
    "pip install --index-url https://pypi.example.com/simple taskcluster-queue taskcluster-helper",
    # The packages of an example; tests/local/test_run.py
    "pip install -r requirements.txt",
    # CI does it, and runs everything with it.
    "python3 -m pip install tox",
    # An example of what fails, and of what leaves a mix; test_mixes.py
    "pip install ./packages/local",
    "pip install -U taskcluster",
    # That of the user's checkout; any name of ALONE
    "python CHECKOUT/tools/family.py install queue",
}

Fresh = Callable[[], Environment]


@pytest.fixture(scope="module")
def empty(workshop: Workshop) -> Environment:
    """An empty environment with pip."""
    return workshop.plain("empty")


@pytest.fixture
def fresh(empty: Environment, tmp_path: Path) -> Environment:
    """A copy of the empty environment, because creating one takes seconds."""
    return empty.copy(tmp_path / "venv")


def documented() -> set[str]:
    """Return every command in the documentation that installs something."""
    pattern = re.compile(r"(?:python3? (?:-m pip|\S*tools/family\.py)|(?<!-m )\bpip) install [^`\n#&)]+")
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    texts = ((ROOT / name).read_text("utf-8") for name in tracked.stdout.splitlines())
    return {command.strip() for text in texts for command in pattern.findall(text)}


def test_every_documented_command_is_executed() -> None:
    assert documented() == COMBINED | ALONE.keys() | ELSEWHERE


@pytest.mark.parametrize("command", ALONE)
def test_command_works(fresh: Environment, command: str) -> None:
    fresh.shell(command, ROOT)
    fresh.run(ALONE[command])
    assert fresh.pip("check").strip() == "No broken requirements found."


def test_installs_every_service_and_part(fresh: Environment) -> None:
    fresh.shell(f"{FAMILY} {' '.join(name.removeprefix(FAMILY) for name in sorted(COMBINED))}", ROOT)
    assert_queue_works(fresh)
    fresh.run(f"import {', '.join(f'taskcluster_{name}' for name in PARTS if name != 'core')}")
    assert fresh.pip("check").strip() == "No broken requirements found."


def test_error_names_a_command_that_works(fresh: Environment) -> None:
    fresh.family("core")
    error = fresh.failure("import taskcluster; taskcluster.Queue")
    command = re.search(r"\(in a checkout: (.*)\)$", error)
    assert command is not None, error
    fresh.shell(command[1], ROOT)
    assert_queue_works(fresh)


def test_rejects_an_unknown_name() -> None:
    command = [sys.executable, str(ROOT / "tools" / "family.py"), "install", "quue"]
    done = subprocess.run(command, env=clean(), capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.startswith("no such distribution: quue; choose from ")


def in_checkout(commands: str) -> str:
    return commands.replace("CHECKOUT", str(ROOT))


def test_commands_in_a_generated_readme_work(fresh: Environment, tmp_path: Path) -> None:
    example = tmp_path / "example"
    shutil.copytree(ROOT / "examples" / "plugin-widgets", example)
    users, authors = re.findall(r"```sh\n(.*?)```", (example / "README.md").read_text("utf-8"), re.DOTALL)
    fresh.shell(in_checkout(users), example)
    fresh.run("import taskcluster; taskcluster.Widgets")
    fresh.shell(in_checkout(authors), example)


def test_commands_that_new_prints_work(fresh: Environment, tmp_path: Path) -> None:
    fresh.family("codegen")
    printed = fresh.shell("taskcluster-codegen new widgets", tmp_path)
    commands = re.findall(r"^    (.*)$", printed, re.MULTILINE)
    assert commands[0] == "cd widgets-client"
    fresh.shell(in_checkout("\n".join(commands)), tmp_path)
