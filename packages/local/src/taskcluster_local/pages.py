"""Paginated listings: the rows of a page, and the continuation token of the next page.

A token encodes the last row of its page, so pages stay correct while rows are added, and each takes the same time.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from taskcluster.shapes import is_array

from .errors import ApiError
from .store import Row, Store

__all__ = ["Listing", "Page"]

_LARGEST = 1000

_Key: TypeAlias = "list[str | int | float]"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, as a request specifies it."""

    limit: int
    after: _Key | None = None
    """The key of the last row of the previous page."""

    @classmethod
    def of(cls, query: Mapping[str, str], largest: int = _LARGEST) -> Page:
        """Return the page that a query specifies.

        Raises:
            ApiError: The token has invalid characters (InputError). Any other invalid token means the first page.
        """
        limit = query.get("limit", "").lstrip("0") or "0" if "limit" in query else str(largest)
        # The length first: a number of any length means the largest limit.
        return cls(min(int(limit), largest) if len(limit) < 10 else largest, _key(query.get("continuationToken", "")))

    def read(
        self,
        store: Store,
        statement: str,
        *values: Any,
        names: tuple[str, ...] = (),
        key: tuple[str, ...] = (),
        descending: bool = False,
    ) -> Listing:
        """Read the rows of the page.

        Args:
            store: The deployment's database.
            statement: A `SELECT` of all rows of the listing, without order and limit.
            values: The values of the statement's parameters.
            names: The columns that sort the listing, as names; together they identify a row. With an index on the
                columns that the statement compares, followed by `by_name(<column>)` of these, every page takes the same
                time.
            key: The columns to sort by instead of `names` if they contain numbers or dates.
            descending: Whether the largest come first.
        """
        columns, form = (names, "by_name({})") if names else (key, "{}")
        after = self.after if self.after is not None and len(self.after) == len(columns) else None
        terms = [form.format(column) for column in columns]
        marks = ", ".join([form.format("?")] * len(columns))
        condition = f"WHERE ({', '.join(terms)}) {'<' if descending else '>'} ({marks})" if after is not None else ""
        order = ", ".join(f"{term} DESC" if descending else term for term in terms)
        rows = store.all(
            f"SELECT * FROM ({statement}) {condition} ORDER BY {order} LIMIT ?",
            *values,
            *(after or ()),
            self.limit + 1,
        )
        more = len(rows) > self.limit > 0
        return Listing(rows[: self.limit], _token([rows[self.limit - 1][name] for name in columns]) if more else None)


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of a page, and the token of the next page."""

    rows: list[Row]
    token: str | None
    """None for the last page."""

    def body(self, name: str, show: Callable[[Row], Any], **others: Any) -> dict[str, Any]:
        """Return the body of a response.

        Args:
            name: The property for the rows.
            show: Converts a row to its JSON value.
            **others: Further properties, which come first.
        """
        body = {**others, name: [show(row) for row in self.rows]}
        return body if self.token is None else {**body, "continuationToken": self.token}


def _token(key: _Key) -> str:
    return urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).rstrip(b"=").decode("ascii")


def _key(token: str) -> _Key | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", token, re.ASCII):
        raise ApiError("InputError", "Invalid continuation token")
    try:
        found: Any = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        return None
    # Anything that a database column can be compared with, including integers of a column's size.
    if not is_array(found) or not all(isinstance(part, str | int | float) for part in found):
        return None
    # JSON can escape unpaired surrogates, but a database cannot store them.
    if any("\ud800" <= character <= "\udfff" for part in found if isinstance(part, str) for character in part):
        return None
    return found if all(not isinstance(part, int) or abs(part) < 2**63 for part in found) else None
