"""Run `taskcluster-local serve` in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["COMMAND", "Served", "definition", "environment", "refusal"]

COMMAND = [sys.executable, "-W", "error", "-c", "import sys; from taskcluster_local.cli import main; sys.exit(main())"]


def environment() -> dict[str, str]:
    """Return the variables of this process without those of Taskcluster."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TASKCLUSTER_")}


class Served:
    """A server with a data directory."""

    def __init__(self, data: Path, before: Callable[[], None] | None = None, pulse: str | None = None) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "serve", "--data", str(data)],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**environment(), **({} if pulse is None else {"TASKCLUSTER_LOCAL_PULSE": pulse})},
            preexec_fn=before,
        )
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in range(4)]
        assert lines[-1].startswith("# ready at "), lines
        settings = dict(line.removeprefix("export ").rstrip().split("=", 1) for line in lines[:3])
        self.options: dict[str, Any] = {
            "rootUrl": settings["TASKCLUSTER_ROOT_URL"],
            "credentials": {
                "clientId": settings["TASKCLUSTER_CLIENT_ID"],
                "accessToken": settings["TASKCLUSTER_ACCESS_TOKEN"],
            },
            # An acknowledged write got a single, successful response.
            "maxRetries": 0,
        }

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Stop it gracefully; return its exit status."""
        self._process.terminate()
        return self._process.wait(timeout=30)

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def refusal(data: Path) -> str:
    """Return the error message of the command if it does not start."""
    done = subprocess.run(
        [*COMMAND, "serve", "--data", str(data)],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def definition(now: str, deadline: str, **fields: Any) -> dict[str, Any]:
    """Return a small task."""
    return {
        "taskQueueId": "p/w",
        "created": now,
        "deadline": deadline,
        "payload": {},
        "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        **fields,
    }
