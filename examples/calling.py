"""Pass URL parameters, payload and query in four ways, sync and async."""

from __future__ import annotations

import asyncio

import worker

import taskcluster
import taskcluster.aio


def positions(queue: taskcluster.Queue) -> str:
    """Pass URL parameters in order, then the payload."""
    task_id = taskcluster.slugId()
    queue.createTask(task_id, worker.definition("positions"))
    return task_id


def names(queue: taskcluster.Queue) -> str:
    """Pass the payload, then URL parameters as keyword arguments."""
    task_id = taskcluster.slugId()
    queue.createTask(worker.definition("names"), taskId=task_id)
    return task_id


def apart(queue: taskcluster.Queue) -> str:
    """Pass payload, URL parameters and query as keyword arguments."""
    task_id = taskcluster.slugId()
    queue.createTask(payload=worker.definition("apart"), params={"taskId": task_id}, query={})
    return task_id


def mixed(queue: taskcluster.Queue) -> str:
    """Pass URL parameters in order, and the rest as keyword arguments."""
    task_id = taskcluster.slugId()
    queue.createTask(task_id, payload=worker.definition("mixed"))
    return task_id


async def all_four(queue: taskcluster.aio.Queue) -> list[str]:
    """Do the same in async code, concurrently."""
    one, two, three, four = ids = [taskcluster.slugId() for _ in range(4)]
    await asyncio.gather(
        queue.createTask(one, worker.definition("positions")),
        queue.createTask(worker.definition("names"), taskId=two),
        queue.createTask(payload=worker.definition("apart"), params={"taskId": three}, query={}),
        queue.createTask(four, payload=worker.definition("mixed")),
    )
    return ids


def queries(queue: taskcluster.Queue, group: str) -> None:
    """Pass query parameters as a dict or by name. An unknown argument raises before a request is sent."""
    for task in range(2):
        queue.createTask(taskcluster.slugId(), {**worker.definition(f"member {task}"), "taskGroupId": group})
    page = queue.listTaskGroup(group, query={"limit": 1})
    rest = queue.listTaskGroup(group, continuationToken=page.get("continuationToken"), limit=1)
    print("query:", len(page["tasks"]), "task and then", len(rest["tasks"]))
    try:
        queue.listTaskGroup(group, limitt=1)  # type: ignore[call-overload]
    except taskcluster.TaskclusterFailure as failure:
        print("unknown argument:", failure)


def main() -> None:
    """Create a task in each way."""
    options = taskcluster.optionsFromEnvironment()
    with taskcluster.Queue(options) as queue:
        for way in (positions, names, apart, mixed):
            print(f"{way.__name__}: task {way(queue)}")
        queries(queue, taskcluster.slugId())

    async def in_async_code() -> list[str]:
        async with taskcluster.aio.Queue(options) as queue:
            return await all_four(queue)

    print("async:", *asyncio.run(in_async_code()))


if __name__ == "__main__":
    main()
