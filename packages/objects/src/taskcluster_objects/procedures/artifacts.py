"""Procedures of transfers of artifacts, of every storage type."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from taskcluster.arguments import api_method
from taskcluster.exceptions import TaskclusterArtifactError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.options import KNOWN_OPTIONS
from taskcluster.pages import continuation, with_continuation
from taskcluster.plugins import DownloadMethod, Location, UploadMethod

from ..artifact_paths import chosen, paths_for
from ..bodies import MemoryWriter
from ..effects import CloseClient, Effect, Gather, Invoke, Procedure
from ..pending_file import PendingFile
from ..resuming import UNKNOWN_TYPE
from ..settings import TransferSettings
from .downloads import Fetched, fetch, locate_object
from .uploads import ObjectUpload, check_content_type, put, upload_object

__all__ = [
    "ArtifactContent",
    "artifact_fetcher",
    "fetch_artifact",
    "fetch_content",
    "fetch_many",
    "fetch_object",
    "fetch_to_path",
    "indexed_task",
    "upload_artifact",
]

_MAX_LINKS = 10

Factory = Callable[[], Any]


class ArtifactContent:
    """An artifact in memory, complete and verified.

    Args:
        data: Its bytes.
        content_type: Its media type, with parameters.
    """

    def __init__(self, data: bytes | memoryview, content_type: str) -> None:
        self._data = memoryview(data)
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"<ArtifactContent {self.content_type}, {len(self._data)} bytes>"

    def bytes(self) -> bytes:
        """Return the bytes."""
        return self._data.tobytes()

    def text(self, encoding: str | None = None) -> str:
        """Return the text.

        Args:
            encoding: Its encoding. Defaults to the charset of the content type, or UTF-8.

        Raises:
            UnicodeDecodeError: The bytes cannot be decoded.
            LookupError: The encoding is unknown.
        """
        stated = self.content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
        return str(self._data, encoding or stated or "utf-8")

    def json(self) -> Any:
        """Return the JSON value; raise ValueError if it is invalid."""
        return json.loads(self.bytes())

    def iter_bytes(self, chunk_size: int = 65536) -> Iterator[builtins.bytes]:
        """Yield the bytes in pieces of `chunk_size`."""
        for start in range(0, len(self._data), chunk_size):
            yield self._data[start : start + chunk_size].tobytes()


def fetch_object(
    service: Any, name: str, offered: Mapping[str, DownloadMethod], writer_factory: Factory, settings: TransferSettings
) -> Procedure[Fetched]:
    """Download an object into a writer."""
    return fetch(lambda: locate_object(service, name, offered), name, writer_factory, settings)


def fetch_artifact(
    queue: Any,
    task_id: str,
    run_id: int | str | None,
    name: str,
    offered: Mapping[str, DownloadMethod],
    writer_factory: Factory,
    settings: TransferSettings,
) -> Procedure[Fetched]:
    """Download an artifact into a writer. `run_id` defaults to the latest run."""

    def locate() -> Procedure[Location]:
        content = yield from _content(queue, task_id, run_id, name)
        kind = content["storageType"]
        if kind == "object":
            service = _object_service(queue, content["credentials"], settings)
            try:
                return (yield from locate_object(service, content["name"], offered))
            finally:
                yield CloseClient(service)
        if kind == "error":
            raise TaskclusterArtifactError(content["message"], content["reason"])
        if "url" in content:
            return Location(content["url"])
        raise TaskclusterFailure(f"{name} of task {task_id} has the unsupported storage type {kind!r}")

    return fetch(locate, name, writer_factory, settings)


def artifact_fetcher(
    queue: Any,
    task_id: str,
    run_id: int | str | None,
    name: str,
    offered: Mapping[str, DownloadMethod],
    settings: TransferSettings,
    index: Any = None,
) -> Callable[[Factory], Procedure[Fetched]]:
    """Return a function from a factory of writers to the procedure that downloads an artifact into one of them.

    With a client of the index, `task_id` is the task's path in the index. Other arguments as for `fetch_artifact`.
    """

    def fetching(writers: Factory) -> Procedure[Fetched]:
        found = task_id if index is None else (yield from indexed_task(index, task_id))
        return (yield from fetch_artifact(queue, found, run_id, name, offered, writers, settings))

    return fetching


def _content(queue: Any, task_id: str, run_id: int | str | None, name: str) -> Procedure[Mapping[str, Any]]:
    for _ in range(_MAX_LINKS + 1):
        method = "latestArtifact" if run_id is None else "artifact"
        arguments = (task_id, name) if run_id is None else (task_id, run_id, name)
        content: Mapping[str, Any] = yield Invoke(api_method(queue, method, "queueService", "Queue"), arguments)
        if content["storageType"] != "link":
            return content
        name = content["artifact"]
    raise TaskclusterFailure(f"{name} of task {task_id} is behind more than {_MAX_LINKS} links")


def _object_service(queue: Any, credentials: Mapping[str, Any], settings: TransferSettings) -> Any:
    # authorizedScopes of the queue's client do not apply to the credentials of this one object. That client has already
    # warned about unknown options.
    kept = {name: queue.options[name] for name in KNOWN_OPTIONS - {"authorizedScopes"} if name in queue.options}
    return settings.client({**kept, "credentials": credentials})


def fetch_to_path(
    path: str | os.PathLike[str], fetching: Callable[[Factory], Procedure[Fetched]]
) -> Procedure[Fetched]:
    """Download into a file that appears at its path when it is complete and verified.

    Args:
        path: The file's path.
        fetching: Returns the procedure for a writer factory.
    """
    file = PendingFile(path)
    try:
        # Inside the `try`, because a task may be cancelled while a thread creates the file.
        yield Invoke(file.make)
        fetched = yield from fetching(file.writer)
        yield Invoke(file.keep)
        return fetched
    finally:
        file.drop()


def fetch_content(fetching: Callable[[Factory], Procedure[Fetched]]) -> Procedure[ArtifactContent]:
    """Download into memory."""
    fetched = yield from fetching(MemoryWriter)
    return ArtifactContent(fetched.writer.getbuffer(), fetched.headers.get("Content-Type") or UNKNOWN_TYPE)


def indexed_task(index: Any, path: str) -> Procedure[str]:
    """Return the ID of the task at a path of the index."""
    found = yield Invoke(api_method(index, "findTask", "indexService", "Index"), (path,))
    return str(found["taskId"])


def fetch_many(
    queue: Any,
    task_id: str,
    run_id: int | str | None,
    pattern: str,
    directory: str | os.PathLike[str],
    offered: Mapping[str, DownloadMethod],
    limit: Any,
    settings: TransferSettings,
) -> Procedure[dict[str, Path]]:
    """Download many artifacts into a directory, and return their paths by name."""
    if not isinstance(limit, int) or limit < 1:
        raise TaskclusterFailure(f"concurrency must be a positive integer, not {limit!r}")
    method = "listLatestArtifacts" if run_id is None else "listArtifacts"
    listing = api_method(queue, method, "queueService", "Queue")
    arguments = (task_id,) if run_id is None else (task_id, run_id)
    names: list[str] = []
    token: str | None = None
    while True:
        page = yield Invoke(listing, arguments, with_continuation({}, token))
        names += [artifact["name"] for artifact in page["artifacts"]]
        token = continuation(page)
        if token is None:
            break
    target = Path(directory)
    paths = paths_for(target, chosen(names, pattern))
    yield Invoke(_make_directories, ({path.parent for path in paths.values()},))
    # One progress for all of them. Their total size is not known.
    done = 0

    def one(name: str, path: Path) -> Procedure[None]:
        nonlocal done
        before = 0

        def progress(now: int, total: int | None) -> object:
            nonlocal done, before
            done, before = done + now - before, now
            return settings.report(done, None)

        alone = dataclasses.replace(settings, progress=progress) if settings.progress else settings
        yield from fetch_to_path(
            path, lambda writers: fetch_artifact(queue, task_id, run_id, name, offered, writers, alone)
        )

    effect: Effect = Gather([one(name, path) for name, path in paths.items()], limit)
    yield effect
    return paths


def _make_directories(paths: Iterable[Path]) -> None:
    for path in paths:
        path.mkdir(parents=True, exist_ok=True)


def upload_artifact(
    queue: Any,
    task_id: str,
    run_id: int | str,
    name: str,
    content_type: str,
    content_length: int,
    expires: datetime.datetime | str,
    reader_factory: Factory,
    storage_type: str | None,
    encoding: str | None,
    decoded_length: int | None,
    offered: Mapping[str, UploadMethod],
    settings: TransferSettings,
) -> Procedure[str]:
    """Create an artifact, and return its storage type."""
    if storage_type not in (None, "object", "s3"):
        raise TaskclusterFailure(f"storageType must be 'object', 's3' or None, not {storage_type!r}")
    if encoding is not None and storage_type != "s3":
        raise TaskclusterFailure(f"contentEncoding needs storageType='s3', not {storage_type!r}")
    check_content_type(content_type)
    described = {"expires": expires, "contentType": content_type}

    def create(kind: str) -> Procedure[Mapping[str, Any]]:
        payload: dict[str, Any] = {"storageType": kind, **described}
        # finishArtifact fails with it for objects, because the schema of a message of the queue forbids it.
        if kind != "object":
            payload["contentLength"] = content_length if decoded_length is None else decoded_length
        method = api_method(queue, "createArtifact", "queueService", "Queue")
        created: Mapping[str, Any] = yield Invoke(method, (task_id, run_id, name, payload))
        return created

    try:
        created = yield from create(storage_type or "object")
    except TaskclusterRestFailure as exc:
        if exc.status_code != 400 or storage_type is not None:
            raise
        # A deployment without an object service rejects the storage type. Any other reason also fails with s3.
        created = yield from create("s3")
    if created["storageType"] == "object":
        service = _object_service(queue, created["credentials"], settings)
        upload = ObjectUpload(
            created["projectId"],
            created["name"],
            content_type,
            content_length,
            created["uploadId"],
            created["expires"],
        )
        try:
            yield from upload_object(upload, reader_factory, service, offered, settings)
        except TaskclusterRestFailure as exc:
            if exc.code != "NoMatchingBackend":
                raise
            raise settings.failure(
                f"the deployment has no storage for {name} as an object: pass storageType='s3' "
                "(the queue may reserve this name for the object until the next run)",
                exc,
                status_code=exc.status_code,
                body=exc.body,
            ) from exc
        finally:
            yield CloseClient(service)
        yield Invoke(queue.finishArtifact, (task_id, run_id, name, {"uploadId": created["uploadId"]}))
        return "object"
    headers = {"Content-Type": content_type, **({} if encoding is None else {"Content-Encoding": encoding})}
    first: list[Mapping[str, Any]] = [created]

    def locate() -> Procedure[Location | None]:
        response = first.pop() if first else (yield from create("s3"))
        return Location(response["putUrl"], "PUT", headers, response["expires"])

    # The queue keeps no hashes of artifacts on s3.
    yield from put(locate, name, reader_factory, content_length, (), settings)
    return "s3"
