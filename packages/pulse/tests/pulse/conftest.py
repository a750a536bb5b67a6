"""A RabbitMQ server for all tests of a run, and sync and async consumers that tests use alike."""

from __future__ import annotations

import fcntl
import inspect
import itertools
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

import taskcluster
import taskcluster_pulse
import taskcluster_pulse.aio
from taskcluster_local import LocalTaskcluster
from taskcluster_pulse.loop_thread import LoopThread
from taskcluster_pulse.testing import INSTALL_RABBITMQ, BrokerAccounts, RabbitMQ, is_rabbitmq_installed

EVENTS = taskcluster.QueueEvents({"rootUrl": "https://tc.example.com"})
COMPLETED = EVENTS.taskCompleted()["exchange"]
EXCHANGES = [
    COMPLETED,
    EVENTS.taskFailed()["exchange"],
    EVENTS.taskException()["exchange"],
    EVENTS.taskGroupResolved()["exchange"],
]
USERS = ["alice", "bob", "taskcluster-queue"]
KEY = "primary.{}.0.wg.w.proj.ci.sched.G._"
TIMEOUT = 60.0
"""Only a broken test waits for so long."""
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PULSE_", "TASKCLUSTER_")) and name != "TASKCLUSTER_TESTS_REQUIRE_ALL":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def deployment() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as deployment:
        yield deployment


@pytest.fixture(scope="session")
def rabbitmq(unavailable: Callable[[str], NoReturn]) -> None:
    """Require RabbitMQ to be installed."""
    if not is_rabbitmq_installed():
        unavailable(INSTALL_RABBITMQ)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, rabbitmq: None) -> Iterator[BrokerAccounts]:
    """The server of this run; the processes of pytest-xdist share one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rabbitmq"
    folder.mkdir(exist_ok=True)
    state = folder / "state.json"
    own: RabbitMQ | None = None
    with (folder / "users").open("w", encoding="utf-8") as users:
        with _locked(folder / "changes"):
            if not state.exists():
                own = RabbitMQ(folder / "server", users=USERS, exchanges=EXCHANGES)
                own.start()
                state.write_text(json.dumps([own.port, own.passwords]), "utf-8")
            fcntl.flock(users, fcntl.LOCK_SH)
        yield BrokerAccounts(*json.loads(state.read_text("utf-8")))
        fcntl.flock(users, fcntl.LOCK_UN)
        while own is not None:
            # Who started it stops it after all others.
            fcntl.flock(users, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            with _locked(folder / "changes"):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                state.unlink()
                own.stop()
                own = None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def queue_name() -> str:
    """A name that no other test uses."""
    return f"{os.getpid()}-{next(_numbers)}"


class Driver:
    """Calls the methods of an async object as if it were a sync one."""

    def __init__(self, inner: Any, thread: LoopThread | None) -> None:
        self._inner = inner
        self._thread = thread

    def __enter__(self) -> Any:
        if self._thread is None:
            self._inner.__enter__()
        else:
            self._thread.call(self._inner.__aenter__())
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self._thread is None:
            self._inner.__exit__(*exc_info)
        else:
            self._thread.call(self._inner.__aexit__(*exc_info))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._wrapped(value) if callable(value) else value

    def __repr__(self) -> str:
        return repr(self._inner)

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                assert self._thread is not None
                result = self._thread.call(result)
            return Driver(result, self._thread) if hasattr(result, "routing_key") else result

        return call


class PulseMode:
    """Sync or async consumers and publishers, used alike."""

    def __init__(self, module: ModuleType, thread: LoopThread | None) -> None:
        self._module = module
        self._thread = thread

    @property
    def is_async(self) -> bool:
        return self._thread is not None

    def consumer(self, *args: Any, **kwargs: Any) -> Any:
        return Driver(self._module.Consumer(*args, **kwargs), self._thread)

    def publisher(self, *args: Any, **kwargs: Any) -> Any:
        return Driver(self._module.Publisher(*args, **kwargs), self._thread)


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Iterator[PulseMode]:
    if request.param == "sync":
        yield PulseMode(taskcluster_pulse, None)
        return
    thread = LoopThread("test")
    yield PulseMode(taskcluster_pulse.aio, thread)
    thread.close()


@pytest.fixture
def both_modes() -> Iterator[list[PulseMode]]:
    """Both modes, for tests whose setup is slow."""
    thread = LoopThread("test")
    yield [PulseMode(taskcluster_pulse, None), PulseMode(taskcluster_pulse.aio, thread)]
    thread.close()


@pytest.fixture
def publisher(broker: BrokerAccounts) -> Iterator[taskcluster_pulse.Publisher]:
    """Publishes as the Queue service."""
    with taskcluster_pulse.Publisher(url=broker.url("taskcluster-queue")) as publisher:
        yield publisher


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
