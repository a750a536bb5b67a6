"""Pages of listings: what follows, and which items one holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exceptions import TaskclusterFailure
from .shapes import is_array, is_mapping

__all__ = ["continuation", "items_of", "with_continuation"]


def continuation(page: Any) -> str | None:
    """Return the token of the page after this one, or None where this is the last."""
    return (page.get("continuationToken") or None) if is_mapping(page) else None


def with_continuation(kwargs: Mapping[str, Any], token: str | None) -> dict[str, Any]:
    """Return a call's keywords with the token of the page to fetch in its query."""
    if token is None:
        return dict(kwargs)
    following: dict[str, Any] = {**kwargs, "query": {**(kwargs.get("query") or {}), "continuationToken": token}}
    # The token of the page to begin with may have come as a keyword.
    following.pop("continuationToken", None)
    return following


def items_of(page: Any) -> list[Any]:
    """Return the items of a page: the one list in it.

    Raises:
        TaskclusterFailure: The page holds no list, or more than one.
    """
    if is_array(page):
        return page
    lists = [value for value in page.values() if is_array(value)] if is_mapping(page) else []
    if len(lists) != 1:
        raise TaskclusterFailure(f"a page of items holds one list, and this answer holds {len(lists)}: use paginate()")
    return lists[0]
