"""Pages of listings."""

from __future__ import annotations

from typing import Any

import pytest

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.pages import continuation, items_of, with_continuation


@pytest.mark.parametrize(
    ("page", "token"),
    [
        ({"tasks": [], "continuationToken": "x"}, "x"),
        ({"tasks": []}, None),
        ({"tasks": [], "continuationToken": ""}, None),
        ({"tasks": [], "continuationToken": None}, None),
        (["role"], None),
        (None, None),
    ],
)
def test_a_page_without_token_is_the_last(page: Any, token: str | None) -> None:
    assert continuation(page) == token


def test_adds_the_token_to_the_query() -> None:
    given = {"query": {"limit": 1}, "taskId": "t"}
    assert with_continuation(given, "x") == {"query": {"limit": 1, "continuationToken": "x"}, "taskId": "t"}
    assert with_continuation({}, "x") == {"query": {"continuationToken": "x"}}
    assert with_continuation({"query": None}, "x") == {"query": {"continuationToken": "x"}}
    assert with_continuation({"continuationToken": "first"}, "x") == {"query": {"continuationToken": "x"}}
    assert with_continuation(given, None) == given
    assert given == {"query": {"limit": 1}, "taskId": "t"}


@pytest.mark.parametrize(
    ("page", "items"),
    [
        ({"taskGroupId": "g", "tasks": [1, 2], "continuationToken": "x"}, [1, 2]),
        ({"tasks": []}, []),
        ([1, 2], [1, 2]),
    ],
)
def test_items_are_the_only_list_of_a_page(page: Any, items: list[Any]) -> None:
    assert items_of(page) == items


@pytest.mark.parametrize("page", [{"a": [], "b": []}, {"a": 1}, None, "text"])
def test_pages_with_no_or_several_lists_raise(page: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=r"paginate\(\)"):
        items_of(page)
