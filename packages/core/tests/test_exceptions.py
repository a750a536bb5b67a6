"""Exceptions: constructors, messages, pickling."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import requests
import urllib3.exceptions

from taskcluster.exceptions import (
    ObjectHashVerificationError,
    TaskclusterArtifactError,
    TaskclusterAuthFailure,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
    TaskclusterTopicExchangeFailure,
)
from taskcluster.plugins import PluginError
from taskcluster.transport.aiohttp import ConnectionFailed, ConnectionTimedOut, ServerFailure

BODY = {"code": "ResourceNotFound", "message": "gone", "requestInfo": {"method": "task"}}


class TaskFailure(TaskclusterRestFailure):
    """A subclass in a program, with another constructor."""

    def __init__(self, *, task: str) -> None:
        super().__init__(f"task {task}", None, status_code=404, body=BODY)
        self.task = task


EVERY: list[Callable[[], TaskclusterFailure]] = [
    lambda: TaskclusterFailure("m"),
    lambda: TaskclusterRestFailure("m", None, status_code=409, body=BODY),
    lambda: TaskclusterRestFailure("m", ValueError("below"), 500, [1]),
    lambda: TaskclusterAuthFailure("m", None, status_code=401, body=BODY),
    lambda: TaskclusterAuthFailure("m"),
    lambda: TaskclusterConnectionError("m", OSError(111, "refused")),
    lambda: TaskclusterTopicExchangeFailure("m"),
    lambda: TaskclusterArtifactError("m", "file-missing-on-worker"),
    lambda: ObjectHashVerificationError("m"),
    lambda: PluginError("m"),
    lambda: ServerFailure("m", None, status_code=502, body=BODY),
    lambda: ConnectionFailed("m", aiohttp.ServerDisconnectedError()),
    lambda: ConnectionTimedOut("m", asyncio.TimeoutError()),
    lambda: TaskFailure(task="t"),
]
AGAIN: list[Any] = [
    *(lambda exc, protocol=protocol: pickle.loads(pickle.dumps(exc, protocol)) for protocol in range(3, 6)),
    copy.copy,
    copy.deepcopy,
]


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("again", AGAIN)
def test_pickling_preserves_every_exception(
    make: Callable[[], TaskclusterFailure], again: Callable[[Any], Any]
) -> None:
    before = make()
    after = again(before)
    assert type(after) is type(before)
    assert str(after) == str(before)
    assert after.args == before.args
    for name in ("status_code", "body", "code", "requestInfo", "reason", "task", "status", "message"):
        assert getattr(after, name, None) == getattr(before, name, None)
    assert repr(getattr(after, "superExc", None)) == repr(getattr(before, "superExc", None))


def unpicklable() -> requests.ConnectionError:
    """Return the exception of requests for a refused connection, which holds the pool, a lock and a socket."""
    pool = urllib3.HTTPConnectionPool("localhost", 1)
    reason = urllib3.exceptions.ProtocolError("reset", pool)
    left, right = socket.socketpair()
    left.close()
    right.close()
    reason.args = ("reset", left)
    return requests.ConnectionError(reason, request=requests.Request("GET", "http://localhost:1/secret"))


@pytest.mark.parametrize(
    "cause",
    [
        unpicklable,
        lambda: requests.ReadTimeout("slow", request=requests.Request("GET", "https://tc.example.com").prepare()),
        lambda: urllib3.exceptions.MaxRetryError(urllib3.HTTPConnectionPool("localhost"), "/x", ValueError("why")),
        lambda: aiohttp.ClientConnectorError(
            aiohttp.client_reqrep.ConnectionKey("h", 1, False, True, None, None, None), OSError(111, "refused")
        ),
        lambda: aiohttp.ServerDisconnectedError("gone"),
        lambda: aiohttp.ServerTimeoutError("slow"),
    ],
)
@pytest.mark.parametrize("kind", [TaskclusterConnectionError, ConnectionFailed, ConnectionTimedOut])
def test_pickles_with_any_cause_of_an_http_library(
    cause: Callable[[], BaseException], kind: type[TaskclusterConnectionError]
) -> None:
    below = cause()
    after = pickle.loads(pickle.dumps(kind("m", below)))
    assert type(after) is kind
    assert isinstance(after.superExc, Exception)
    assert type(below).__name__ in repr(after.superExc)


def test_all_derive_from_taskcluster_failure() -> None:
    assert all(isinstance(make(), TaskclusterFailure) for make in EVERY)
    assert issubclass(TaskclusterFailure, Exception)


def test_a_rest_failure_has_its_arguments_as_attributes() -> None:
    below = ValueError("below")
    failure = TaskclusterRestFailure("m", below, status_code=409, body=BODY)
    assert (str(failure), failure.superExc, failure.status_code, failure.body) == ("m", below, 409, BODY)
    assert failure.code == "ResourceNotFound"
    assert failure.requestInfo == {"method": "task"}


def test_body_defaults_to_a_new_empty_dict() -> None:
    first, second = TaskclusterRestFailure("m", None), TaskclusterRestFailure("m", None)
    first.body["x"] = 1
    assert second.body == {}
    assert first.status_code == 500


@pytest.mark.parametrize("body", [{}, [], "text", 5, {"code": 7, "requestInfo": "no"}, None])
def test_a_body_without_code_or_request_info_has_none(body: Any) -> None:
    failure = TaskclusterRestFailure("m", None, body=body)
    assert failure.code is None
    assert failure.requestInfo is None
    assert failure.missing_scope_expression is None
    assert failure.missing_scopes == []


WITH_CREDENTIALS = (
    "Client ID tester does not have sufficient scopes and is missing the following scopes:\n\n"
    "```\n{}\n```\n\n"
    "This request requires the client to satisfy the following scope expression:\n\n"
    "```\n{}\n```\n\n---\n\n* method:     createTask"
)
WITHOUT = (
    "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n"
    "```\n{}\n```\n\n---\n\n* method:     task"
)
EXPRESSION = {"AnyOf": ["a:b", {"AllOf": ["c", "d", "a:b"]}]}


@pytest.mark.parametrize(
    ("message", "expression", "scopes"),
    [
        (WITH_CREDENTIALS.format("queue:x", '{"AllOf": ["queue:x", "queue:y"]}'), "queue:x", ["queue:x"]),
        (WITH_CREDENTIALS.format(json.dumps(EXPRESSION, indent=2), "z"), EXPRESSION, ["a:b", "c", "d"]),
        (WITHOUT.format("queue:get-task:xx"), "queue:get-task:xx", ["queue:get-task:xx"]),
        (WITHOUT.format(json.dumps(EXPRESSION)), EXPRESSION, ["a:b", "c", "d"]),
        (WITHOUT.format('{"AllOf": '), None, []),
        ("no fence at all", None, []),
        ("one fence ``` only", None, []),
    ],
)
def test_a_403_has_the_missing_scopes_as_data(message: str, expression: Any, scopes: list[str]) -> None:
    failure = TaskclusterRestFailure("m", None, 403, {"code": "InsufficientScopes", "message": message})
    assert failure.missing_scope_expression == expression
    assert failure.missing_scopes == scopes


def test_other_failures_have_no_missing_scopes() -> None:
    body = {"code": "InputError", "message": WITHOUT.format("a")}
    assert TaskclusterRestFailure("m", None, 400, body).missing_scopes == []


def test_an_artifact_error_has_message_and_reason() -> None:
    error = TaskclusterArtifactError("the file is missing", "file-missing-on-worker")
    assert (error.message, error.reason) == ("the file is missing", "file-missing-on-worker")
    assert str(error) == "the file is missing"


def test_async_failures_are_caught_by_old_handlers() -> None:
    failure = ServerFailure("m", None, status_code=502, body=BODY)
    assert isinstance(failure, aiohttp.ClientResponseError)
    assert isinstance(failure, aiohttp.ClientError)
    assert (failure.status, failure.message, str(failure)) == (502, "m", "m")
    assert isinstance(ConnectionFailed("m", None), aiohttp.ClientError)
    assert isinstance(ConnectionTimedOut("m", None), asyncio.TimeoutError)
