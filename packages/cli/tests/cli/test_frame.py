"""The command itself: exit statuses, streams, errors, what is imported, and help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from taskcluster.version import VERSION
from taskcluster_cli.command import Command
from taskcluster_cli.main import root
from taskcluster_cli.table import COMMANDS
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, command

Call = Callable[..., Done]


def commands(found: click.Command = root, path: str = "taskcluster") -> Iterator[tuple[str, click.Command]]:
    """Yield every built-in command but those of `api`, with the words that call it."""
    yield path, found
    if isinstance(found, click.Group) and path != "taskcluster api":
        ctx = click.Context(found)
        for name in COMMANDS if found is root else found.list_commands(ctx):
            below = found.get_command(ctx, name)
            assert below is not None
            yield from commands(below, f"{path} {name}")


def test_table_says_what_commands_say() -> None:
    for name, entry in COMMANDS.items():
        module, _, attribute = entry.target.partition(":")
        found = getattr(import_module(f"taskcluster_cli.commands.{module}"), attribute)
        assert found.name == name
        assert found.get_short_help_str(200).split()[:2] == entry.help.split()[:2]
        assert len(entry.help) < 70


def test_every_command_has_help_and_examples(call: Call) -> None:
    for path, found in commands():
        done = call(*path.split()[1:], "--help")
        assert done.status == 0, path
        assert found.help, path
        if isinstance(found, Command):
            assert found.examples, path
            assert any(path.split()[-1] in example for example in found.examples), path


@pytest.mark.once
def test_light_commands_import_little() -> None:
    """And none that needs no deployment fails for half a pair of variables, or a broken file."""
    environ = {**os.environ, "TASKCLUSTER_CLIENT_ID": "half"}
    config = Path(os.environ["HOME"], ".config")
    config.mkdir()
    config.joinpath("taskcluster.yml").write_text("a: [", "utf-8")
    program = (
        "import sys; from taskcluster_cli.main import main; status = main(sys.argv[1:]);"
        "print([name for name in ('requests', 'aiohttp', 'pluggy', 'rich', 'yaml', 'keyring', 'platformdirs') "
        "if name in sys.modules], status)"
    )
    lines = [
        ["--help"],
        ["version"],
        ["slugid", "generate"],
        ["from-now", "1", "day"],
        ["completion", "bash"],
        ["completion", "zsh"],
        ["slugid", "--help"],
    ]
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-c", program, *line], env=environ, capture_output=True, encoding="utf-8", check=True
        )
        assert done.stdout.endswith("[] 0\n"), (line, done)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environ, "_TASKCLUSTER_COMPLETE": "zsh_complete", "COMP_WORDS": "taskcluster slug", "COMP_CWORD": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.startswith("plain\nslugid\n")


def test_version_slugid_and_from_now(call: Call) -> None:
    assert call("version", "-s").out == f"{VERSION}\n"
    assert "Python" in call("version").out
    assert json.loads(call("version", "--json").out)["version"] == VERSION
    slug = call("slugid", "generate", "-n").out.strip()
    assert len(slug) == 22
    uuid = call("slugid", "decode", TASK).out
    assert uuid == "7cdd526c-0ad7-4cf4-9514-d52f68e9629d\n"
    assert call("slugid", "encode", uuid).out == f"{TASK}\n"
    assert call("slugid", "decode", "-dySoq0SQkWu7V98BFEuCA").out.startswith("f9dc92a2")
    assert call("slugid", "decode", "x").status == call("slugid", "encode", "x").status == 2
    assert len(json.loads(call("slugid", "generate", "--count", "3", "--json").out)) == 3
    later, earlier = call("from-now", "1", "day").out, call("from-now", "-1d").out
    assert later > earlier
    assert later.endswith("Z\n")
    assert call("from-now", "- 1 hour").status == call("from-now", "-1", "hour").status == 0
    assert call("from-now", "soon").status == 2


def test_errors_name_what_to_do_next(call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for line, status, parts in [
        (["tsak"], 2, ["there is no command taskcluster tsak"]),
        (["api", "queue", "stauts"], 2, ["did you mean 'status'", "`taskcluster api queue --help`"]),
        (["version", "--jsno"], 2, ["--jsno", "`taskcluster version --help`"]),
        (["update"], 2, ["upgrade the Python package"]),
        (["version", "--json", "--jsonl"], 2, ["exclude each other"]),
        (["api", "secrets", "get", "nothing"], 4, ["404"]),
        (["api", "queue", "status", "nonsense"], 5, ["400"]),
        (["api", "queue", "status", TASK, "--select", "x["], 2, ["--select"]),
        (["--root-url", "nonsense", "api", "queue", "ping"], 2, ["rootUrl must be"]),
        (["--root-url", "http://127.0.0.1:1", "api", "auth", "ping"], 5, ["Connection refused"]),
    ]:
        if "127.0.0.1:1" in line[1:2] or "http://127.0.0.1:1" in line:
            monkeypatch.setattr("taskcluster.options.DEFAULTS", {**_defaults(), "maxRetries": 0})
        done = call(*line)
        assert (done.status, done.out) == (status, ""), (line, done)
        assert done.err.startswith("Error: ")
        for part in parts:
            assert part in done.err, (line, done.err)
        assert "Traceback" not in done.err


def _defaults() -> dict[str, object]:
    from taskcluster.options import DEFAULTS

    return DEFAULTS


def test_missing_scopes_are_named(call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKCLUSTER_CLIENT_ID")
    monkeypatch.delenv("TASKCLUSTER_ACCESS_TOKEN")
    done = call("api", "secrets", "get", "project/x")
    assert done.status == 3
    assert "secrets:get:project/x" in done.err
    assert "taskcluster signin" in done.err
    assert "or set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN\n" in done.err
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", "nobody")
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", "hunter2hunter2hunter2hunter2")
    done = call("--debug", "api", "secrets", "get", "project/x")
    assert done.status == 3
    assert "client 'nobody' (environment)" in done.err
    assert "Traceback" in done.err
    assert "hunter2" not in done.err


@pytest.mark.once
def test_streams_and_signals(local: LocalTaskcluster) -> None:
    """A reader that is gone, closed and full streams, an ASCII locale, SIGINT and SIGTERM."""
    base = f"{sys.executable} -m taskcluster_cli"

    def shell(line: str, **environ: str) -> Done:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    gone = "; echo ${PIPESTATUS[0]} >&2"
    for unbuffered in ("", "1"):
        reading, writing = os.pipe()
        os.close(reading)
        process = subprocess.run(
            [sys.executable, "-m", "taskcluster_cli", "api", "queue", "--help"],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
        os.close(writing)
        assert (process.returncode, process.stderr) == (141, b"")
    done = shell(f"{base} slugid generate --count 100000 | head -1{gone}")
    assert (done.err, done.out.count("\n")) == ("141\n", 1)
    for line, status in [(f"{base} version >&-", 5), (f"{base} version > /dev/full", 5), (f"{base} version 2>&-", 0)]:
        done = shell(line)
        assert (done.status, "Traceback" in done.err) == (status, False), (line, done)
        assert done.err.count("\n") <= 1
    assert shell(f"{base} tsak 2>&-").status == shell(f"{base} tsak 2>/dev/full").status == 2
    assert shell(f"{base} --debug tsak 2>&-") == Done(2, "", "")
    done = shell(f"{base} api auth ping --select alive", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.out == "true\n"
    for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
        with subprocess.Popen(
            [sys.executable, "-m", "taskcluster_cli", "api", "secrets", "set", "a"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            # It has started when it says that it reads a payload; stdin is a pipe, so wait for its open file instead.
            _wait_until_reading(process.pid)
            process.send_signal(number)
            assert process.wait(30) == status
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()


def _wait_until_reading(pid: int) -> None:
    """Wait until a process waits for its stdin, which is a pipe."""
    while "pipe_read" not in Path(f"/proc/{pid}/wchan").read_text("utf-8") and (
        "0 0x0" not in Path(f"/proc/{pid}/syscall").read_text("utf-8")
    ):
        os.sched_yield()


def test_api_calls_methods(call: Call, local: LocalTaskcluster, tmp_path: Path) -> None:
    payload = tmp_path / "payload.yml"
    payload.write_text("secret: {a: '1'}\nexpires: 2099-01-01T00:00:00Z\n", "utf-8")
    assert call("api", "secrets", "set", "one", "--payload", str(payload)).status == 0
    done = call("api", "secrets", "set", "two", "-f", "secret.b=hunter2", "-f", "expirs=2099-01-01T00:00:00Z")
    assert done.status == 2
    assert "expirs is not known; did you mean 'expires'" in done.err
    assert "hunter2" not in done.err
    done = call("api", "secrets", "set", "two", "-f", "secret.b=1", "-f", "expires=2099-01-01T00:00:00Z", "--dry-run")
    assert json.loads(done.out) == {
        "method": "PUT",
        "url": f"{local.root_url}/api/secrets/v1/secret/two",
        "payload": {"secret": {"b": 1}, "expires": "2099-01-01T00:00:00Z"},
    }
    assert call("api", "secrets", "get", "one", "--select", "secret.a").out == "1\n"
    file = tmp_path / "out.json"
    file.write_text("old", "utf-8")
    assert call("api", "secrets", "get", "none", "-o", str(file)).status == 4
    assert file.read_text("utf-8") == "old"
    assert call("api", "secrets", "get", "one", "-o", str(file)).out == ""
    assert json.loads(file.read_text("utf-8"))["secret"] == {"a": "1"}
    assert list(tmp_path.glob(".*")) == []
    assert call("api", "secrets", "get", "one", "-o", "-").out.startswith("{")
    assert call("api", "purgeCache", "ping").status == call("api", "purge-cache", "ping").status == 0
    url = call("api", "secrets", "get", "one", "--sign-url", "5min").out
    assert "bewit=" in url
    help_text = call("api", "secrets", "set", "--help").out
    for part in ("PUT /secret/<name>", "secrets:set:<name>", "expires: date, required", "--payload FILE"):
        assert part in help_text
    assert "createTask" in call("api", "queue", "--help").out
    assert "secrets" in call("api").out


def test_pages_are_merged_or_streamed(call: Call, local: LocalTaskcluster) -> None:
    for name in "abc":
        call("api", "secrets", "set", name, "-f", "secret.x=1", "-f", "expires=2099-01-01T00:00:00Z")
    one = json.loads(call("api", "secrets", "list", "--limit", "2").out)
    assert (one["secrets"], bool(one["continuationToken"])) == (["a", "b"], True)
    merged = call("api", "secrets", "list", "--limit", "1", "--paginate", "--json").out
    assert json.loads(merged) == {"secrets": ["a", "b", "c"]}
    assert call("api", "secrets", "list", "--limit", "1", "--paginate", "--jsonl").out == '"a"\n"b"\n"c"\n'
    assert call("api", "secrets", "list", "--limit", "1", "--paginate", "--select", "secrets[]").out == "a\nb\nc\n"


def test_query_of_lists_and_documents(call: Call, local: LocalTaskcluster) -> None:
    pytest.importorskip("jmespath")
    for name in "abc":
        call("api", "secrets", "set", name, "-f", "secret.x=1", "-f", "expires=2099-01-01T00:00:00Z")
    # A list is filtered and sorted as a whole, with --jsonl item by item; pages are merged.
    assert call("secret", "list", "--query", "reverse(@)").out == "c\nb\na\n"
    assert call("secret", "list", "--query", "length(@)", "--json").out == "3\n"
    assert call("secret", "list", "--query", "[@, 'x']", "--jsonl").out == '["a","x"]\n["b","x"]\n["c","x"]\n'
    assert call("api", "secrets", "list", "--limit", "1", "--paginate", "--query", "secrets[1:]").out == "b\nc\n"
    assert call("--query", "secret.x", "secret", "get", "a").out == "1\n"
    done = call("secret", "list", "--query", "a[")
    assert (done.status, done.err.startswith("Error: --query: Invalid jmespath expression")) == (2, True)
    done = call("secret", "list", "--query", "a", "--select", "b")
    assert (done.status, "exclude each other" in done.err) == (2, True)


@pytest.mark.once
def test_query_without_its_package(tmp_path: Path) -> None:
    (tmp_path / "jmespath.py").write_text("raise ModuleNotFoundError('jmespath')", "utf-8")
    done = command("version", "--query", "version", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done == Done(2, "", "Error: --query needs the package jmespath\npip install jmespath\n")


@pytest.mark.once
def test_payload_from_stdin(local: LocalTaskcluster) -> None:
    text = '{"secret": {"a": 1}, "expires": "2099-01-01T00:00:00Z"}'
    done = command("api", "secrets", "set", "a", input=text)
    assert done == Done(0, "{}\n", "")
    done = command("api", "secrets", "set", "a", input="")
    assert (done.status, "is empty" in done.err) == (2, True)


def test_plugin_commands(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They work with the common options, cannot shadow built-in commands, and fail as warnings."""
    (tmp_path / "plugged.py").write_text(
        "print('noise')\n"
        "from taskcluster_cli.plugins import command, pass_app\n"
        "@command()\n"
        "@pass_app\n"
        "def hello(app):\n"
        '    """Say hello."""\n'
        "    app.out.document({'hello': 'world'})\n"
        "    return 1\n"
        "number = 3\n",
        "utf-8",
    )
    for dist, lines in {
        "one": ["hello = plugged:hello", "version = plugged:hello", "twice = plugged:hello", "number = plugged:number"],
        "two": ["twice = plugged:hello", "broken = nowhere:hello", "off = plugged:hello"],
    }.items():
        folder = tmp_path / f"{dist}-1.dist-info"
        folder.mkdir()
        folder.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1\n", "utf-8")
        folder.joinpath("entry_points.txt").write_text("[taskcluster_cli]\n" + "\n".join(lines) + "\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "off")
    done = call("hello", "--select", "hello")
    assert (done.status, done.out) == (1, "world\n")
    assert call("version", "-s").out == f"{VERSION}\n"
    for name, warning in {
        "twice": "'twice' of a plugin is registered by one and two; uninstall or disable one",
        "broken": "'broken' of two cannot be loaded: ModuleNotFoundError",
        "number": "'number' of one is not a click command but int",
        "off": "'off' of a plugin disabled by TASKCLUSTER_DISABLE_PLUGINS",
    }.items():
        done = call(name)
        assert done.status == 2
        assert done.err.startswith(f"warning: the command {warning}"), done.err
        assert done.err.count("warning:") == 1
    assert "hello" in call("--help").out
    assert "off" not in call("--help").out.split("Commands of plugins:")[1]
    listed = call("plugins").out.splitlines()
    assert "hello\tcommand\tone\t" in listed
    assert "version\tcommand\tone\thas the name of a built-in command" in listed
    assert any(line.startswith("queue\tservice\ttaskcluster-queue") for line in listed)


@pytest.mark.once
def test_plugin_that_hangs_or_exits_on_import(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C ends it; help, completion and the other commands do not import it."""
    (tmp_path / "hanging.py").write_text(
        "import threading\nprint('hangs', flush=True)\nthreading.Event().wait()\n", "utf-8"
    )
    (tmp_path / "exiting.py").write_text("raise SystemExit('bye')\n", "utf-8")
    folder = tmp_path / "one-1.dist-info"
    folder.mkdir()
    folder.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: 1\n", "utf-8")
    folder.joinpath("entry_points.txt").write_text(
        "[taskcluster_cli]\nhangs = hanging:hangs\nexits = exiting:exits\n", "utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "hangs" in call("--help").out
    assert "hangs\tcommand\tone\t" in call("plugins").out.splitlines()
    assert call("slugid", "generate").status == 0
    with monkeypatch.context() as patch:
        for name, value in {
            "_TASKCLUSTER_COMPLETE": "zsh_complete",
            "COMP_WORDS": "taskcluster han",
            "COMP_CWORD": "1",
        }.items():
            patch.setenv(name, value)
        assert "hangs" in call().out
    done = call("exits")
    assert (done.status, "'exits' of one cannot be loaded: SystemExit: bye" in done.err) == (2, True), done
    with subprocess.Popen(
        [sys.executable, "-m", "taskcluster_cli", "hangs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "hangs\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_local_passes_on_to_taskcluster_local(call: Call) -> None:
    done = call("local", "--help")
    assert (done.status, "taskcluster-local" in done.out) == (0, True)
    assert call("local", "nonsense").status == 2
    assert call("local", "status", "--root-url", "http://127.0.0.1:1").status == 1


def test_local_uses_the_root_url_that_was_given(
    call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASKCLUSTER_ROOT_URL")
    for words in (["--root-url", local.root_url, "local", "status"], ["local", "status", "--root-url", local.root_url]):
        done = call(*words)
        assert (done.status, f"{local.root_url}: running" in done.out) == (0, True), done


def test_credentials_and_urls_for_a_while(call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for period in ("32 days", "300 years", "-1h", "0 s", "soon"):
        done = call("creds", "--expires", period)
        assert (done.status, done.out, done.err.startswith("Error: --expires")) == (2, "", True), done
    done = call("creds", "--scope", "secrets:get:a", "--expires", "31 days", "--json")
    for key, value in json.loads(done.out).items():
        name = {"clientId": "CLIENT_ID", "accessToken": "ACCESS_TOKEN", "certificate": "CERTIFICATE"}[key]
        monkeypatch.setenv(f"TASKCLUSTER_{name}", value)
    held = call("scopes", "current").out.splitlines()
    assert "secrets:get:a" in held
    assert "*" not in held
    assert json.loads(call("whoami", "--json").out)["expires"].endswith("Z")
    done = call("scopes", "check", "secrets:get:a", "secrets:get:b")
    assert (done.status, done.out) == (1, "secrets:get:b\n")
    assert call("creds").status == 3
    for line in (["nonsense", "ping"], ["queue", "createTask", TASK]):
        assert call("signed-url", *line).status == 2
    for line in (["signed-url", "queue", "ping", "--expires=-1h"], ["api", "queue", "ping", "--sign-url=-1h"]):
        done = call(*line)
        assert (done.status, "'-1h' is not in the future" in done.err) == (2, True), (line, done)
    for line in (["signed-url", "queue", "ping"], ["index", "insert", "project.x", TASK], ["client", "create", "x"]):
        done = call(*line, "--expires", "soon")
        assert (done.status, done.err.startswith("Error: --expires: ")) == (2, True), (line, done)


def test_debug_shows_where_a_bug_is(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcluster.slugs.slugId", lambda: 1 / 0)
    done = call("slugid", "generate")
    assert (done.status, "Traceback" in done.err) == (5, False)
    assert "internal error: ZeroDivisionError" in done.err
    assert "Traceback" in call("--debug", "slugid", "generate").err
