"""Prepare the process that runs tests.

It refuses to test an installed copy of a package that differs from the checkout.
"""

from __future__ import annotations

import filecmp
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from chromium import Browser

ROOT = Path(__file__).parent
RUNC = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""The configuration of podman for kernels on which limits cannot be raised."""


@pytest.fixture
def handlers() -> Iterator[None]:
    """Restore what `taskcluster-local serve` changes when it runs in the tests' own process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def in_earlier_thread() -> Callable[[], bool]:
    """A function that tells whether it is called in a thread that was running before the test began.

    Fixtures of a session can have deployments with event loops of their own, which a replaced `sleep` must not disturb.
    """
    earlier = {thread for thread in threading.enumerate() if thread is not threading.current_thread()}
    return lambda: threading.current_thread() in earlier


@pytest.fixture(scope="session")
def unavailable() -> Callable[[str], NoReturn]:
    """Skips a test because of what is missing here, or fails it if everything must be tested."""

    def unavailable(reason: str) -> NoReturn:
        if os.environ.get("TASKCLUSTER_TESTS_REQUIRE_ALL"):
            pytest.fail(f"this must be tested here (TASKCLUSTER_TESTS_REQUIRE_ALL): {reason}")
        pytest.skip(reason)

    return unavailable


@pytest.fixture(scope="session")
def browser(unavailable: Callable[[str], NoReturn]) -> Iterator[Browser]:
    """Chromium."""
    # It imports aiohttp, which few tests need.
    import chromium

    path = chromium.program()
    if path is None:
        unavailable(chromium.MISSING)
    with chromium.Browser(path) as started:
        yield started


@pytest.fixture(scope="module")
def podman_directory(
    tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]
) -> Iterator[Path]:
    """Where podman has its storage during the tests of a module. Images can be built there."""
    if shutil.which("podman") is None or not os.access("/bin/busybox", os.X_OK):
        unavailable("podman and busybox are not installed: apt-get install podman runc busybox-static")
    directory = tmp_path_factory.mktemp("podman")
    # With a long path of the state's directory, `podman start --attach` waits 20 s for the end of a container.
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as state, pytest.MonkeyPatch.context() as patch:
        storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{directory}/graph"\nrunroot = "{state}"\n'
        configuration = {"CONTAINERS_STORAGE_CONF": storage}
        if os.getuid() == 0:
            # By default, podman has one log of events for all storages.
            configuration["CONTAINERS_CONF"] = f'{RUNC}events_logfile_path = "{directory}/events.log"\n'
        for variable, text in configuration.items():
            path = directory / variable.lower()
            path.write_text(text, encoding="utf-8")
            patch.setenv(variable, str(path))
        yield directory
        # The storage is named again, because this must never remove the images of the machine.
        own = ["--root", f"{directory}/graph", "--runroot", state]
        subprocess.run(["podman", *own, "rmi", "--all", "--force"], check=True, capture_output=True)


def pytest_configure(config: pytest.Config) -> None:
    # A shell makes its background jobs ignore Ctrl-C, which the programs that tests start and interrupt would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Workers of pytest-xdist import the same packages.
    if hasattr(config, "workerinput"):
        return
    packages = [path.parent for path in ROOT.glob("packages/**/src/*/__init__.py")]
    if different := sorted(package.name for package in packages if is_outdated(package)):
        raise pytest.UsageError(
            f"the installed {', '.join(different)} would be tested, which differs from the checkout. "
            "Run: python tools/family.py install --editable"
        )


def is_outdated(package: Path) -> bool:
    """Return whether Python imports a package from elsewhere, and its files differ."""
    spec = importlib.util.find_spec(package.name)
    if spec is None:
        return False
    [installed] = map(Path, spec.submodule_search_locations or ())
    if installed == package:
        return False
    files = sources(package)
    return files != sources(installed) or bool(filecmp.cmpfiles(package, installed, files, shallow=False)[1])


def sources(package: Path) -> set[str]:
    """Return the paths of a package's files, relative to it."""
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(package).as_posix() for path in files}
