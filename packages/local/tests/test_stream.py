"""Tests of the feed of server-sent events and its bindings, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from typing import Any, NamedTuple

import pytest

from taskcluster_local.errors import ApiError
from taskcluster_local.events import Binding, Events
from taskcluster_local.store import Store
from taskcluster_local.stream import Feed, bindings_in
from taskcluster_local.validation import ApiSchemas

EXCHANGE = "exchange/taskcluster-x/v1/happened"
REFERENCES = {
    "x": {
        "exchangePrefix": "exchange/taskcluster-x/v1/",
        "exchanges": [
            {
                "name": "happened",
                "exchange": "happened",
                "routingKey": [{"name": "kind", "constant": "primary"}, {"name": "what"}],
            }
        ],
    }
}
ALL = (Binding(EXCHANGE, "#"),)


class Event(NamedTuple):
    name: str
    id: str
    data: Any


class Reading:
    """Reads the events of a stream one by one."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._events: list[Event] = []

    async def next(self) -> Event:
        while not self._events:
            chunk = await anext(self._chunks)
            assert chunk.endswith(b"\n\n")
            for lines in chunk.decode().split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in lines.split("\n"))
                self._events.append(Event(fields["event"], fields.get("id", ""), json.loads(fields["data"])))
        return self._events.pop(0)

    async def names(self, number: int) -> list[str]:
        """Return what the next messages are about; other events by their names."""
        found = [await self.next() for _ in range(number)]
        return [each.data["payload"]["n"] if each.name == "message" else each.name for each in found]


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as made:
        yield made


@pytest.fixture
def events(store: Store) -> Events:
    return Events(REFERENCES, ApiSchemas({}), store)


def feed_of(events: Events, **options: Any) -> Feed:
    feed = Feed(**options)
    feed.attach(events)
    return feed


def publish(events: Events, *names: str, **options: Any) -> None:
    for name in names:
        events.publish("x", "happened", {"n": name}, what=name, **options)


@contextlib.asynccontextmanager
async def reading(
    feed: Feed, bindings: tuple[Binding, ...] = ALL, last_id: str | None = None
) -> AsyncGenerator[Reading, None]:
    async with aclosing(feed.stream(bindings, last_id)) as chunks:
        yield Reading(chunks)


