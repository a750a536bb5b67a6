"""Prepare the process that runs tests.

It refuses to test an installed copy of a package that differs from the checkout.
"""

from __future__ import annotations

import filecmp
import importlib.util
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


@pytest.fixture
def handlers() -> Iterator[None]:
    """Restore what `taskcluster-local serve` changes when it runs in the tests' own process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
