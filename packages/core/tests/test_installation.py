"""Test the check that the installed distributions fit together."""

from __future__ import annotations

import re
import subprocess
import sys
from types import ModuleType

import pytest

from taskcluster.installation import how_to_install, require
from taskcluster.version import VERSION


def test_names_the_command_that_installs_a_distribution() -> None:
    said = how_to_install("taskcluster-purge-cache")
    assert said == "install taskcluster-purge-cache (in a checkout: python tools/family.py install purge-cache)"


def test_accepts_the_version_of_core() -> None:
    require("taskcluster_queue", VERSION)


def test_raises_if_versions_differ() -> None:
    with pytest.raises(ImportError, match=f"^taskcluster-purge-cache has version 1, but .* has {VERSION}"):
        require("taskcluster_purge_cache", "1")


@pytest.mark.parametrize("version", [None, "1"])
def test_raises_if_the_package_is_not_cores(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    other = ModuleType("taskcluster")
    other.__path__ = ["/somewhere/taskcluster"]
    if version is not None:
        other.__version__ = version  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "taskcluster", other)
    with pytest.raises(ImportError, match=re.escape("/somewhere/taskcluster mixes files of this client")):
        require("taskcluster_queue", VERSION)


@pytest.mark.services
def test_waits_for_a_thread_that_imports_core() -> None:
    """The main thread stops while it imports core, until the other thread has looked for a package."""
    script = """
import importlib.machinery, sys, threading

looked, done = threading.Event(), threading.Event()

class Paused(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        thread.start()
        looked.wait(10)
        # Without waiting, it fails now.
        done.wait(0.5)
        super().exec_module(module)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "taskcluster":
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            spec.loader = Paused(name, spec.origin)
            return spec
        if name == "taskcluster_queue":
            looked.set()

def other():
    try:
        import taskcluster_queue
        print("imported")
    except ImportError as exc:
        print(exc)
    done.set()

thread = threading.Thread(target=other)
sys.meta_path.insert(0, Finder())
import taskcluster
thread.join()
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=60)
    assert (result.stdout, result.stderr) == ("imported\n", "")
