"""Test moving an environment from the published client, which has the same module name."""

from __future__ import annotations

from pathlib import Path

from .conftest import FOLDERS, Workshop
from .environments import ROOT
from .test_environments import assert_queue_works

SERVICES = [f"./{folder.relative_to(ROOT)}" for folder in FOLDERS.values() if folder.parent.name == "services"]


def test_readmes_commands_leave_a_working_environment(published: Path, workshop: Workshop) -> None:
    environment = workshop.plain("moved")
    environment.pip("install", "--quiet", published)
    environment.run("import taskcluster; assert not hasattr(taskcluster, 'plugins')")
    environment.pip("uninstall", "--quiet", "-y", "taskcluster")
    others = ("./packages/objects", "./packages/helper", "./packages/meta")
    environment.pip("install", "--quiet", "./packages/core", *SERVICES, *others, cwd=ROOT)
    assert_queue_works(environment)
    assert environment.pip("check").strip() == "No broken requirements found."


def test_upgrade_in_place_breaks_until_the_readmes_commands(published: Path, workshop: Workshop) -> None:
    environment = workshop.environment("in-place", published)
    environment.pip("install", *workshop.offline, "--force-reinstall", "taskcluster")
    # If this ever works, remove the warning from the README.
    assert "Error: " in environment.failure("import taskcluster; taskcluster.Queue({'rootUrl': 'https://tc'}).ping")

    environment.pip("uninstall", "--quiet", "-y", "taskcluster")
    ours = [f"taskcluster-{name}" for name in ("core", *(Path(path).name for path in SERVICES))]
    environment.pip("install", *workshop.offline, "--force-reinstall", "--no-deps", *ours, "taskcluster")
    assert_queue_works(environment)
