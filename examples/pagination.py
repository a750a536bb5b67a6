"""Read paginated listings with iterators, with a handler, and by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import worker

import taskcluster
import taskcluster.aio

if TYPE_CHECKING:
    from taskcluster_queue.types import ListTaskGroupQuery, ListTaskGroupResponse

SOME: ListTaskGroupQuery = {"limit": 2}


def iterators(queue: taskcluster.Queue, group: str) -> None:
    """Iterate over the items of all pages, or over the pages."""
    names = [item["task"]["metadata"]["name"] for item in queue.paginate_items(queue.listTaskGroup, group, query=SOME)]
    print("paginate_items:", *sorted(names))
    print("paginate:", [len(page["tasks"]) for page in queue.paginate(queue.listTaskGroup, group, query=SOME)])


def handler(queue: taskcluster.Queue, group: str) -> None:
    """Call a function with each page."""
    sizes: list[int] = []

    def note(page: ListTaskGroupResponse) -> None:
        sizes.append(len(page["tasks"]))

    queue.listTaskGroup(group, query=SOME, paginationHandler=note)
    print("paginationHandler:", sizes)


def by_hand(queue: taskcluster.Queue, group: str) -> None:
    """Pass the token of each response to the next call."""
    sizes: list[int] = []
    query = SOME.copy()
    while True:
        page = queue.listTaskGroup(group, query=query)
        sizes.append(len(page["tasks"]))
        if "continuationToken" not in page:
            break
        query["continuationToken"] = page["continuationToken"]
    print("by hand:", sizes)


async def in_async_code(options: dict[str, Any], group: str) -> None:
    """Do the same in async code, with async iterators."""
    async with taskcluster.aio.Queue(options) as queue:
        pages = [len(page["tasks"]) async for page in queue.paginate(queue.listTaskGroup, group, query=SOME)]
        print("async paginate:", pages)
        handled: list[ListTaskGroupResponse] = []
        await queue.listTaskGroup(group, query=SOME, paginationHandler=handled.append)
        print("async paginationHandler:", [len(page["tasks"]) for page in handled])
        page = await queue.listTaskGroup(group, query=SOME)
        rest = await queue.listTaskGroup(group, query={"continuationToken": page.get("continuationToken")})
        print("async by hand:", [len(page["tasks"]), len(rest["tasks"])])


def main() -> None:
    """List a group of five tasks, two at a time."""
    options = taskcluster.optionsFromEnvironment()
    group = taskcluster.slugId()
    with taskcluster.Queue(options) as queue:
        for name in "abcde":
            queue.createTask(taskcluster.slugId(), {**worker.definition(name), "taskGroupId": group})
        iterators(queue, group)
        handler(queue, group)
        by_hand(queue, group)
    asyncio.run(in_async_code(options, group))


if __name__ == "__main__":
    main()
