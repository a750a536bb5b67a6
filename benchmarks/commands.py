"""Measure the CPU time of the `taskcluster` command on top of bare Python, in new processes.

`python -m benchmarks commands` prints a separate table.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import taskcluster
from taskcluster_local import LocalTaskcluster

from .report import table_of_targets

__all__ = ["GROUP", "measure"]

GROUP = "commands"
_TASK = "fN1SbArXTPSVFNUvaOlinQ"
_LIGHT, _SERVICE_HELP, _STATUS = 0.070, 0.130, 0.5
_NEAR = 0.9
"""The part of the limit that is enough if that is less than the target."""
_SCRIPT = f"""
import taskcluster
print(taskcluster.Queue(taskcluster.optionsFromEnvironment()).status({_TASK!r})["status"]["state"])
"""
_COMMAND = ["-m", "taskcluster_cli"]
_ROOT = Path(__file__).parent.parent


def _cpu_seconds(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Run a command and return its user and system time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, cwd=_ROOT, env=dict(environ), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _create_task(local: LocalTaskcluster) -> None:
    now = local.now()
    definition = {
        "taskQueueId": "proj/ci",
        "created": now,
        "deadline": taskcluster.fromNow("1 hour", now),
        "payload": {},
        "metadata": {"name": "n", "description": "", "owner": "o@example.com", "source": "https://example.com"},
    }
    with taskcluster.Queue(local.options()) as queue:
        queue.createTask(_TASK, definition)


def measure(published: str, rounds: int) -> tuple[str, bool]:
    """Return a table, and whether all targets were met.

    Args:
        published: The interpreter with the published client.
        rounds: The number of rounds; results are medians.
    """
    # Console scripts import what `-m` imports; pip's are not measured.
    contenders: dict[str, tuple[list[str], dict[str, str]]] = {
        "bare": ([sys.executable, "-c", "pass"], {}),
        "`--help`": ([sys.executable, *_COMMAND, "--help"], {}),
        "`slugid generate`": ([sys.executable, *_COMMAND, "slugid", "generate"], {}),
        "`from-now 1 day`": ([sys.executable, *_COMMAND, "from-now", "1", "day"], {}),
        "`version`": ([sys.executable, *_COMMAND, "version"], {}),
        "completion of a command": (
            [sys.executable, *_COMMAND],
            {"_TASKCLUSTER_COMPLETE": "zsh_complete", "COMP_WORDS": "taskcluster ta", "COMP_CWORD": "1"},
        ),
        "`api queue --help`": ([sys.executable, *_COMMAND, "api", "queue", "--help"], {}),
        "`task status ID`": ([sys.executable, *_COMMAND, "task", "status", _TASK], {}),
        "published": ([published, "-c", _SCRIPT], {}),
        "limit": ([sys.executable, "-m", "benchmarks.minimal_command", _TASK], {}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    with LocalTaskcluster() as local:
        _create_task(local)
        home = str(Path(sys.prefix) / "no-home")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKCLUSTER_", "PYTHON"))}
        environ = {
            **kept,
            "TASKCLUSTER_ROOT_URL": local.root_url,
            "TASKCLUSTER_CLIENT_ID": local.credentials["clientId"],
            "TASKCLUSTER_ACCESS_TOKEN": local.credentials["accessToken"],
            "HOME": home,
            "XDG_CONFIG_HOME": home,
        }
        # The first round compiles modules, and is dropped.
        for _ in range(rounds + 1):
            for name, (command, more) in contenders.items():
                seconds[name].append(_cpu_seconds(command, {**environ, **more}))
    medians = {name: statistics.median(measured[1:]) for name, measured in seconds.items()}
    bare = medians["bare"]
    rows: list[tuple[str, str, str, bool]] = []
    for name, median in medians.items():
        added = median - bare
        if name in ("bare", "published", "limit", "`task status ID`"):
            continue
        most = _SERVICE_HELP if name == "`api queue --help`" else _LIGHT
        rows.append((name, f"{added * 1e3:.0f} ms", f"at most {most * 1e3:.0f} ms", added <= most))
    ratio = medians["`task status ID`"] / medians["published"]
    limit = medians["limit"] / medians["published"]
    rows.append(
        (
            "`task status ID`, complete process, relative to a script with the published client",
            f"{ratio:.2f} (the limit: {limit:.2f})",
            f"at most {_STATUS}, or {_NEAR:.0%} of the limit's speed",
            ratio <= max(_STATUS, limit / _NEAR),
        )
    )
    text, met = table_of_targets(rows, "CPU time over bare Python")
    return f"{text}\n\nBare Python takes {bare * 1e3:.0f} ms. Medians of {rounds} rounds.", met
