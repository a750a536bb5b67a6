"""The message stream of a local deployment: server-sent events over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from taskcluster.causes import explain
from taskcluster.credentials import signer
from taskcluster.environment import resolve_options
from taskcluster.options import user_agent_of
from taskcluster.shapes import is_mapping
from taskcluster.urls import encode_query, endpoint

from .delivery import Connected, Delivery, Emit
from .exceptions import PulseConnectionError, PulseFailure, PulseRefused
from .sse import EventParser, ServerEvent

if TYPE_CHECKING:
    import aiohttp

__all__ = ["StreamLink", "StreamSource"]

_LONGEST_QUERY = 16_000
"""Bytes. The first line of a request may have 16 KiB."""

log = logging.getLogger("taskcluster")


class StreamSource:
    """What connections to a stream share: the position in it, and the messages that are not acknowledged.

    The deployment does not know of acknowledgements. Messages stay valid when a connection is lost, and a rejected one
    is delivered again from here.

    Args:
        root_url: The deployment.
        credentials: Taskcluster credentials; by default those that clients find.
        bindings: Exchanges and patterns.
        prefetch: How many messages may be received before they are acknowledged.
        timeout: Seconds without any data after which a connection counts as lost.
        emit: Called with each message.

    Raises:
        PulseFailure: There are more bindings than a request can have.
    """

    def __init__(
        self,
        root_url: str,
        credentials: Mapping[str, Any] | None,
        bindings: tuple[tuple[str, str], ...],
        *,
        prefetch: int,
        timeout: float,
        emit: Emit,
    ) -> None:
        options = resolve_options({"rootUrl": root_url, "credentials": credentials}).options
        self.root_url: str = options["rootUrl"]
        self.timeout = timeout
        self.position = ""
        self.user_agent = user_agent_of(options)
        self._signer = signer(options.get("credentials"), options.get("authorizedScopes"))
        self._emit = emit
        self._room = asyncio.Semaphore(prefetch)
        listed = [{"exchange": exchange, "routingKeyPattern": pattern} for exchange, pattern in bindings]
        self._query = encode_query("events", {"bindings": json.dumps(listed, separators=(",", ":"))})
        if len(self._query) > _LONGEST_QUERY:
            raise PulseFailure(
                f"{len(listed)} bindings take {len(self._query)} bytes in the URL of the stream, and a deployment "
                f"accepts {_LONGEST_QUERY}: use fewer, e.g. patterns with * and #, or several consumers"
            )

    is_open = True
    """Messages can be acknowledged at any time."""

    def request(self) -> tuple[str, dict[str, str]]:
        """Return the URL and the headers of a request for the stream."""
        address = endpoint(self.root_url, "queue", "v1")
        url = f"{self.root_url}/events?{self._query}"
        headers = {"Accept": "text/event-stream", "User-Agent": self.user_agent}
        if self.position:
            headers["Last-Event-ID"] = self.position
        if self._signer is not None:
            from taskcluster.hawk import new_nonce

            now = time.time()
            name = url[url.index("/", len("https://")) :]
            content = self._signer.content_hash(None)
            headers["Authorization"] = self._signer.at(now).header(
                "GET", name, address.host, address.port, content, now, new_nonce()
            )
        return url, headers

    async def receive(self, event: ServerEvent) -> None:
        """Process an event, after waiting until fewer than `prefetch` messages are not acknowledged.

        Raises:
            PulseConnectionError: It says that the stream ends.
        """
        match event.name:
            case "message":
                await self._room.acquire()
                content = json.loads(event.data)
                self._emit(
                    Delivery(
                        self,
                        0,
                        content["exchange"],
                        content["routingKey"],
                        tuple(content["routes"]),
                        content["redelivered"],
                        json.dumps(content["payload"]).encode(),
                    )
                )
            case "lost":
                log.warning("messages of %s may be missing", self.root_url)
                self._emit(Connected())
            case "error":
                raise PulseConnectionError(f"the stream of {self.root_url} has ended: {_message(event.data)}")
            case _:
                pass
        self.position = event.position or self.position

    def settle(self, delivery: Delivery, *, ack: bool, requeue: bool) -> None:
        """Make room for another message, or deliver this one again."""
        if not ack and requeue:
            again = Delivery(self, 0, delivery.exchange, delivery.routing_key, delivery.routes, True, delivery.body)
            self._emit(again)
        else:
            self._room.release()


class StreamLink:
    """A connection to a stream."""

    def __init__(self, source: StreamSource) -> None:
        self._source = source
        self.failed: asyncio.Future[PulseConnectionError] = asyncio.get_running_loop().create_future()
        self.settled = 0
        """How many messages were received. Acknowledgements are not sent over this connection."""
        self._session: aiohttp.ClientSession | None = None
        self._response: aiohttp.ClientResponse | None = None
        self._reader: Coroutine[Any, Any, None] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and return when messages that are published from now on will be received.

        Raises:
            PulseFailure: The message says why; PulseRefused if trying again is useless.
        """
        import aiohttp

        from taskcluster.transport.aiohttp import own_session, request_over

        self._session = own_session()
        seconds = self._source.timeout
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
        url, headers = self._source.request()
        failure: PulseFailure
        try:
            response = self._response = await request_over(
                self._session, "GET", url, headers=headers, timeout=timeout, allow_redirects=False
            )
            if response.status == 200 and response.content_type == "text/event-stream":
                parser = EventParser()
                events = await _next_events(response, parser)
                if events and events[0].name == "ready":
                    self._reader = self._read(response, parser, events)
                    return
                problem = f"the stream of {self._source.root_url} does not begin with `ready`"
                failure = PulseConnectionError(problem)
            else:
                failure = _refusal(self._source.root_url, response.status, await response.text())
        except aiohttp.ClientSSLError as exc:
            failure = PulseFailure(explain(f"no TLS with {self._source.root_url}", exc))
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as exc:
            failure = PulseConnectionError(explain(f"no connection to {self._source.root_url}", exc))
        except BaseException:
            await self.close()
            raise
        await self.close()
        # Not chained: the exceptions hold the request with its signature.
        raise failure

    def begin(self) -> None:
        """Emit messages from now on."""
        assert self._reader is not None
        self._reading, self._reader = asyncio.create_task(self._reader), None

    async def retire(self) -> None:
        """Close the connection."""
        await self.close()

    async def close(self, *, delete: bool = False) -> None:
        """Close the connection."""
        if self._reader is not None:
            self._reader.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._response is not None:
            self._response.close()
        if self._session is not None:
            await self._session.close()

    async def _read(self, response: aiohttp.ClientResponse, parser: EventParser, events: list[ServerEvent]) -> None:
        import aiohttp

        problem = f"the stream of {self._source.root_url} has ended"
        try:
            while events:
                for event in events:
                    await self._source.receive(event)
                    self.settled += event.name == "message"
                events = await _next_events(response, parser)
        except PulseConnectionError as exc:
            problem = str(exc)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as exc:
            problem = explain(f"the stream of {self._source.root_url} was lost", exc)
        except (ValueError, LookupError, TypeError) as exc:
            problem = f"the stream of {self._source.root_url} sent an invalid event: {type(exc).__name__}"
        self.failed.set_result(PulseConnectionError(problem))


async def _next_events(response: aiohttp.ClientResponse, parser: EventParser) -> list[ServerEvent]:
    """Return the next events; none at the end of the stream."""
    while data := await response.content.readany():
        if events := parser.feed(data):
            return events
    return []


def _refusal(root_url: str, status: int, body: str) -> PulseFailure:
    """Return the failure for a response that is not a stream."""
    text = f"{root_url} refuses the message stream with status {status}: {_message(body)}"
    if status >= 500 or status == 429:
        return PulseConnectionError(text)
    if status in (200, 404):
        text = (
            f"{root_url} has no message stream, which only local deployments have (GET /events): for any other, "
            "name its broker with url='amqps://…' or PULSE_URL"
        )
    return PulseRefused(text, status)


def _message(body: str) -> str:
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = None
    text = found.get("message") if is_mapping(found) else None
    # The rest of a message of Taskcluster repeats the request.
    return str(text).partition("\n---")[0].strip() if text else "no reason was given"
