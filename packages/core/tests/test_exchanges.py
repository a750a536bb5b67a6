"""Routing key patterns."""

from __future__ import annotations

from typing import Any

import pytest

from taskcluster.exceptions import TaskclusterTopicExchangeFailure
from taskcluster.exchanges import bind_exchange
from taskcluster.spec import Exchange

EXCHANGE = Exchange.from_entry(
    {
        "name": "taskCompleted",
        "exchange": "task-completed",
        "routingKey": [
            {"name": "routingKeyKind", "constant": "primary", "multipleWords": False},
            {"name": "taskId", "multipleWords": False},
            {"name": "runId", "multipleWords": False},
            {"name": "reserved", "multipleWords": True},
        ],
    }
)


def pattern(*args: Any, **kwargs: Any) -> str:
    bound = bind_exchange(EXCHANGE, "exchange/taskcluster-queue/v1/", args, kwargs)
    assert bound.keys() == {"exchange", "routingKeyPattern"}
    assert bound["exchange"] == "exchange/taskcluster-queue/v1/task-completed"
    return bound["routingKeyPattern"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, "primary.*.*.#"),
        ({"taskId": "t"}, "primary.t.*.#"),
        ({"taskId": "t", "runId": "0", "reserved": "_"}, "primary.t.0._"),
        ({"runId": 0}, "primary.*.0.#"),
        ({"taskId": None}, "primary.*.*.#"),
        ({"reserved": "a.b.c"}, "primary.*.*.a.b.c"),
        ({"routingKeyKind": "primary", "taskId": "t"}, "primary.t.*.#"),
    ],
)
def test_accepts_words_as_a_dict_or_as_keywords(parts: dict[str, Any], expected: str) -> None:
    assert pattern(parts) == expected
    assert pattern(**parts) == expected


@pytest.mark.parametrize(
    ("prefix", "exchange"),
    [
        ("exchange/mine/", "exchange/mine/task-completed"),
        ("exchange/mine", "exchange/mine/task-completed"),
        ("", "task-completed"),
    ],
)
def test_joins_prefix_and_exchange_with_one_slash(prefix: str, exchange: str) -> None:
    assert bind_exchange(EXCHANGE, prefix, (), {})["exchange"] == exchange


@pytest.mark.parametrize("text", ["primary.t.#", "#", "route.index.*", ""])
def test_a_pattern_as_a_string_is_used_unchanged(text: str) -> None:
    assert pattern(text) == text


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (({"taskId": "t"}, {"runId": 0}), {}, "one routing key pattern as a string, or its words"),
        (("a", "b"), {}, "one routing key pattern as a string, or its words"),
        (({"taskId": "t"},), {"runId": 0}, "one routing key pattern as a string, or its words"),
        (("primary.#",), {"taskId": "t"}, "one routing key pattern as a string, or its words"),
        ((5,), {}, "one routing key pattern as a string, or its words"),
        ((None,), {}, "one routing key pattern as a string, or its words"),
        ((), {"taskid": "t"}, "no word 'taskid'; did you mean 'taskId'"),
        (({"zzz": "t"},), {}, "no word 'zzz'"),
        ((), {"taskId": "a.b"}, "taskId must be one word, without dots: 'a.b'"),
        ((), {"runId": 1.5}, "runId must be a string or an integer, not float"),
        ((), {"runId": True}, "runId must be a string or an integer, not bool"),
        ((), {"taskId": b"t"}, "not bytes"),
    ],
)
def test_raises_for_invalid_routing_key_words(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskclusterTopicExchangeFailure, match=message):
        pattern(*args, **kwargs)
