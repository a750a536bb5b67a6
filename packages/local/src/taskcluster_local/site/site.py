"""Respond to requests for pages and their static files."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

from ..api import Api, HttpRequest, HttpResponse, Result
from ..authentication import Directory, Identity
from ..encoding import without_surrogates
from ..errors import ApiError
from ..own_api import REFERENCE
from ..storage import Storage
from ..timestamps import Clock
from .form_fields import fields_of
from .logs import LogIndexes
from .page import Allowed, PageRequest, PageStream, Redirect, Route, segment
from .rendering import error_note, render
from .routes import SIDEBAR, find
from .sessions import PageCredentials, Sessions, identity_of

__all__ = ["Site"]

_log = logging.getLogger("taskcluster.local")

_STATIC = "/static/"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    # Pages have a wider one.
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@functools.cache
def _static(name: str) -> bytes | None:
    """Return a static file, if there is one of this name."""
    found = [each for each in files("taskcluster_local.site").joinpath("static").iterdir() if each.name == name]
    return found[0].read_bytes() if found else None


class Site:
    """The pages of a deployment.

    Args:
        api: The API of all services.
        own: The deployment's own API.
        directory: Clients and roles.
        clock: The deployment's time.
        clients_clock: The time by which clients sign their requests.
        storage: The files that artifacts consist of.
        sessions: The sessions.
        root_url: The root URL.
    """

    def __init__(
        self,
        api: Api,
        own: Api,
        directory: Directory,
        clock: Clock,
        clients_clock: Clock,
        storage: Storage,
        sessions: Sessions,
        root_url: str,
    ) -> None:
        self._api = api
        self._own = own
        self._directory = directory
        self._clock = clock
        self._clients_clock = clients_clock
        self._storage = storage
        self._log_indexes = LogIndexes()
        self._references = {**api.references, "local": REFERENCE}
        self._sessions = sessions
        self._root_url = root_url

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request for a path outside the APIs; never raises."""
        path, _, query = request.target.partition("?")
        verb = "GET" if request.method == "HEAD" else request.method
        if path.startswith(_STATIC) and verb == "GET":
            return _static_response(path.removeprefix(_STATIC))
        session_id = self._sessions.id_in(request.headers)
        shell = _Shell(self._sessions, session_id, request)
        found = find(verb, path)
        if found is None:
            # Real deployments return 200 for any path, and report unknown ones in the browser.
            status = 200 if verb == "GET" else 404
            return await shell.page(
                "error.html", {"title": "No such page", "message": "There is no page here."}, status
            )
        if verb == "GET" and session_id is None and shell.is_cross_site:
            # Browsers omit the cookie after a link on another site, but not if this page then leads to the same one.
            return await shell.page("again.html", {"target": request.target})
        route, params = found
        try:
            return await self._respond(route, params, query, request, shell)
        except ApiError as error:
            return await shell.error(error)
        except Exception:
            _log.exception("the page %s", path)
            return await shell.error(ApiError("InternalServerError", "This page failed; the server's log has details."))

    async def _respond(
        self, route: Route, params: Mapping[str, str], query: str, request: HttpRequest, shell: _Shell
    ) -> HttpResponse:
        queries = tuple(parse_qsl(query, keep_blank_values=True, errors="replace"))
        form = await _form(request, route.longest) if route.verb == "POST" else {}
        if route.verb == "POST" and not self._sessions.is_from_form(
            shell.session_id, form.pop("csrf", ""), request.headers
        ):
            raise ApiError("InsufficientScopes", "This form is too old, or was sent by another site. Reload its page.")
        credentials = self._sessions.credentials(shell.session_id)
        try:
            identity = self._authenticate(credentials)
        except ApiError:
            self._sessions.sign_out(shell.session_id)
            raise
        shell.identity = identity
        page = PageRequest(
            request.target.partition("?")[0], params, dict(queries), queries, form, request.headers, shell.session_id,
            self._sessions, identity, self._invoke, self._authenticate, self._storage, self._log_indexes,
            self._references, self._schema, self._clock(), self._root_url,
        )  # fmt: skip
        outcome = await route.view(page)
        if isinstance(outcome, Redirect):
            return shell.redirect(outcome)
        if isinstance(outcome, PageStream):
            headers = {**_HEADERS, "content-type": "text/event-stream"}
            return HttpResponse(200, headers, b"", outcome.open, is_endless=True)
        assert route.template is not None
        allowed = outcome if isinstance(outcome, Allowed) else Allowed(outcome)
        variables: dict[str, Any] = {"title": route.title, "path": page.path, **allowed.variables}
        status = variables.pop("status_code", 200)
        return await shell.page(route.template, variables, status, allowed)

    def _authenticate(self, credentials: PageCredentials | None) -> Identity:
        return identity_of(credentials, self._directory, self._clock(), self._clients_clock())

    def _api_of(self, service: str) -> Api:
        return self._own if service == "local" else self._api

    def _schema(self, service: str, key: str) -> Any:
        return self._api_of(service).schemas.schema(key).whole

    async def _invoke(
        self, service: str, method: str, params: dict[str, str], payload: Any, by: Identity, query: str
    ) -> Result:
        if payload:
            # As in requests: databases cannot store unpaired surrogates. In a thread, because it can have megabytes.
            payload = await asyncio.to_thread(without_surrogates, payload)
        return await self._api_of(service).invoke(service, method, params, payload, by, query)


