"""Git checkouts for tests of `taskcluster-local run`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

AUTHOR = {"NAME": "Ann Author", "EMAIL": "12+ann@users.noreply.github.com"}
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "TASKCLUSTER_"))},
    **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class GitCheckout:
    """A git checkout with one commit per call of `commit`."""

    def __init__(self, path: Path, *, origin: str | None = None) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        if origin is not None:
            self.git("remote", "add", "origin", origin)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        return done.stdout.rstrip("\n")

    def write(self, name: str, content: Any) -> None:
        """Write a file: a string, or a value as YAML."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), "utf-8")

    def commit(self, message: str = "Change", **files: Any) -> str:
        """Commit all changes, and the given files by name, with `_` for `.`; return the commit."""
        for name, content in files.items():
            self.write(name.replace("_", "."), content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def state(self) -> dict[str, bytes]:
        """Return the content of all files, including those of git."""
        return {str(path.relative_to(self.path)): path.read_bytes() for path in self.path.rglob("*") if path.is_file()}
