"""What the filesystems of one process share: clients, connections, and what is known of runs and files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from taskcluster_index import Index
from taskcluster_object import Object
from taskcluster_queue import Queue

from taskcluster.exceptions import TaskclusterArtifactError, TaskclusterAuthFailure, TaskclusterFailure
from taskcluster.plugins import Location
from taskcluster.registry import registry
from taskcluster_objects.methods import accepted, download_methods, source

from .contents import Content, Contents, open_content
from .exceptions import as_os_error
from .sources import Sources
from .storage import Remote, Storage

__all__ = ["Connection", "each_of", "os_errors"]

T = TypeVar("T")
_SERVICES: dict[str, Callable[[Mapping[str, Any]], Any]] = {"queue": Queue, "index": Index, "object": Object}
_MAX_LINKS = 10


@contextmanager
def os_errors(path: str) -> Generator[None, None, None]:
    """Raise failures as errors that are also Python's, caused by the original ones."""
    failure: TaskclusterFailure | None = None
    try:
        yield
    except TaskclusterFailure as exc:
        failure = exc
    if failure is not None:
        converted = as_os_error(failure, path)
        if converted is failure:
            raise failure
        raise converted from failure


class Connection:
    """Clients with the credentials of this machine, and connections to storage.

    Args:
        sources: Where to take the root URL and the credentials from.
        follow_references: Whether artifacts may be read from URLs that are not the deployment's.
        max_disk: How many bytes of decoded files to keep.

    Raises:
        TaskclusterFailure: There is no root URL, or no such profile.
    """

    def __init__(self, sources: Sources, follow_references: bool, max_disk: int) -> None:
        self._sources = sources
        self._follow_references = follow_references
        self._options = sources.options()
        self._clients: dict[str, Any] = {}
        self.storage = Storage(self._options)
        self.contents = Contents(max_disk)

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        client = self._clients.get(service)
        if client is None:
            # Another thread may be faster.
            client = self._clients.setdefault(service, _SERVICES[service](self._options))
        return client

    def call(self, path: str, service: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method of a service. If the credentials are not valid any more, look for others once.

        Args:
            path: What this is for, for errors.
            service: The service's name.
            method: The method's name.
            *arguments: Its arguments.
            **keywords: Its keyword arguments.
        """
        with os_errors(path):
            return self.authenticated(service, lambda client: getattr(client, method)(*arguments, **keywords))

    def authenticated(self, service: str, use: Callable[[Any], T]) -> T:
        """Pass a client to a function. If its credentials are not valid any more, look for others once."""
        try:
            return use(self.client(service))
        except TaskclusterAuthFailure:
            # Temporary credentials expire while an instance is cached.
            found = self._sources.options()
            if found == self._options:
                raise
            self._options = found
            old, self._clients = self._clients, {}
            for client in old.values():
                client.close()
            return use(self.client(service))

    def pages(self, path: str, service: str, method: str, key: str, *arguments: Any) -> list[dict[str, Any]]:
        """Return the items of all pages of a listing."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {}
        while True:
            page = self.call(path, service, method, *arguments, query=query)
            found += page[key]
            if not page.get("continuationToken"):
                return found
            query = {"continuationToken": page["continuationToken"]}

    def artifact_content(self, path: str, task_id: str, run_id: int, name: str, size: int | None) -> Content:
        """Open an artifact."""
        locate = functools.partial(self.locate_artifact, task_id, run_id, name)
        with os_errors(path):
            return open_content(Remote(self.storage, path, locate), path, size)

    def object_content(self, path: str, name: str) -> Content:
        """Open an object."""
        locate = functools.partial(self.authenticated, "object", lambda client: _locate_object(client, name))
        with os_errors(path):
            return open_content(Remote(self.storage, path, locate), path, None)

    def locate_artifact(self, task_id: str, run_id: int, name: str) -> Location:
        """Return where the data of an artifact is.

        Raises:
            TaskclusterArtifactError: It is an error.
            TaskclusterFailure: It is a reference, and those are not to be followed.
        """
        for _ in range(_MAX_LINKS + 1):
            found: Mapping[str, Any] = self.authenticated("queue", _artifact(task_id, run_id, name))
            match found["storageType"]:
                case "link":
                    name = found["artifact"]
                case "error":
                    raise TaskclusterArtifactError(found["message"], found["reason"])
                case "object":
                    return self._locate_with(found["credentials"], found["name"])
                case "reference" if not self._follow_references:
                    raise TaskclusterFailure(
                        "the artifact is a reference to another server, and follow_references is False"
                    )
                case kind:
                    if "url" in found:
                        return Location(found["url"])
                    raise TaskclusterFailure(f"the artifact has the unsupported storage type {kind!r}")
        raise TaskclusterFailure(f"the artifact is behind more than {_MAX_LINKS} links")

    def _locate_with(self, credentials: Mapping[str, Any], name: str) -> Location:
        # authorizedScopes do not apply to the credentials of this one object.
        client = self.client("object").with_options(credentials=credentials, authorizedScopes=None)
        return _locate_object(client, name)

    def close(self) -> None:
        """Close the connections and delete the decoded files."""
        self.contents.clear()
        self.storage.close()
        for client in self._clients.values():
            client.close()


def _artifact(task_id: str, run_id: int, name: str) -> Callable[[Any], Mapping[str, Any]]:
    return lambda client: client.artifact(task_id, run_id, name)


def _locate_object(client: Any, name: str) -> Location:
    methods = download_methods(registry.transfer_methods())
    return source(methods, name, client.startDownload(name, {"acceptDownloadMethods": accepted(methods)}))


def each_of(limit: int, function: Callable[..., T], *arguments: list[Any]) -> list[T]:
    """Return the results of a function for many arguments, several at a time; raise the first exception."""
    count = len(arguments[0])
    if count < 2 or limit < 2:
        return [function(*each) for each in zip(*arguments, strict=True)]
    pool = ThreadPoolExecutor(min(limit, count), "taskcluster-fsspec")
    waits = True
    try:
        return list(pool.map(function, *arguments))
    except KeyboardInterrupt:
        # Requests may hang for minutes, with all retries.
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)
