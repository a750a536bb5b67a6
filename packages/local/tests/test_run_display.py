"""Tests of what `taskcluster-local run` shows of its tasks, without running any."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taskcluster_local.run import tree
from taskcluster_local.run.display import Display, LiveTree, display_for
from taskcluster_local.run.progress import Progress

NOW = datetime(2030, 3, 1, 12, tzinfo=timezone.utc)


def definition(name: str, *dependencies: str, group: str = "group", requires: str = "all-completed") -> dict[str, Any]:
    return {
        "taskGroupId": group,
        "metadata": {"name": name},
        "dependencies": list(dependencies),
        "requires": requires,
    }


def status(taskId: str, state: str, *, seconds: float | None = None, reason: str = "", runs: int = 1) -> dict[str, Any]:
    latest: dict[str, Any] = {"runId": runs - 1}
    if seconds is not None:
        latest["started"] = (NOW - timedelta(seconds=seconds)).isoformat()
    if state in ("completed", "failed", "exception"):
        latest |= {"resolved": NOW.isoformat(), "reasonResolved": reason or state}
    earlier: list[dict[str, Any]] = [{"runId": number} for number in range(runs - 1)]
    return {"taskId": taskId, "state": state, "runs": [] if state == "unscheduled" else [*earlier, latest]}


def progress(**tasks: Any) -> Progress:
    made = Progress()
    for name, dependencies in tasks.items():
        made.add(name, definition(name, *dependencies))
    return made


# The state of tasks


def test_finished_when_all_are_resolved() -> None:
    made = progress(a=[], b=["a"])
    assert not made.is_finished
    assert made.update(status("a", "completed", seconds=1)) is made.tasks["a"]
    assert not made.is_finished
    made.update(status("b", "completed", seconds=1))
    assert made.is_finished
    assert made.is_successful


def test_reports_changes_only() -> None:
    made = progress(a=[])
    assert made.update(status("a", "pending")) is not None
    assert made.update(status("a", "pending")) is None
    assert made.update(status("a", "pending", runs=2)) is not None
    assert made.update(status("other", "pending")) is None


@pytest.mark.parametrize("state", ["failed", "exception"])
def test_tasks_after_a_failure_are_blocked(state: str) -> None:
    made = progress(a=[], b=["a"], c=["b"], d=[])
    made.update(status("d", "completed", seconds=1))
    made.update(status("a", state, seconds=1))
    assert [task.is_blocked for task in made] == [False, True, True, False]
    assert made.is_finished
    assert not made.is_successful
    assert made.counts() == {"completed": 1, state: 1, "blocked": 2}


def test_tasks_that_need_no_success_are_not_blocked() -> None:
    made = progress(a=[])
    made.add("b", definition("b", "a", requires="all-resolved"))
    made.update(status("a", "failed", seconds=1))
    assert not made.is_finished


def test_blocked_tasks_may_still_run() -> None:
    made = progress(a=[], b=["a"])
    made.update(status("a", "failed", seconds=1))
    made.update(status("a", "pending", runs=2))
    assert not made.tasks["b"].is_blocked


def test_skipped_tasks_do_not_count() -> None:
    made = progress(a=[], b=[])
    made.tasks["b"].is_skipped = True
    made.update(status("a", "completed", seconds=1))
    made.update(status("b", "exception", reason="canceled"))
    assert made.is_finished
    assert made.is_successful
    assert [task.name for task in made] == ["a"]


# The tree


def test_tree_follows_dependencies() -> None:
    made = progress(build=[], lint=[], test=["build"], package=["build", "test"], docs=["lint", "elsewhere"])
    made.update(status("build", "completed", seconds=90))
    made.update(status("test", "running", seconds=2.25))
    made.update(status("lint", "failed", seconds=0.5))
    assert tree.lines(made, NOW) == [
        "✓ build           1m 30s  completed",
        "└─ ▸ test           2.2s  running",
        "   └─ · package           waiting for dependencies",
        "✗ lint              0.5s  failed",
        "└─ - docs                 not run: a dependency was not completed",
    ]


def test_tree_has_the_first_task_of_a_group_above_the_others() -> None:
    made = Progress()
    made.add("decision", definition("decision", group="decision"))
    for name in ("a", "b"):
        made.add(name, definition(name, group="decision"))
        made.update(status(name, "pending"))
    made.update(status("decision", "exception", seconds=1, reason="worker-shutdown", runs=2))
    assert tree.lines(made, NOW) == [
        "✗ decision     1.0s  exception (worker-shutdown), attempt 2",
        "├─ · a               pending",
        "└─ · b               pending",
    ]


def test_deep_trees_are_shown() -> None:
    made = Progress()
    for number in range(2000):
        made.add(str(number), definition(f"task {number}", *([str(number - 1)] if number else [])))
    assert len(tree.lines(made, NOW)) == 2000


def test_control_characters_are_removed() -> None:
    made = progress(a=[])
    made.tasks["a"].name = "a\x1b[2J\r\n\tb"
    assert tree.lines(made, NOW) == ["· a b           waiting for dependencies"]
    assert tree.excerpt(made.tasks["a"], "one\x1b[31m red\x1b[0m\x07\ntwo\r\n\x9b1J")[1:-1] == ["one red", "two", "1J"]


def test_excerpt_is_the_end_of_the_log() -> None:
    made = progress(a=[])
    shown = tree.excerpt(made.tasks["a"], "".join(f"line {number}\n" for number in range(100)))
    assert shown[:3] == ["--- log of a (a)", "… 40 lines before", "line 40"]
    assert shown[-2:] == ["line 99", "---"]


def test_active_tasks_first() -> None:
    made = progress(a=[], b=[], c=[], d=["b"])
    made.update(status("a", "completed", seconds=1))
    made.update(status("b", "failed", seconds=1))
    made.update(status("c", "running", seconds=1))
    assert tree.active(made, NOW) == ["▸ c     1.0s  running", "✗ b     1.0s  failed"]


# Displays


def test_lines_for_files() -> None:
    stream = io.StringIO()
    made, display = progress(a=[], b=["a"]), Display(stream)
    display.print("first")
    for state in ("pending", "running"):
        task = made.update(status("a", state, seconds=0))
        assert task is not None
        display.changed(task, NOW, None)
        display.update(made, NOW)
    task = made.update(status("a", "failed", seconds=3))
    assert task is not None
    display.changed(task, NOW, "why\n")
    display.end(made, NOW)
    assert stream.getvalue().splitlines() == [
        "first",
        "▸ a: running",
        "✗ a: failed after 3.0s",
        "--- log of a (a)",
        "why",
        "---",
        "- b: not run: a dependency was not completed",
        "1 failed, 1 blocked",
    ]


class Terminal(io.StringIO):
    """A terminal that interprets what `LiveTree` writes."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        up, _, rest = text.partition("\r\x1b[J")
        if up:
            del self.lines[len(self.lines) - int(up.removeprefix("\x1b[").removesuffix("A")) :]
        self.lines += rest.splitlines()
        return len(text)


def test_tree_on_a_terminal() -> None:
    terminal = Terminal()
    made, display = progress(a=[], b=["a"]), LiveTree(terminal, (80, 24), colours=False)
    display.print("first")
    display.update(made, NOW)
    task = made.update(status("a", "failed", seconds=3))
    assert task is not None
    display.changed(task, NOW, "why\n")
    display.update(made, NOW)
    shown = [
        "first",
        "--- log of a (a)",
        "why",
        "---",
        "✗ a        3.0s  failed",
        "└─ - b           not run: a dependency was not completed",
        "1 failed, 1 blocked",
    ]
    assert terminal.lines == shown
    display.end(made, NOW)
    assert terminal.lines == shown


def test_tree_fits_the_terminal() -> None:
    terminal = Terminal()
    made = progress(**{f"a task with a name {number}": [] for number in range(50)})
    display = LiveTree(terminal, (20, 10), colours=False)
    for task in made:
        made.update(status(task.taskId, "running", seconds=1))
    display.update(made, NOW)
    assert terminal.lines == [*["▸ a task with a name"[:20]] * 7, "50 running"]
    display.end(made, NOW)
    assert len(terminal.lines) == 51


def test_colours() -> None:
    terminal = Terminal()
    made, display = progress(a=[]), LiveTree(terminal, (80, 24), colours=True)
    made.update(status("a", "completed", seconds=1))
    display.update(made, NOW)
    assert terminal.lines[0].startswith("\x1b[32m✓\x1b[0m a")


@pytest.mark.parametrize(
    ("terminal", "variables", "expected"),
    [
        (Terminal(), {"TERM": "xterm"}, LiveTree),
        (Terminal(), {"TERM": "dumb"}, Display),
        (Terminal(), {}, Display),
        (io.StringIO(), {"TERM": "xterm"}, Display),
    ],
    ids=["terminal", "dumb", "unknown", "file"],
)
def test_tree_only_on_terminals(
    monkeypatch: pytest.MonkeyPatch, terminal: Any, variables: dict[str, str], expected: type[Display]
) -> None:
    monkeypatch.delenv("TERM", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(display_for(terminal)) is expected
