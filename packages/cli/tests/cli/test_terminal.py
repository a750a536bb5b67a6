"""Tables, colour, questions and live views on terminals of several widths, and none of them elsewhere."""

from __future__ import annotations

import os
import re

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, command, definition
from .terminals import screen, terminal
from .world import build, claim

pytestmark = pytest.mark.once
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def group(local: LocalTaskcluster) -> LocalTaskcluster:
    build(local)
    queue = taskcluster.Queue(local.options())
    made = definition(local, taskGroupId=TASK)
    name = "wide 漢字 [bold]name[/bold] \x1b]0;title\x07" + "x" * 60
    queue.createTask("-ySoq0SQRkWu7V98BFEuCA", {**made, "metadata": {**made["metadata"], "name": name}})
    return local


@pytest.mark.parametrize("columns", [20, 80, 200, 300])
def test_list_fits_and_keeps_ids(group: LocalTaskcluster, columns: int) -> None:
    status, text = screen("group", "list", TASK, columns=columns)
    plain = _ESCAPE.sub("", text)
    assert status == 0
    for part in (TASK, "-ySoq0SQRkWu7V98BFEuCA", "completed", "pending", "task", "state"):
        assert part in plain
    # Colour for the states, but no title and no markup from a name.
    assert "\x1b[32mcompleted" in text
    assert "\x1b]0;" not in text
    if columns >= 80:
        assert "ago" in plain or "now" in plain
        assert max(map(len, plain.splitlines())) <= columns
    if columns >= 200:
        assert "漢字 [bold]name[/bold]" in plain
    assert "\t" not in plain


def test_names_cannot_control_the_terminal(group: LocalTaskcluster) -> None:
    dash = "-ySoq0SQRkWu7V98BFEuCA"
    for words in (
        ["task", "status", dash],
        ["task", "name", dash],
        ["group", "list", TASK, "--format-string", "{{ .Task.Metadata.Name }}"],
    ):
        status, text = screen(*words, columns=200)
        assert (status, "wide 漢字 [bold]name[/bold] x" in text, "\x1b]0;" in text) == (0, True, False), words
    assert "\x1b]0;title\x07" in command("task", "name", dash).out


def test_colour_and_dumb_terminals(group: LocalTaskcluster) -> None:
    for environ, options, has_colour in [
        ({"NO_COLOR": "1"}, [], False),
        ({"TERM": "dumb"}, [], False),
        ({}, ["--color", "never"], False),
        ({"CI": "true"}, [], True),
    ]:
        status, text = screen("group", "list", TASK, *options, **environ)  # type: ignore[arg-type]
        assert (status, "\x1b" in text) == (0, has_colour), (environ, options)
        if environ.get("TERM") == "dumb":
            assert text.startswith("-ySoq0SQRkWu7V98BFEuCA wide")


def test_status_and_errors(group: LocalTaskcluster) -> None:
    status, text = screen("task", "status", TASK)
    plain = _ESCAPE.sub("", text)
    assert status == 0
    for part in ("name:", "build", "state:", "completed", "worker group/worker"):
        assert part in plain
    assert re.search("resolved (now|.* ago)", plain)
    status, text = screen("tsak")
    assert (status, "\x1b[31mError:\x1b[0m" in text) == (2, True)
    status, text = screen("secret", "get", "project/test/a")
    assert (status, "hunter2" in text, "sha256:" in text) == (0, False, True)
    status, text = screen("secret", "get", "project/test/a", "--reveal")
    assert "hunter2" in text
    status, text = screen("client", "reset", "project/test/bot", "--yes")
    assert (status, "would appear on the screen" in text) == (2, True)
    status, text = screen("log", TASK)
    assert text == "first\nsecond \x1b[32mgreen\x1b[0m\nlast\n"


@pytest.mark.parametrize(
    ("answer", "status"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("\x04", 2)], ids=["y", "n", "enter", "end"]
)
def test_question(group: LocalTaskcluster, answer: str, status: int) -> None:
    with terminal("group", "cancel", TASK) as made:
        asked = made.read_until("[y/N]")
        assert f"Cancel 1 task of {TASK}: wide" in asked
        made.write(answer)
        assert made.end()[0] == status
    state = taskcluster.Queue(group.options()).status("-ySoq0SQRkWu7V98BFEuCA")["status"]["state"]
    assert state == ("exception" if status == 0 else "pending")


def test_live_view_of_a_group(group: LocalTaskcluster) -> None:
    other = "-ySoq0SQRkWu7V98BFEuCA"
    with terminal("group", "watch", TASK, "--interval", "0.1") as made:
        made.read_until("1/2")
        claim(group, other).reportFailed(other, 0)
        status, text = made.end()
    assert status == 1
    assert "2/2" in text
    assert "1 failed" in text
    assert f"failed: {other}" in text


def test_live_view_after_a_resize(group: LocalTaskcluster) -> None:
    other = "-ySoq0SQRkWu7V98BFEuCA"
    with terminal("group", "watch", TASK, "--interval", "0.1") as made:
        made.read_until(f"{'#' * 20}{'.' * 20}  1/2")
        made.resize(50)
        claim(group, other).reportCompleted(other, 0)
        assert f"{TASK}  {'#' * 10}  2/2" in made.read_until("2/2")
        assert made.end()[0] == 0


def test_live_view_on_a_dumb_terminal(group: LocalTaskcluster) -> None:
    """A line for each change, as in a pipe."""
    other = "-ySoq0SQRkWu7V98BFEuCA"
    with terminal("group", "watch", TASK, "--interval", "0.1", TERM="dumb") as made:
        made.read_until("1 completed, 1 pending\r\n")
        claim(group, other).reportCompleted(other, 0)
        status, text = made.end()
    assert (status, text.splitlines()[-1], "\x1b" in text) == (0, "2 completed", False)


def test_names_that_the_locale_cannot_print(group: LocalTaskcluster) -> None:
    """On a terminal they are replaced; a pipe gets UTF-8."""
    # tox sets PYTHONIOENCODING, which would win.
    environ = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    status, text = screen("group", "list", TASK, columns=300, **environ)
    assert status == 0
    assert "wide ?? [bold]name" in text, text
    done = command("group", "list", TASK, "--select", "task.metadata.name", env={**os.environ, **environ})
    assert (done.status, done.err, "wide 漢字 [bold]name" in done.out) == (0, "", True)


def test_ctrl_c_while_watching(group: LocalTaskcluster) -> None:
    with terminal("group", "watch", TASK) as made:
        made.read_until("1/2")
        made.write("\x03")
        status, text = made.end()
    assert status == 130
    assert f"to cancel: taskcluster group cancel {TASK}" in text
    assert "Traceback" not in text


def test_terminal_is_told_that_a_payload_is_expected(group: LocalTaskcluster) -> None:
    with terminal("api", "secrets", "set", "a") as made:
        made.read_until("end it with Ctrl-D")
        made.write('{"secret": {}, "expires": "2099-01-01T00:00:00Z"}\n\x04')
        assert made.end()[0] == 0


def test_download_on_a_terminal(group: LocalTaskcluster, tmp_path: object) -> None:
    status, text = screen("download", "artifact", TASK, "public/*", "-D", f"{tmp_path}/got")
    assert status == 0
    assert "public/build/target.txt: 7 B" in text
