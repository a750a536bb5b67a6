"""The taskcluster proxy of a task has the scopes of the task, and no others."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest

from taskcluster import fromNow
from taskcluster.retries import Policy
from taskcluster_worker import proxy
from taskcluster_worker.claims import Claim
from taskcluster_worker.proxy import TaskProxy, proxied_url
from taskcluster_worker.task import Task

SCRIPT = """
import os, sys, json, urllib.request, urllib.error
proxy = os.environ["TASKCLUSTER_PROXY_URL"]
def call(method, path, body=None, follow=True):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(proxy + path, data, headers, method=method)
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments):
            return None
    try:
        response = urllib.request.build_opener(Stay).open(request)
    except urllib.error.HTTPError as error:
        response = error
    return response.status, response.read().decode(), dict(response.headers)
task, run = os.environ["TASK_ID"], os.environ["RUN_ID"]
"""
PROXY = {"features": {"taskclusterProxy": True}}


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/api/queue/v1/ping", "https://tc.example.com/api/queue/v1/ping"),
        ("/queue/v1/task/a%2Fb?x=%20", "https://tc.example.com/api/queue/v1/task/a%2Fb?x=%20"),
    ],
    ids=["new", "old"],
)
def test_forwards_to_the_deployment(target, url):
    assert proxied_url("https://tc.example.com", target) == url


def run(site, script: str, **more):
    payload = {"command": [[sys.executable, "-c", SCRIPT + script]], "maxRunTime": 60, **PROXY}
    return site.run_payload(payload, **more)


@pytest.mark.once
def test_signs_with_the_scopes_of_the_task(running):
    script = """
secret = {"secret": {"a": 1}, "expires": "2099-01-01T00:00:00Z"}
status, text, headers = call("PUT", "/api/secrets/v1/secret/mine", secret)
assert status == 200, text
status, text, headers = call("GET", "/secrets/v1/secret/mine")
assert json.loads(text)["secret"] == {"a": 1}, text
assert call("GET", "/api/secrets/v1/secret/other")[0] == 403
status, text, headers = call("GET", "/api/auth/v1/scopes/current")
print("scopes:", json.loads(text)["scopes"])
"""
    resolved, log = run(running, script, scopes=["secrets:get:mine", "secrets:set:mine"])
    assert resolved == ("completed", "completed"), log
    scopes = next(line for line in log.splitlines() if line.startswith("scopes:"))
    assert "queue:create-artifact" in scopes
    # Those of the claim alone.
    assert "reclaim-task" not in scopes
    assert "resolve-task" not in scopes


@pytest.mark.once
@pytest.mark.parametrize("call", ["reclaim", "completed", "failed", "exception"])
def test_tasks_cannot_use_the_scopes_of_the_claim(running, call):
    script = f"""
status, text, headers = call("POST", f"/api/queue/v1/task/{{task}}/runs/{{run}}/{call}", {{"reason": "internal-error"}})
assert status == 403, (status, text)
"""
    assert run(running, script)[0] == ("completed", "completed")


@pytest.mark.once
def test_tasks_can_create_artifacts(running):
    script = """
body = {"storageType": "reference", "expires": "%s", "contentType": "text/plain", "url": "https://example.com"}
import datetime
body["expires"] = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()
status, text, headers = call("POST", f"/api/queue/v1/task/{task}/runs/{run}/artifacts/public/mine", body)
assert status == 200, text
"""
    assert run(running, script)[0] == ("completed", "completed")


@pytest.mark.once
def test_bewit_signs_urls(running):
    script = """
root = os.environ["TASKCLUSTER_ROOT_URL"]
def bewit(url):
    request = urllib.request.Request(proxy + "/bewit", url.encode(), method="POST")
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments):
            return None
    try:
        return urllib.request.build_opener(Stay).open(request)
    except urllib.error.HTTPError as error:
        return error
response = bewit(root + "/api/secrets/v1/secret/mine")
signed = response.read().decode()
assert (response.status, response.headers["Location"]) == (303, signed), signed
try:
    urllib.request.urlopen(signed)
except urllib.error.HTTPError as error:
    # The scope suffices, and the secret does not exist.
    assert error.status == 404, error
for url in ("https://other.example.com/", root + "@other.example.com/", root + "/a\\r\\nX-B: c", root + "/a b"):
    assert bewit(url).status == 400, url
