"""Programs that type checkers accept, and the types that they see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from taskcluster_queue.types import (
    CreateTaskRequest,
    ListTaskGroupResponse,
    TaskDefinitionAndStatus,
    TaskStatusResponse,
)
from taskcluster_secrets.types import Secret
from typing_extensions import assert_type

import taskcluster
import taskcluster.aio

task: CreateTaskRequest = {
    "provisionerId": "proj",
    "workerType": "ci",
    "created": taskcluster.fromNowJSON("0 seconds"),
    "deadline": taskcluster.fromNowJSON("1 hour"),
    "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
    "payload": {"anything": ["goes"]},
}


def calling(queue: taskcluster.Queue) -> None:
    """The four ways to call, and those between them."""
    assert_type(queue.createTask("T", task), TaskStatusResponse)
    assert_type(queue.createTask("T", payload=task), TaskStatusResponse)
    assert_type(queue.createTask(task, taskId="T"), TaskStatusResponse)
    assert_type(queue.createTask(payload=task, taskId="T"), TaskStatusResponse)
    assert_type(queue.createTask(payload=task, params={"taskId": "T"}), TaskStatusResponse)
    assert_type(queue.listTaskGroup("G"), ListTaskGroupResponse)
    assert_type(queue.listTaskGroup("G", query={"limit": 3}), ListTaskGroupResponse)
    assert_type(queue.listTaskGroup("G", limit=3), ListTaskGroupResponse)
    assert_type(queue.listTaskGroup(params={"taskGroupId": "G"}, query={"limit": 3}), ListTaskGroupResponse)
    assert_type(queue.status("T")["status"]["runs"][0]["runId"], int)
    queue.reportCompleted("T", 0)
    queue.createTask("T", {**task, "payload": {}})


def listings(queue: taskcluster.Queue) -> None:
    """Pages and items."""
    assert_type(queue.paginate(queue.listTaskGroup, "G"), Iterator[ListTaskGroupResponse])
    assert_type(queue.paginate(queue.listTaskGroup, "G", query={"limit": 1}), Iterator[ListTaskGroupResponse])
    assert_type(queue.paginate_items(queue.listTaskGroup, "G"), Iterator[TaskDefinitionAndStatus])
    for item in queue.paginate_items(queue.listTaskGroup, "G"):
        assert_type(item["status"]["taskId"], str)
    pages: list[ListTaskGroupResponse] = []
    queue.listTaskGroup("G", paginationHandler=pages.append)
    secrets = taskcluster.Secrets(queue.options)
    assert_type(secrets.paginate_items(secrets.list), Iterator[str])
    manager = taskcluster.WorkerManager(queue.options)
    for pool in manager.paginate_items(manager.listWorkerPools):
        assert_type(pool["providerId"], str)


def exchanges(events: taskcluster.QueueEvents) -> None:
    """Routing keys in the three ways."""
    assert_type(events.taskCompleted(taskId="T"), dict[str, str])
    events.taskCompleted({"taskId": "T", "runId": 0})
    events.taskCompleted("route.index.#")


async def in_async_code() -> None:
    """The same, awaited."""
    async with taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"}) as queue:
        assert_type(await queue.createTask("T", task), TaskStatusResponse)
        assert_type(await queue.createTask(task, taskId="T"), TaskStatusResponse)
        assert_type(await queue.createTask(payload=task, params={"taskId": "T"}), TaskStatusResponse)
        assert_type(queue.paginate(queue.listTaskGroup, "G", limit=1), AsyncIterator[ListTaskGroupResponse])
        assert_type(queue.paginate_items(queue.listTaskGroup, "G"), AsyncIterator[TaskDefinitionAndStatus])

        async def handler(page: ListTaskGroupResponse) -> None:
            assert_type(page["taskGroupId"], str)

        await queue.listTaskGroup("G", paginationHandler=handler)
        async with taskcluster.aio.Secrets(queue.options) as secrets:
            secret = await secrets.get("project/x")
            assert_type(secret, Secret)
            assert_type(secret["secret"], dict[str, Any])
