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
def test_a_page_is_the_last_where_it_has_no_token(page: Any, token: str | None) -> None:
    assert continuation(page) == token


def test_the_token_of_a_page_goes_into_the_query_beside_the_callers() -> None:
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
def test_the_items_of_a_page_are_its_one_list(page: Any, items: list[Any]) -> None:
    assert items_of(page) == items


@pytest.mark.parametrize("page", [{"a": [], "b": []}, {"a": 1}, None, "text"])
def test_a_page_without_one_list_has_no_items(page: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=r"paginate\(\)"):
        items_of(page)
