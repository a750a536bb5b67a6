"""The methods of all services, those of plugins first, with a form to call each."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from taskcluster.callers import OURS
from taskcluster.plugins import PluginError
from taskcluster.shapes import is_array

from ...api import LARGEST_BODY, EventStream, Reply, Text, payload_of
from ...encoding import is_object
from ...errors import ApiError
from ..page import Outcome, PageRequest, Route

__all__ = ["ROUTES", "call", "method", "service", "services"]

_log = logging.getLogger("taskcluster.local")

_HIDDEN = "(hidden)"
_SECRET = re.compile(
    r"(?:access|session|^)token$|secret$|secretaccesskey$|credentials$|certificate$|password|^dsn$", re.IGNORECASE
)
"""Properties whose values are shown only on request."""
# No scheme within the address: searching would take the square of the length of `https://https://…`.
_SIGNED = re.compile(r"(https?://(?:(?!https?://)[^\s?])*\?)\S+")
_EMPTY: Mapping[object, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


async def services(page: PageRequest) -> Outcome:
    """Show the services of plugins, and the others."""
    every = sorted(page.references.items())
    return {
        "plugins": [reference for name, reference in every if not _is_built_in(name)],
        "built_in": [reference for name, reference in every if _is_built_in(name)],
    }


def _is_built_in(service: str) -> bool:
    return service in OURS or service == "local"


async def service(page: PageRequest) -> Outcome:
    """Show the methods and exchanges of a service."""
    reference = _reference(page)
    return {
        "title": reference.get("title", reference["serviceName"]),
        "reference": reference,
        "is_built_in": _is_built_in(reference["serviceName"]),
    }


def _reference(page: PageRequest) -> Mapping[str, Any]:
    found = page.references.get(page.params["service"])
    if found is None:
        raise ApiError("ResourceNotFound", f"There is no service {page.params['service']}.")
    return found


async def method(page: PageRequest) -> Outcome:
    """Show a method, and the form to call it."""
    return _method(page)


def _method(page: PageRequest) -> dict[str, Any]:
    reference = _reference(page)
    entry = next((each for each in reference["methods"] if each["name"] == page.params["method"]), None)
    if entry is None:
        raise ApiError("ResourceNotFound", f"{reference['serviceName']} has no method {page.params['method']}.")
    schema, result = (
        page.schema(reference["serviceName"], entry[name]) if entry.get(name) in reference["types"] else None
        for name in ("input", "output")
    )
    return {
        "title": f"{reference['serviceName']}.{entry['name']}",
        "reference": reference,
        "entry": entry,
        "schema": schema,
        "result": result,
        "entered": {"payload": _example(schema), **page.form},
        "here": page.path,
        "reply": None,
    }


def _example(schema: Any) -> Any:
    """Return the required properties of a payload, to be edited."""
    properties = schema.get("properties") if is_object(schema) else None
    if not is_object(properties):
        return {}
    return {name: _initial(properties.get(name)) for name in schema.get("required", ())}


def _initial(schema: Any) -> Any:
    if not is_object(schema):
        return None
    if "default" in schema:
        return schema["default"]
    return schema["enum"][0] if schema.get("enum") else _EMPTY.get(str(schema.get("type")))


async def call(page: PageRequest) -> Outcome:
    """Call a method with the reader's rights, and show its response."""
    shown = _method(page)
    entry = shown["entry"]
    try:
        reply = await _reply(page, entry)
    except ApiError as error:
        reply = Reply(error.status, {"code": error.code, "message": error.message})
    except PluginError as error:
        _log.exception("%s, called on the page of its service", shown["title"])
        reply = Reply(500, {"code": "InternalServerError", "message": str(error)})
    body = reply.body.text if isinstance(reply.body, Text) else reply.body
    is_open = "reveal" in page.form
    return {
        **shown,
        # In a thread, because it can have megabytes.
        "reply": {"status": reply.status, "body": body if is_open else await asyncio.to_thread(_concealed, body)},
        "status_code": reply.status if reply.status >= 400 else 200,
    }


async def _reply(page: PageRequest, entry: Mapping[str, Any]) -> Reply:
    optional = entry.get("emptyArgs", ())
    params = {name: page.form.get(f"param.{name}", "") for name in entry["args"]}
    lacking = [name for name, value in params.items() if not value and name not in optional]
    if lacking:
        raise ApiError("InvalidRequestArguments", f"Enter a value for {', '.join(lacking)}.")
    query = {name: value for name in entry.get("query", ()) if (value := page.form.get(f"query.{name}", ""))}
    # In a thread, because it can have megabytes.
    payload: Any = await asyncio.to_thread(payload_of, page.form.get("payload", "")) if "input" in entry else {}
    result = await page.invoke(page.params["service"], entry["name"], params, payload, page.identity, urlencode(query))
    reply = result if isinstance(result, Reply) else Reply(200, result)
    if isinstance(reply.body, EventStream):
        raise ApiError("InputError", "The response has no end: use another program.")
    return reply


def _concealed(value: Any) -> Any:
    """Return a response without secrets, tokens and the signatures of URLs."""
    if is_object(value):
        return {name: _HIDDEN if _SECRET.search(name) else _concealed(each) for name, each in value.items()}
    if is_array(value):
        return [_concealed(each) for each in value]
    return _SIGNED.sub(rf"\1{_HIDDEN}", value) if isinstance(value, str) else value


ROUTES: Sequence[Route] = (
    Route("GET", "/services", services, "services.html", "Services"),
    Route("GET", "/services/<service>", service, "service.html", "Service"),
    Route("GET", "/services/<service>/<method>", method, "method.html", "Method"),
    Route("POST", "/services/<service>/<method>", call, "method.html", "Method", LARGEST_BODY),
)
