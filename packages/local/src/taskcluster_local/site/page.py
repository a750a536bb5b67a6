"""What a view gets and what it returns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from ..api import Reply, Result
from ..authentication import Identity
from ..errors import ApiError
from ..storage import Storage
from ..store import StoreFull
from .logs import LogIndexes
from .sessions import PageCredentials, Sessions

__all__ = ["Allowed", "Outcome", "PageRequest", "PageStream", "Redirect", "Route", "name_path", "segment"]


def segment(value: object) -> str:
    """Return a string as one percent-encoded segment of a path."""
    return quote(str(value), safe="", errors="replace")


def name_path(name: str) -> str:
    """Return the name of an artifact as the end of a path, with slashes where that is possible."""
    parts = name.split("/")
    # Logs have other pages, and browsers remove parts that are dots.
    is_other = parts[0] in ("logs", "live") or not {".", ".."}.isdisjoint(parts)
    return segment(name) if is_other else "/".join(map(segment, parts))


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser to another page."""

    location: str
    session_id: str | None = None
    """The new session, if the view opened one; empty if it ended the session."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The variables of a template, for a page that needs exceptions from the content security policy."""

    variables: Mapping[str, Any]
    connect: str = ""
    """A further origin that scripts may read."""
    form: str = ""
    """A further origin to which a form's response may redirect."""


@dataclass(frozen=True, slots=True)
class PageStream:
    """A body of server-sent events."""

    open: Callable[[], AsyncGenerator[bytes, None]]


Outcome = Mapping[str, Any] | Allowed | Redirect | PageStream
"""What a view returns: the variables of its template, or another response."""


@dataclass(frozen=True)
class PageRequest:
    """One request for a page, and the deployment's API with the rights of the one who sent it."""

    path: str
    """Percent-encoded."""
    params: Mapping[str, str]
    """The parameters in the path, decoded."""
    query: Mapping[str, str]
    queries: tuple[tuple[str, str], ...]
    """All parameters of the query, in order, for those that can be repeated."""
    form: Mapping[str, str]
    """The fields of a submitted form."""
    headers: Mapping[str, str] = field(repr=False)
    session_id: str | None = field(repr=False)
    sessions: Sessions = field(repr=False)
    identity: Identity = field(repr=False)
    invoke: Callable[[str, str, dict[str, str], Any, Identity, str], Awaitable[Result]] = field(repr=False)
    authenticate: Callable[[PageCredentials], Identity] = field(repr=False)
    storage: Storage = field(repr=False)
    log_indexes: LogIndexes = field(repr=False)
    references: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """The API references of all services, by name, with the deployment's own one."""
    schema: Callable[[str, str], Any] = field(repr=False)
    """Returns the schema of a service for a key in its reference, with references to others replaced."""
    now: datetime
    root_url: str

    async def call(
        self,
        service: str,
        method: str,
        params: Mapping[str, str] | None = None,
        payload: Any = None,
        query: Mapping[str, str] | None = None,
        by: Identity | None = None,
    ) -> Any:
        """Call an API method with the session's rights, and return the body of its response.

        Args:
            service: The name of the service; `local` for the deployment's own API.
            method: The method.
            params: The parameters in the URL.
            payload: The payload.
            query: The parameters in the query.
            by: Another caller, with credentials that an API method has issued.

        Raises:
            ApiError: What the response to any client would report, for example that the disk is full.
        """
        # Methods rarely wait for anything: others get a turn between two calls.
        await asyncio.sleep(0)
        try:
            result = await self.invoke(
                service,
                method,
                dict(params or {}),
                {} if payload is None else payload,
                by or self.identity,
                urlencode(query or {}),
            )
        except StoreFull as error:
            raise ApiError("InternalServerError", f"Nothing was stored: {error}.") from None
        return result.body if isinstance(result, Reply) else result

    async def attempt(self, service: str, method: str, params: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Return the result of a call, or None if the caller lacks its scopes or it finds nothing."""
        try:
            return await self.call(service, method, params, **more)
        except ApiError as error:
            if error.code in ("InsufficientScopes", "ResourceNotFound"):
                return None
            raise

    async def listed(
        self, service: str, method: str, name: str, params: Mapping[str, str] | None = None, **query: str
    ) -> AsyncGenerator[Any, None]:
        """Yield the items of all pages of a listing; `name` is the property that has them."""
        while True:
            body = await self.call(service, method, params, query=query)
            for item in body[name]:
                yield item
            if not body.get("continuationToken"):
                return
            query["continuationToken"] = body["continuationToken"]


@dataclass(frozen=True, slots=True)
class Route:
    """One page.

    In `path`, `<name>` is a segment, and `<name…>` the rest of the path. The first route that matches counts.
    """

    verb: str
    path: str
    view: Callable[[PageRequest], Awaitable[Outcome]]
    template: str | None = None
    title: str = ""
    """The title, for example `Task`; templates can have longer ones."""
    longest: int = 512 * 1024
    """The most bytes of a submitted form. Views may handle this much without waiting for anything."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of the percent-encoded path."""
        return re.compile(
            re.sub(
                r"<(\w+)(…?)>", lambda found: f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})", re.escape(self.path)
            )
        )
