"""The lines that the worker writes into a task's log. Programs search for them, so their form is fixed. No I/O."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from taskcluster.timestamps import format_date

from .plugins import Exit
from .resolution import Resolution

__all__ = ["Level", "duration", "executing", "exited", "line", "metadata"]

Level: TypeAlias = Literal["info", "warn", "error"]


def line(text: str, now: datetime, level: Level = "info") -> str:
    """Return a message with the worker's prefix on each of its lines."""
    prefix = {
        "info": f"[taskcluster {format_date(now)}]",
        "warn": f"[taskcluster:warn {format_date(now)}]",
        "error": "[taskcluster:error]",
    }[level]
    return "".join(f"{prefix} {each}\n" for each in text.split("\n"))


def metadata(worker: Mapping[str, Any]) -> str:
    """Return the description of the worker at the start of a log."""
    return f"Worker metadata:\n{json.dumps(worker, indent=2, ensure_ascii=False)}"


def executing(number: int, command: Sequence[str]) -> str:
    """Return the line before a command."""
    return f"Executing command {number}: {shlex.join(command) if command else '(the default of the image)'}"


def exited(result: Exit, wall: float) -> str:
    """Return the lines after a command."""
    times = (("User", result.user), ("Kernel", result.kernel), ("Wall", wall))
    return "\n".join(
        [
            f"   Exit Code: {result.status if result.status >= 0 else -1}",
            *([f"      Signal: {-result.status}"] if result.status < 0 else []),
            *(f"{name + ' Time:':>13} {duration(seconds)}" for name, seconds in times if seconds is not None),
            f"      Result: {'SUCCEEDED' if result.status == 0 else 'FAILED'}",
        ]
    )


def finished(resolution: Resolution) -> str:
    """Return the line about the result of the task."""
    return f"Resolution: {resolution}"


def duration(seconds: float) -> str:
    """Return a number of seconds for people: `1h2m3.4s`."""
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:.3f}".rstrip("0").rstrip(".")
    return "".join([f"{hours}h" if hours else "", f"{minutes}m" if hours or minutes else "", f"{shown}s"])
