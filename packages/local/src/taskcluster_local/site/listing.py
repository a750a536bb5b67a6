"""Pages of listings for tables, each with a link to the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from .page import PageRequest

__all__ = ["TableRows", "table_rows"]

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of one page of a listing."""

    rows: Sequence[Any] | None
    """None if the reader may not list them."""
    next: str = ""
    """The query of the next page; empty on the last one."""


async def table_rows(
    page: PageRequest,
    service: str,
    method: str,
    name: str,
    params: Mapping[str, str] | None = None,
    *,
    token: str = "page",
    **query: str,
) -> TableRows:
    """Return the part of a listing that the query of a page asks for.

    Args:
        page: The request for the page.
        service: The service.
        method: Its method.
        name: The property of the response that has the items.
        params: The parameters in the URL of the method.
        token: The parameter in the query of the page. Listings on the same page have different ones.
        **query: Further parameters in the query of the method.
    """
    query = {"limit": str(_AT_ONCE), **query}
    if token in page.query:
        query["continuationToken"] = page.query[token]
    body = await page.attempt(service, method, params, query=query)
    if body is None:
        return TableRows(None)
    following = body.get("continuationToken")
    return TableRows(body[name], urlencode({**page.query, token: following}) if following else "")
