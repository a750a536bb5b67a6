"""Signing in and out, profiles, the keyring, and the file of the Go command."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

import taskcluster
from taskcluster_cli.errors import Failure
from taskcluster_cli.go_config import GoConfig
from taskcluster_cli.signing_in import Callback, Listener, exports, page_address, parse_callback
from taskcluster_local import LocalTaskcluster

from .conftest import Done
from .terminals import terminal

if TYPE_CHECKING:
    from chromium import Browser

Call = Callable[..., Done]
CLIENT = "mozilla-auth0/ad|Mozilla-LDAP|me+x@example.com"


@pytest.fixture
def signed_out(local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> LocalTaskcluster:
    monkeypatch.delenv("TASKCLUSTER_CLIENT_ID")
    monkeypatch.delenv("TASKCLUSTER_ACCESS_TOKEN")
    return local


def create_client(local: LocalTaskcluster, query: dict[str, list[str]]) -> Callback:
    """Create the client that the page creates."""
    client_id = f"{CLIENT}/{query['name'][0]}"
    payload: Any = {
        "scopes": [*query["scope"], f"auth:delete-client:{client_id}"],
        "expires": taskcluster.fromNowJSON(query["expires"][0]),
        "description": query["description"][0],
        "deleteOnExpiration": True,
    }
    made = taskcluster.Auth(local.options()).createClient(client_id, payload)
    return Callback(client_id, made["accessToken"])


def address_in(text: str) -> str:
    found = re.search(r"http://\S+/auth/clients/create\?\S+", text)
    assert found is not None, text
    return found[0]


def redirected(callback_url: str, callback: Callback) -> str:
    """Return where the page leads the browser: it appends without encoding."""
    assert re.match(r"https?://localhost(:\d+)?(/|$)", callback_url)
    return f"{callback_url}?clientId={callback.client_id}&accessToken={callback.access_token}"


@pytest.mark.once
def test_sign_in_and_out_on_a_terminal(signed_out: LocalTaskcluster, home: Path, call: Call) -> None:
    with terminal("signin", "--no-browser", "--scope", "secrets:get:a", "--expires", "1h", columns=1000) as made:
        query = parse_qs(urlsplit(address_in(made.read_until("description="))).query)
        assert query["scope"] == ["secrets:get:a"]
        assert re.fullmatch(r"cli-[a-z0-9]{6}", query["name"][0])
        callback_url = query["callback_url"][0]
        base = callback_url.rpartition("/")[0]
        for wrong in (f"{base}/?clientId=x&accessToken=y", f"{base}/favicon.ico", f"{callback_url}?clientId=x"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(wrong, timeout=10)
        callback = create_client(signed_out, query)
        # Browsers encode what a URL may not hold.
        answer = urllib.request.urlopen(quote(redirected(callback_url, callback), safe=":/?&=|@+%"), timeout=10)
        assert b"Signed in" in answer.read()
        status, text = made.end()
    assert status == 0, text
    assert callback.access_token not in text
    assert f"as {callback.client_id} until" in text
    assert "the access token is stored in" in text
    [path] = home.rglob("profiles.yml")
    assert callback.access_token in path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = call("whoami", "--json")
    assert json.loads(done.out)["clientId"] == callback.client_id
    assert json.loads(done.out)["profile"] == "127.0.0.1"
    assert call("signin", "--check").status == 0
    for line in (["whoami"], ["profile", "list"], ["config"], ["whoami", "--json"], ["profile", "list", "--json"]):
        done = call(*line)
        assert callback.access_token not in done.out + done.err
    assert call("signout").status == 0
    assert callback.access_token not in path.read_text("utf-8")
    with pytest.raises(taskcluster.TaskclusterRestFailure, match="not found"):
        taskcluster.Auth(signed_out.options()).client(callback.client_id)
    assert call("signin", "--check").status == 1
    assert call("whoami").status == 3
    assert call("signout").status == 2


@pytest.mark.once
def test_sign_in_without_a_browser(signed_out: LocalTaskcluster, call: Call) -> None:
    """The address at which the browser of another machine ends is pasted; it is not echoed."""
    with terminal("signin", "--paste", columns=1000) as made:
        query = parse_qs(urlsplit(address_in(made.read_until("it is not shown"))).query)
        callback = create_client(signed_out, query)
        made.write(f"{redirected(query['callback_url'][0], callback)}\n")
        status, text = made.end()
    assert (status, callback.access_token in text) == (0, False), text
    done = subprocess.run(
        [sys.executable, "-m", "taskcluster_cli", "signin", "--paste"],
        input="http://localhost:9/other?clientId=a&accessToken=b\n",
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (2, "")
    done = subprocess.run(
        [sys.executable, "-m", "taskcluster_cli", "signin", "--timeout", "0.1", "--no-browser"],
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, "--paste" in done.stderr) == (124, True)


@pytest.mark.once
def test_sign_in_in_chromium(
    signed_out: LocalTaskcluster, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exports set up a shell, in which a certificate that was left over does no harm."""
    pipe = tmp_path / "address"
    os.mkfifo(pipe)
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {pipe}\n', "utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    monkeypatch.setenv("TASKCLUSTER_CERTIFICATE", '{"stale": true}')
    program = f"{sys.executable} -m taskcluster_cli"
    with (
        browser.tab() as tab,
        # Opening it for both directions does not block.
        open(os.open(pipe, os.O_RDWR), "rb", buffering=0) as addresses,
        subprocess.Popen(
            ["bash", "-c", f'eval "$({program} signin --scope "*")" && {program} whoami --json'],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process,
    ):
        assert select.select([addresses], [], [], 60)[0]
        tab.go(addresses.read(4096).decode())
        with tab.loading():
            tab.click("main a")
        credentials = signed_out.credentials
        tab.fill("#clientId", credentials["clientId"])
        tab.fill("#accessToken", credentials["accessToken"])
        with tab.loading():
            tab.press("Enter")
        assert tab.text("h1") == "Create a client"
        with tab.loading():
            tab.click("main button")
        assert "Signed in" in tab.text()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["clientId"].startswith("taskcluster/root/cli-")
    assert found["source"] == "environment"
    assert "accessToken" not in err


def test_callback_is_not_decoded_as_a_form() -> None:
    path = "/secret"
    address = f"http://localhost:1{path}?clientId=a|b/c+d@e%20f&accessToken=x-_&accessToken=t%7C#z"
    assert parse_callback(address, path) == Callback("a|b/c+d@e f&accessToken=x-_", "t|")
    for wrong in ("", f"{path}?clientId=&accessToken=x", f"{path}?clientId=a", "/other?clientId=a&accessToken=b"):
        assert parse_callback(wrong, path) is None
    assert "t|" not in repr(Callback("a", "t|"))
    address = page_address("https://x", "http://localhost:1/p", name="n", expires="1d", scopes=["a:*", "b"])
    assert address == (
        "https://x/auth/clients/create?scope=a%3A%2A&scope=b&name=n&expires=1d&callback_url=http%3A%2F%2Flocalhost%3A1%2Fp"
        "&description=Signed+in+with+the+taskcluster+command"
    )


def test_port_in_use_is_named() -> None:
    listener = Listener("/x")
    try:
        with pytest.raises(Failure, match=f"cannot listen on port {listener.port}"):
            Listener("/x", listener.port)
    finally:
        listener.close()


@pytest.mark.parametrize("shell", ["sh", "csh", "fish", "powershell"])
def test_exports_set_the_variables(shell: str) -> None:
    callback = Callback("a|b 'c!", "t$x")
    lines = exports(shell, "https://x", callback)
    assert len(lines) == 4
    program = {"sh": "bash", "csh": "tcsh", "fish": "fish", "powershell": "pwsh"}[shell]
    if shutil.which(program):
        script = "\n".join([*lines, "env"])
        environ = {**os.environ, "TASKCLUSTER_CERTIFICATE": "stale"}
        done = subprocess.run([program, "-c", script], capture_output=True, encoding="utf-8", env=environ, check=True)
        assert "TASKCLUSTER_CLIENT_ID=a|b 'c!\n" in done.stdout
        assert "TASKCLUSTER_ACCESS_TOKEN=t$x\n" in done.stdout
        assert "TASKCLUSTER_CERTIFICATE" not in done.stdout


@pytest.mark.once
def test_keyring_holds_the_token(
    signed_out: LocalTaskcluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """With a keyring in a file; without one, or with one that hangs, there is a time limit and a way out."""
    (tmp_path / "keyring").mkdir()
    (tmp_path / "keyring" / "__init__.py").write_text(
        "import json, os, pathlib, time\n"
        "path = pathlib.Path(os.environ['FAKE_KEYRING'])\n"
        "if path.name == 'hangs': time.sleep(60)\n"
        "class Backend: priority = 0 if path.name == 'none' else 5\n"
        "def get_keyring(): return Backend\n"
        "def _all(): return json.loads(path.read_text('utf-8')) if path.exists() else {}\n"
        "def get_password(service, user): return _all().get(service + user)\n"
        "def set_password(service, user, value):\n"
        "    path.write_text(json.dumps({**_all(), service + user: value}), 'utf-8')\n"
        "def delete_password(service, user):\n    path.write_text('{}', 'utf-8')\n",
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("TASKCLUSTER_KEYRING")
    store = tmp_path / "store"
    monkeypatch.setenv("FAKE_KEYRING", str(store))

    def run(*line: str) -> Done:
        done = subprocess.run([sys.executable, "-m", "taskcluster_cli", *line], capture_output=True, encoding="utf-8")
        return Done(done.returncode, done.stdout, done.stderr)

    with terminal("signin", "--paste", columns=1000) as made:
        query = parse_qs(urlsplit(address_in(made.read_until("it is not shown"))).query)
        callback = create_client(signed_out, query)
        made.write(f"{redirected(query['callback_url'][0], callback)}\n")
        assert made.end()[0] == 0
    assert callback.access_token in store.read_text("utf-8")
    [profiles] = Path(os.environ["HOME"]).rglob("profiles.yml")
    assert callback.access_token not in profiles.read_text("utf-8")
    assert json.loads(run("whoami", "--json").out)["clientId"] == callback.client_id
    assert "keyring" in run("profile", "list").out
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "hangs"))
    monkeypatch.setenv("TASKCLUSTER_KEYRING_TIMEOUT", "0.2")
    done = run("whoami")
    assert (done.status, "did not respond within 0.2 s" in done.err, "TASKCLUSTER_KEYRING=off" in done.err) == (
        5,
        True,
        True,
    )
    assert run("version").status == 0
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "none"))
    assert "there is no keyring" in run("whoami").err
    monkeypatch.setenv("FAKE_KEYRING", str(store))
    monkeypatch.setenv("TASKCLUSTER_KEYRING_TIMEOUT", "30")
    assert run("signout").status == 0
    assert callback.access_token not in store.read_text("utf-8")


