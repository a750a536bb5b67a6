"""`--select PATH` and `--query EXPRESSION`: a part of a JSON document, such as `status.runs[].state`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from taskcluster.shapes import is_array, is_mapping

from .errors import Failure

__all__ = ["Path", "Query"]

_STEP = re.compile(r"\.?(?:(?P<key>[^.\[\]'\"]+)|(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)|\[(?P<index>-?\d*)\])")


class _Key(NamedTuple):
    name: str


class _Index(NamedTuple):
    number: int


class _Every(NamedTuple):
    pass


class Path:
    """A parsed path: keys with dots between them, `[0]` for an item, `[]` for every item, quotes around odd keys."""

    takes_lists = False
    """It is applied to each record of a list."""

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

    def result(self, document: Any) -> Any:
        """Return the value, or a list if there may be several.

        Raises:
            Failure: It is absent. The message names the nearest key.
        """
        found = self.results(document)
        return found if self.is_many else found[0]

    def results(self, document: Any) -> list[Any]:
        """Return the values; raise Failure as `result` does."""
        return list(self.values(document, is_strict=True))

    def of_record(self, record: Any) -> Iterator[Any]:
        """Yield the values for a record of a list; None for what is absent."""
        return self.values(record, is_strict=False)

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


class Query:
    """A JMESPath expression."""

    takes_lists = True
    """It is applied to complete lists, so that it can filter and sort them."""
    is_many = False

    def __init__(self, text: str) -> None:
        from importlib import import_module

        try:
            # It has no types.
            jmespath: Any = import_module("jmespath")
        except ModuleNotFoundError:
            raise Failure("--query needs the package jmespath", hint="pip install jmespath") from None
        try:
            self._expression = jmespath.compile(text)
        except ValueError as exc:
            raise Failure(f"--query: {exc}") from None
        except RecursionError:
            raise Failure("--query: nested too deeply") from None

    def result(self, document: Any) -> Any:
        """Return the result; raise Failure if the expression cannot be applied, for example a function to a string."""
        try:
            return self._expression.search(document)
        except ValueError as exc:
            # The message of a type error quotes the value.
            kind = getattr(exc, "actual_type", None)
            problem = (
                str(exc)
                if kind is None
                else f"{getattr(exc, 'function_name', '')}() cannot take a value of type {kind}"
            )
            raise Failure(f"--query: {problem}") from None
        except (TypeError, ArithmeticError, RecursionError) as exc:
            # Functions of JMESPath leave some to Python, for example contains('abc', `1`).
            raise Failure(f"--query: it cannot be applied ({type(exc).__name__})") from None

    def results(self, document: Any) -> list[Any]:
        """Return the items of the result if it is a list, or else the result."""
        found = self.result(document)
        return list(found) if is_array(found) else [found]

    def of_record(self, record: Any) -> list[Any]:
        """Return the result for a record of a list."""
        return [self.result(record)]
