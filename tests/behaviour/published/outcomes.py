"""Print the outcomes of a client as JSON. Runs with the Python of either client, and imports nothing else from here.

python outcomes.py responses|arguments|options|names ROOT_URL
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import importlib
import inspect
import json
import pkgutil
import sys
import time
from collections.abc import Callable
from typing import Any

import taskcluster
import taskcluster.aio

STATUSES = (
    200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 307, 308,
    400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503,
)  # fmt: skip
BODIES = (
    "empty", "object", "error", "array", "string", "null", "number", "false",
    "typeless", "text", "html", "binary", "truncated", "chunked",
)  # fmt: skip
VERBS: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "GET": ("Auth", "client", ()),
    "POST": ("Auth", "resetAccessToken", ()),
    "PUT": ("Auth", "createClient", ({},)),
    "DELETE": ("Auth", "deleteClient", ()),
}
"""A method of each verb with one parameter in its path: its class, its name, and the other arguments."""
METHODS = {
    "none": ("Auth", "currentScopes"),
    "one": ("Queue", "task"),
    "two": ("Hooks", "hook"),
    "create": ("Queue", "createTask"),
    "send": ("Auth", "expandScopes"),
    "list": ("Queue", "listTaskGroup"),
    "read": ("Queue", "tasks"),
}
"""The methods of ARGUMENTS."""
DATE = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
PAGES: list[Any] = []

Form = tuple[str, tuple[Any, ...], dict[str, Any]]
ARGUMENTS: tuple[Form, ...] = (
    ("none", (), {}),
    ("none", ("extra",), {}),
    ("none", ({},), {}),
    ("none", ({"extra": 1},), {}),
    ("none", (None,), {}),
    ("none", (), {"unknown": "x"}),
    ("none", (), {"query": {}}),
    ("none", (), {"query": None}),
    ("none", (), {"query": {"x": 1}}),
    ("none", (), {"params": {}}),
    ("none", (), {"params": None}),
    ("none", (), {"params": {"a": "x"}}),
    ("none", (), {"payload": {"x": 1}}),
    ("none", (), {"payload": None}),
    ("one", (), {}),
    ("one", ("x",), {}),
    ("one", (), {"taskId": "x"}),
    ("one", (), {"params": {"taskId": "x"}}),
    ("one", ("x",), {"taskId": "x"}),
    ("one", ("x",), {"params": {"taskId": "x"}}),
    ("one", (), {"taskId": "x", "params": {"taskId": "y"}}),
    ("one", (1,), {}),
    ("one", (0,), {}),
    ("one", (), {"taskId": 0}),
    ("one", (), {"taskId": 1}),
    ("one", (1.5,), {}),
    ("one", (True,), {}),
    ("one", (None,), {}),
    ("one", (b"x",), {}),
    ("one", (DATE,), {}),
    ("one", ("",), {}),
    ("one", (".",), {}),
    ("one", ("..",), {}),
    ("one", ("a/b",), {}),
    ("one", ("a b",), {}),
    ("one", ("a%2Fb",), {}),
    ("one", ("é",), {}),
    ("one", ("a?b#c",), {}),
    ("one", ("a+b~c:d@e",), {}),
    ("one", ({"a": "x"},), {}),
    ("one", (["x"],), {}),
    ("one", ("x", {"y": 1}), {}),
    ("one", ("x", "y"), {}),
    ("one", (), {"hookId": "x"}),
    ("one", ("x",), {"payload": {"y": 1}}),
    ("two", ("x", "y"), {}),
    ("two", ("x",), {"hookId": "y"}),
    ("two", (), {"hookGroupId": "x", "hookId": "y"}),
    ("two", (), {"hookGroupId": "x"}),
    ("two", (), {"params": {"hookGroupId": "x", "hookId": "y"}}),
    ("two", (), {"params": {"hookGroupId": "x", "hookId": "y", "c": "z"}}),
    ("create", ("x", {"y": 1}), {}),
    ("create", ({"y": 1}, "x"), {}),
    ("create", ("x",), {"payload": {"y": 1}}),
    ("create", (), {"taskId": "x", "payload": {"y": 1}}),
    ("create", ({"y": 1},), {"taskId": "x"}),
    ("create", (), {"params": {"taskId": "x"}, "payload": {"y": 1}}),
    ("create", ("x",), {}),
    ("create", ("x", None), {}),
    ("create", ("x", {}), {}),
    ("create", ("x", []), {}),
    ("create", ("x", [1, {"y": None}]), {}),
    ("create", ("x", "text"), {}),
    ("create", ("x", {"date": DATE, "bytes": b"y", "é": "ü"}), {}),
    ("create", ("x", {"set": {1}}), {}),
    ("create", ("x", {"y": 1}, {"z": 2}), {}),
    ("read", ({"y": 1},), {"query": {"limit": 2}}),
    ("send", ({"y": 1},), {}),
    ("send", (), {"payload": {"y": 1}}),
    ("send", (), {}),
    ("list", ("x",), {"query": {"limit": 1}}),
    ("list", ("x",), {"query": {"limt": 1}}),
    ("list", ("x",), {"query": {"continuationToken": "a b&c=d/é"}}),
    ("list", ("x",), {"query": {"limit": [1, 2]}}),
    ("list", ("x",), {"query": {"limit": None}}),
    ("list", ("x",), {"query": {"limit": True}}),
    ("list", ("x",), {"query": {"bewit": "y"}}),
    ("list", ("x",), {"limit": 1}),
    ("list", (), {"taskGroupId": "x", "query": {"limit": 1, "continuationToken": "t"}}),
    ("list", ("x",), {"paginationHandler": PAGES.append}),
    ("list", ("x",), {"paginationHandler": PAGES.append, "paginationLimit": 2}),
    ("list", ("x",), {"paginationHandler": PAGES.append, "query": {"limit": 3}}),
)

CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}
ROOT = "a root URL"
"""A placeholder for the server's root URL in OPTIONS."""
OPTIONS: tuple[Any, ...] = (
    None,
    {},
    {"rootUrl": None},
    {"rootUrl": ""},
    {"rootUrl": ROOT},
    {"rootUrl": f"{ROOT}/"},
    {"rootUrl": f"{ROOT}//"},
    {"rootUrl": "tc.example.com"},
    {"rootUrl": 5},
    {"baseUrl": ROOT},
    {"rootUrl": ROOT, "baseUrl": ROOT},
    {"rootUrl": ROOT, "unknown": 1},
    {"rootUrl": ROOT, "credentials": None},
    {"rootUrl": ROOT, "credentials": {}},
    {"rootUrl": ROOT, "credentials": CREDENTIALS},
    {"rootUrl": ROOT, "credentials": {"clientId": b"tester", "accessToken": b"no-secret"}},
    {"rootUrl": ROOT, "credentials": {"clientId": "tester"}},
    {"rootUrl": ROOT, "credentials": {"accessToken": "no-secret"}},
    {"rootUrl": ROOT, "credentials": {"clientId": "", "accessToken": ""}},
    {"rootUrl": ROOT, "credentials": {"clientId": None, "accessToken": None, "certificate": None}},
    {"rootUrl": ROOT, "credentials": {"clientId": "é", "accessToken": "no-secret"}},
    {"rootUrl": ROOT, "credentials": {"clientId": 5, "accessToken": "no-secret"}},
    {"rootUrl": ROOT, "credentials": {"a": "b"}},
    {"rootUrl": ROOT, "credentials": {"client_id": "tester", "access_token": "no-secret"}},
    {"rootUrl": ROOT, "credentials": {**CREDENTIALS, "certificate": ""}},
    {"rootUrl": ROOT, "credentials": {**CREDENTIALS, "certificate": None}},
    {"rootUrl": ROOT, "credentials": {**CREDENTIALS, "certificate": "no JSON"}},
    {"rootUrl": ROOT, "credentials": {**CREDENTIALS, "more": "x"}},
    {"rootUrl": ROOT, "credentials": CREDENTIALS, "authorizedScopes": ["a:*"]},
    {"rootUrl": ROOT, "credentials": CREDENTIALS, "authorizedScopes": []},
    {"rootUrl": ROOT, "credentials": CREDENTIALS, "authorizedScopes": "a:*"},
    {"rootUrl": ROOT, "maxRetries": 0},
    {"rootUrl": ROOT, "maxRetries": "5"},
    {"rootUrl": ROOT, "maxRetries": None},
    {"rootUrl": ROOT, "signedUrlExpiration": 60},
)