async def _form(request: HttpRequest, longest: int) -> dict[str, str]:
    if not request.has_form:
        return {}
    if request.body is None or len(request.body) > longest:
        raise ApiError("MalformedPayload", f"The form is too long: it may have {longest} bytes.")
    return await asyncio.to_thread(fields_of, request.body)


def _static_response(name: str) -> HttpResponse:
    content = _static(name)
    headers = {**_HEADERS, "cache-control": "no-cache"}
    if content is None:
        return HttpResponse(404, {**headers, "content-type": "text/plain; charset=utf-8"}, b"There is no such file.\n")
    kind = _TYPES.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    return HttpResponse(200, {**headers, "content-type": f"{kind}; charset=utf-8"}, content)


def _sources(further: str) -> str:
    return f"'self' {further}".rstrip()


def _form_page(request: HttpRequest) -> str:
    """Return the target of the page with the form, if the request comes from one, else an empty string."""
    if request.method != "POST":
        return ""
    host, _, target = request.headers.get("referer", "").partition("://")[2].partition("/")
    # Two slashes would lead to another host.
    is_page = host.lower() == request.headers.get("host", "").lower() and not target.startswith(("/", "\\"))
    return f"/{target}" if is_page else "/"


class _Shell:
    """What all pages of a request have in common."""

    def __init__(self, sessions: Sessions, session_id: str | None, request: HttpRequest) -> None:
        self.session_id = session_id
        self.identity: Identity | None = None
        self._sessions = sessions
        self._target = request.target
        self._form_page = _form_page(request)
        self.is_cross_site = request.headers.get("sec-fetch-site") == "cross-site"
        self._is_head = request.method == "HEAD"

    def _cookie(self, session_id: str) -> str:
        # The cookie of a session that has ended is replaced, not removed: another form may follow.
        return f"{self._sessions.cookie}={session_id}; Path=/; HttpOnly; SameSite=Strict"

    def redirect(self, outcome: Redirect) -> HttpResponse:
        """Return a redirection."""
        headers = {**_HEADERS, "location": outcome.location}
        if outcome.session_id is not None:
            headers["set-cookie"] = self._cookie(outcome.session_id or self._sessions.new_id())
        return HttpResponse(303, headers, b"")

    async def error(self, error: ApiError) -> HttpResponse:
        """Return a page that describes an error."""
        may_sign_in = self.identity is None or not self.identity.has_credentials
        variables = {"title": error.code, "message": error.message, "may_sign_in": may_sign_in}
        return await self.page("error.html", variables, error.status)

    async def page(
        self, template: str, variables: Mapping[str, Any], status: int = 200, allowed: Allowed | None = None
    ) -> HttpResponse:
        """Return a page; what follows its first part is rendered while it is sent."""
        nonce = secrets.token_urlsafe(16)
        headers = {**_HEADERS, "content-type": "text/html; charset=utf-8"}
        session_id = self.session_id
        if session_id is None:
            session_id = self._sessions.new_id()
            # Browsers omit the cookie of requests from other sites. A new one would end the session.
            if not self.is_cross_site:
                headers["set-cookie"] = self._cookie(session_id)
        connect, form = (allowed.connect, allowed.form) if allowed is not None else ("", "")
        headers["content-security-policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; "
            f"connect-src {_sources(connect)}; form-action {_sources(form)}; base-uri 'none'; frame-ancestors 'none'"
        )
        signed_in = self.identity is not None and self.identity.has_credentials
        shared = {
            "nonce": nonce,
            "csrf_token": self._sessions.token(session_id),
            "sidebar": SIDEBAR,
            "path": "",
            "clientId": self.identity.clientId if self.identity is not None and signed_in else None,
            "back": segment(self._form_page or self._target),
            "form_page": self._form_page,
            "may_sign_in": False,
        }
        chunks = render(template, {**shared, **variables})
        # Errors up to here still change the status.
        first = await anext(chunks)
        if self._is_head:
            await chunks.aclose()

        async def stream() -> AsyncGenerator[bytes, None]:
            async with contextlib.aclosing(chunks):
                yield first
                try:
                    async for chunk in chunks:
                        yield chunk
                except ApiError as error:
                    yield error_note(f"The rest of this page is missing. {error}")
                except Exception:
                    # Without the query, which can hold a secret.
                    _log.exception("the page %s", self._target.partition("?")[0])
                    yield error_note("The rest of this page is missing; the server's log has details.")

        return HttpResponse(status, headers, b"", stream)
