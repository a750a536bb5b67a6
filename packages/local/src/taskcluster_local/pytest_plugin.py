"""Fixtures for testing programs that use Taskcluster. pytest loads this plugin if it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

# Every run of pytest loads this module, so slow imports are inside functions.
if TYPE_CHECKING:
    from taskcluster_worker import Worker

    from .local import LocalTaskcluster

__all__ = ["ClientFactory", "WorkerFactory"]


@pytest.fixture(scope="session")
def taskcluster_local_server() -> Iterator[LocalTaskcluster]:
    """A local Taskcluster for the session. Replace it in conftest.py to pass arguments to `LocalTaskcluster`."""
    from .local import LocalTaskcluster

    with LocalTaskcluster() as local:
        yield local


@pytest.fixture
def taskcluster_local(taskcluster_local_server: LocalTaskcluster) -> LocalTaskcluster:
    """The server of the session, reset for each test."""
    taskcluster_local_server.reset()
    return taskcluster_local_server


@pytest.fixture
def taskcluster_options(taskcluster_local: LocalTaskcluster) -> dict[str, Any]:
    """Options for clients of `taskcluster_local`, with the credentials of the root client."""
    return taskcluster_local.options()


@pytest.fixture
def taskcluster_client(taskcluster_local: LocalTaskcluster) -> Iterator[ClientFactory]:
    """Create clients of `taskcluster_local`: `taskcluster_client("queue", scopes=["queue:…"])`."""
    with ExitStack() as clients:
        yield ClientFactory(taskcluster_local, clients)


@pytest.fixture
def taskcluster_worker(taskcluster_local: LocalTaskcluster) -> Iterator[WorkerFactory]:
    """Start workers of `taskcluster_local`: `taskcluster_worker("proj/ci")`. Tasks run commands on this machine."""
    with ExitStack() as workers:
        yield WorkerFactory(taskcluster_local, workers)


class WorkerFactory:
    """The value of the fixture `taskcluster_worker`."""

    def __init__(self, local: LocalTaskcluster, workers: ExitStack) -> None:
        self._local = local
        self._workers = workers

    def __call__(self, task_queue: str, **options: Any) -> Worker:
        """Start a worker, which is stopped at the end of the test.

        Args:
            task_queue: The task queue, `<provisionerId>/<workerType>`.
            **options: Keyword arguments of `taskcluster_worker.Worker`.

        Raises:
            ModuleNotFoundError: taskcluster-worker is not installed.
        """
        worker = self._local.start_worker(task_queue, **options)
        self._workers.callback(worker.stop)
        return worker


class ClientFactory:
    """The value of the fixture `taskcluster_client`."""

    def __init__(self, local: LocalTaskcluster, clients: ExitStack) -> None:
        self._local = local
        self._clients = clients

    def __call__(self, service: str, scopes: Iterable[str] | None = None) -> Any:
        """Return a client, which is closed at the end of the test.

        Args:
            service: The service's name, such as `queue` or `purge-cache`.
            scopes: The scopes of the client. Defaults to `*`.

        Raises:
            LookupError: The service does not exist.
        """
        import taskcluster

        return self._clients.enter_context(getattr(taskcluster, _class_name(service))(self._local.options(scopes)))

    def aio(self, service: str, scopes: Iterable[str] | None = None) -> Any:
        """Return an async client. Use `async with` to keep its connections open and to close them.

        Args:
            service: The service's name, such as `queue` or `purge-cache`.
            scopes: The scopes of the client. Defaults to `*`.

        Raises:
            LookupError: The service does not exist.
        """
        import taskcluster.aio

        return getattr(taskcluster.aio, _class_name(service))(self._local.options(scopes))


def _class_name(service: str) -> str:
    from taskcluster.registry import registry

    return registry.service(service).class_name
