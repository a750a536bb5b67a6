"""Test the client and the server side of the Widgets service in a local deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import taskcluster
from taskcluster_local import LocalTaskcluster

from widgets_client import Widgets, WidgetsEvents, aio


def test_create_get_and_remove(taskcluster_client: Callable[..., Any]) -> None:
    client: Widgets = taskcluster_client("widgets")
    made = client.create("a", {"description": "the first"})
    assert (made["name"], made["colour"]) == ("a", "red")
    assert client.get("a") == client.create("a", {"description": "the first"}) == made
    client.remove("a")
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        client.get("a")
    assert caught.value.status_code == 404


def test_create_conflict(taskcluster_client: Callable[..., Any]) -> None:
    client: Widgets = taskcluster_client("widgets")
    client.create("a", {"description": "the first"})
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        client.create("a", {"description": "the first", "colour": "blue"})
    assert caught.value.status_code == 409


def test_list_in_pages(taskcluster_client: Callable[..., Any]) -> None:
    client: Widgets = taskcluster_client("widgets")
    for name in ("c", "a", "b"):
        client.create(name, {"description": name})
    pages = list(client.paginate(client.list, limit=2))
    assert [[entry["name"] for entry in page["entries"]] for page in pages] == [["a", "b"], ["c"]]


def test_create_without_scopes(taskcluster_client: Callable[..., Any]) -> None:
    client: Widgets = taskcluster_client("widgets", scopes=["widgets:get:a"])
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        client.create("a", {"description": "the first"})
    assert caught.value.missing_scopes == ["widgets:create:a"]


def test_create_publishes_message(taskcluster_local: LocalTaskcluster) -> None:
    binding = WidgetsEvents(taskcluster_local.options()).entryCreated(name="b")
    with Widgets(taskcluster_local.options()) as client, taskcluster_local.listen(binding) as messages:
        client.create("a", {"description": "the first"})
        client.create("b", {"description": "the second"})
        assert messages.get(timeout=10).payload == {"name": "b"}


def test_async_client(taskcluster_local: LocalTaskcluster) -> None:
    async def create_and_list() -> Any:
        async with aio.Widgets(taskcluster_local.options()) as client:
            await asyncio.gather(*(client.create(name, {"description": name}) for name in "abc"))
            return await client.list()

    found = asyncio.run(create_and_list())
    assert [entry["name"] for entry in found["entries"]] == ["a", "b", "c"]
