"""Artifacts: which files are uploaded, how they are stored, and what is stored instead of missing ones."""

from __future__ import annotations

import gzip
import http.client
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from taskcluster_local import LocalTaskcluster
from taskcluster_worker import Worker
from taskcluster_worker.artifacts import content_encoding, content_type

from .conftest import QUEUE, site_of

LOGS = {"public/logs/live.log", "public/logs/live_backing.log"}


@pytest.mark.parametrize(
    ("name", "media", "encoding"),
    [
        ("a.log", "text/plain", "gzip"),
        ("a.jsonl", "application/jsonl", "gzip"),
        ("a.json", "application/json", "gzip"),
        ("a.tar.gz", "application/gzip", "identity"),
        ("A.ZIP", "application/zip", "identity"),
        ("a.zst", None, "identity"),
        ("a", "application/octet-stream", "gzip"),
    ],
)
def test_content_type_and_encoding_follow_the_name(name, media, encoding):
    assert content_type(name) == (media or content_type(name))
    assert content_encoding(name) == encoding


def run(site, script: str, *artifacts, **more):
    taskId = site.create(script, payload={"artifacts": list(artifacts)}, **more)
    resolved = site.wait(taskId)
    found = {name: each for name, each in site.artifacts(taskId).items() if name not in LOGS}
    return taskId, resolved, found


def file(path: str, **more):
    return {"type": "file", "path": path, "name": f"public/{path}", **more}


def directory(path: str, **more):
    return {"type": "directory", "path": path, "name": f"public/{path}", **more}


@pytest.mark.once
def test_uploads_a_file(running):
    taskId, resolved, found = run(running, "printf hello > a.txt", file("a.txt"), {"type": "file", "path": "a.txt"})
    assert resolved == ("completed", "completed")
    assert found.keys() == {"public/a.txt", "a.txt"}
    artifact = found["public/a.txt"]
    assert (artifact["contentType"], artifact["contentLength"]) == ("text/plain", 5)
    assert artifact["expires"] == running.queue.task(taskId)["expires"]
    assert running.content(taskId, "public/a.txt") == b"hello"


