"""Test reading documents from a folder and over HTTP."""

import http.server
import threading

import pytest

from taskcluster_codegen.sources import DeploymentSource, FolderSource
from taskcluster_codegen.spec import SpecError


@pytest.fixture
def server(monkeypatch):
    """A server's root URL, its responses (status and body by path), and the requests it received."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    known = {}
    requests = []

    class FileHandler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self)
            status, body = known.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FileHandler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", known, requests
        running.shutdown()
        thread.join()


def test_deployment(server):
    root_url, known, requests = server
    known["/references/x/v1/api.json"] = (200, b'{"a": "\xc3\xa9"}')
    with DeploymentSource(f"{root_url}/") as read:
        assert read("/references/x/v1/api.json") == {"a": "é"}
        assert read("/references/y/v1/api.json") is None
    assert all("Authorization" not in handler.headers for handler in requests)


def test_netrc_is_ignored(server, tmp_path, monkeypatch):
    root_url, _, requests = server
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with DeploymentSource(root_url) as read:
        read("/x")
    assert "Authorization" not in requests[0].headers


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"{}", "/x: status 500 Internal Server Error"),
        (200, b"<!DOCTYPE html>", "/x: not JSON"),
        (200, b"\xff", "/x: not JSON"),
        (200, b"[" * 100_000, "/x: not JSON"),
        (200, b" " * (10 * 1024 * 1024 + 1), "/x: larger than 10485760 bytes"),
    ],
)
def test_invalid_response(server, status, body, message):
    root_url, known, _ = server
    known["/x"] = (status, body)
    with DeploymentSource(root_url) as read, pytest.raises(SpecError, match=message):
        read("/x")


def test_unreachable_deployment(server):
    with DeploymentSource("http://127.0.0.1:1") as read, pytest.raises(SpecError, match="/x: cannot be fetched"):
        read("/x")


@pytest.mark.parametrize("root_url", ["tc.example.com", "ftp://tc.example.com", "https://", "https://a:b@example.com"])
def test_invalid_root_url(root_url):
    with pytest.raises(SpecError, match="the root URL must be like") as caught:
        DeploymentSource(root_url)
    assert "a:b" not in str(caught.value)


def test_folder(tmp_path):
    (tmp_path / "references").mkdir()
    (tmp_path / "references" / "x.json").write_bytes('{"a": "é"}'.encode())
    (tmp_path / "references" / "y.json").write_bytes(b"{")
    read = FolderSource(tmp_path)
    assert read("/references/x.json") == {"a": "é"}
    assert read("/schemas/x.json") is None
    with pytest.raises(SpecError, match=r"y\.json: not JSON"):
        read("/references/y.json")
    with pytest.raises(SpecError, match=r"cannot be read"):
        read("/references")


def test_folder_without_references(tmp_path):
    with pytest.raises(SpecError, match="must contain a folder `references`"):
        FolderSource(tmp_path)
