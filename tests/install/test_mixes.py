"""Test environments with files of this client and the published client, or with several versions of this client."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import FOLDERS, VERSION, Built, Workshop
from .environments import Environment
from .test_environments import assert_queue_works
from .test_generated import build

REPAIR = "python tools/family.py install core"


@pytest.fixture(scope="module")
def environment(workshop: Workshop) -> Environment:
    """An environment that the tests share. Each of them repairs it."""
    return workshop.plain("mixed")


def force(environment: Environment, *wheels: Path) -> None:
    environment.pip("install", "--quiet", "--no-deps", "--force-reinstall", *wheels)


def assert_is_mixed(environment: Environment, module: str) -> None:
    error = environment.failure(f"import {module}")
    assert error.startswith("ImportError: ")
    assert "mixes files of this client (taskcluster-core) and of the published client (taskcluster)" in error
    assert REPAIR in error


def assert_repairs(environment: Environment) -> None:
    environment.family("core")
    assert_queue_works(environment)
    assert environment.pip("check").strip() == "No broken requirements found."


def test_published_client_over_this_one(published: Path, environment: Environment) -> None:
    environment.family("queue", "helper", "objects")
    force(environment, published)
    for module in ("taskcluster_queue", "taskcluster_helper", "taskcluster_objects"):
        assert_is_mixed(environment, module)
    assert_repairs(environment)


def test_this_client_over_the_published_one(
    family: dict[str, Built], published: Path, environment: Environment
) -> None:
    force(environment, published)
    force(environment, family["core"].wheel)
    for module in ("taskcluster", "taskcluster.aio", "taskcluster_queue"):
        assert_is_mixed(environment, module)
    assert_repairs(environment)


def test_upgrade_in_place(family: dict[str, Built], published: Path, environment: Environment) -> None:
    """It removes the published client after it installed core, and therefore files of core."""
    force(environment, family["core"].wheel, published)
    force(environment, family["meta"].wheel)
    # Nothing of this client runs here.
    assert "has no attribute 'Queue'" in environment.failure("import taskcluster; taskcluster.Queue")
    assert_is_mixed(environment, "taskcluster_queue")
    assert_repairs(environment)


def test_version_mix(environment: Environment, tmp_path: Path) -> None:
    environment.family("queue")
    tree = tmp_path / "queue"
    shutil.copytree(FOLDERS["queue"], tree)
    for path in (tree / "pyproject.toml", tree / "src" / "taskcluster_queue" / "__init__.py"):
        path.write_text(path.read_text("utf-8").replace(VERSION, "1.2.3"), "utf-8")
    force(environment, build(tree, tmp_path))
    mixed = f"taskcluster-queue has version 1.2.3, but taskcluster-core has {VERSION}"
    error = environment.failure("import taskcluster_queue")
    assert error.startswith(f"ImportError: {mixed}")
    assert REPAIR in error
    error = environment.failure("import taskcluster; taskcluster.Queue")
    assert "PluginError: " in error
    assert mixed in error
    assert REPAIR in error
    assert_repairs(environment)