MODES: dict[str, Any] = {"sync": taskcluster, "async": taskcluster.aio}
HANDLERS: tuple[type[BaseException], ...] = (
    taskcluster.exceptions.TaskclusterRestFailure,
    taskcluster.exceptions.TaskclusterAuthFailure,
    taskcluster.exceptions.TaskclusterConnectionError,
    taskcluster.exceptions.TaskclusterFailure,
)
"""Exceptions that programs catch, the most specific first."""


async def finished(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def outcome(call: Callable[[], Any]) -> Any:
    """Return the outcome of a call as JSON."""
    try:
        returned = await finished(call())
    except Exception as exc:
        handler = next((each for each in HANDLERS if isinstance(exc, each)), type(exc))
        raised = {"raised": handler.__name__}
        if hasattr(exc, "status_code"):
            raised["status"], raised["body"] = exc.status_code, exc.body  # type: ignore[attr-defined]
        if isinstance(getattr(exc, "body", None), dict) and exc.body.get("message"):  # type: ignore[attr-defined]
            raised["message"] = str(exc)
        return raised
    if isinstance(returned, dict) and "response" in returned:
        response = returned["response"]
        status = getattr(response, "status_code", None) or response.status
        return {"response": [status, response.headers.get("Location"), await content(response)]}
    return {"returned": returned}


async def content(response: Any) -> str:
    try:
        body: bytes = response.content if hasattr(response, "status_code") else await response.read()
    except Exception as exc:
        return f"unreadable: {type(exc).__name__}"
    return body.decode("latin-1")


async def responses(root_url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mode, module in MODES.items():
        for verb, (service, name, others) in VERBS.items():
            method = getattr(getattr(module, service)({"rootUrl": root_url, "maxRetries": 0}), name)
            for status in STATUSES:
                for body in BODIES:
                    call = functools.partial(method, f"respond-{status}-{body}", *others)
                    found[f"{mode} {verb} {status} {body}"] = await outcome(call)
    return found


async def arguments(root_url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mode, module in MODES.items():
        for kind, args, kwargs in ARGUMENTS:
            PAGES.clear()
            service, name = METHODS[kind]
            client = getattr(module, service)({"rootUrl": root_url, "maxRetries": 0})
            case = shown(name, args, kwargs)
            called = await outcome(functools.partial(getattr(client, name), *args, **kwargs))
            found[f"{mode} call {case}"] = {**called, "pages": list(PAGES)} if PAGES else called
            built = await outcome(functools.partial(client.buildUrl, name, *args, **kwargs))
            found[f"{mode} buildUrl {case}"] = placed(built, ROOT, root_url)
    return found


def shown(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    named = [f"{key}={'…' if callable(value) else repr(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join([*map(repr, args), *named])})"


async def options(root_url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mode, module in MODES.items():
        for each in OPTIONS:

            def client(given: Any = each, queue: Any = module.Queue) -> Any:
                return queue(placed(given, root_url, ROOT))

            outcomes = {
                "options": await outcome(lambda: stated(client().options)),
                "call": await outcome(lambda: client().ping()),
                "buildSignedUrl": await outcome(lambda: client().buildSignedUrl("ping").split("bewit")[0]),
            }
            found |= {f"{mode} {name} {each}": placed(value, ROOT, root_url) for name, value in outcomes.items()}
    return found


def placed(value: Any, new: str, old: str) -> Any:
    """Return a copy of a JSON value with one root URL replaced by another."""
    if isinstance(value, dict):
        return {key: placed(each, new, old) for key, each in value.items()}
    return value.replace(old, new) if isinstance(value, str) else value


def stated(made: dict[str, Any]) -> dict[str, Any]:
    """Return the client options that the published client also has, as JSON."""
    names = ("rootUrl", "maxRetries", "signedUrlExpiration", "authorizedScopes", "unknown")
    credentials = {name: repr(value) for name, value in made["credentials"].items() if value is not None}
    return {**{name: made[name] for name in names if name in made}, "credentials": credentials}


async def names(root_url: str) -> dict[str, Any]:
    """Return the names of each public module, none for modules that cannot be imported."""
    found: dict[str, Any] = {}
    for module in ["taskcluster", *(each.name for each in pkgutil.walk_packages(taskcluster.__path__, "taskcluster."))]:
        with contextlib.suppress(ImportError):
            found[module] = [name for name in dir(importlib.import_module(module)) if not name.startswith("__")]
    return found


async def at_once(seconds: float) -> None:
    """Return immediately."""


async def main() -> None:
    time.sleep, asyncio.sleep = lambda seconds: None, at_once  # type: ignore[assignment]
    tables = {"responses": responses, "arguments": arguments, "options": options, "names": names}
    json.dump(await tables[sys.argv[1]](sys.argv[2]), sys.stdout, default=repr)


if __name__ == "__main__":
    asyncio.run(main())
