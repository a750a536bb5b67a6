"""Tests of `taskcluster-local run` with tasks that name an image, in containers of podman."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from taskcluster_local.cli import main
from taskcluster_local.run.repository import Checkout, Copy

from .checkouts import ENVIRONMENT, GitCheckout

pytestmark = pytest.mark.once

IMAGE = "localhost/taskcluster-local-run-test:1"
BUSYBOX, GIT = Path("/bin/busybox"), Path("/usr/bin/git")


def podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], check=True, capture_output=True, encoding="utf-8").stdout


@pytest.fixture(scope="module")
def image(podman_directory: Path, unavailable: Callable[[str], NoReturn]) -> str:
    """An image with busybox and git, in a separate storage."""
    if not GIT.exists():
        unavailable("git is not installed: apt-get install git")
    root = podman_directory / "root"
    libraries = subprocess.run(["ldd", str(GIT)], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    for path in (BUSYBOX, GIT, *map(Path, re.findall(r"(/\S+)", libraries))):
        copied = root / path.relative_to("/")
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    (root / "usr/bin/git-upload-pack").symlink_to("git")
    (root / "tmp").mkdir()
    (podman_directory / "Containerfile").write_text(
        'FROM scratch\nCOPY root /\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n', "utf-8"
    )
    podman("build", "--quiet", "--tag", IMAGE, str(podman_directory))
    return IMAGE


def task(name: str, **payload: Any) -> dict[str, Any]:
    return {
        "taskQueueId": "proj/ci",
        "created": {"$fromNow": ""},
        "deadline": {"$fromNow": "1 hour"},
        "metadata": {"name": name, "description": "", "owner": "o@example.com", "source": "https://example.com"},
        "payload": {"maxRunTime": 60, **payload},
    }


@pytest.fixture
def checkout(tmp_path: Path) -> GitCheckout:
    return GitCheckout(tmp_path / "project", origin="git@github.com:org/repo.git")


def test_clones_in_containers(
    image: str, checkout: GitCheckout, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = "\n".join(
        [
            "set -e",
            "git clone --quiet ${event.repository.clone_url} src",
            'test "$(git -C src rev-parse HEAD)" = ${event.after}',
            "cat src/file > /result",
            "wget -q -O /dev/null $TASKCLUSTER_ROOT_URL/api/queue/v1/ping",
            'test "$GIVEN" = yes',
        ]
    )
    artifacts = {"public/result": {"type": "file", "path": "/result"}}
    tasks = [
        task("container", image=image, command=["sh", "-c", script], artifacts=artifacts),
        task("host", command=[["sh", "-c", "test ! -e /result"]]),
    ]
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": tasks}, file="content\n")
    saved = tmp_path / "saved"
    status = main(["run", str(checkout.path), "--artifacts", str(saved), "--env", "GIVEN=yes"])
    printed = capfd.readouterr().out
    assert status == 0, printed
    assert "\n2 completed\n" in printed
    assert "in containers" in printed
    assert (saved / "container" / "public" / "result").read_text("utf-8") == "content\n"
    assert podman("ps", "--all", "--quiet") == ""


def test_lists_missing_engine(
    checkout: GitCheckout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a", image="debian:12", command=["true"])]})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert main(["run", str(checkout.path)]) == 1
    printed = capfd.readouterr().out
    listed = re.search(r"^not available: payload: image: .*podman or docker.*\(needed by a\)$", printed, re.MULTILINE)
    assert listed is not None
    assert "✗ a: exception (malformed-payload)" in printed


def test_lists_images_that_will_be_pulled(image: str, checkout: GitCheckout, capfd: pytest.CaptureFixture[str]) -> None:
    missing = "localhost:1/missing:1"
    tasks = [
        task("a", image={"type": "docker-image", "name": missing}, command=["true"]),
        task("b", image=image, command=["true"]),
    ]
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": tasks})
    assert main(["run", str(checkout.path)]) == 1
    printed = capfd.readouterr().out
    assert (
        f"not available: payload: image: {missing} is not on this machine, and will be pulled (needed by a)" in printed
    )
    assert "needed by b" not in printed
    assert "✗ a: failed" in printed
    assert "✓ b: completed" in printed


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can run git as another user")
def test_other_users_can_clone(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Not in a temporary directory of pytest, which other users cannot read.
    directory = Path(subprocess.run(["mktemp", "-d"], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout[:-1])
    try:
        directory.chmod(0o777)
        checkout = GitCheckout(tmp_path_factory.mktemp("checkout") / "project")
        commit = checkout.commit(file="content\n")
        (directory / "copy").mkdir()
        copy = Copy(Checkout(checkout.path), directory / "copy", dirty=False)
        copy.point({"refs/heads/main": commit}, "refs/heads/main")
        variables = copy.prepare_for_containers()
        assert copy.prepare_for_containers() == variables
        kept = {name: value for name, value in ENVIRONMENT.items() if name != "GIT_CONFIG_SYSTEM"}
        subprocess.run(
            ["git", "clone", "--quiet", copy.url, str(directory / "clone")],
            check=True,
            user=65534,
            env={**kept, "HOME": str(directory), **variables},
            cwd=directory,
        )
        assert (directory / "clone" / "file").read_text("utf-8") == "content\n"
    finally:
        shutil.rmtree(directory)
