"""Test moving an environment from the published client, which has the same module name."""

from __future__ import annotations

import re
from pathlib import Path

from .conftest import Workshop
from .environments import ROOT
from .test_environments import assert_queue_works


def test_commands_of_the_guide_leave_a_working_environment(published: Path, workshop: Workshop) -> None:
    guide = (ROOT / "docs" / "guides" / "moving.md").read_text("utf-8")
    command = re.search(r"```sh\n(.*?)```", guide, re.DOTALL)
    assert command is not None
    environment = workshop.plain("moved")
    environment.pip("install", "--quiet", published)
    environment.run("import taskcluster; assert not hasattr(taskcluster, 'plugins')")
    environment.shell(command[1], ROOT)
    assert_queue_works(environment)
    assert environment.pip("check").strip() == "No broken requirements found."


def test_commands_for_an_index_leave_a_working_environment(published: Path, workshop: Workshop) -> None:
    environment = workshop.environment("from-index", published)
    environment.pip("uninstall", "--quiet", "--yes", "taskcluster")
    environment.pip("install", *workshop.offline, "taskcluster==113.2.0")
    assert_queue_works(environment)
