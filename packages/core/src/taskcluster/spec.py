"""The methods and exchanges of an API, made from the entries of a reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Exchange", "Method", "Word"]

_PARAMETER = re.compile(r"<([^>]+)>")


class Method(NamedTuple):
    """One API method.

    `template` is the route with `%s` for each of the `parameters`. `plain` is the number of arguments if these are
    exactly the parameters in their order and there is no payload, else None.
    """

    name: str
    verb: str
    route: str
    args: tuple[str, ...]
    template: str
    parameters: tuple[str, ...]
    plain: int | None
    query: tuple[str, ...]
    input: str | None
    may_be_empty: tuple[str, ...]
    removed_before: str | None

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Method:
        """Make a Method from a reference's `function` entry, or from an entry of the published client's `funcinfo`."""
        pieces = _PARAMETER.split(entry["route"])
        args, parameters = tuple(entry["args"]), tuple(pieces[1::2])
        return cls(
            name=entry["name"],
            verb=entry["method"].upper(),
            route=entry["route"],
            args=args,
            template="%s".join(piece.replace("%", "%%") for piece in pieces[::2]),
            parameters=parameters,
            plain=len(args) if args == parameters and entry.get("input") is None else None,
            query=tuple(entry.get("query", ())),
            input=entry.get("input"),
            may_be_empty=tuple(entry.get("emptyArgs", ())),
            removed_before=entry.get("removedBefore"),
        )


class Word(NamedTuple):
    """One word of a routing key."""

    name: str
    constant: str | None
    multiple_words: bool


class Exchange(NamedTuple):
    """One exchange and the layout of its routing keys."""

    name: str
    exchange: str
    words: tuple[Word, ...]

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Exchange:
        """Make an Exchange from a reference's `topic-exchange` entry."""
        return cls(
            name=entry["name"],
            exchange=entry["exchange"],
            words=tuple(
                Word(word["name"], word.get("constant"), bool(word.get("multipleWords")))
                for word in entry["routingKey"]
            ),
        )