"""
    resolved, log = run(running, script, scopes=["secrets:get:mine"])
    assert resolved == ("completed", "completed"), log


@pytest.mark.once
def test_passes_on_bodies_as_they_are(running):
    # Packed, in a service that has no such URL, so nothing unpacks it.
    script = """
import gzip, http.client, urllib.parse
connection = http.client.HTTPConnection(urllib.parse.urlsplit(proxy).netloc)
for body in (gzip.compress(b"{}"), b"not packed"):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    connection.request("POST", "/api/queue/v1/no-such-method", body, headers)
    response = connection.getresponse()
    assert response.status == 404, (response.status, response.read())
    response.read()
"""
    resolved, log = run(running, script)
    assert resolved == ("completed", "completed"), log


@pytest.mark.once
def test_ends_with_the_task(running, fifo):
    taskId = running.create(f"echo $TASKCLUSTER_PROXY_URL > {fifo}", payload=PROXY)
    url = running.started(fifo)
    running.wait(taskId)
    resolved, log = run(running, f"import urllib.request; urllib.request.urlopen({json.dumps(url)} + '/queue/v1/ping')")
    assert resolved == ("failed", "failed")
    assert "Connection refused" in log


@pytest.mark.once
def test_is_off_unless_the_payload_asks_for_it(running):
    assert running.run('test -z "$TASKCLUSTER_PROXY_URL"')[0] == ("completed", "completed")


class Api(BaseHTTPRequestHandler):
    """A deployment whose responses tests choose."""

    statuses: list[int]
    seen: list[tuple[str, str, bytes]]

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, body))
        assert self.headers["Authorization"].startswith("Hawk ")
        data = gzip.compress(b'{"a": 1}')
        self.send_response(self.statuses.pop(0))
        self.send_header("Retry-After", "0")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = _respond

    def log_message(self, *arguments: object) -> None:
        pass


def requests_through_proxy(statuses, requests, *, root_url=None):
    """Return the responses, and the requests that the deployment got."""
    handler = type("Handler", (Api,), {"statuses": statuses, "seen": []})
    task = Task(
        taskId="T", runId=0, definition={"scopes": ["s"]}, format="generic-worker", commands=(), max_run_time=1,
        deadline=fromNow("1 hour"), expires=fromNow("1 hour"),
    )  # fmt: skip
    claim = Claim("T", 0, {}, fromNow("1 hour"), {"clientId": "c", "accessToken": "a"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        async def main():
            url = root_url or f"http://127.0.0.1:{server.server_port}"
            found = []
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                aiohttp.ClientSession() as program,
                TaskProxy(task, claim, url, session, "127.0.0.1") as running,
            ):
                for method, path, body in requests:
                    target = f"http://127.0.0.1:{running.port}{path}"
                    async with program.request(method, target, data=body, allow_redirects=False) as response:
                        found.append((response.status, await response.read()))
            return found

        try:
            return asyncio.run(main()), handler.seen
        finally:
            server.shutdown()
            thread.join()


def test_retries_failures_of_the_server():
    responses, seen = requests_through_proxy([503, 500, 200], [("POST", "/api/queue/v1/x?a=%20", b"{}")])
    assert responses == [(200, b'{"a": 1}')]
    assert seen == [("POST", "/api/queue/v1/x?a=%20", b"{}")] * 3


def test_passes_on_other_errors_and_requests_without_a_body():
    responses, _ = requests_through_proxy([404, 200], [("GET", "/queue/v1/x", None), ("HEAD", "/queue/v1/x", None)])
    assert responses == [(404, b'{"a": 1}'), (200, b"")]


def test_rejects_what_is_not_for_the_deployment(monkeypatch):
    monkeypatch.setattr(proxy, "_LARGEST_BODY", 10)
    requests = [("PUT", "/credentials", b"{}"), ("POST", "/bewit", b"http://x/"), ("POST", "/queue/v1/x", bytes(11))]
    responses, seen = requests_through_proxy([], requests)
    assert [status for status, _ in responses] == [404, 400, 413]
    assert seen == []


def test_says_that_the_deployment_does_not_respond(monkeypatch):
    monkeypatch.setattr(proxy, "Policy", lambda: Policy(max_retries=1, delay_factor=0.0))
    [(status, body)], _ = requests_through_proxy([], [("GET", "/queue/v1/x", None)], root_url="http://127.0.0.1:1")
    assert status == 502
    assert b"does not respond" in body
