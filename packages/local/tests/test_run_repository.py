"""Tests of what `taskcluster-local run` reads from a checkout, and of the copy that tasks clone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from taskcluster_local.run.environment import clone_variables, other_repositories
from taskcluster_local.run.errors import RunError
from taskcluster_local.run.repository import Checkout, Copy
from taskcluster_local.services.github.fake_events import NO_COMMIT

from .checkouts import ENVIRONMENT, GitCheckout


@pytest.fixture
def checkout(tmp_path: Path) -> GitCheckout:
    made = GitCheckout(tmp_path / "project")
    made.commit("First", a_txt="1\n")
    return made


def copy_of(checkout: GitCheckout, *, dirty: bool = False) -> Copy:
    directory = checkout.path.parent / "copy"
    directory.mkdir()
    return Copy(Checkout(checkout.path), directory, dirty=dirty)


def clone(copy: Copy, target: Path, *arguments: str, suffix: str = "") -> Path:
    copy.point({"refs/heads/main": copy.commit}, "refs/heads/main")
    command = ["git", "clone", "--quiet", *arguments, copy.url + suffix, str(target)]
    subprocess.run(command, check=True, env=ENVIRONMENT)
    return target


def test_facts_of_first_commit(checkout: GitCheckout) -> None:
    facts = copy_of(checkout).facts(None)
    assert (facts.directory, facts.origin, facts.branch, facts.default_branch) == ("project", None, "main", "main")
    assert (facts.commit, facts.parent, facts.tag) == (checkout.head, NO_COMMIT, None)
    assert facts.commits == [
        {
            "id": checkout.head,
            "tree_id": checkout.git("rev-parse", "HEAD^{tree}"),
            "distinct": True,
            "message": "First",
            "timestamp": checkout.git("log", "--format=%cI"),
            "author": {"name": "Ann Author", "email": "12+ann@users.noreply.github.com"},
            "committer": {"name": "Ann Author", "email": "12+ann@users.noreply.github.com"},
            "added": ["a.txt"],
            "removed": [],
            "modified": [],
        }
    ]


def test_push_starts_at_parent(checkout: GitCheckout) -> None:
    first = checkout.head
    (checkout.path / "a.txt").unlink()
    checkout.commit("Second\n\nWith a body", ü_txt="2\n")
    facts = copy_of(checkout).facts(None)
    assert facts.parent == first
    assert [(each["message"], each["added"], each["removed"]) for each in facts.commits] == [
        ("Second\n\nWith a body", ["ü.txt"], ["a.txt"])
    ]


def test_push_starts_at_branch_of_origin(checkout: GitCheckout) -> None:
    pushed = checkout.head
    checkout.git("update-ref", "refs/remotes/origin/main", pushed)
    checkout.commit("Second")
    checkout.commit("Third")
    facts = copy_of(checkout).facts(None)
    assert facts.parent == pushed
    assert [each["message"] for each in facts.commits] == ["Second", "Third"]


def test_base_is_resolved(checkout: GitCheckout) -> None:
    checkout.git("tag", "v1")
    first = checkout.head
    checkout.commit("Second")
    checkout.commit("Third")
    copy = copy_of(checkout)
    assert copy.facts("v1").parent == first
    assert copy.facts(first[:10]).parent == first
    with pytest.raises(RunError, match="no commit, branch or tag 'v2'"):
        copy.facts("v2")


def test_finds_tag_and_default_branch(checkout: GitCheckout) -> None:
    checkout.git("tag", "v1")
    checkout.git("update-ref", "refs/remotes/origin/trunk", "HEAD")
    checkout.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    checkout.git("checkout", "--quiet", "--detach")
    facts = copy_of(checkout).facts(None)
    assert (facts.branch, facts.default_branch, facts.tag) == (None, "trunk", "v1")


@pytest.mark.parametrize("suffix", ["", ".git"], ids=["plain", "with .git"])
def test_copy_can_be_cloned(checkout: GitCheckout, tmp_path: Path, suffix: str) -> None:
    checkout.git("branch", "other")
    checkout.git("update-ref", "refs/remotes/origin/main", "HEAD")
    commit = checkout.commit("Second", a_txt="2\n")
    copy = copy_of(checkout)
    copy.point({"refs/pull/1/head": commit}, "refs/heads/main")
    cloned = clone(copy, tmp_path / "clone", suffix=suffix)
    assert (cloned / "a.txt").read_text("utf-8") == "2\n"
    branches = subprocess.run(
        ["git", "branch", "--remotes"], cwd=cloned, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert branches.stdout.split() == ["origin/HEAD", "->", "origin/main", "origin/main", "origin/other"]
    subprocess.run(["git", "fetch", "--quiet", "origin", "refs/pull/1/head"], cwd=cloned, check=True)


def test_shallow_clones_are_shallow(checkout: GitCheckout, tmp_path: Path) -> None:
    first = checkout.head
    checkout.commit("Second")
    copy = copy_of(checkout)
    cloned = clone(copy, tmp_path / "clone", "--depth=1")
    assert (cloned / ".git" / "shallow").exists()
    subprocess.run(["git", "fetch", "--quiet", "--depth=1", "origin", first], cwd=cloned, check=True)


def test_shallow_checkout_can_be_cloned(checkout: GitCheckout, tmp_path: Path) -> None:
    checkout.commit("Second")
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", checkout.path.as_uri(), str(shallow)], check=True, env=ENVIRONMENT
    )
    directory = tmp_path / "copy"
    directory.mkdir()
    copy = Copy(Checkout(shallow), directory, dirty=False)
    assert copy.facts(None).parent == NO_COMMIT
    assert (clone(copy, tmp_path / "clone") / "a.txt").exists()


def test_worktree_can_be_cloned(checkout: GitCheckout, tmp_path: Path) -> None:
    worktree = tmp_path / "worktree"
    checkout.git("worktree", "add", "--quiet", "-b", "side", str(worktree))
    directory = tmp_path / "copy"
    directory.mkdir()
    copy = Copy(Checkout(worktree), directory, dirty=False)
    assert copy.facts(None).branch == "side"
    assert (clone(copy, tmp_path / "clone") / "a.txt").exists()


def test_uncommitted_changes_are_committed_in_copy_only(checkout: GitCheckout, tmp_path: Path) -> None:
    checkout.commit(_gitignore="ignored\n", b_txt="b\n")
    checkout.write("a.txt", "changed\n")
    checkout.write("new/c.txt", "c\n")
    checkout.write("ignored", "not taken\n")
    (checkout.path / ".git" / "info" / "exclude").write_text("excluded\n", "utf-8")
    checkout.write("excluded", "not taken\n")
    (checkout.path / "b.txt").unlink()
    before = checkout.state()
    copy = copy_of(checkout, dirty=True)
    assert checkout.state() == before
    assert copy.commit != checkout.head
    facts = copy.facts(None)
    assert facts.parent == checkout.head
    assert facts.commits[-1]["message"] == "Uncommitted changes"
    cloned = clone(copy, tmp_path / "clone")
    assert sorted(path.name for path in cloned.rglob("*") if ".git/" not in str(path) and path.is_file()) == [
        ".gitignore",
        "a.txt",
        "c.txt",
    ]
    assert (cloned / "a.txt").read_text("utf-8") == "changed\n"


def test_dirty_without_changes_is_head(checkout: GitCheckout) -> None:
    assert copy_of(checkout, dirty=True).commit == checkout.head


def test_reads_only(checkout: GitCheckout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    before = checkout.state()
    copy = copy_of(checkout)
    copy.facts(None)
    Checkout(checkout.path).has_changes()
    copy.point({"refs/heads/main": copy.commit}, "refs/heads/main")
    assert checkout.state() == before
    assert copy.file(copy.commit, "a.txt") == "1\n"
    assert copy.file(copy.commit, "b.txt") is None


def test_other_repositories_keep_their_addresses(tmp_path: Path) -> None:
    addresses = ("https://github.com/org/repo", "git@github.com:org/repo")
    others = tmp_path / "others"
    others.write_text(other_repositories(addresses), "utf-8")
    environment = {**ENVIRONMENT, **clone_variables(addresses, "file:///copy/repository", str(others))}
    expected = {
        f"{address}{rest}": f"file:///copy/repository{rest}" for address in addresses for rest in ("", ".git", "/")
    }
    expected |= dict.fromkeys([f"{addresses[0]}{rest}" for rest in ("-docs", "2.git", "s", ".github.io", ".gitignore")])
    for address, read in expected.items():
        command = ["git", "ls-remote", "--get-url", address]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=environment)
        assert done.stdout.strip() == (read or address)


@pytest.mark.parametrize("name", ["nothing", "."])
def test_refuses_other_directories(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="is not"):
        Checkout(tmp_path / name)


def test_refuses_checkout_without_commits(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no commits yet"):
        Copy(Checkout(GitCheckout(tmp_path / "project").path), tmp_path, dirty=False)


def test_needs_git(checkout: GitCheckout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RunError, match="git is not installed"):
        Checkout(checkout.path)
