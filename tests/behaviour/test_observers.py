"""Test plugins that observe requests, sync and async."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import taskcluster
from taskcluster import registry as registry_module
from taskcluster.plugins import RequestEvent, hookimpl
from taskcluster.registry import Registry, entry_points

from .drive import CREDENTIALS, Drive
from .server import Reaction, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


class Watching:
    """A plugin that records events."""

    def __init__(self, raises: Exception | None = None) -> None:
        self.events: list[RequestEvent] = []
        self._raises = raises

    @hookimpl
    def taskcluster_request(self, event: RequestEvent) -> None:
        self.events.append(event)
        if self._raises:
            raise self._raises


class PluginPoint:
    """An entry point without a distribution."""

    dist = None
    value = "nowhere"

    def __init__(self, plugin: object) -> None:
        self.load = lambda: plugin


def install(monkeypatch: pytest.MonkeyPatch, **plugins: object) -> None:
    points: Any = {**entry_points(), **{name: [PluginPoint(plugin)] for name, plugin in plugins.items()}}
    monkeypatch.setattr(registry_module, "registry", Registry(lambda: points))


def test_observers_see_each_attempt(drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching()
    install(monkeypatch, watching=watching)
    server.script(respond(500, b"oh"), Reaction(then="reset"), respond(200, {"a": 1}))
    drive.client().createTask(TASK, {"a": "b"})
    first, second, third = watching.events
    assert [(event.service, event.method, event.attempt) for event in watching.events] == [
        ("queue", "createTask", number) for number in (1, 2, 3)
    ]
    assert (first.status, first.failure, first.sent, first.received) == (500, None, len(b'{"a":"b"}'), 2)
    assert (second.status, second.received) == (None, 0)
    assert second.failure in ("TaskclusterConnectionError", "ConnectionFailed")
    assert (third.status, third.received) == (200, len(b'{"a": 1}'))
    assert all(0 <= event.duration < 5 for event in watching.events)


def test_observers_see_failures(drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching()
    install(monkeypatch, watching=watching)
    server.script(respond(404, {"message": "no"}))
    with pytest.raises(taskcluster.TaskclusterRestFailure):
        drive.client().task(TASK)
    assert [event.status for event in watching.events] == [404]


def test_events_have_the_same_failure_in_both_modes(
    drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watching()
    install(monkeypatch, watching=watching)
    server.script(Reaction(then="reset"))
    drive.client().task(TASK)
    assert watching.events[0].failure == "TaskclusterConnectionError"


def test_observer_that_raises_is_logged(
    drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, working = Watching(RuntimeError("no room for events")), Watching()
    install(monkeypatch, broken=broken, working=working)
    with caplog.at_level(logging.WARNING, logger="taskcluster"):
        assert drive.client().task(TASK) == {}
    assert len(broken.events) == len(working.events) == 1
    assert "no room for events" in caplog.text
    assert "'broken'" in caplog.text


def test_events_contain_no_secrets(drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching()
    install(monkeypatch, watching=watching)
    drive.client("Secrets").set("name", {"secret": {"key": "hidden-value"}, "expires": "2030"})
    told = repr(watching.events)
    for secret in (CREDENTIALS["accessToken"], "hidden-value", server.last.authorization["mac"], "Hawk"):
        assert secret not in told
