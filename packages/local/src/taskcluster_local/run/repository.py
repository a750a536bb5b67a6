"""Read a git checkout, and provide a copy of it that tasks clone. The checkout itself is never changed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..services.github.fake_events import NO_COMMIT
from .errors import RunError

__all__ = ["Checkout", "Copy", "Facts"]

_MOST_COMMITS = 20
_RECORD, _FIELD = "\x1e", "\x1f"
_FORMAT = "%x1e" + "%x1f".join(("%H", "%T", "%an", "%ae", "%cn", "%ce", "%cI", "%B")) + "%x1f"
_CHANGES = {"A": "added", "D": "removed"}
_DIRTY_MESSAGE = "Uncommitted changes"
_AUTHOR = {"NAME": "taskcluster-local", "EMAIL": "taskcluster-local@localhost"}


@dataclass(frozen=True)
class Facts:
    """What an event says about a repository."""

    directory: str
    """The name of the checkout's directory."""
    origin: str | None
    branch: str | None
    """The branch that is checked out, if any."""
    default_branch: str
    commit: str
    parent: str
    """The commit before those that a push would contain; NO_COMMIT if there is none."""
    tag: str | None
    """A tag of the commit."""
    commits: list[dict[str, Any]]
    """The commits after `parent`, or the commit itself, oldest first, as in GitHub's events."""


class _Repository:
    """Runs git commands in a repository.

    Args:
        root: The directory of a checkout, or of a bare repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Return the output of a git command.

        Raises:
            RunError: It failed.
        """
        try:
            return _git(self.root, *arguments, variables=variables)
        except _GitError as error:
            raise RunError(f"git {' '.join(arguments)}: {error}") from None

    def find(self, *arguments: str, strip: bool = True) -> str | None:
        """Return the output of a git command, or None if it failed."""
        try:
            return _git(self.root, *arguments, strip=strip)
        except _GitError:
            return None

    def find_commit(self, name: str) -> str | None:
        """Return the commit that a name stands for, if any."""
        return self.find("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")


