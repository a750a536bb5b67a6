"""Test that `get_response` returns the status and headers of a call with its result."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import taskcluster
import taskcluster.aio

from .drive import CREDENTIALS, Drive
from .server import Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


@pytest.fixture(params=["own", "given"])
def client(drive: Drive, request: pytest.FixtureRequest) -> Any:
    return drive.client(session=drive.session() if request.param == "given" else None)


def test_returns_status_headers_and_value(client: Any, server: Server) -> None:
    server.script(respond(201, {"key": "secret"}, {"X-Key": "secret-too"}))
    response = client.get_response(client.native.createTask, TASK, payload={"n": 1})
    assert (response.status, response.value) == (201, {"key": "secret"})
    assert response.headers["X-Key"] == response.headers["x-key"] == "secret-too"
    assert repr(response) == "<ApiResponse 201>"
    assert server.last.body == b'{"n":1}'


def test_returns_the_response_after_retries(client: Any, server: Server) -> None:
    server.script(respond(503, {}, {"X-Attempt": "1"}), respond(204, b"", {"X-Attempt": "2"}))
    response = client.get_response(client.native.task, taskId=TASK)
    assert (response.status, response.headers["X-Attempt"], response.value) == (204, "2", None)


def test_raises_as_the_method(client: Any, server: Server) -> None:
    server.script(respond(404, {"code": "ResourceNotFound", "message": "no such task"}))
    with pytest.raises(taskcluster.TaskclusterRestFailure, match="no such task"):
        client.get_response(client.native.task, TASK)
    with pytest.raises(taskcluster.TaskclusterFailure, match="lacks taskId"):
        client.get_response(client.native.task)
    # What failed leaves nothing behind.
    assert client.task(TASK) == {}


def test_method_without_a_request_raises(drive: Drive, client: Any) -> None:
    async def none() -> None:
        return None

    method: Any = none if inspect.iscoroutinefunction(client.native.task) else lambda: None
    with pytest.raises(taskcluster.TaskclusterFailure, match="called no API method"):
        client.get_response(method)


def test_last_page_is_the_response_of_a_listing(client: Any, server: Server) -> None:
    pages: list[Any] = []
    server.script(
        respond(200, {"tasks": [1], "continuationToken": "t"}, {"X-Page": "1"}),
        respond(200, {"tasks": [2]}, {"X-Page": "2"}),
    )
    response = client.get_response(client.native.listTaskGroup, TASK, paginationHandler=pages.append)
    assert (response.headers["X-Page"], [page["tasks"] for page in pages]) == ("2", [[1], [2]])


def test_derived_client_returns_responses(client: Any, drive: Drive, server: Server) -> None:
    fast = client.native.with_options(maxRetries=0)
    server.script(respond(200, {"n": 1}))
    assert drive.finish(fast.get_response(fast.task, TASK)).value == {"n": 1}


def test_threads_get_their_own_responses(server: Server) -> None:
    server.script(*(respond(200, {"n": n}, {"X-N": str(n)}) for n in range(40)))
    with (
        taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}) as queue,
        ThreadPoolExecutor(8) as pool,
    ):
        calls = [pool.submit(queue.get_response, queue.ping) for _ in range(40)]
        responses: list[Any] = [call.result() for call in calls]
    assert all(response.headers["X-N"] == str(response.value["n"]) for response in responses)
    assert {response.value["n"] for response in responses} == {*range(40)}


def test_tasks_get_their_own_responses(server: Server) -> None:
    server.script(*(respond(200, {"n": n}, {"X-N": str(n)}) for n in range(40)))

    async def main() -> list[taskcluster.ApiResponse[Any]]:
        async with taskcluster.aio.Queue({"rootUrl": server.root_url}) as queue:
            return await asyncio.gather(*(queue.get_response(queue.ping) for _ in range(40)))

    responses = asyncio.run(main())
    assert all(response.headers["X-N"] == str(response.value["n"]) for response in responses)
    assert {response.value["n"] for response in responses} == {*range(40)}
