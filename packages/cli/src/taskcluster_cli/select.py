"""`--select PATH`: a part of a JSON document, such as `status.runs[].state`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from taskcluster.shapes import is_array, is_mapping

from .errors import Failure

__all__ = ["Path"]

_STEP = re.compile(r"\.?(?:(?P<key>[^.\[\]'\"]+)|(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)|\[(?P<index>-?\d*)\])")


class _Key(NamedTuple):
    name: str


class _Index(NamedTuple):
    number: int


class _Every(NamedTuple):
    pass


class Path:
    """A parsed path: keys with dots between them, `[0]` for an item, `[]` for every item, quotes around odd keys."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps: list[_Key | _Index | _Every] = []
        position = 1 if text == "." else 0
        while position < len(text):
            found = _STEP.match(text, position)
            if found is None:
                raise Failure(f"--select: {text!r} is not a path like 'status.runs[].state' or tasks[0].taskId")
            if found["index"] is None:
                self._steps.append(_Key(found["key"] if found["quote"] is None else found["quoted"]))
            else:
                self._steps.append(_Index(int(found["index"])) if found["index"] else _Every())
            position = found.end()

    @property
    def is_many(self) -> bool:
        """Whether it has `[]`, so that it may select several values."""
        return any(isinstance(step, _Every) for step in self._steps)

    def values(self, document: Any, *, is_strict: bool) -> Iterator[Any]:
        """Yield the selected values; None for what is absent.

        Args:
            document: The JSON document.
            is_strict: Whether an absent key is an error, which names the nearest key.
        """
        return self._select(document, 0, is_strict)

    def _select(self, value: Any, start: int, is_strict: bool) -> Iterator[Any]:
        for number in range(start, len(self._steps)):
            match self._steps[number]:
                case _Every():
                    for item in value if is_array(value) else ():
                        yield from self._select(item, number + 1, is_strict)
                    return
                case _Index(index):
                    items: list[Any] = value if is_array(value) else []
                    value = items[index] if -len(items) <= index < len(items) else None
                case _Key(name):
                    if is_mapping(value) and name in value:
                        value = value[name]
                    elif is_strict and is_mapping(value):
                        from taskcluster.suggestions import did_you_mean

                        known = list(value)
                        hint = did_you_mean(name, known) or f"; it has {', '.join(known)}"
                        raise Failure(f"--select {self.text}: there is no {name!r}{hint}")
                    else:
                        value = None
        yield value
