"""Describe the tasks of a run: as a tree, and in lines. Pure functions."""

from __future__ import annotations

import re
from datetime import datetime

from .progress import Progress, TaskProgress

__all__ = ["COLOURS", "active", "changed", "excerpt", "lines", "summary"]

_SYMBOLS = {"completed": "✓", "failed": "✗", "exception": "✗", "running": "▸", "blocked": "-"}
_WAITING = "·"
COLOURS = {"✓": 32, "✗": 31, "▸": 33}
_LOG_LINES = 60
# All control characters but tabs: a log must not move the cursor.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def lines(progress: Progress, now: datetime) -> list[str]:
    """Return the tasks as a tree: each below the last of its dependencies, or below the first task of its group."""
    below: dict[str | None, list[TaskProgress]] = {}
    tasks = {task.taskId: task for task in progress}
    positions = {taskId: position for position, taskId in enumerate(tasks)}
    for task in tasks.values():
        known = [each for each in task.dependencies if each in tasks and each != task.taskId]
        group = task.taskGroupId if task.taskGroupId in tasks and task.taskGroupId != task.taskId else None
        below.setdefault(max(known, key=positions.__getitem__) if known else group, []).append(task)
    found: list[tuple[str, TaskProgress]] = []
    waiting = [("", "", task) for task in reversed(below.get(None, []))]
    while waiting:
        indent, rest, task = waiting.pop()
        found.append((indent, task))
        children = below.pop(task.taskId, [])
        waiting += reversed(
            [
                (
                    rest + ("└─ " if child is children[-1] else "├─ "),
                    rest + ("   " if child is children[-1] else "│  "),
                    child,
                )
                for child in children
            ]
        )
    width = max((len(indent) + len(_name(task)) for indent, task in found), default=0)
    return [_line(indent, task, width, now) for indent, task in found]


def active(progress: Progress, now: datetime) -> list[str]:
    """Return the tasks that run or were not completed, for a tree that is too long; the running ones first."""
    shown = [task for task in progress if task.state == "running"]
    shown += [task for task in progress if task.is_failed and not task.is_blocked]
    width = max((len(_name(task)) for task in shown), default=0)
    return [_line("", task, width, now) for task in shown]


def _line(indent: str, task: TaskProgress, width: int, now: datetime) -> str:
    name = _name(task)
    padding = " " * (width - len(indent) - len(name))
    return f"{indent}{_symbol(task)} {name}{padding}  {_duration(task, now):>7}  {described(task)}".rstrip()


def described(task: TaskProgress) -> str:
    """Return the state of a task in words."""
    if task.is_blocked:
        return "not run: a dependency was not completed"
    attempt = f", attempt {task.runs}" if task.runs > 1 else ""
    reason = f" ({task.reason})" if task.reason else ""
    return f"{_words(task.state)}{reason}{attempt}"


def _words(state: str) -> str:
    return "waiting for dependencies" if state == "unscheduled" else state


def _symbol(task: TaskProgress) -> str:
    return _SYMBOLS.get("blocked" if task.is_blocked else task.state, _WAITING)


def _duration(task: TaskProgress, now: datetime) -> str:
    seconds = task.seconds(now)
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m {rest:02.0f}s" if minutes else f"{rest:.1f}s"


def changed(task: TaskProgress, now: datetime) -> str:
    """Return one line about the new state of a task."""
    duration = _duration(task, now) if task.is_resolved else ""
    return f"{_symbol(task)} {_name(task)}: {described(task)}{duration and f' after {duration}'}"


def summary(progress: Progress) -> str:
    """Return how many tasks are in each state."""
    return ", ".join(f"{number} {_words(state)}" for state, number in progress.counts().items()) or "no tasks"


def excerpt(task: TaskProgress, log: str) -> list[str]:
    """Return the end of the log of a task that was not completed."""
    every = [_printable(line) for line in log.splitlines()]
    left_out = len(every) - _LOG_LINES
    note = [f"… {left_out} lines before"] if left_out > 0 else []
    return [f"--- log of {_name(task)} ({task.taskId})", *note, *every[-_LOG_LINES:], "---"]


def _name(task: TaskProgress) -> str:
    return " ".join(_printable(task.name).split())


def _printable(text: str) -> str:
    return _CONTROL.sub("", text)
