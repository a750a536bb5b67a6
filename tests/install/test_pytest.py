"""Test which tests pytest runs, and which copies of the packages it tests."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess

import pytest

from .conftest import Workshop
from .environments import ROOT, clean


def test_arguments_replace_the_tests_of_a_tox_environment() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini", encoding="utf-8")
    lines = [line for each in settings.values() for line in each.get("commands", "").splitlines()]
    commands = [line for line in lines if "{posargs" in line and re.search(r"(^|: )pytest ", line)]
    assert len(commands) == 9
    for command in commands:
        always = shlex.split(re.sub(r"\{posargs.*?\}", "", command.partition("pytest ")[2]))
        assert any(word.startswith("testpaths=") for word in always)
        assert not [word for word in always if (ROOT / word).exists()]


def test_refuses_an_outdated_copy(workshop: Workshop) -> None:
    environment = workshop.environment("outdated", "taskcluster-core", "pytest")

    def collect() -> subprocess.CompletedProcess[str]:
        # This file's imports are installed.
        command = [str(environment.python), "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", __file__]
        return subprocess.run(command, cwd=ROOT, env=clean(), capture_output=True, encoding="utf-8")

    same = collect()
    assert same.returncode == pytest.ExitCode.OK, same.stdout + same.stderr
    [installed] = environment.folder.rglob("site-packages/taskcluster/slugs.py")
    installed.write_text("\n", "utf-8")
    different = collect()
    assert different.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the installed taskcluster would be tested, which differs from the checkout" in different.stderr
    assert "Run: python tools/family.py install --editable" in different.stderr
