"""Run the scenarios with this client and the published one, against a server in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from . import scenarios
from .serving import Served


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment variables of a running deployment."""
    with Served(tmp_path_factory.mktemp("data") / "deployment") as server:
        credentials = server.options["credentials"]
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith("TASKCLUSTER_")},
            "TASKCLUSTER_ROOT_URL": server.options["rootUrl"],
            "TASKCLUSTER_CLIENT_ID": credentials["clientId"],
            "TASKCLUSTER_ACCESS_TOKEN": credentials["accessToken"],
        }


def run(python: str, mode: str, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [python, scenarios.__file__, mode],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


EXPECTED = [scenario.__name__ for scenario in scenarios.SCENARIOS]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_with_this_client(mode: str, environment: dict[str, str]) -> None:
    assert run(sys.executable, mode, environment) == EXPECTED


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_with_the_published_client(mode: str, environment: dict[str, str], published: str) -> None:
    assert run(published, mode, environment) == EXPECTED