class Checkout(_Repository):
    """A git checkout of the user. Only read.

    Args:
        path: A directory in the checkout.

    Raises:
        RunError: It is not in a git checkout, or git is not installed.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise RunError(f"{path} is not a directory: name a git checkout")
        try:
            super().__init__(Path(_git(path, "rev-parse", "--show-toplevel")))
        except _GitError as error:
            raise RunError(f"{path} is not in a git checkout: {error}") from None

    def path(self, name: str) -> Path:
        """Return the path of a file of git, for example `objects`."""
        return self.root / self.git("rev-parse", "--git-path", name)

    def has_changes(self) -> bool:
        """Return whether there are uncommitted changes."""
        return bool(self.git("status", "--porcelain"))

    def origin(self) -> str | None:
        """Return the address of `origin`, if there is one."""
        return self.find("config", "--get", "remote.origin.url") or None

    @functools.cached_property
    def default_branch(self) -> str:
        """The default branch of `origin`, as far as the checkout knows it."""
        remote = self.find("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        if remote is not None:
            return remote.removeprefix("origin/")
        branches = self.git("for-each-ref", "--format=%(refname)").splitlines()
        for name in ("main", "master"):
            if f"refs/heads/{name}" in branches or f"refs/remotes/origin/{name}" in branches:
                return name
        return self.branch() or "main"

    def branch(self) -> str | None:
        """Return the branch that is checked out; None if HEAD is detached."""
        return self.find("symbolic-ref", "--quiet", "--short", "HEAD")


class Copy(_Repository):
    """A bare repository with the commits, branches and tags of a checkout, which tasks clone.

    Branches of `origin` take precedence over local ones, as tasks would find them there. Objects are not copied: git
    reads them in the checkout.

    Args:
        checkout: The checkout.
        directory: An empty directory, which must exist as long as the copy is used.
        dirty: Whether to commit the uncommitted changes, in the copy only.

    Raises:
        RunError: The checkout has no commits.
    """

    def __init__(self, checkout: Checkout, directory: Path, *, dirty: bool) -> None:
        self._checkout = checkout
        self._preparing = threading.Lock()
        self.directory = directory
        # With this suffix, git finds it at addresses with and without `.git`.
        super().__init__(directory / "repository.git")
        head = checkout.find_commit("HEAD")
        if head is None:
            raise RunError(f"{checkout.root} has no commits yet: commit something first")
        self._objects = checkout.path("objects").resolve()
        self._create()
        self.commit = self._commit_changes(head, directory / "index") if dirty and checkout.has_changes() else head
        self._head = head

    @property
    def url(self) -> str:
        """The address of the copy, to which `.git` may be added. Not a path, so that shallow clones are shallow."""
        return (self.root.parent / "repository").as_uri()

    def prepare_for_containers(self) -> dict[str, str]:
        """Make the copy independent of the checkout, and return variables with which other users can read it.

        Git refuses to read the repositories of other users unless a configuration file allows it. The user in a
        container may differ from the owner of the copy.
        """
        configuration = self.directory / "gitconfig"
        with self._preparing:
            alternates = self.root / "objects" / "info" / "alternates"
            if alternates.exists():
                self.git("repack", "-a", "-d", "--quiet")
                alternates.unlink()
                configuration.write_text("[include]\n\tpath = /etc/gitconfig\n[safe]\n\tdirectory = *\n", "utf-8")
        return {"GIT_CONFIG_SYSTEM": str(configuration)}

    def facts(self, base: str | None) -> Facts:
        """Return the facts about the commit.

        Args:
            base: The commit, branch or tag that a push started from, if known.

        Raises:
            RunError: The commit is not in the checkout.
        """
        checkout = self._checkout
        branch, default = checkout.branch(), checkout.default_branch
        parent = self.resolve(base) if base is not None else self._parent(branch or default)
        tags = (self.find("tag", "--points-at", self._head) or "").splitlines()
        return Facts(
            directory=checkout.root.name,
            origin=checkout.origin(),
            branch=branch,
            default_branch=default,
            commit=self.commit,
            parent=parent,
            tag=tags[-1] if tags else None,
            commits=self._commits(parent),
        )

    def resolve(self, name: str) -> str:
        """Return the commit that a name stands for; for a branch, preferably that of `origin`.

        Raises:
            RunError: There is none.
        """
        found = self.find_commit(f"refs/heads/{name}") or self.find_commit(name)
        if found is None:
            raise RunError(f"there is no commit, branch or tag {name!r} in {self._checkout.root}: fetch it first")
        return found

    def file(self, commit: str, name: str) -> str | None:
        """Return the content of a file at a commit, or None if there is none."""
        return self.find("cat-file", "blob", f"{commit}:{name}", strip=False)

    def point(self, refs: Mapping[str, str], head: str) -> None:
        """Let references point to commits.

        Args:
            refs: The commits, by reference.
            head: The reference that tasks get if they clone without naming one.
        """
        for name, commit in refs.items():
            self.git("update-ref", name, commit)
        self.git("symbolic-ref", "HEAD", head)

    def _create(self) -> None:
        checkout, bare = self._checkout, self.root
        try:
            _git(checkout.root, "init", "--quiet", "--bare", "--template=", str(bare))
        except _GitError as error:
            raise RunError(f"cannot create {bare}: {error}") from None
        (bare / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (bare / "objects" / "info" / "alternates").write_text(f"{self._objects}\n", "utf-8")
        shallow, exclude = checkout.path("shallow"), checkout.path("info/exclude")
        (bare / "info").mkdir(exist_ok=True)
        for existing, copied in ((shallow, bare / "shallow"), (exclude, bare / "info" / "exclude")):
            if existing.exists():
                shutil.copyfile(existing, copied)
        refs: dict[str, str] = {}
        for prefix, target in (
            ("refs/heads/", "refs/heads/"),
            ("refs/remotes/origin/", "refs/heads/"),
            ("refs/tags/", "refs/tags/"),
        ):
            for line in checkout.git("for-each-ref", "--format=%(objectname) %(refname)", prefix).splitlines():
                commit, _, name = line.partition(" ")
                refs[target + name.removeprefix(prefix)] = commit
        refs.pop("refs/heads/HEAD", None)
        packed = "".join(f"{refs[name]} {name}\n" for name in sorted(refs))
        (bare / "packed-refs").write_text(f"# pack-refs with: sorted \n{packed}", "utf-8")
        # GitHub allows to fetch any commit, and partial clones.
        for name in ("allowAnySHA1InWant", "allowFilter"):
            self.git("config", f"uploadpack.{name}", "true")

    def _commit_changes(self, head: str, index: Path) -> str:
        used = self._checkout.path("index")
        if used.exists():
            # With what git knows of unchanged files, so that they are not read again.
            shutil.copyfile(used, index)
        where = {"GIT_WORK_TREE": str(self._checkout.root), "GIT_INDEX_FILE": str(index)}
        people = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _AUTHOR.items()}
        self.git("add", "--all", "--", str(self._checkout.root), variables=where)
        tree = self.git("write-tree", variables=where)
        return self.git("commit-tree", "-p", head, "-m", _DIRTY_MESSAGE, tree, variables=people)

    def _parent(self, branch: str) -> str:
        """Return the commit that `branch` has at `origin`, if it is an ancestor, or else the commit's parent."""
        pushed = self._checkout.find_commit(f"refs/remotes/origin/{branch}")
        if pushed not in (None, self.commit) and self.find("merge-base", "--is-ancestor", pushed, self.commit) == "":
            return pushed
        return self.find_commit(f"{self.commit}^1") or NO_COMMIT

    def _commits(self, parent: str) -> list[dict[str, Any]]:
        command = ["-c", "core.quotePath=false", "log", "--no-renames", "--name-status", f"--format={_FORMAT}"]
        several = [f"--max-count={_MOST_COMMITS}", self.commit, *([] if parent == NO_COMMIT else [f"^{parent}"])]
        # Events have at least one commit.
        found = self.git(*command, *several) or self.git(*command, "--max-count=1", self.commit)
        return [_commit(*record.split(_FIELD)) for record in reversed(found.split(_RECORD)[1:])]


def _commit(
    sha: str, tree: str, author: str, email: str, committer: str, committer_email: str, date: str, text: str, files: str
) -> dict[str, Any]:
    """Return a commit in the form of GitHub's events."""
    changed: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
    for line in files.strip("\n").splitlines():
        kind, _, name = line.partition("\t")
        changed[_CHANGES.get(kind, "modified")].append(name)
    return {
        "id": sha,
        "tree_id": tree,
        "distinct": True,
        "message": text.strip("\n"),
        "timestamp": date,
        "author": {"name": author, "email": email},
        "committer": {"name": committer, "email": committer_email},
        **changed,
    }


class _GitError(Exception):
    """What git printed when it failed."""


def _git(directory: Path, *arguments: str, strip: bool = True, variables: Mapping[str, str] | None = None) -> str:
    # Variables of a surrounding git command, such as a hook, would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # `git status` writes a refreshed index otherwise.
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(variables or {})}
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise RunError("git is not installed: install it, for example with apt-get install git") from None
    if done.returncode:
        raise _GitError(done.stderr.strip() or f"exit status {done.returncode}")
    return done.stdout.rstrip("\n") if strip else done.stdout
