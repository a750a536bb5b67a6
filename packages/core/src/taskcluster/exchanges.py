"""Routing key patterns for a service's exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .exceptions import TaskclusterTopicExchangeFailure
from .shapes import is_mapping
from .spec import Exchange, Word
from .suggestions import did_you_mean

__all__ = ["EventBinding", "bind_exchange"]

if TYPE_CHECKING:
    from typing import Generic, TypeVar

    PayloadT_co = TypeVar("PayloadT_co", covariant=True)

    class EventBinding(dict[str, str], Generic[PayloadT_co]):
        """The `exchange` and `routingKeyPattern` of a subscription, as events classes return them.

        Type checkers know the payload of its messages from it. At run time it is a plain dict, as the published client
        returns, so that programs may compare and serialize it.
        """

else:
    EventBinding = dict


def bind_exchange(exchange: Exchange, prefix: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return `exchange` and `routingKeyPattern` for a subscription.

    Args:
        exchange: The exchange.
        prefix: The service's exchange prefix.
        args: Nothing, or one routing key pattern as a string or as a dict of words.
        kwargs: The words, by name. An omitted word becomes `*`, or `#` if it may be several words.

    Raises:
        TaskclusterTopicExchangeFailure: The arguments have another form, or a word is unknown or has an invalid dot.
    """
    given: Any = args[0] if args else kwargs
    if len(args) > 1 or (args and kwargs) or not (isinstance(given, str) or is_mapping(given)):
        raise TaskclusterTopicExchangeFailure(
            f"{exchange.name} takes one routing key pattern as a string, or its words as a dict or as keyword arguments"
        )
    if isinstance(given, str):
        pattern = given
    else:
        names = [word.name for word in exchange.words]
        for name in given:
            if name not in names:
                raise TaskclusterTopicExchangeFailure(
                    f"the routing key of {exchange.name} has no word {name!r}{did_you_mean(str(name), names)}"
                )
        pattern = ".".join(_word(exchange, word, given.get(word.name)) for word in exchange.words)
    # The caller's prefix may lack the slash at the end.
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    return {"exchange": start + exchange.exchange, "routingKeyPattern": pattern}


def _word(exchange: Exchange, word: Word, value: Any) -> str:
    if word.constant is not None:
        return word.constant
    if value is None:
        return "#" if word.multiple_words else "*"
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TaskclusterTopicExchangeFailure(
            f"{exchange.name}: the word {word.name} must be a string or an integer, not {type(value).__name__}"
        )
    text = str(value)
    if "." in text and not word.multiple_words:
        raise TaskclusterTopicExchangeFailure(f"{exchange.name}: {word.name} must be one word, without dots: {text!r}")
    return text
