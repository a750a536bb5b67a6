"""Fixtures for tests of programs that use Taskcluster. pytest finds this plugin by itself where it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

# Every run of pytest loads this module, so that what takes time to import is imported where it is used.
if TYPE_CHECKING:
    from .local import LocalTaskcluster

__all__ = ["ClientFactory"]


@pytest.fixture(scope="session")
def _taskcluster_local_server() -> Iterator[LocalTaskcluster]:
    from .local import LocalTaskcluster

    with LocalTaskcluster() as local:
        yield local


@pytest.fixture
def taskcluster_local(_taskcluster_local_server: LocalTaskcluster) -> LocalTaskcluster:
    """A local Taskcluster, as if it had just started; one server for all tests of the session."""
    _taskcluster_local_server.reset()
    return _taskcluster_local_server


@pytest.fixture
def taskcluster_options(taskcluster_local: LocalTaskcluster) -> dict[str, Any]:
    """Options for clients of `taskcluster_local`, with credentials that may do everything."""
    return taskcluster_local.options()


@pytest.fixture
def taskcluster_client(taskcluster_local: LocalTaskcluster) -> Iterator[ClientFactory]:
    """Make clients of `taskcluster_local`: `taskcluster_client("queue", scopes=["queue:…"])`."""
    with ExitStack() as clients:
        yield ClientFactory(taskcluster_local, clients)


class ClientFactory:
    """What the fixture `taskcluster_client` gives."""

    def __init__(self, local: LocalTaskcluster, clients: ExitStack) -> None:
        self._local = local
        self._clients = clients

    def __call__(self, service: str, scopes: Iterable[str] | None = None) -> Any:
        """Return a client, which is closed when the test is over.

        Args:
            service: The service's name, such as `queue` or `purge-cache`.
            scopes: What the client may do; everything if not given.

        Raises:
            LookupError: There is no such service.
        """
        import taskcluster

        return self._clients.enter_context(getattr(taskcluster, _class_name(service))(self._local.options(scopes)))

    def aio(self, service: str, scopes: Iterable[str] | None = None) -> Any:
        """Return a client for async code. `async with` keeps its connections, and closes them.

        Args:
            service: The service's name, such as `queue` or `purge-cache`.
            scopes: What the client may do; everything if not given.

        Raises:
            LookupError: There is no such service.
        """
        import taskcluster.aio

        return getattr(taskcluster.aio, _class_name(service))(self._local.options(scopes))


def _class_name(service: str) -> str:
    from taskcluster.registry import registry

    return registry.service(service).class_name