@pytest.mark.once
@pytest.mark.parametrize("size", [10, 1_000_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("options", "encoding"),
    [({}, "gzip"), ({"contentEncoding": "identity"}, None)],
    ids=["gzip", "identity"],
)
def test_stores_files_packed(running, size, options, encoding):
    taskId, resolved, found = run(running, f"head -c {size} /dev/zero > zeros", file("zeros", **options))
    assert resolved == ("completed", "completed")
    assert found["public/zeros"]["contentLength"] == size
    url = running.queue.latestArtifact(taskId, "public/zeros")["url"]
    with urllib.request.urlopen(url, timeout=30) as response:
        assert response.headers["Content-Encoding"] == encoding
        data = response.read()
    assert (gzip.decompress(data) if encoding else data) == bytes(size)


@pytest.mark.once
def test_uploads_a_directory_without_the_log(running):
    script = "mkdir -p d/e d/logs; touch 'd/a b%20' d/e/c.log d/logs/live.log"
    taskId, resolved, found = run(running, script, {"type": "directory", "path": "d", "name": "public"})
    assert resolved == ("completed", "completed")
    assert found.keys() == {"public/a b%20", "public/e/c.log"}
    assert running.artifacts(taskId)["public/logs/live.log"]["storageType"] == "link"
    assert "[taskcluster:warn" in running.log(taskId)
    assert "Skipping the artifact public/logs/live.log" in running.log(taskId)


@pytest.mark.once
@pytest.mark.parametrize(
    ("script", "artifact", "reason"),
    [
        ("true", file("a"), "file-missing-on-worker"),
        ("true", directory("a"), "file-missing-on-worker"),
        ("mkdir a", file("a"), "invalid-resource-on-worker"),
        ("touch a", directory("a"), "invalid-resource-on-worker"),
        ("mkfifo a", file("a"), "invalid-resource-on-worker"),
        ("ln -s /etc/hostname a", file("a"), "invalid-resource-on-worker"),
        ("ln -s /etc a", directory("a"), "invalid-resource-on-worker"),
        ("ln -s /etc d", {**file("d/hostname"), "name": "public/a"}, "invalid-resource-on-worker"),
        ("touch ../above", {**file("../above"), "name": "public/a"}, "invalid-resource-on-worker"),
        ("ln -s a a", file("a"), "file-not-readable-on-worker"),
    ],
    ids=[
        "no file",
        "no directory",
        "directory",
        "file",
        "fifo",
        "link out",
        "directory out",
        "in a link",
        "above",
        "cycle",
    ],
)
def test_stores_an_error_for_a_missing_artifact(running, script, artifact, reason):
    taskId, resolved, found = run(running, f"touch b; {script}", artifact, file("b"))
    assert resolved == ("failed", "failed")
    assert running.queue.latestArtifact(taskId, "public/a")["reason"] == reason
    assert "the artifact public/a is missing" in running.log(taskId)
    # The others are uploaded all the same.
    assert found["public/b"]["storageType"] == "s3"


@pytest.mark.once
def test_optional_artifacts_may_be_missing(running):
    _, resolved, found = run(running, "true", file("a", optional=True))
    assert resolved == ("completed", "completed")
    assert found["public/a"]["storageType"] == "error"


@pytest.mark.once
def test_directories_may_hold_links_and_pipes(running):
    script = "mkdir d; touch a d/b; ln -s ../a d/in; ln -s /etc/hostname d/out; mkfifo d/fifo"
    _, resolved, found = run(running, script, directory("d"))
    assert resolved == ("failed", "failed")
    kinds = {name: each["storageType"] for name, each in found.items()}
    assert kinds == {"public/d/b": "s3", "public/d/in": "s3", "public/d/out": "error", "public/d/fifo": "error"}


@pytest.mark.once
def test_names_links_to_directories_that_it_does_not_follow(running):
    script = "mkdir -p a d/e; touch a/inside d/f; ln -s ../a d/in; ln -s /etc d/out; ln -s .. d/e/cycle"
    taskId, resolved, found = run(running, script, directory("d"))
    assert resolved == ("failed", "failed")
    kinds = {name: each["storageType"] for name, each in found.items()}
    links = dict.fromkeys(("public/d/in", "public/d/out", "public/d/e/cycle"), "error")
    assert kinds == {"public/d/f": "s3", **links}
    log = running.log(taskId)
    for name in links:
        assert f"the artifact {name} is missing" in log
        assert running.queue.latestArtifact(taskId, name)["reason"] == "invalid-resource-on-worker"
    assert "d/out is a symbolic link to a directory, which is not followed" in log


@pytest.mark.once
def test_artifacts_are_uploaded_when_a_command_fails(running):
    _, resolved, found = run(running, "touch a; exit 1", file("a"))
    assert resolved == ("failed", "failed")
    assert found["public/a"]["storageType"] == "s3"


@pytest.mark.once
def test_a_name_that_is_taken_is_a_malformed_payload(running):
    first, second = file("a.txt"), {**file("b.json"), "name": "public/a.txt"}
    taskId, resolved, _ = run(running, "echo 1 > a.txt; echo 2 > b.json", first, second)
    assert resolved == ("exception", "malformed-payload")
    assert "Artifact already exists" in running.log(taskId)


@pytest.mark.once
@pytest.mark.parametrize("name", ["public/../a\nb", "..", "\u00e4"], ids=["line end", "dots", "not ASCII"])
def test_a_rejected_name_is_a_malformed_payload(running, name):
    taskId, resolved, _ = run(running, "echo started", {**file("a"), "name": name})
    assert resolved == ("exception", "malformed-payload")
    assert f"the artifact name {name!r} must be" in running.log(taskId)
    assert "Executing" not in running.log(taskId)


@pytest.mark.once
def test_names_may_have_percent_signs_spaces_and_dots(running):
    name = "public/../a b%20%2F?#"
    taskId, resolved, found = run(running, "echo x > a", {**file("a"), "name": name})
    assert resolved == ("completed", "completed")
    assert found.keys() == {name}
    assert running.content(taskId, name) == b"x\n"


@pytest.mark.once
def test_a_file_with_a_rejected_name_is_a_malformed_payload(running):
    script = "mkdir d; touch d/a d/\u00e4 d/$(printf '\\377')"
    taskId, resolved, found = run(running, script, directory("d"))
    assert resolved == ("exception", "malformed-payload")
    assert found.keys() == {"public/d/a"}
    for name in ("'public/d/\u00e4'", r"'public/d/\udcff'"):
        assert f"the queue accepts no artifact with the name {name}" in running.log(taskId)


@pytest.mark.once
def test_an_absolute_path_may_be_outside_the_directory(running, tmp_path):
    path = str(tmp_path / "out")
    taskId, resolved, _ = run(running, f"echo x > {path}", {"type": "file", "path": path, "name": "public/out"})
    assert resolved == ("completed", "completed")
    assert running.content(taskId, "public/out") == b"x\n"


@pytest.mark.once
def test_expires_as_the_payload_says(running):
    expires = (running.local.now() + timedelta(hours=5)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    _, resolved, found = run(running, "touch a", file("a", expires=expires, contentType="x/y"))
    assert resolved == ("completed", "completed")
    assert (found["public/a"]["expires"], found["public/a"]["contentType"]) == (expires, "x/y")


@pytest.mark.once
def test_a_file_that_grows_is_uploaded_as_it_was(running, tmp_path):
    # A process of another task writes to it, so it is outside the directory.
    path = tmp_path / "growing.bin"
    path.write_bytes(os.urandom(400_000))
    script = f"import time\nwith open({str(path)!r}, 'ab') as file:\n    while True:\n        file.write(b'x' * 4096)"
    with subprocess.Popen([sys.executable, "-c", script]) as writer:
        try:
            artifact = {"type": "file", "path": str(path), "name": "public/g", "contentEncoding": "identity"}
            taskId, resolved, found = run(running, "true", artifact)
        finally:
            writer.kill()
    assert resolved == ("completed", "completed")
    assert len(running.content(taskId, "public/g")) == found["public/g"]["contentLength"] >= 400_000


@pytest.mark.once
def test_uploads_a_thousand_artifacts(running):
    script = "mkdir d; cd d; seq 1000 | xargs touch"
    _, resolved, found = run(running, script, directory("d"))
    assert resolved == ("completed", "completed")
    assert len(found) == 1000


class Faulty(BaseHTTPRequestHandler):
    """Forwards requests to a deployment, but not all of them."""

    target = ""
    status = 0
    """The status of responses to requests that create the artifact public/a; 0 for none, None to forward them."""
    storage = 0
    """If public/a can be created, the status of the response when it is uploaded."""
    renewals: threading.Semaphore | None = None
    """Released for each renewed claim; before public/a can be created, it must have been twice."""
    reports: Iterator[int] = iter(())
    """The statuses of responses to reports; those after them are forwarded."""

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_watched = self.path.endswith(("/artifacts/public%2Fa", "/artifacts/public/a"))
        if self.command == "PUT" and "/storage/" in self.path:
            self._send(self.storage, {}, b"broken")
            return
        if is_watched and self.status is not None:
            if self.status:
                self._send(self.status, {}, b'{"code": "Broken", "message": "broken"}')
            self.close_connection = True
            return
        if is_watched and self.renewals is not None:
            assert all(self.renewals.acquire(timeout=30) for _ in range(2))
        if self.path.endswith(("/completed", "/failed", "/exception")) and (status := next(self.reports, 0)):
            self._send(status, {}, b'{"code": "Broken", "message": "broken"}')
            return
        # The worker disconnects when it ends.
        with closing(http.client.HTTPConnection(self.target)) as connection, suppress(ConnectionError):
            # With the same Host, which is signed.
            connection.request(self.command, self.path, body or None, dict(self.headers))
            response = connection.getresponse()
            data = response.read()
            if is_watched and self.storage:
                data = data.replace(self.target.encode(), f"127.0.0.1:{self.server.server_port}".encode())
            self._send(response.status, response.headers, data)
            if self.path.endswith("/reclaim") and self.renewals is not None:
                self.renewals.release()

    do_GET = do_POST = do_PUT = _respond

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        if "Content-Encoding" in headers:
            self.send_header("Content-Encoding", headers["Content-Encoding"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.once
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "resource-unavailable"),
        (0, "resource-unavailable"),
        (403, "internal-error"),
        (400, "malformed-payload"),
        (409, "malformed-payload"),
    ],
    ids=["server", "no response", "scopes", "invalid", "conflict"],
)
def test_reports_the_error_of_an_upload(brisk, status, reason):
    with faulty(brisk, {"maxRetries": 1}, status=status):
        taskId = brisk.create("touch a", payload={"artifacts": [file("a")]})
        assert brisk.wait(taskId) == ("exception", reason)
    assert "Artifact public/a: " in brisk.log(taskId)


@pytest.mark.once
def test_reports_that_storage_does_not_work(brisk):
    with faulty(brisk, {"maxRetries": 1}, status=None, storage=503):
        taskId = brisk.create("touch a", payload={"artifacts": [file("a")]})
        assert brisk.wait(taskId) == ("exception", "resource-unavailable")
    assert "Artifact public/a: " in brisk.log(taskId)


@pytest.mark.once
def test_renews_the_claim_while_artifacts_are_uploaded():
    with LocalTaskcluster(claim_timeout=2.0, poll=0.1) as local, site_of(local) as site:
        with faulty(site, status=None, renewals=threading.Semaphore(0)):
            taskId = site.create("echo x > a", payload={"artifacts": [file("a")]})
            assert site.wait(taskId) == ("completed", "completed")
        assert len(site.queue.status(taskId)["status"]["runs"]) == 1
        assert site.content(taskId, "public/a") == b"x\n"


@pytest.mark.once
def test_the_first_error_decides(running):
    first, second = file("a.txt"), {**file("b.json"), "name": "public/a.txt"}
    taskId, resolved, _ = run(running, "echo 1 > a.txt; echo 2 > b.json; exit 1", first, second)
    assert resolved == ("failed", "failed")
    assert "Artifact already exists" in running.log(taskId)


@pytest.mark.once
def test_reports_again_when_the_queue_responds_again(brisk, monkeypatch):
    monkeypatch.setattr("taskcluster_worker.run._REPORT_AGAIN_SECONDS", 0.0)
    # The client itself sends a request twice.
    with faulty(brisk, {"maxRetries": 1}, reports=iter([500] * 3)):
        assert brisk.wait(brisk.create("true")) == ("completed", "completed")


@pytest.mark.once
def test_a_result_that_is_rejected_does_not_stop_the_worker(brisk, caplog):
    with faulty(brisk, reports=iter([409])):
        first = brisk.create("true")
        assert brisk.wait(brisk.create("true")) == ("completed", "completed")
        assert brisk.queue.status(first)["status"]["state"] == "running"
    assert "the queue rejected the result completed" in caplog.text


class Server(ThreadingHTTPServer):
    """Waits for its threads at its end."""

    daemon_threads = False


@contextmanager
def faulty(site, more: Mapping[str, Any] | None = None, **fields) -> Iterator[None]:
    """Run a worker with further options whose requests a server forwards, but not all of them."""
    handler = type("Handler", (Faulty,), {"target": site.local.root_url.removeprefix("http://"), **fields})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            options = {**site.local.options(), "rootUrl": f"http://127.0.0.1:{server.server_port}", **(more or {})}
            with Worker(QUEUE, options, claim_interval=0.05):
                yield
        finally:
            server.shutdown()
            thread.join()
