"""Tracebacks of failed calls in pytest, IPython and debuggers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path

import pytest

import taskcluster

from .drive import Drive
from .server import Server, respond

SOURCES = {
    "sync": """
        import os, taskcluster

        def test_call():
            with taskcluster.Queue({"rootUrl": os.environ["ROOT_URL"], "maxRetries": 0}) as queue:
                queue.task("fN1SbArXTPSVFNUvaOlinQ")
    """,
    "async": """
        import asyncio, os, taskcluster.aio

        async def call():
            async with taskcluster.aio.Queue({"rootUrl": os.environ["ROOT_URL"], "maxRetries": 0}) as queue:
                await queue.task("fN1SbArXTPSVFNUvaOlinQ")

        def test_call():
            asyncio.run(call())
    """,
    "async without session": """
        import asyncio, os, taskcluster.aio

        async def call():
            queue = taskcluster.aio.Queue({"rootUrl": os.environ["ROOT_URL"], "maxRetries": 0})
            await queue.task("fN1SbArXTPSVFNUvaOlinQ")

        def test_call():
            asyncio.run(call())
    """,
}
BUG = """
        import taskcluster.call

        def fail(*args):
            raise RuntimeError("a bug")

        taskcluster.call._json = fail
"""
_FRAME = re.compile(r"\b(?:taskcluster|taskcluster_queue)/(?:aio/)?\w+\.py")
"""A file of the client, in the form of pytest and of IPython."""


def printed(module: str, *arguments: str, root_url: str, directory: Path) -> str:
    """Run a module of Python, and return its output."""
    variables = {"ROOT_URL": root_url, "IPYTHONDIR": str(directory), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **variables},
        cwd=directory,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    ).stdout


def frames(output: str) -> set[str]:
    return {Path(found).name for found in _FRAME.findall(output)}


# The failure of a retried call is raised elsewhere.
@pytest.mark.parametrize("status", [404, 503])
def test_pytest_shows_only_the_program(server: Server, tmp_path: Path, status: int) -> None:
    for number, source in enumerate(SOURCES.values()):
        server.script(respond(status, {"message": "it fails"}))
        (tmp_path / f"test_{number}.py").write_text(textwrap.dedent(source), "utf-8")
    output = printed("pytest", ".", root_url=server.root_url, directory=tmp_path)
    assert len(re.findall(r"^E .*Failure: it fails$", output, re.MULTILINE)) == len(SOURCES)
    assert output.count('queue.task("fN1SbArXTPSVFNUvaOlinQ")') == len(SOURCES)
    assert frames(output) == set()


def test_pytest_shows_bugs_of_the_client(server: Server, tmp_path: Path) -> None:
    server.script(respond(200, {}))
    source = textwrap.dedent(BUG) + textwrap.dedent(SOURCES["sync"])
    (tmp_path / "test_program.py").write_text(source, "utf-8")
    output = printed("pytest", "test_program.py", root_url=server.root_url, directory=tmp_path)
    assert "RuntimeError: a bug" in output
    assert "call.py" in frames(output)


@pytest.mark.parametrize("mode", ["sync", "async without session"], ids=["sync", "async"])
def test_ipython_hides_frames_between_program_and_error(server: Server, tmp_path: Path, mode: str) -> None:
    pytest.importorskip("IPython")
    server.script(respond(404, {"message": "it fails"}))
    program = tmp_path / "program.py"
    program.write_text(f"{textwrap.dedent(SOURCES[mode])}\ntest_call()\n", "utf-8")
    output = printed(
        "IPython", "--no-banner", "--colors=NoColor", str(program), root_url=server.root_url, directory=tmp_path
    )
    assert "Failure: it fails" in output
    assert "skipping hidden" in output
    # IPython always shows the frame that raises.
    assert frames(output) <= {"client.py", "aio.py", "call.py"}
    assert "in Queue.task" in output
    assert "BaseClient" not in output


def test_debuggers_see_every_frame(drive: Drive, server: Server) -> None:
    server.script(respond(404, {"message": "it fails"}))
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        drive.client().task("fN1SbArXTPSVFNUvaOlinQ")
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-2:] == ["perform", "result"]
    assert {"run", "run_async"} & {*names}
