"""Fresh virtual environments, and pip for them."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import textwrap
import venv
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ROOT", "Environment", "clean", "pip"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


def clean(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables without those that would affect another environment's Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TASKCLUSTER_"))}
    kept["PIP_DISABLE_PIP_VERSION_CHECK"] = kept["PIP_NO_COMPILE"] = "1"
    return {**kept, **(more or {})}


def pip(*args: object, python: Path | None = None) -> str:
    """Run pip, for the environment of `python` if given, and return its output."""
    command = [sys.executable, "-m", "pip", *(["--python", str(python)] if python else []), *map(str, args)]
    return _output(command)


def _output(command: list[str], more: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=clean(more), cwd=cwd, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Environment:
    """A new virtual environment.

    Args:
        folder: Its path.
        own_pip: Whether to install pip in it, as users do. The default uses the pip that runs the tests, which saves
            seconds.
        **settings: Environment variables for its own pip.
    """

    def __init__(self, folder: Path, *, own_pip: bool = False, **settings: str) -> None:
        venv.create(folder, with_pip=own_pip, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._own_pip = own_pip
        self._settings = settings

    def copy(self, folder: Path) -> Environment:
        """Return a copy in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        for command in (folder / "bin").glob("pip*"):
            # Its first line names the Python to run.
            command.write_text(command.read_text("utf-8").replace(str(self.folder), str(folder)), "utf-8")
        copied = copy.copy(self)
        copied.folder = folder
        copied.python = folder / "bin" / "python"
        return copied

    def shell(self, commands: str, cwd: Path) -> str:
        """Run commands in a shell in which the environment is active, until one fails, and return their output."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return _output(["bash", "-euc", commands], {**self._settings, "PATH": path}, cwd)

    def pip(self, *args: object, cwd: Path | None = None) -> str:
        """Run pip for this environment, and return its output."""
        if self._own_pip:
            return _output([str(self.python), "-m", "pip", *map(str, args)], self._settings, cwd)
        return pip(*args, python=self.python)

    def family(self, *args: str) -> str:
        """Run `tools/family.py install` in another folder than the checkout, and return its output."""
        command = [str(self.python), str(ROOT / "tools" / "family.py"), "install", *args]
        return _output(command, self._settings, self.folder)

    def run(self, source: str, *args: str, **more: str) -> str:
        """Run a program with warnings as errors, and return its output."""
        return _output([str(self.python), "-s", "-W", "error", "-c", textwrap.dedent(source), *args], more, self.folder)

    def failure(self, source: str) -> str:
        """Run a program that must fail, and return the last line of its standard error."""
        command = [str(self.python), "-s", "-W", "error", "-c", textwrap.dedent(source)]
        done = subprocess.run(command, env=clean(), cwd=self.folder, capture_output=True, encoding="utf-8", timeout=600)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip().splitlines()[-1]
