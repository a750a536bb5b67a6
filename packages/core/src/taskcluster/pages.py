"""Pages of listings: the next page, and the items of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exceptions import TaskclusterFailure
from .shapes import is_array, is_mapping

__all__ = ["continuation", "items_of", "with_continuation"]


def continuation(page: Any) -> str | None:
    """Return the token of the next page, or None if this is the last one."""
    return (page.get("continuationToken") or None) if is_mapping(page) else None


def with_continuation(kwargs: Mapping[str, Any], token: str | None) -> dict[str, Any]:
    """Return a call's keyword arguments with the token of the page to fetch in `query`."""
    if token is None:
        return dict(kwargs)
    following: dict[str, Any] = {**kwargs, "query": {**(kwargs.get("query") or {}), "continuationToken": token}}
    # The token of the first page may be a keyword argument.
    following.pop("continuationToken", None)
    return following


def items_of(page: Any) -> list[Any]:
    """Return the items of a page: the one list in it.

    Raises:
        TaskclusterFailure: The page has no list, or more than one.
    """
    if is_array(page):
        return page
    lists = [value for value in page.values() if is_array(value)] if is_mapping(page) else []
    if len(lists) != 1:
        raise TaskclusterFailure(f"a page of items has one list, and this response has {len(lists)}: use paginate()")
    return lists[0]
