"""Read files from storage: signed URLs are renewed, failed requests retried, and broken bodies resumed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from taskcluster.effects import Close, Open, Opened, Request
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.options import timeouts, user_agent_of
from taskcluster.plugins import Location
from taskcluster.redirects import open_response
from taskcluster.retries import Attempts, Policy, retryable
from taskcluster.runner import run
from taskcluster.transport.requests import RequestsTransport
from taskcluster_objects.resuming import has_expired

from .exceptions import replaced
from .responses import Part, Stored, first_bytes, judge_part, part_headers, stored

__all__ = ["Remote", "Storage"]

_PIECE = 256 * 1024


class Storage:
    """Sends requests to storage, over connections that it keeps.

    Args:
        options: The options of the clients, for retries, timeouts and the User-Agent.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.policy = Policy.of(options)
        self._timeout = timeouts(options.get("timeout"))
        self._transport = RequestsTransport(None, user_agent_of(options))

    def open(self, location: Location, headers: Mapping[str, str]) -> Opened:
        """Return a response, after redirects; only the first server gets the location's own headers."""
        request = Request(location.method, location.url, dict(location.headers), None, self._timeout)
        # Encoded as it is stored: a decoded part would have other positions.
        return run(open_response(request, {"Accept-Encoding": "gzip", **headers}), self._perform)

    def _perform(self, effect: Open | Close) -> Any:
        if isinstance(effect, Close):
            return effect.opened.native.close()
        body = self._transport.open(effect.request)
        return Opened(body.status, body.headers, body)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def _wait(attempts: Attempts, failure: TaskclusterFailure, response: Opened | None = None) -> None:
    """Wait before the next attempt; raise `failure` if there is none."""
    time.sleep(attempts.delay(failure, random.random(), time.time(), response))


class Remote:
    """A file in storage.

    Args:
        storage: The connections.
        name: The name of the file, for errors.
        locate: Returns where it is. Called again when a URL has expired.
    """

    def __init__(self, storage: Storage, name: str, locate: Callable[[], Location]) -> None:
        self._storage = storage
        self._name = name
        self._locate = locate
        self._location: Location | None = None

    @property
    def hashes(self) -> Mapping[str, str] | None:
        """The hashes of the complete content that the object service has, or None."""
        return None if self._location is None else self._location.hashes

    def first(self, size: int | None) -> tuple[Stored, Opened]:
        """Request the first bytes, and return what the response shows, and the response, which the caller closes.

        Args:
            size: The size of the file, if known.
        """
        attempts = Attempts(self._storage.policy)
        while True:
            opened = self._get(part_headers(0, first_bytes(size), None), attempts)
            found = stored(opened.status, opened.headers)
            if found is not None:
                return found, opened
            opened.native.close()
            _wait(attempts, self._failure(opened.status))

    def part(self, start: int, end: int, known: Stored) -> bytes:
        """Return the bytes from `start` to before `end`.

        Raises:
            Changed: The file has another ETag or size than `known`.
        """
        return b"".join(self.pieces(start, end, known))

    def pieces(
        self, start: int, end: int | None, known: Stored, opened: Opened | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the stored bytes from `start` to before `end`, by default all, and resume if the connection breaks.

        Args:
            start: The position of the first one.
            end: The position after the last one.
            known: What the first response showed.
            opened: That response, if its body is still to be read.
        """
        attempts = Attempts(self._storage.policy)
        end = known.size if end is None else end
        skip, planned = 0, known.received
        while end is None or start < end:
            if opened is None:
                opened, skip = self._part(start, end, known, attempts)
                planned = end
            failure = None
            try:
                while data := opened.native.read(_PIECE if end is None else min(_PIECE, skip + end - start)):
                    piece = data[skip:]
                    skip -= len(data) - len(piece)
                    start += len(piece)
                    if piece:
                        yield piece
            except TaskclusterConnectionError as exc:
                failure = exc
            finally:
                opened.native.close()
            opened = None
            if failure is None and (end is None or start == end):
                return
            if failure is None and start == planned:
                # The first response, which was of a part.
                continue
            failure = failure or TaskclusterConnectionError(f"{self._name} ends after {start} of {end} bytes", None)
            if start and known.etag is None:
                # Another version could follow the part that was read.
                raise failure
            _wait(attempts, failure)

    def _part(self, start: int, end: int | None, known: Stored, attempts: Attempts) -> tuple[Opened, int]:
        while True:
            opened = self._get(part_headers(start, end, known.etag), attempts)
            verdict = judge_part(opened.status, opened.headers, start, known)
            if verdict is Part.READ:
                return opened, 0
            if verdict is Part.SKIP:
                return opened, start
            opened.native.close()
            if verdict is Part.CHANGED:
                raise replaced(self._name)
            _wait(attempts, self._failure(opened.status))

    def _get(self, headers: Mapping[str, str], attempts: Attempts) -> Opened:
        """Return a response with status 200, 206, 412 or 416."""
        is_renewed = False
        while True:
            if self._location is None or has_expired(self._location, time.time()):
                self._location = self._locate()
                is_renewed = True
            try:
                opened = self._storage.open(self._location, headers)
            except TaskclusterConnectionError as exc:
                _wait(attempts, exc)
                continue
            if opened.status in (200, 206, 412, 416):
                return opened
            opened.native.close()
            failure = self._failure(opened.status)
            if retryable(opened.status):
                _wait(attempts, failure, opened)
            elif opened.status == 403 and not is_renewed:
                self._location = None
            else:
                raise failure

    def _failure(self, status: int) -> TaskclusterRestFailure:
        # Without the body, because storage services repeat signed URLs in it.
        return TaskclusterRestFailure(f"storage responded with status {status} for {self._name}", None, status)
