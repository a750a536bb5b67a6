"""Tests of bindings, and of the delivery of messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskcluster_local.events import Binding, Events, Message
from taskcluster_local.store import Store
from taskcluster_local.validation import ApiSchemas

EXCHANGE = "exchange/taskcluster-x/v1/happened"
REFERENCES = {
    "x": {
        "exchangePrefix": "exchange/taskcluster-x/v1/",
        "exchanges": [
            {
                "name": "happened",
                "exchange": "happened",
                "routingKey": [{"name": "kind", "constant": "primary"}, {"name": "what"}, {"name": "reserved"}],
                "schema": "x/v1/happened.json",
            }
        ],
    }
}
TYPES = {"x/v1/happened.json": {"properties": {"n": {"type": ["string", "integer"]}}, "additionalProperties": False}}


def naive(pattern: list[str], words: list[str]) -> bool:
    """Return whether a routing key matches, straight from the definition."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(naive(pattern[1:], words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and naive(pattern[1:], words[1:])


def matches(pattern: str, key: str, *routes: str) -> bool:
    return Binding(EXCHANGE, pattern).matches(Message("x", EXCHANGE, key, routes, {}))


WORDS = st.sampled_from(["a", "b", "_", "", "a+", "(", "\n", "é"])


@given(st.lists(WORDS | st.sampled_from(["*", "#"]), min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=6))
@example(["#"], ["a"])
@example(["#", "a"], ["a"])
@example(["a", "#"], ["a"])
@example(["a", "#", "b"], ["a", "b"])
@example(["a", "#", "b"], ["a", "x", "b", "b"])
@example(["#", "#"], ["a"])
@example(["*", "#"], ["a"])
@example(["#", "*"], ["a", "b"])
def test_pattern_matches_by_definition(pattern: list[str], words: list[str]) -> None:
    assert matches(".".join(pattern), ".".join(words)) is naive(pattern, words)


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("#", "a.b.c", True),
        ("a.*.c", "a.b.c", True),
        ("a.*", "a.b.c", False),
        ("#.c", "a.b.c", True),
        ("a.#", "a.b.c", True),
        ("a.#.c", "a.c", True),
        ("*", "a.b", False),
        ("a", "ab", False),
        ("a*", "ab", False),
        ("#.ab.#", "abc.ab", True),
        ("#..#", "a.", True),
        ("route.index.#", "primary.x", False),
    ],
)
def test_pattern_matches_words(pattern: str, key: str, expected: bool) -> None:
    assert matches(pattern, key) is expected


def test_binding_matches_exchange_and_routes() -> None:
    assert matches("route.index.*", "primary.x", "route.other", "route.index.a")
    assert not Binding("other", "#").matches(Message("x", EXCHANGE, "a", (), {}))


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as made:
        yield made


@pytest.fixture
def events(store: Store) -> Events:
    return Events(REFERENCES, ApiSchemas(TYPES), store)


@pytest.fixture
def received(events: Events) -> list[str]:
    found: list[str] = []
    events.subscribe(
        [Binding(EXCHANGE, "#"), Binding(EXCHANGE, "primary.#")], lambda each: found.append(each.payload["n"])
    )
    return found


def publish(events: Events, n: str) -> None:
    events.publish("x", "happened", {"n": n}, what=n)


def test_message_has_routing_key_and_routes(events: Events) -> None:
    found: list[Message] = []
    events.subscribe([Binding(EXCHANGE, "#")], found.append)
    events.publish("x", "happened", {"n": 1}, what="w", routes=["a.b"], reserved=None)
    assert found == [Message("x", EXCHANGE, "primary.w._", ("route.a.b",), {"n": 1})]


def test_rollback_delivers_nothing(events: Events, store: Store, received: list[str]) -> None:
    with store.transaction():
        publish(events, "1")
        with suppress(LookupError), store.transaction():
            publish(events, "2")
            raise LookupError
        with store.transaction():
            publish(events, "3")
        assert received == []
    assert received == ["1", "3"]
    with suppress(LookupError), store.transaction():
        publish(events, "4")
        raise LookupError
    publish(events, "5")
    assert received == ["1", "3", "5"]


def test_reaction_runs_in_transaction(events: Events, store: Store, received: list[str]) -> None:
    seen: list[str] = []

    def react(message: Message) -> None:
        seen.append(message.payload["n"])
        if message.payload["n"] == "1":
            publish(events, "1 followed")
        if message.payload["n"] == "bad":
            raise LookupError

    events.react(Binding(EXCHANGE, "primary.#"), react)
    with store.transaction():
        publish(events, "1")
        assert seen == ["1", "1 followed"]
    with suppress(LookupError), store.transaction():
        publish(events, "2")
        publish(events, "bad")
    assert received == ["1", "1 followed"]


def test_closed_subscription_receives_nothing(events: Events, received: list[str]) -> None:
    other: list[Message] = []
    subscription = events.subscribe([Binding(EXCHANGE, "#")], other.append)
    publish(events, "1")
    subscription.close()
    subscription.close()
    publish(events, "2")
    assert (len(other), received) == (1, ["1", "2"])


def test_receiver_may_close_and_subscribe(events: Events) -> None:
    found: list[str] = []

    def once(message: Message) -> None:
        found.append(message.payload["n"])
        first.close()
        events.subscribe([Binding(EXCHANGE, "#")], lambda each: found.append(f"later {each.payload['n']}"))

    first = events.subscribe([Binding(EXCHANGE, "#")], once)
    publish(events, "1")
    publish(events, "2")
    assert found == ["1", "later 2"]


def test_rejects_invalid_routing_key(events: Events) -> None:
    with pytest.raises(ValueError, match="has no"):
        events.publish("x", "happened", {}, other=1)
    with pytest.raises(ValueError, match="longer than 255 bytes"):
        events.publish("x", "happened", {}, what="é" * 127)


def test_rejects_payload_violating_schema(events: Events, store: Store, received: list[str]) -> None:
    with pytest.raises(ValueError, match=r"x\.happened does not match x/v1/happened\.json: data must NOT"):
        events.publish("x", "happened", {"n": "1", "m": 2})
    assert received == []
