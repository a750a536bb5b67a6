"""The published client creates tasks and reads their status and artifacts while our worker runs them."""

from __future__ import annotations

import subprocess

import pytest

from taskcluster_local import LocalTaskcluster

PROGRAM = """
import os, time, urllib.request
import taskcluster
import taskcluster.download

assert not hasattr(taskcluster, "plugins"), "not the published client"
queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
taskId = taskcluster.slugId()
queue.createTask(taskId, {
    "taskQueueId": "proj/ci",
    "created": taskcluster.fromNowJSON("0 seconds"),
    "deadline": taskcluster.fromNowJSON("1 hour"),
    "payload": {
        "command": [["sh", "-c", "echo hello; printf made > made.txt"]],
        "maxRunTime": 60,
        "artifacts": [{"type": "file", "path": "made.txt", "name": "public/made.txt"}],
    },
    "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
})
while queue.status(taskId)["status"]["state"] in ("unscheduled", "pending", "running"):
    time.sleep(0.05)
status = queue.status(taskId)["status"]
assert (status["state"], status["runs"][0]["workerGroup"]) == ("completed", "local"), status
names = sorted(artifact["name"] for artifact in queue.listLatestArtifacts(taskId)["artifacts"])
assert names == ["public/logs/live.log", "public/logs/live_backing.log", "public/made.txt"], names
download = taskcluster.download.downloadArtifactToBuf
data, content_type = download(taskId=taskId, name="public/made.txt", queueService=queue)
assert (bytes(data), content_type) == (b"made", "text/plain"), (data, content_type)
data, content_type = download(taskId=taskId, name="public/logs/live.log", queueService=queue)
assert b"\\nhello\\n" in bytes(data), data
print("done")
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment variables of the program, without those of the deployment."""
    return {"PATH": "/usr/bin:/bin"}


def test_published_client_reads_what_the_worker_makes(published: str, environment: dict[str, str]) -> None:
    with LocalTaskcluster(workers={"proj/ci": 1}) as local:
        variables = {
            **environment,
            "TASKCLUSTER_ROOT_URL": local.root_url,
            "TASKCLUSTER_CLIENT_ID": str(local.credentials["clientId"]),
            "TASKCLUSTER_ACCESS_TOKEN": str(local.credentials["accessToken"]),
        }
        done = subprocess.run(
            [published, "-c", PROGRAM], env=variables, capture_output=True, encoding="utf-8", timeout=120, check=False
        )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
