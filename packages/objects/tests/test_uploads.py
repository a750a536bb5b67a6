"""Decisions about responses to uploads, without a network."""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster.plugins import Location
from taskcluster.runner import run
from taskcluster_objects.effects import Invoke, Procedure, ReadAll, SendBody, Sleep, Uploaded
from taskcluster_objects.performer import transfer_settings
from taskcluster_objects.procedures.uploads import put

DATA = b"x" * 100


def located() -> Procedure[Location | None]:
    return Location("http://storage.example.com/x")
    yield Sleep(0)


def hashes_of(taken: int, algorithms: Iterable[str] = ("sha256",)) -> Any:
    """Upload to storage that responds with status 200 after it has read `taken` bytes."""

    def perform(effect: Any) -> Any:
        match effect:
            case Invoke(function, arguments):
                return function(*arguments)
            case SendBody():
                for _ in range(0, taken, 10):
                    effect.source.wanted()
                    effect.source.accept(effect.source.reader.read(10), [ThreadPoolExecutor(1)])
                return Uploaded(200, {})
            case ReadAll(source):
                while source.accept(source.reader.read(source.wanted()), [ThreadPoolExecutor(1)]):
                    pass
                return DATA

    settings = transfer_settings(None, 0, None)
    return run(put(located, "x", lambda: io.BytesIO(DATA), len(DATA), algorithms, settings), perform)


def test_upload_succeeds_when_everything_is_hashed() -> None:
    assert hashes_of(len(DATA) + 10) == hashes_of(0)


def test_partly_read_upload_fails() -> None:
    with pytest.raises(
        TaskclusterRestFailure, match="responded with status 200 before it had read the complete body of x"
    ) as caught:
        hashes_of(50)
    assert caught.value.status_code == 200


def sleeps(uploaded: Uploaded) -> list[float]:
    """Upload to storage that always sends the same response, and return the delays."""
    slept: list[float] = []

    def perform(effect: Any) -> Any:
        match effect:
            case Invoke(function, arguments):
                return function(*arguments)
            case SendBody():
                return uploaded
            case Sleep(seconds) if seconds:
                slept.append(seconds)
        return None

    settings = transfer_settings(None, 2, None)
    with pytest.raises(TaskclusterRestFailure):
        run(put(located, "x", lambda: io.BytesIO(DATA), len(DATA), ["sha256"], settings), perform)
    return slept


def test_waits_as_long_as_storage_requests() -> None:
    assert sleeps(Uploaded(429, {"Retry-After": "17"})) == [17, 17]
    assert sleeps(Uploaded(503, {"Retry-After": "17"})) == [17, 17]
    first, second = sleeps(Uploaded(500, {}))
    assert first < second < 1
    assert sleeps(Uploaded(400, {"Retry-After": "17"})) == []


@pytest.mark.parametrize("algorithms", [["sha256", "sha512"], []], ids=["objects", "s3"])
def test_computes_only_the_hashes_that_are_needed(algorithms: list[str]) -> None:
    assert list(hashes_of(len(DATA) + 10, algorithms)) == algorithms
