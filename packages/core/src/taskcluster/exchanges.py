"""Routing key patterns for a service's exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exceptions import TaskclusterTopicExchangeFailure
from .shapes import is_mapping
from .spec import Exchange, Word
from .suggestions import did_you_mean

__all__ = ["bind_exchange"]


def bind_exchange(exchange: Exchange, prefix: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return `exchange` and `routingKeyPattern` for a subscription.

    Args:
        exchange: What is subscribed to.
        prefix: The service's exchange prefix.
        args: Nothing, one routing key pattern as text, or one dict of parts.
        kwargs: The parts, by name. A part left out becomes `*`, or `#` where it may hold several words.

    Raises:
        TaskclusterTopicExchangeFailure: The parts are given in another way, unknown, or hold a dot they must not.
    """
    given: Any = args[0] if args else kwargs
    if len(args) > 1 or (args and kwargs) or not (isinstance(given, str) or is_mapping(given)):
        raise TaskclusterTopicExchangeFailure(
            f"{exchange.name} takes one routing key pattern as text, or one dict of its parts, or the parts as keywords"
        )
    if isinstance(given, str):
        pattern = given
    else:
        names = [word.name for word in exchange.words]
        for name in given:
            if name not in names:
                raise TaskclusterTopicExchangeFailure(
                    f"the routing key of {exchange.name} has no part {name!r}{did_you_mean(str(name), names)}"
                )
        pattern = ".".join(_part(exchange, word, given.get(word.name)) for word in exchange.words)
    # Of a prefix that is the caller's the slash at the end may be missing.
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    return {"exchange": start + exchange.exchange, "routingKeyPattern": pattern}


def _part(exchange: Exchange, word: Word, value: Any) -> str:
    if word.constant is not None:
        return word.constant
    if value is None:
        return "#" if word.multiple_words else "*"
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TaskclusterTopicExchangeFailure(
            f"{exchange.name}: the part {word.name} must be text or an integer, not {type(value).__name__}"
        )
    text = str(value)
    if "." in text and not word.multiple_words:
        raise TaskclusterTopicExchangeFailure(
            f"{exchange.name}: the part {word.name} is one word, without dots: {text!r}"
        )
    return text
