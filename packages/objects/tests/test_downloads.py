"""How long a download waits between its attempts, without a network."""

from __future__ import annotations

import io
from typing import Any

from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster.plugins import Location
from taskcluster_objects.effects import Close, Invoke, Open, Opened, Procedure, Sleep
from taskcluster_objects.performer import transfer_settings
from taskcluster_objects.procedures.downloads import fetch


def located() -> Procedure[Location]:
    return Location("http://storage.example.com/x")
    yield Sleep(0)


def sleeps(status: int, headers: dict[str, str]) -> list[float]:
    """Download from storage that always sends the same response, and return the delays."""
    procedure = fetch(located, "x", io.BytesIO, transfer_settings(None, 2, None))
    slept: list[float] = []
    unread = 0
    answer: Any = None
    while True:
        try:
            effect = procedure.send(answer)
        except TaskclusterRestFailure:
            assert unread == 0
            return slept
        answer = None
        match effect:
            case Invoke(function, arguments):
                answer = function(*arguments)
            case Open():
                unread += 1
                answer = Opened(status, headers, None)
            case Close():
                unread -= 1
            case Sleep(seconds) if seconds:
                slept.append(seconds)


def test_waits_as_long_as_storage_requests() -> None:
    assert sleeps(429, {"Retry-After": "17"}) == [17, 17]
    assert sleeps(503, {"Retry-After": "17"}) == [17, 17]
    first, second = sleeps(500, {})
    assert first < second < 1
    assert sleeps(404, {"Retry-After": "17"}) == []
