"""Test a third party's service from `taskcluster-codegen new`: build it, install it, call it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Workshop
from .environments import ROOT, Environment, clean

EXAMPLE = ROOT / "examples" / "plugin-widgets"


def build(tree: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(tree)]
    subprocess.run(command, env=clean(), check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def widgets(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the example and the requirements of its tests."""
    wheel = build(EXAMPLE, tmp_path_factory.mktemp("widgets"))
    return workshop.environment("widgets", f"widgets-client[test] @ {wheel.as_uri()}")


CALLS = """
import asyncio, json, sys
import taskcluster, taskcluster.aio

async def more(options):
    async with taskcluster.aio.Widgets(options) as widgets:
        await widgets.create("b", {"description": "the second", "colour": "blue"})
        return [entry["name"] async for entry in widgets.paginate_items(widgets.list, limit=1)]

def called(options):
    widgets = taskcluster.Widgets(options)
    made = widgets.create("a", {"description": "the first"})
    names = asyncio.run(more(options))
    try:
        widgets.create("c", {"describtion": "misspelt"})
    except taskcluster.TaskclusterRestFailure as failure:
        refused = [failure.status_code, failure.code]
    widgets.close()
    key = taskcluster.WidgetsEvents(options).entryCreated(name="a")["routingKeyPattern"]
    return [made["colour"], names, refused, key]
"""
EXPECTED = ["red", ["a", "b"], [400, "InputValidationError"], "primary.a.#"]


def test_calls_work_in_a_local_deployment(widgets: Environment) -> None:
    program = CALLS + (
        "from taskcluster_local import LocalTaskcluster\n"
        "with LocalTaskcluster() as local:\n"
        "    print(json.dumps(called(local.options())))\n"
    )
    assert json.loads(widgets.run(program, NO_PROXY="127.0.0.1")) == EXPECTED


def test_calls_work_in_taskcluster_local_serve(widgets: Environment) -> None:
    command = [str(widgets.folder / "bin" / "taskcluster-local"), "serve"]
    with subprocess.Popen(command, env=clean(), stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            assert server.stdout is not None
            lines: list[str] = []
            for line in server.stdout:
                lines.append(line)
                if line.startswith("# ready"):
                    break
            exported = dict(line[7:].strip().split("=", 1) for line in lines if line.startswith("export "))
            program = CALLS + "print(json.dumps(called(taskcluster.optionsFromEnvironment())))\n"
            found = widgets.run(program, NO_PROXY="127.0.0.1", **{k: v.strip("'") for k, v in exported.items()})
        finally:
            server.send_signal(signal.SIGINT)
    assert json.loads(found) == EXPECTED
    assert server.returncode == 0


def test_generated_tests_pass(widgets: Environment, tmp_path: Path) -> None:
    (tmp_path / "test_widgets.py").write_bytes((EXAMPLE / "tests" / "test_widgets.py").read_bytes())
    run_tests(widgets, tmp_path)
    assert widgets.pip("check").strip() == "No broken requirements found."


def run_tests(environment: Environment, folder: Path) -> None:
    environment.run(
        """
        import pytest, sys
        sys.exit(pytest.main(["-W", "error", "-p", "no:cacheprovider", sys.argv[1]]))
        """,
        str(folder),
        NO_PROXY="127.0.0.1",
    )


def test_installed_command_generates_a_client(workshop: Workshop, widgets: Environment, tmp_path: Path) -> None:
    """It fetches the example's reference from a deployment."""
    environment = workshop.environment("generator", "taskcluster-codegen", "taskcluster-local[pytest]")
    program = """
        import subprocess, sys
        from taskcluster_local import LocalTaskcluster
        command, directory = sys.argv[1:]
        with LocalTaskcluster() as local:
            made = ["new", "widgets", "--distribution", "other-widgets", "--directory", directory]
            sys.exit(subprocess.run([command, *made, "--root-url", local.root_url]).returncode)
        """
    command = environment.folder / "bin" / "taskcluster-codegen"
    widgets.run(program, str(command), str(tmp_path / "made"), NO_PROXY="127.0.0.1")
    specs = [(tree / "specs" / "widgets.json").read_bytes() for tree in (tmp_path / "made", EXAMPLE)]
    assert specs[0] == specs[1]
    environment.pip("install", *workshop.offline, build(tmp_path / "made", tmp_path / "dist"))
    run_tests(environment, tmp_path / "made" / "tests")
