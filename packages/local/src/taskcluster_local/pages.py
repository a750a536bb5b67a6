"""Listings in pages: which rows a request asks for, and the token that asks for the next ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ApiError

__all__ = ["Page"]

_LARGEST = 1000
_TOKEN = re.compile(r"offset(\d{1,15})end")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, to be read with `LIMIT` (one more row than is returned) and `OFFSET`."""

    limit: int
    offset: int

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Page:
        """Return the page that a query asks for.

        Raises:
            ApiError: The token has characters that no token has (InputError). Any other wrong token means the start.
        """
        token = query.get("continuationToken", "")
        if not re.fullmatch(r"[A-Za-z0-9]*", token, re.ASCII):
            raise ApiError("InputError", "Invalid continuation token")
        match = _TOKEN.fullmatch(token)
        limit = query.get("limit", "").lstrip("0") or "0" if "limit" in query else str(_LARGEST)
        # The length first: a number of any length means the largest.
        return cls(min(int(limit), _LARGEST) if len(limit) < 5 else _LARGEST, int(match[1]) if match else 0)

    def body(self, key: str, rows: list[Any]) -> dict[str, Any]:
        """Return the response for rows read with `limit + 1`: at most `limit` of them, and how to get more."""
        body: dict[str, Any] = {key: rows[: self.limit]}
        if len(rows) > self.limit > 0:
            body["continuationToken"] = f"offset{self.offset + self.limit}end"
        return body
