"""Secrets and private files: nothing is shown or readable by others, and files survive whatever happens to them."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import taskcluster
from taskcluster_cli.keyring import Keyring
from taskcluster_cli.profiles import Profile, Profiles
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, command, definition
from .scripts import Script
from .test_frame import commands

Call = Callable[..., Done]
posix = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")


def profiles() -> Profiles:
    return Profiles(os.environ, lambda _: None)


def signed_in(local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """Move the credentials from the environment into a profile, and return the access token."""
    client_id, token = local.credentials["clientId"], local.credentials["accessToken"]
    monkeypatch.delenv("TASKCLUSTER_CLIENT_ID")
    monkeypatch.delenv("TASKCLUSTER_ACCESS_TOKEN")
    stored = {"access_token": token, **changes}
    profiles().save(Profile("local", local.root_url, client_id, **stored), is_default=True)
    return token


def test_no_option_takes_a_secret() -> None:
    """It would be in the shell's history and in the list of processes."""
    names = {name for _, found in commands() for param in found.params for name in param.opts}
    assert {name for name in names if any(part in name for part in ("token", "password", "certificate"))} == set()
    secrets = [param for path, found in commands() if path.endswith("secret set") for param in found.params]
    assert [param.name for param in secrets if isinstance(param, click.Argument)] == ["name", "file"]