GO = """# mine
other:
  a: 1   # kept
config:
  accessToken: 1e3
  # of the section
  clientId: go
  rootUrl: https://go.example.com
last: {x: y}
"""


def test_go_file_keeps_its_other_parts(home: Path, call: Call) -> None:
    path = home / ".config" / "taskcluster.yml"
    path.parent.mkdir()
    path.write_text(GO, "utf-8")
    path.chmod(0o644)
    done = call("config", "set", "rootUrl", "https://new.example.com/")
    assert done.status == 0
    assert "others can read" in done.err
    text = path.read_text("utf-8")
    assert text == (
        '# mine\nother:\n  a: 1   # kept\nconfig:\n  accessToken: "1e3"\n  clientId: "go"\n'
        '  rootUrl: "https://new.example.com"\nlast: {x: y}\n'
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert call("config", "get", "clientId").out == "go\n"
    done = call("config", "get", "accessToken")
    assert (done.status, "1e3" in done.out + done.err) == (2, False)
    assert "1e3" not in call("config").out
    assert call("config", "reset", "accessToken").status == 0
    assert (
        path.read_text("utf-8")
        == '# mine\nother:\n  a: 1   # kept\nconfig:\n  rootUrl: "https://new.example.com"\nlast: {x: y}\n'
    )
    assert call("config", "set", "clientId", "x").status == 2
    assert call("config", "set", "certificate", "nonsense").status == 2
    assert call("config", "set", "nonsense", "x").status == 2
    assert call("config", "reset", "-a").status == 0
    assert path.read_text("utf-8") == "# mine\nother:\n  a: 1   # kept\nlast: {x: y}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'config:\n  rootUrl: "https://x"\n'),
        ("{}\n", 'config:\n  rootUrl: "https://x"\n'),
        ("a: b", 'a: b\nconfig:\n  rootUrl: "https://x"\n'),
        ("config: {rootUrl: https://y}\na: b\n", 'config:\n  rootUrl: "https://x"\na: b\n'),
        (
            "config:\n  authorizedScopes:\n  - a\n  - b\n# end\n",
            'config:\n  authorizedScopes: ["a", "b"]\n  rootUrl: "https://x"\n# end\n',
        ),
        ("{a: b, config: {rootUrl: https://y}}", '"a": "b"\nconfig:\n  rootUrl: "https://x"\n'),
    ],
    ids=["empty", "braces", "no-line-end", "flow", "list", "all-flow"],
)
def test_go_file_in_every_form(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "taskcluster.yml"
    path.write_text(before, "utf-8")
    GoConfig(path).change({"rootUrl": "https://x"})
    assert path.read_text("utf-8") == after


@pytest.mark.parametrize(
    "text", ["a: [hunter2", "hunter2", "config: hunter2", "[" * 10_000], ids=["broken", "string", "flat", "deep"]
)
def test_broken_go_file_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "taskcluster.yml"
    path.write_text(text, "utf-8")
    with pytest.raises(Failure) as caught:
        GoConfig(path).change({"rootUrl": "https://x"})
    assert "hunter2" not in caught.value.message
    assert path.read_text("utf-8") == text


def test_export_for_the_go_command(local: LocalTaskcluster, home: Path, call: Call) -> None:
    done = call("config", "export-go")
    assert (done.status, done.out) == (0, "")
    values = GoConfig(home / ".config" / "taskcluster.yml").values()
    assert values == {"rootUrl": local.root_url, **{key: local.credentials[key] for key in ("clientId", "accessToken")}}


def test_stale_certificate_is_named(local: LocalTaskcluster, call: Call, monkeypatch: Any) -> None:
    certificate = {"version": 1, "scopes": ["*"], "start": 0, "expiry": 1000, "seed": "s" * 44, "signature": "x"}
    monkeypatch.setenv("TASKCLUSTER_CERTIFICATE", json.dumps(certificate))
    done = call("api", "secrets", "get", "a")
    assert done.status == 3
    assert "TASKCLUSTER_CERTIFICATE is set, and expired at 1970-01-01" in done.err
    monkeypatch.delenv("TASKCLUSTER_CERTIFICATE")
    assert call("api", "secrets", "get", "a").status == 4


def test_skewed_clock_is_named(local: LocalTaskcluster, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_ping = self.path.endswith("/ping")
            body = b"{}" if is_ping else b'{"code": "AuthenticationFailed", "message": "Bad mac"}'
            self.send_response(200 if is_ping else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() - 3600)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        monkeypatch.setenv("TASKCLUSTER_ROOT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        done = call("api", "secrets", "get", "a")
        server.shutdown()
    assert (done.status, done.out) == (3, "")
    assert "the clock of this machine is 1 h ahead of the deployment's" in done.err
