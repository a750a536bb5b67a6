"""The live log of a task: served while it runs, and linked to the complete log afterwards."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.parse
import urllib.request
from datetime import timedelta

import pytest

from taskcluster.helper import task_log_lines, wait_for_artifact
from taskcluster.timestamps import parse_date

pytestmark = pytest.mark.once

LIVE = "public/logs/live.log"


@pytest.fixture
def end(tmp_path):
    path = tmp_path / "end"
    os.mkfifo(path)
    return path


def live_url(site, taskId: str) -> str:
    # It is created while the task starts.
    wait_for_artifact(site.queue, taskId, LIVE, timeout=30, delay=0.02)
    artifact = site.queue.latestArtifact(taskId, LIVE)
    assert artifact["storageType"] == "reference"
    return artifact["url"]


def test_is_served_while_the_task_runs(running, fifo, end):
    taskId = running.create(f"echo early; echo x > {fifo}; read line < {end}; echo late")
    running.started(fifo)
    with urllib.request.urlopen(live_url(running, taskId), timeout=30) as first:
        assert first.headers["Content-Type"] == "text/plain; charset=utf-8"
        seen = b""
        while b"early\n" not in seen:
            seen += first.read1()
        # The second one does not read until the task has ended.
        with urllib.request.urlopen(live_url(running, taskId), timeout=30) as second:
            end.write_text("go\n", encoding="utf-8")
            assert b"late\n" in (seen + first.read())
            assert running.wait(taskId) == ("completed", "completed")
            assert second.read().decode() == running.log(taskId)


def test_is_linked_to_the_complete_log_afterwards(running):
    taskId = running.create("echo hello")
    running.wait(taskId)
    artifacts = running.artifacts(taskId)
    assert artifacts[LIVE]["storageType"] == "link"
    assert running.content(taskId, LIVE) == running.content(taskId, "public/logs/live_backing.log")
    expires = running.queue.task(taskId)["expires"]
    backing = artifacts["public/logs/live_backing.log"]
    assert {artifacts[LIVE]["expires"], backing["expires"]} == {expires}
    assert backing["contentType"] == "text/plain; charset=utf-8"
    assert backing["contentLength"] == len(running.content(taskId, LIVE))


def test_reference_expires_soon_after_max_run_time_and_before_the_task(running, fifo, end):
    payload = {"maxRunTime": 600}
    taskId = running.create(f"echo x > {fifo}; read line < {end}", payload=payload)
    running.started(fifo)
    live_url(running, taskId)
    left = parse_date(running.artifacts(taskId)[LIVE]["expires"]) - running.local.now()
    end.write_text("go\n", encoding="utf-8")
    assert timedelta(minutes=24) < left <= timedelta(minutes=25)
    running.wait(taskId)


def test_reference_never_expires_after_the_task(running, fifo, end):
    now = running.local.now()
    dates = {key: (now + timedelta(minutes=5)).isoformat() for key in ("deadline", "expires")}
    taskId = running.create(f"echo x > {fifo}; read line < {end}", payload={"maxRunTime": 600}, **dates)
    running.started(fifo)
    live_url(running, taskId)
    end.write_text("go\n", encoding="utf-8")
    assert running.wait(taskId) == ("completed", "completed")


def test_serves_ranges_and_only_with_the_secret(running, fifo, end):
    taskId = running.create(f"echo x > {fifo}; read line < {end}")
    running.started(fifo)
    url = live_url(running, taskId)
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=1-11"}), timeout=30) as response:
        assert (response.status, response.read()) == (206, b"taskcluster")
        assert response.headers["Content-Range"].startswith("bytes 1-11/")
    with pytest.raises(urllib.error.HTTPError, match="416"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=100000-"}), timeout=30)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url[:-1], timeout=30)
    end.write_text("go\n", encoding="utf-8")
    running.wait(taskId)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url, timeout=30)


def test_readers_may_go_away(running, fifo, end, caplog):
    taskId = running.create(f"head -c 30000000 /dev/zero; echo x > {fifo}; read line < {end}")
    running.started(fifo)
    url = urllib.parse.urlsplit(live_url(running, taskId))
    for wanted in ("", "Range: bytes=0-\r\n"):
        with socket.create_connection((url.hostname, url.port), timeout=30) as reader:
            reader.sendall(f"GET {url.path} HTTP/1.1\r\nHost: x\r\n{wanted}\r\n".encode())
            assert reader.recv(12) == (b"HTTP/1.1 206" if wanted else b"HTTP/1.1 200")
            # Data that it has not read makes this a reset.
    end.write_text("go\n", encoding="utf-8")
    assert running.wait(taskId) == ("completed", "completed")
    assert [record for record in caplog.records if record.name == "aiohttp.server"] == []


def test_names_of_the_logs_are_those_of_the_payload(running):
    taskId = running.create("true", payload={"logs": {"live": "public/live", "backing": "public/backing"}})
    running.wait(taskId)
    kinds = {name: artifact["storageType"] for name, artifact in running.artifacts(taskId).items()}
    assert kinds == {"public/live": "link", "public/backing": "s3"}


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ({"liveLog": False}, {"public/logs/live_backing.log"}),
        ({"liveLog": False, "backingLog": False}, set()),
    ],
    ids=["live", "both"],
)
def test_logs_can_be_switched_off(running, features, names):
    taskId = running.create("true", payload={"features": features})
    assert running.wait(taskId) == ("completed", "completed")
    assert running.artifacts(taskId).keys() == names


def test_the_helper_reads_the_log_of_a_running_task(running, fifo, end):
    taskId = running.create(f"echo x > {fifo}; echo early; read line < {end}; echo late")
    running.started(fifo)
    found = []
    for line in task_log_lines(running.queue, taskId):
        found.append(line)
        if line == "early":
            end.write_text("go\n", encoding="utf-8")
    assert found.count("late") == 1
