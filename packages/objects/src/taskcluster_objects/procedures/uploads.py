"""Procedures of uploads to storage."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from taskcluster.arguments import api_method
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.plugins import Location, UploadMethod, UploadOffer
from taskcluster.redirects import sendable_url
from taskcluster.retries import retryable
from taskcluster.timestamps import stringDate

from .. import methods, resuming
from ..bodies import MemoryReader, Source
from ..effects import Invoke, Procedure, ReadAll, ReportProgress, SendBody, Uploaded
from ..hashing import ACCEPTABLE_HASHES, Digests
from ..settings import TransferSettings
from .downloads import Retries, storage_failure

__all__ = ["ObjectUpload", "check_content_type", "put", "upload_object"]

_header_value = re.compile("[ -~]*").fullmatch


def check_content_type(content_type: object) -> None:
    """Raise TaskclusterFailure if a content type cannot be sent as a header."""
    if isinstance(content_type, str) and not _header_value(content_type):
        raise TaskclusterFailure(
            f"contentType must consist of printable ASCII characters, e.g. 'text/plain', not {content_type!r}"
        )


class ObjectUpload(NamedTuple):
    """The object to create."""

    projectId: str
    name: str
    contentType: str
    contentLength: int
    uploadId: str
    expires: datetime.datetime | str


def upload_object(
    upload: ObjectUpload,
    reader_factory: Callable[[], Any],
    service: Any,
    offered: Mapping[str, UploadMethod],
    settings: TransferSettings,
) -> Procedure[None]:
    """Create an object.

    Args:
        upload: The object to create.
        reader_factory: Returns a reader. Called once for each attempt.
        service: The object service's client.
        offered: The upload methods to offer.
        settings: The settings of the transfer.

    Raises:
        TaskclusterFailure: The reader returned fewer or more bytes than contentLength, or no method is supported.
        TaskclusterConnectionError: There was no response, after all retries.
        TaskclusterRestFailure: Storage or the object service responded with an error.
    """
    check_content_type(upload.contentType)
    data: bytes | None = None
    hashes: dict[str, str] = {}
    if upload.contentLength <= methods.DATA_INLINE_MAX_SIZE:
        source = yield from _source(reader_factory, upload.contentLength, ACCEPTABLE_HASHES)
        data = little = yield ReadAll(source)
        hashes = source.digests.hexdigests()
        reader_factory = _reading(little)
    offer = UploadOffer(upload.contentType, upload.contentLength, data)
    ids = {"projectId": upload.projectId, "uploadId": upload.uploadId}
    # The same in each call, so that the object service recognizes the upload.
    created = {
        **ids,
        "expires": _text(upload.expires),
        "proposedUploadMethods": methods.proposals(offered, offer),
    }

    def locate() -> Procedure[Location | None]:
        response = yield Invoke(api_method(service, "createUpload", "objectService", "Object"), (upload.name, created))
        return methods.destination(offered, upload.name, response)

    sent = yield from put(locate, upload.name, reader_factory, upload.contentLength, ACCEPTABLE_HASHES, settings)
    yield Invoke(service.finishUpload, (upload.name, {**ids, "hashes": sent or hashes}))
    yield ReportProgress(settings.report, upload.contentLength, upload.contentLength)


def put(
    locate: Callable[[], Procedure[Location | None]],
    name: str,
    reader_factory: Callable[[], Any],
    length: int,
    algorithms: Iterable[str],
    settings: TransferSettings,
) -> Procedure[dict[str, str] | None]:
    """Upload data to a location. Return its hashes, or None if the data was already stored.

    Args:
        locate: Returns the location, or None if the data is already stored. Called again when it has expired.
        name: The name of the data, for errors.
        reader_factory: Returns a reader. Called once for each attempt.
        length: The number of bytes.
        algorithms: The hashes to compute.
        settings: The settings of the transfer.
    """
    retries = Retries(settings)
    location = yield from locate()
    renewed = False
    while location is not None:
        source = yield from _source(reader_factory, length, algorithms)
        failure: TaskclusterFailure
        response: Uploaded | None = None
        is_expired = False
        try:
            request = settings.request(location, _headers(location, length))
            uploaded: Uploaded = yield SendBody(
                request._replace(url=sendable_url(location.url)), source, settings.report
            )
        except TaskclusterConnectionError as exc:
            if source.failure is not None:
                raise
            failure = exc
        else:
            response = uploaded
            if 200 <= uploaded.status < 300:
                if not source.started:
                    # Mocks of storage, in tests of programs, read no body.
                    yield ReadAll(source)
                if source.complete:
                    hashes: dict[str, str] = yield Invoke(source.digests.hexdigests)
                    return hashes
            failure = _failure(name, uploaded.status, settings)
            is_expired = uploaded.status == 403 and not renewed
            if not (is_expired or retryable(uploaded.status) or uploaded.status < 300):
                raise failure
        if not is_expired:
            yield from retries.wait(failure, response)
        if is_expired or resuming.has_expired(location, settings.now()):
            renewed = renewed or is_expired
            location = yield from locate()
    return None


def _failure(name: str, status: int, settings: TransferSettings) -> TaskclusterRestFailure:
    if not 200 <= status < 300:
        return storage_failure(name, status, settings)
    text = f"storage responded with status {status} before it had read the complete body of {name}"
    return settings.failure(text, None, status_code=status)


def _source(reader_factory: Callable[[], Any], length: int, algorithms: Iterable[str]) -> Procedure[Source]:
    reader = yield Invoke(reader_factory)
    return Source(reader, length, Digests(algorithms))


def _reading(data: bytes) -> Callable[[], MemoryReader]:
    return lambda: MemoryReader(data)


def _headers(location: Location, length: int) -> dict[str, str]:
    given = {name: text for name, text in location.headers.items() if name.lower() != "content-length"}
    return {**given, "Content-Length": str(length)}


def _text(date: datetime.datetime | str) -> str:
    return date if isinstance(date, str) else stringDate(date)
