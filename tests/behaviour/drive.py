"""One interface to sync and async clients, so that each test is written once."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import requests

import taskcluster
import taskcluster.aio

from .server import PATIENCE

__all__ = ["CREDENTIALS", "AsyncDrive", "Drive", "DrivenClient", "SyncDrive"]

CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}


class DrivenClient:
    """A client with methods that return results, sync or async."""

    def __init__(self, client: Any, finish: Callable[[Any], Any]) -> None:
        self.native = client
        self._finish = finish

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.native, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._finish(method(*args, **kwargs))

        return call


class Drive:
    """Creates clients and sessions of one mode, and closes them."""

    mode: str

    def __init__(self, root_url: str) -> None:
        self.root_url = root_url

    def finish(self, result: Any) -> Any:
        """Return the result, awaiting it in async mode."""
        raise NotImplementedError

    def client(self, service: str = "Queue", session: Any = None, **options: Any) -> DrivenClient:
        """Return a client that keeps its connections (`with`, `async with`) to the end of the test."""
        client = self.bare(service, session, **options)
        self._enter(client.native)
        return client

    def bare(self, service: str = "Queue", session: Any = None, **options: Any) -> DrivenClient:
        """Return a client that was only constructed."""
        wanted = {"rootUrl": self.root_url, "credentials": CREDENTIALS, "timeout": PATIENCE, **options}
        return DrivenClient(self._class(service)(wanted, session), self.finish)

    def session(self, headers: Mapping[str, str] | None = None) -> Any:
        """Return a user's session."""
        raise NotImplementedError

    def is_open(self, session: Any) -> bool:
        """Return whether a user's session is open."""
        raise NotImplementedError

    def take(self, client: DrivenClient, count: int, how: str, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the first `count` values of `paginate` or `paginate_items`."""
        raise NotImplementedError

    def body_of(self, native: Any) -> bytes:
        """Return the body of the HTTP library's response."""
        raise NotImplementedError

    def status_of(self, native: Any) -> int:
        """Return the status of the HTTP library's response."""
        raise NotImplementedError

    def close(self) -> None:
        """Close everything."""
        raise NotImplementedError

    def _class(self, service: str) -> Any:
        raise NotImplementedError

    def _enter(self, client: Any) -> None:
        raise NotImplementedError


class SyncDrive(Drive):
    mode = "sync"

    def __init__(self, root_url: str) -> None:
        super().__init__(root_url)
        self._stack = contextlib.ExitStack()

    def finish(self, result: Any) -> Any:
        return result

    def session(self, headers: Mapping[str, str] | None = None) -> requests.Session:
        session = self._stack.enter_context(requests.Session())
        session.headers.update(headers or {})
        return session

    def is_open(self, session: requests.Session) -> bool:
        # A closed requests session can be used again; only its pool shows that it was closed.
        adapter: Any = session.get_adapter(self.root_url)
        return bool(adapter.poolmanager.pools)

    def take(self, client: DrivenClient, count: int, how: str, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        found = getattr(client.native, how)(getattr(client.native, method), *args, **kwargs)
        return list(itertools.islice(found, count))

    def body_of(self, native: requests.Response) -> bytes:
        return native.content

    def status_of(self, native: requests.Response) -> int:
        return native.status_code

    def close(self) -> None:
        self._stack.close()

    def _class(self, service: str) -> Any:
        return getattr(taskcluster, service)

    def _enter(self, client: Any) -> None:
        self._stack.enter_context(client)


class AsyncDrive(Drive):
    mode = "async"

    def __init__(self, root_url: str) -> None:
        super().__init__(root_url)
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()

    def finish(self, result: Any) -> Any:
        return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def session(self, headers: Mapping[str, str] | None = None) -> aiohttp.ClientSession:
        async def make() -> aiohttp.ClientSession:
            return await self._stack.enter_async_context(taskcluster.aio.createSession(headers=headers))

        return self._loop.run_until_complete(make())

    def is_open(self, session: aiohttp.ClientSession) -> bool:
        return not session.closed

    def take(self, client: DrivenClient, count: int, how: str, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        async def collect() -> list[Any]:
            found = []
            pages = getattr(client.native, how)(getattr(client.native, method), *args, **kwargs)
            async with contextlib.aclosing(pages):
                async for thing in pages:
                    found.append(thing)
                    if len(found) == count:
                        break
            return found

        return self._loop.run_until_complete(collect())

    def body_of(self, native: aiohttp.ClientResponse) -> bytes:
        return self._loop.run_until_complete(native.read())

    def status_of(self, native: aiohttp.ClientResponse) -> int:
        return native.status

    def close(self) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _class(self, service: str) -> Any:
        return getattr(taskcluster.aio, service)

    def _enter(self, client: Any) -> None:
        self._loop.run_until_complete(self._stack.enter_async_context(client))
