"""Procedures of downloads from storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from taskcluster.arguments import api_method
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.plugins import DownloadMethod, Location
from taskcluster.redirects import open_response
from taskcluster.retries import Attempts

from .. import methods, resuming
from ..bodies import Sink
from ..effects import Close, Invoke, Opened, Procedure, ReadBody, Sleep, Uploaded
from ..hashing import Digests, hashes_to_verify, verify
from ..resuming import Held, Verdict
from ..settings import TransferSettings

__all__ = ["Fetched", "Retries", "fetch", "locate_object", "storage_failure"]

Locate = Callable[[], Procedure[Location]]


class Fetched(NamedTuple):
    """The result of a download."""

    content_type: str
    """The media type."""
    headers: Mapping[str, str]
    writer: Any
    """The one that wrote the data."""


class Retries:
    """Counts failed attempts, and waits before retries."""

    def __init__(self, settings: TransferSettings) -> None:
        self._settings = settings
        self._attempts = Attempts(settings.policy)

    def wait(self, failure: TaskclusterFailure, response: Opened | Uploaded | None = None) -> Procedure[None]:
        """Wait before the next attempt, as long as the response requests; raise `failure` if no retries are left."""
        settings = self._settings
        yield Sleep(self._attempts.delay(failure, settings.random(), settings.now(), response))


def locate_object(service: Any, name: str, offered: Mapping[str, DownloadMethod]) -> Procedure[Location]:
    """Return the location of an object's data."""
    payload = {"acceptDownloadMethods": methods.accepted(offered)}
    response = yield Invoke(api_method(service, "startDownload", "objectService", "Object"), (name, payload))
    return methods.source(offered, name, response)


def fetch(
    locate: Locate, name: str, writer_factory: Callable[[], Any], settings: TransferSettings
) -> Procedure[Fetched]:
    """Download from a location into a writer, resume if the connection breaks, and verify the hashes.

    Args:
        locate: Returns the location. Called again when it has expired.
        name: The name of the data, for errors.
        writer_factory: Returns a writer. Called again when the download restarts.
        settings: The settings of the transfer.

    Raises:
        ObjectHashVerificationError: A hash does not match, or the object service returned no supported hash.
        TaskclusterConnectionError: There was no complete response, after all retries.
        TaskclusterRestFailure: Storage responded with an error.
    """
    retries = Retries(settings)
    location = yield from locate()
    renewed = False
    sink: Sink | None = None
    while True:
        failure: TaskclusterFailure
        opened: Opened | None = None
        held = _held(sink)
        try:
            opened = yield from _open(location, held, settings)
        except TaskclusterConnectionError as exc:
            failure, verdict = exc, Verdict.RETRY
        else:
            try:
                verdict = resuming.judge(opened.status, opened.headers, held)
                if verdict in (Verdict.COMPLETE, Verdict.REST):
                    renewed = False
                    hashes = _stated(name, location)
                    if sink is None or verdict is Verdict.COMPLETE:
                        sink = yield from _begin(opened, writer_factory, hashes)
                    elif sink.total is None:
                        sink.total = resuming.complete_length(opened.headers)
                    broken = yield from _read(opened, name, sink, settings)
                    if broken is None:
                        sink.finish()
                        found = yield Invoke(sink.digests.hexdigests)
                        verify(name, hashes, found)
                        return Fetched(resuming.content_type(opened.headers), opened.headers, sink.writer)
                    failure, verdict = broken, Verdict.RETRY
                else:
                    failure = storage_failure(name, opened.status, settings)
                    if verdict is Verdict.FAILURE or (verdict is Verdict.EXPIRED and renewed):
                        raise failure
                    if verdict is Verdict.CHANGED:
                        sink = None
            finally:
                yield Close(opened)
        if verdict is not Verdict.EXPIRED:
            yield from retries.wait(failure, opened)
        if verdict is Verdict.EXPIRED or resuming.has_expired(location, settings.now()):
            renewed = renewed or verdict is Verdict.EXPIRED
            known = location.hashes
            location = yield from locate()
            if location.hashes != known:
                sink = None


def storage_failure(name: str, status: int, settings: TransferSettings) -> TaskclusterRestFailure:
    """Return the exception for an error response of storage."""
    # Without the body, because storage services repeat signed URLs and signatures in it.
    return settings.failure(f"storage responded with status {status} for {name}", None, status_code=status)


def _stated(name: str, location: Location) -> dict[str, str]:
    return {} if location.hashes is None else hashes_to_verify(name, location.hashes)


def _held(sink: Sink | None) -> Held | None:
    if sink is None or sink.etag is None or not sink.received:
        return None
    if sink.total is not None and sink.received >= sink.total:
        # Nothing is missing: the body was too long, or the end of its encoding was wrong.
        return None
    return Held(sink.received, sink.total, sink.etag, sink.encoding)


def _begin(opened: Opened, writer_factory: Callable[[], Any], hashes: Mapping[str, str]) -> Procedure[Sink]:
    writer = yield Invoke(writer_factory)
    return Sink(
        writer,
        Digests(hashes),
        resuming.encoding(opened.headers),
        resuming.content_length(opened.headers),
        resuming.strong_etag(opened.headers),
    )


def _read(
    opened: Opened, name: str, sink: Sink, settings: TransferSettings
) -> Procedure[TaskclusterConnectionError | None]:
    """Read a body into a sink; return why it is incomplete, or None."""
    try:
        yield ReadBody(opened, sink, settings.report)
    except TaskclusterConnectionError as exc:
        if sink.failure is not None:
            raise
        return exc
    if sink.total in (None, sink.received):
        return None
    return TaskclusterConnectionError(f"the body of {name} ends after {sink.received} of {sink.total} bytes", None)


def _open(location: Location, held: Held | None, settings: TransferSettings) -> Procedure[Opened]:
    public = {"Accept-Encoding": "gzip", **resuming.range_headers(held)}
    # The headers of a location may be credentials, which are for its server.
    return open_response(settings.request(location, location.headers), public, settings.failure)