@pytest.mark.once
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
def test_processes_show_no_token(local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the command's arguments nor those and the environment of what it starts."""
    token = signed_in(local, monkeypatch)
    queue: Any = taskcluster.Queue(local.options())
    queue.createTask(TASK, definition(local))
    seen, editor = tmp_path / "seen", tmp_path / "editor"
    # Some versions of click start a shell in between.
    parents = "$PPID $(sed -n 's/^PPid:.//p' /proc/$PPID/status)"
    listed = f'for each in {parents}; do cat /proc/$each/cmdline; done; echo "$@"; env'
    editor.write_text(f"#!/bin/sh\n{{ {listed}; }} > {seen}\n", "utf-8")
    editor.chmod(0o755)
    done = command("--debug", "task", "edit", TASK, env={**os.environ, "EDITOR": str(editor)})
    text = seen.read_bytes().replace(b"\0", b" ").decode()
    assert "task edit" in text
    assert token not in text + done.out + done.err


def test_debug_shows_no_signed_url(script: Script, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskcluster.options import DEFAULTS

    monkeypatch.setattr("taskcluster.options.DEFAULTS", {**DEFAULTS, "maxRetries": 0})
    url = "http://127.0.0.1:1/blob?X-Amz-Signature=hunter2&bewit=hunter3"
    script.respond = lambda path: (200, json.dumps({"storageType": "s3", "url": url}).encode())
    done = call("--debug", "download", "artifact", TASK, "public/a", "-")
    assert (done.status, "Traceback" in done.err, "127.0.0.1" in done.err) == (5, True, True)
    assert "hunter" not in done.err


@posix
@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_files_are_private_under_any_umask(
    local: LocalTaskcluster, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """In folders that are missing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "a" / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b" / "cache"))
    monkeypatch.setenv("TASKCLUSTER_COMPLETION_CACHE", "on")
    before = os.umask(umask)
    try:
        for line in (["--root-url", "https://x", "profile", "add", "x"], ["config", "export-go"], ["secret", "list"]):
            assert call(*line).status == 0
        assert call("client", "list").status == 0
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for folder in ("a", "b")
        for path in tmp_path.joinpath(folder).rglob("*")
    }
    files = {name: mode for name, mode in modes.items() if tmp_path.joinpath(name).is_file()}
    assert {"a/config/taskcluster.yml", "a/config/taskcluster/profiles.yml", "b/cache/taskcluster/completion.json"} <= {
        *files
    }
    assert set(files.values()) == {0o600}, files
    assert {modes["a/config/taskcluster"], modes["b/cache/taskcluster"]} == {0o700}


def test_folder_that_cannot_be_made(local: LocalTaskcluster, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no file works, and the others say why."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    monkeypatch.setenv("TASKCLUSTER_COMPLETION_CACHE", "on")
    assert call("secret", "list") == Done(0, "", "")
    assert call("version").status == call("whoami").status == 0
    for line in (["--root-url", "https://x", "profile", "add", "x"], ["config", "export-go"]):
        done = call(*line)
        assert (done.status, done.out, done.err.count("\n")) == (5, "", 1)
        assert "/dev/null/nowhere" in done.err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(home: Path, call: Call) -> None:
    folder = home / ".config"
    folder.mkdir(mode=0o500)
    done = call("config", "set", "rootUrl", "https://x")
    assert (done.status, "Permission denied" in done.err) == (5, True)


@posix
def test_links_and_other_forms_of_the_files(home: Path, call: Call, tmp_path: Path) -> None:
    """The target of a link is replaced; an empty file is read as none; keys of the flat form are read and kept."""
    config = home / ".config" / "taskcluster.yml"
    config.parent.mkdir()
    target = tmp_path / "elsewhere.yml"
    target.write_text("", "utf-8")
    config.symlink_to(target)
    assert call("root-url").status == 2
    assert call("config", "set", "rootUrl", "https://x.example.com").status == 0
    assert (config.is_symlink(), "x.example.com" in target.read_text("utf-8")) == (True, True)
    profiles().path.parent.mkdir(exist_ok=True)
    profiles().path.write_text("", "utf-8")
    assert call("root-url").out == "https://x.example.com\n"
    target.write_text("rootUrl: https://flat.example.com\n", "utf-8")
    assert call("root-url").out == "https://flat.example.com\n"
    assert call("config", "set", "rootUrl", "https://y.example.com").status == 0
    assert "flat.example.com" in target.read_text("utf-8")


def test_home_that_is_not_set(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Go command's file is then in the working directory."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("USERPROFILE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert call("config", "set", "rootUrl", "https://x.example.com").status == 0
    assert call("config", "get", "rootUrl").out == "https://x.example.com\n"
    assert "x.example.com" in tmp_path.joinpath("taskcluster.yml").read_text("utf-8")


@pytest.mark.once
def test_processes_that_write_at_the_same_time(home: Path) -> None:
    """Each profile is there."""
    lines = [["--root-url", f"https://{name}.example.com", "profile", "add", name] for name in "abcd"]
    started = [subprocess.Popen([sys.executable, "-m", "taskcluster_cli", *line]) for line in lines]
    assert [process.wait(60) for process in started] == [0] * 4
    assert sorted(profiles().all()) == ["a", "b", "c", "d"]


class Locked(Exception):
    pass


@pytest.mark.parametrize("kind", ["locked", "hangs"])
def test_keyring_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The message of its exception may hold anything."""
    released = threading.Event()

    def fail(*_: str) -> None:
        if kind == "locked":
            raise Locked("hunter2")
        released.wait(60)

    keyring: Any = types.ModuleType("keyring")
    keyring.get_keyring = lambda: types.SimpleNamespace(priority=5)
    keyring.get_password = keyring.set_password = fail
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    found = Keyring({"TASKCLUSTER_KEYRING_TIMEOUT": "0.05" if kind == "hangs" else "30"})
    expected = {"locked": "the keyring failed (Locked)", "hangs": "the keyring did not respond within 0.05 s"}
    assert found.set("https://x", "me", "token") == expected[kind]
    released.set()


@pytest.mark.once
def test_keyring_whose_bus_never_responds(
    local: LocalTaskcluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a session without a secret service: the call returns after a while, and the process ends."""
    signed_in(local, monkeypatch, access_token=None, has_keyring=True)
    package = tmp_path / "packages"
    package.mkdir()
    package.joinpath("keyring.py").write_text(
        "import os, socket\n"
        "class Backend: priority = 5\n"
        "def get_keyring(): return Backend\n"
        "def get_password(service, user):\n"
        "    bus = socket.socket(socket.AF_UNIX)\n"
        "    bus.connect(os.environ['DBUS_SESSION_BUS_ADDRESS'].removeprefix('unix:path='))\n"
        "    bus.sendall(b'AUTH EXTERNAL\\r\\n')\n"
        "    bus.recv(1)\n",
        "utf-8",
    )
    with socket.socket(socket.AF_UNIX) as bus:
        address = str(tmp_path / "bus")
        bus.bind(address)
        bus.listen()
        environ = {
            **os.environ,
            "PYTHONPATH": str(package),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={address}",
            "TASKCLUSTER_KEYRING": "",
            "TASKCLUSTER_KEYRING_TIMEOUT": "0.2",
        }
        done = command("secret", "list", env=environ)
        bus.setblocking(False)
        connection, _ = bus.accept()
        connection.close()
    assert (done.status, done.out, "did not respond within 0.2 s" in done.err) == (5, "", True)
    assert "TASKCLUSTER_KEYRING=off" in done.err
