"""Fresh Python environments, and pip for them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import venv
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Environment", "clean", "pip"]


def clean(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would lead a Python of another environment astray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TASKCLUSTER_"))}
    kept["PIP_DISABLE_PIP_VERSION_CHECK"] = kept["PIP_NO_COMPILE"] = "1"
    return {**kept, **(more or {})}


def pip(*args: object, python: Path | None = None) -> str:
    """Run this environment's pip, for the environment of `python` if given; return what it printed."""
    command = [sys.executable, "-m", "pip", *(["--python", str(python)] if python else []), *map(str, args)]
    return _output(command)


def _output(command: list[str], more: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=clean(more), cwd=cwd, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Environment:
    """A new virtual environment.

    Args:
        folder: Where it is to be.
        own_pip: Whether it gets a pip of its own, as users make them; without, the one that runs the tests serves it,
            which saves seconds.
        **settings: Environment variables for its pip.
    """

    def __init__(self, folder: Path, *, own_pip: bool = False, **settings: str) -> None:
        venv.create(folder, with_pip=own_pip, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._own_pip = own_pip
        self._settings = settings

    def pip(self, *args: object, cwd: Path | None = None) -> str:
        """Run pip for this environment; return what it printed."""
        if self._own_pip:
            return _output([str(self.python), "-m", "pip", *map(str, args)], self._settings, cwd)
        return pip(*args, python=self.python)

    def run(self, source: str, *args: str, **more: str) -> str:
        """Run a program, warnings as errors; return what it printed."""
        return _output([str(self.python), "-s", "-W", "error", "-c", textwrap.dedent(source), *args], more, self.folder)

    def failure(self, source: str) -> str:
        """Run a program that must fail; return the last line of what it said."""
        command = [str(self.python), "-s", "-W", "error", "-c", textwrap.dedent(source)]
        done = subprocess.run(command, env=clean(), cwd=self.folder, capture_output=True, encoding="utf-8", timeout=600)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip().splitlines()[-1]
