"""Parse routing keys by the layouts of their exchanges."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from taskcluster.registry import registry
from taskcluster.spec import Exchange, Word

__all__ = ["layout_of", "parse_routing_key"]


@functools.lru_cache(maxsize=1024)
def layout_of(exchange: str) -> tuple[Word, ...]:
    """Return the words of an exchange's routing keys; none if no installed service has the exchange."""
    for name in registry.class_names("events", importable=True):
        events: Any = registry.find("events", name)
        prefix = events.exchangePrefix
        if exchange.startswith(prefix):
            for entry in events.exchanges.values():
                if prefix + entry["exchange"] == exchange:
                    return Exchange.from_entry(entry).words
    return ()


def parse_routing_key(routing_key: str, layout: Sequence[Word]) -> dict[str, str]:
    """Return the words of a routing key by their names; none if the key does not have the layout.

    The words before the one that may be several words are counted from the left, those after it from the right.
    """
    values = routing_key.split(".")
    several = next((place for place, word in enumerate(layout) if word.multiple_words), None)
    if several is not None and len(values) >= len(layout):
        end = len(values) - (len(layout) - several - 1)
        values[several:end] = [".".join(values[several:end])]
    if len(values) != len(layout):
        return {}
    return {word.name: value for word, value in zip(layout, values, strict=True)}
