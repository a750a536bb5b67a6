"""Test pagination by hand, with handlers and with iterators."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from urllib.parse import parse_qs

import pytest

import taskcluster
import taskcluster.aio

from .drive import Drive
from .server import Received, Server, respond

GROUP = "fN1SbArXTPSVFNUvaOlinQ"


def pages(server: Server, *listed: list[int]) -> list[dict[str, Any]]:
    """Script one response per page."""
    bodies: list[dict[str, Any]] = []
    for number, tasks in enumerate(listed, 1):
        more = {} if number == len(listed) else {"continuationToken": f"after/{number}+="}
        bodies.append({"taskGroupId": GROUP, "tasks": tasks, **more})
    server.script(*(respond(200, body) for body in bodies))
    return bodies


def asked(requests: list[Received], name: str) -> list[str | None]:
    """Return a query parameter's values in the requests."""
    return [parse_qs(request.target.partition("?")[2]).get(name, [None])[0] for request in requests]


def test_continuation_token_in_query(drive: Drive, server: Server) -> None:
    pages(server, [1, 2], [3])
    client = drive.client()
    first = client.listTaskGroup(GROUP)
    second = client.listTaskGroup(GROUP, query={"continuationToken": first["continuationToken"]})
    assert (first["tasks"], second["tasks"]) == ([1, 2], [3])
    assert "continuationToken" not in second
    assert asked(server.received, "continuationToken") == [None, "after/1+="]


def test_continuation_token_as_keyword(drive: Drive, server: Server) -> None:
    drive.client().listTaskGroup(GROUP, continuationToken="after", limit=5)
    assert server.last.target.endswith("/list?continuationToken=after&limit=5")


def test_handler_is_called_with_each_page(drive: Drive, server: Server) -> None:
    expected = pages(server, [1, 2], [], [3])
    seen: list[dict[str, Any]] = []
    returned = drive.client().listTaskGroup(GROUP, paginationHandler=seen.append, paginationLimit=2)
    assert returned is None
    assert seen == expected
    assert asked(server.received, "continuationToken") == [None, "after/1+=", "after/2+="]
    assert asked(server.received, "limit") == ["2", "2", "2"]


def test_each_page_request_is_signed(drive: Drive, server: Server) -> None:
    pages(server, [1], [2])
    drive.client().listTaskGroup(GROUP, paginationHandler=lambda page: None)
    assert len({request.authorization["mac"] for request in server.received}) == 2


def test_handler_that_raises_ends_the_call(drive: Drive, server: Server) -> None:
    pages(server, [1], [2])

    def refuse(page: Any) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        drive.client().listTaskGroup(GROUP, paginationHandler=refuse)
    assert len(server.received) == 1


def test_handler_can_be_a_coroutine_function(server: Server) -> None:
    pages(server, [1], [2])
    seen: list[list[int]] = []

    async def handler(page: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        seen.append(page["tasks"])

    queue = taskcluster.aio.Queue({"rootUrl": server.root_url})
    asyncio.run(queue.listTaskGroup(GROUP, paginationHandler=handler))
    assert seen == [[1], [2]]


def test_failed_page_is_retried(drive: Drive, server: Server) -> None:
    server.script(respond(200, {"tasks": [1], "continuationToken": "t"}), respond(500), respond(200, {"tasks": [2]}))
    seen: list[list[int]] = []
    drive.client().listTaskGroup(GROUP, paginationHandler=lambda page: seen.append(page["tasks"]))
    assert seen == [[1], [2]]
    assert asked(server.received, "continuationToken") == [None, "t", "t"]


def test_pages_are_requested_lazily(drive: Drive, server: Server) -> None:
    expected = pages(server, [1, 2], [3], [4])
    client = drive.client()
    assert drive.take(client, 2, "paginate", "listTaskGroup", GROUP, query={"limit": 2}) == expected[:2]
    assert asked(server.received, "continuationToken") == [None, "after/1+="]
    assert asked(server.received, "limit") == ["2", "2"]


def test_pages_end_without_a_token(drive: Drive, server: Server) -> None:
    expected = pages(server, [1], [2])
    assert drive.take(drive.client(), 100, "paginate", "listTaskGroup", GROUP) == expected
    assert len(server.received) == 2


def test_items_are_requested_lazily(drive: Drive, server: Server) -> None:
    pages(server, [1, 2], [], [3, 4], [5])
    assert drive.take(drive.client(), 3, "paginate_items", "listTaskGroup", GROUP) == [1, 2, 3]
    assert len(server.received) == 3


def test_payload_is_sent_with_each_page(drive: Drive, server: Server) -> None:
    pages(server, [1], [2])
    assert drive.take(drive.client(), 9, "paginate_items", "tasks", {"taskIds": [GROUP]}) == [1, 2]
    assert {request.body for request in server.received} == {b'{"taskIds":["%s"]}' % GROUP.encode()}


def test_items_raise_when_the_method_is_not_a_listing(drive: Drive, server: Server) -> None:
    server.script(respond(200, {"a": [], "b": []}))
    with pytest.raises(taskcluster.TaskclusterFailure, match="paginate"):
        drive.take(drive.client(), 1, "paginate_items", "listTaskGroup", GROUP)


def test_iterating_twice_requests_twice(server: Server) -> None:
    with taskcluster.Queue({"rootUrl": server.root_url}) as queue:
        for _ in range(2):
            pages(server, [1], [2])
            found = queue.paginate_items(queue.listTaskGroup, GROUP)
            assert list(itertools.islice(found, 1)) == [1]
            assert list(found) == [2]
    assert len(server.received) == 4
