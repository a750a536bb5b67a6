"""Parse server-sent events. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

__all__ = ["EventParser", "ServerEvent"]

_LINE_END = re.compile("\r\n|\n|\r")


class ServerEvent(NamedTuple):
    """An event of a stream."""

    name: str
    data: str
    position: str
    """The last id in the stream; empty if there was none."""


class EventParser:
    """Parses the bytes of one stream as they arrive."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._position = ""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Return the events that are complete now."""
        text = self._rest + self._decoder.decode(data)
        # The second half of a line's end may follow.
        kept = text[-1:] if text.endswith("\r") else ""
        *lines, rest = _LINE_END.split(text[: len(text) - len(kept)])
        self._rest = rest + kept
        return [event for line in lines if (event := self._process(line)) is not None]

    def _process(self, line: str) -> ServerEvent | None:
        if not line:
            event = ServerEvent(self._name or "message", "\n".join(self._data), self._position)
            self._name, data, self._data = "", self._data, []
            return event if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._position = value
            case _:
                # A comment, `retry`, or unknown.
                pass
        return None
