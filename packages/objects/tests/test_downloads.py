"""How long a download waits between its attempts, without a network."""

from __future__ import annotations

import io
from typing import Any

import pytest

from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster.plugins import Location
from taskcluster.runner import run
from taskcluster_objects.effects import Close, Invoke, Open, Opened, Procedure, Sleep
from taskcluster_objects.performer import transfer_settings
from taskcluster_objects.procedures.downloads import fetch


def located() -> Procedure[Location]:
    return Location("http://storage.example.com/x")
    yield Sleep(0)


def sleeps(status: int, headers: dict[str, str]) -> list[float]:
    """Download from storage that always sends the same response, and return the delays."""
    slept: list[float] = []
    opened = closed = 0

    def perform(effect: Any) -> Any:
        nonlocal opened, closed
        match effect:
            case Invoke(function, arguments):
                return function(*arguments)
            case Open():
                opened += 1
                return Opened(status, headers, None)
            case Close():
                closed += 1
            case Sleep(seconds) if seconds:
                slept.append(seconds)
        return None

    with pytest.raises(TaskclusterRestFailure):
        run(fetch(located, "x", io.BytesIO, transfer_settings(None, 2, None)), perform)
    assert opened == closed
    return slept


def test_waits_as_long_as_storage_requests() -> None:
    assert sleeps(429, {"Retry-After": "17"}) == [17, 17]
    assert sleeps(503, {"Retry-After": "17"}) == [17, 17]
    first, second = sleeps(500, {})
    assert first < second < 1
    assert sleeps(404, {"Retry-After": "17"}) == []