def test_sends_ready_and_matching_messages(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        bindings = (Binding(EXCHANGE, "primary.a"), Binding(EXCHANGE, "#.a"), Binding(EXCHANGE, "route.r.#"))
        async with reading(feed, bindings) as stream:
            ready = await stream.next()
            assert (ready.name, ready.data) == ("ready", {})
            publish(events, "a", "b")
            publish(events, "c", routes=["r.s", "é"])
            first, second = await stream.next(), await stream.next()
        assert (first.name, first.data["payload"]) == ("message", {"n": "a"})
        assert second.data == {
            "exchange": EXCHANGE,
            "routingKey": "primary.c",
            "routes": ["route.r.s", "route.é"],
            "redelivered": False,
            "payload": {"n": "c"},
        }
        assert len({ready.id, first.id, second.id}) == 3

    asyncio.run(scenario())


def test_continues_after_last_id(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with reading(feed) as stream:
            start = await stream.next()
            publish(events, *"abcd")
            assert await stream.names(2) == ["a", "b"]
            third = await stream.next()
        publish(events, "e")
        async with reading(feed, last_id=third.id) as stream:
            assert await stream.names(3) == ["ready", "d", "e"]
            publish(events, "f")
            assert await stream.names(1) == ["f"]
        async with reading(feed, (Binding(EXCHANGE, "primary.b"),), start.id) as stream:
            ready = await stream.next()
            # A stream that is interrupted before the first message continues at the same place.
            assert (ready.name, ready.id) == ("ready", start.id)
            assert await stream.names(1) == ["b"]

    asyncio.run(scenario())


def test_continues_over_long_backlog_in_order(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with reading(feed) as stream:
            start = await stream.next()
        first = [str(number) for number in range(1000)]
        publish(events, *first)
        async with reading(feed, last_id=start.id) as stream:
            assert await stream.names(2) == ["ready", "0"]
            # In the middle of the backlog.
            publish(events, "more", "and more")
            assert await stream.names(1001) == [*first[1:], "more", "and more"]

    asyncio.run(scenario())


@pytest.mark.parametrize("last_id", ["", "x", "0-0", "-1", "1", "ffffffffffffffff-1"])
def test_reports_loss_for_unknown_id(events: Events, last_id: str) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with reading(feed, last_id=last_id) as stream:
            assert await stream.names(2) == ["ready", "lost"]
            publish(events, "a")
            assert await stream.names(1) == ["a"]

    asyncio.run(scenario())


def test_reports_loss_for_impossible_numbers(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with reading(feed) as stream:
            epoch = (await stream.next()).id.partition("-")[0]
        for number in ("1", "-1", "²", "٣", "9" * 5000, ""):
            async with reading(feed, last_id=f"{epoch}-{number}") as stream:
                assert await stream.names(2) == ["ready", "lost"]

    asyncio.run(scenario())


@pytest.mark.parametrize("limits", [{"most_messages": 2}, {"most_bytes": 400}], ids=["messages", "bytes"])
def test_reports_loss_beyond_backlog(events: Events, limits: dict[str, int]) -> None:
    async def scenario() -> None:
        feed = feed_of(events, **limits)
        async with reading(feed) as stream:
            ids = [await stream.next()]
            for name in "abc":
                publish(events, name)
                ids.append(await stream.next())
        async with reading(feed, last_id=ids[1].id) as stream:
            assert await stream.names(3) == ["ready", "b", "c"]
        async with reading(feed, last_id=ids[0].id) as stream:
            assert await stream.names(2) == ["ready", "lost"]

    asyncio.run(scenario())


def test_keeps_newest_message_of_any_size(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events, most_bytes=1)
        async with reading(feed) as stream:
            await stream.next()
            publish(events, "a")
            assert await stream.names(1) == ["a"]

    asyncio.run(scenario())


def test_slow_stream_ends_with_error(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events, most_messages=10)
        async with reading(feed) as slow, reading(feed) as fast, reading(feed) as catching:
            start = await slow.next()
            await fast.next()
            publish(events, *"abcdefghij")
            assert await fast.names(10) == list("abcdefghij")
            async with reading(feed, last_id=start.id) as late:
                await late.next()
                publish(events, "k")
                for stream in (slow, late):
                    error = await stream.next()
                    assert (error.name, error.data["code"]) == ("error", "TooSlow")
                    assert "narrower bindings" in error.data["message"]
                    with pytest.raises(StopAsyncIteration):
                        await stream.next()
            assert await fast.names(1) == ["k"]
            # It has not started yet.
            publish(events, "l")
            assert await fast.names(1) == ["l"]
            assert (await catching.next()).name == "ready"

    asyncio.run(scenario())


def test_sends_large_messages_in_several_chunks(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with aclosing(feed.stream(ALL, None)) as chunks:
            start = (await anext(chunks)).decode().partition("id: ")[2].partition("\n")[0]
            for _ in range(10):
                events.publish("x", "happened", {"n": "x" * 50_000}, what="w")
            for stream in (chunks, feed.stream(ALL, start)):
                sizes: list[int] = []
                while sum(sizes) < 500_000:
                    sizes.append(len(await anext(stream)))
                assert max(sizes) < 150_000
                await stream.aclose()

    asyncio.run(scenario())


def test_ping_moves_quiet_stream_forward(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events, ping=0.001, most_messages=2)
        async with reading(feed, (Binding(EXCHANGE, "primary.wanted"),)) as stream:
            await stream.next()
            publish(events, "a", "b", "c")
            ping = await stream.next()
            assert (ping.name, ping.data) == ("ping", {})
        publish(events, "wanted")
        async with reading(feed, (Binding(EXCHANGE, "primary.wanted"),), ping.id) as stream:
            assert await stream.names(2) == ["ready", "wanted"]

    asyncio.run(scenario())


def test_reset_is_reported_on_open_streams(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        with closing(Store()) as store:
            later = Events(REFERENCES, ApiSchemas({}), store)
            async with reading(feed) as stream, reading(feed) as waiting:
                first = await stream.next()
                await waiting.next()
                publish(events, "a", "b")
                assert await stream.names(1) == ["a"]
                assert await waiting.names(2) == ["a", "b"]
                next_event = asyncio.ensure_future(waiting.next())
                await asyncio.sleep(0)
                feed.attach(later)
                assert (await next_event).name == "lost"
                publish(later, "c")
                publish(events, "of the old deployment")
                lost = [await stream.next() for _ in range(2)]
                # "b" had been taken in the same chunk as "a".
                assert [each.name for each in lost] == ["message", "lost"]
                assert await stream.names(1) == ["c"]
                assert await waiting.names(1) == ["c"]
            async with reading(feed, last_id=first.id) as stream:
                assert await stream.names(2) == ["ready", "lost"]
            async with reading(feed, last_id=lost[1].id) as stream:
                assert await stream.names(2) == ["ready", "c"]

    asyncio.run(scenario())


def test_close_ends_streams(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with reading(feed) as stream:
            await stream.next()
            following = asyncio.ensure_future(stream.next())
            await asyncio.sleep(0)
            feed.close()
            with pytest.raises(StopAsyncIteration):
                await following

    asyncio.run(scenario())


def test_closed_stream_leaves_nothing(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events)
        async with reading(feed) as stream:
            await stream.next()
        assert not feed._readers
        assert feed._topics.find(EXCHANGE, ["a"]) == set()

    asyncio.run(scenario())


def test_nothing_is_kept_before_first_stream(events: Events) -> None:
    feed = feed_of(events)
    publish(events, "a")
    assert not feed._backlog


def binding(**fields: Any) -> dict[str, Any]:
    return {"exchange": EXCHANGE, "routingKeyPattern": "#", **fields}


def test_reads_bindings() -> None:
    text = json.dumps([binding(), binding(routingKeyPattern="a.*"), binding()])
    found = [(each.exchange, each.routingKeyPattern) for each in bindings_in(text, [EXCHANGE])]
    assert found == [(EXCHANGE, "#"), (EXCHANGE, "a.*")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "bindings is missing; pass [{"),
        ("{", "bindings is not JSON: "),
        ("[" * 100_000, "bindings is not JSON: "),
        ("{}", "bindings must be an array with at least one object"),
        ("[]", "bindings must be an array with at least one object"),
        ("[1]", "bindings[0] must be an object with exchange and routingKeyPattern"),
        (json.dumps([binding(), {"exchange": EXCHANGE}]), "bindings[1].routingKeyPattern is missing"),
        (json.dumps([binding(exchange=1)]), "bindings[0].exchange must be a string"),
        (json.dumps([binding(routingKeyPattern=None)]), "bindings[0].routingKeyPattern must be a string"),
        (
            json.dumps([binding(exchange=EXCHANGE + "s")]),
            f"bindings[0].exchange: unknown exchange '{EXCHANGE}s'; did you mean",
        ),
        (json.dumps([binding(exchange="\ud800")]), "bindings[0].exchange: unknown exchange '\\ud800'"),
        (json.dumps([binding(routingKeyPattern="é" * 128)]), "bindings[0].routingKeyPattern is longer than 255 bytes"),
    ],
    ids=["missing", "json", "deep", "object", "empty", "number", "key", "exchange", "pattern", "near", "half", "long"],
)
def test_invalid_bindings_name_the_key(given: str | None, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        bindings_in(given, [EXCHANGE])
    assert caught.value.code == "InvalidRequestArguments"
    assert message in caught.value.message


def test_latest_messages_and_a_stream_have_no_gap(events: Events) -> None:
    async def scenario() -> None:
        feed = feed_of(events, most_messages=4)
        publish(events, "unseen")
        position, found = await feed.latest(ALL, 10)
        assert found == []
        publish(events, "a", "b", "c", "d", "e")
        assert [each["payload"]["n"] for each in (await feed.latest(ALL, 10))[1]] == ["e", "d", "c", "b"]
        assert [each["payload"]["n"] for each in (await feed.latest(ALL, 2))[1]] == ["e", "d"]
        some = (Binding(EXCHANGE, "*.c"),)
        newest, [message] = await feed.latest(some, 10)
        assert message == {
            "exchange": EXCHANGE, "routingKey": "primary.c", "routes": [], "redelivered": False, "payload": {"n": "c"}
        }  # fmt: skip
        assert await feed.latest(ALL, 0) == (newest, [])
        publish(events, "f")
        async with reading(feed, last_id=newest) as stream:
            assert await stream.names(2) == ["ready", "f"]
        # Some are forgotten meanwhile.
        async with reading(feed, last_id=position) as stream:
            assert await stream.names(2) == ["ready", "lost"]

    asyncio.run(scenario())
