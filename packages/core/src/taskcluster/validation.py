"""Check payloads against the JSON schemas of an API. Optional, and the only module that needs jsonschema.

Error messages name the key, the rule and the expected value, never the actual value, which may be a secret.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator, FormatChecker, ValidationError
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]
from referencing import Registry
from referencing.jsonschema import DRAFT7

from .exceptions import TaskclusterFailure
from .shapes import is_mapping
from .spec import Method
from .suggestions import did_you_mean
from .timestamps import parse_date

__all__ = ["Schemas", "problems"]

_BASE = "https://taskcluster.invalid/schemas/"
"""The prefix of schema names; nothing is fetched."""
_MAX_LINES = 10


class Schemas:
    """The schemas of one service.

    Args:
        service: The service's name.
        types: JSON schemas by their key, for example `queue/v1/task.json`; None for an unknown one, which allows any
            object. A `$ref` is relative to the key of its schema.
    """

    def __init__(self, service: str, types: Mapping[str, Any]) -> None:
        self._service = service
        self._types = types
        self._registry: Registry[Any] = Registry[Any]().with_resources(
            (_BASE + key, DRAFT7.create_resource({"type": "object"} if schema is None else schema))
            for key, schema in types.items()
        )

    def check(self, method: Method, body: bytes) -> None:
        """Check a payload as it would be sent. Without a known schema it passes.

        Raises:
            TaskclusterFailure: It does not fit the method's schema, or the schema is broken.
        """
        key = f"{self._service}/{(method.input or '').partition('#')[0]}"
        if key not in self._types:
            return
        failure: TaskclusterFailure | None
        lines: list[str] = []
        try:
            validator = _Validator({"$ref": _BASE + key}, registry=self._registry, format_checker=_FORMATS)
            lines = _first_lines(validator.iter_errors(json.loads(body)))
        except Exception as exc:
            # Without the message and the exception itself, which may hold the payload.
            failure = TaskclusterFailure(
                f"{method.name}: the schema {key} cannot check a payload ({type(exc).__name__}); "
                "without the option validate nothing is checked"
            )
        else:
            failure = None
        if failure is not None:
            raise failure
        if lines:
            raise TaskclusterFailure(
                f"{method.name}: nothing was sent, the payload does not fit {key}: {'; '.join(lines)}"
            )


def problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Return what a value violates of a JSON schema: messages that name the key and the rule, and never hold the value.

    Args:
        schema: A schema of draft 7. Its references are within itself.
        value: As json.loads returns it.
    """
    return _first_lines(_Validator(schema, format_checker=_FORMATS).iter_errors(value))


def _first_lines(errors: Iterable[ValidationError]) -> list[str]:
    """Return the first messages, and whether there are more."""
    found = list(itertools.islice(_lines(errors), _MAX_LINES + 1))
    return [*found[:_MAX_LINES], "and more"] if len(found) > _MAX_LINES else found


def _lines(errors: Iterable[ValidationError]) -> Iterator[str]:
    """Yield an error message for each error; for alternatives, those of the nearest one."""
    for error in errors:
        alternatives = itertools.groupby(error.context or (), lambda each: each.schema_path[0])
        branches = [list(group) for _, group in alternatives]
        if branches:
            nearest = min(branches, key=_distance)
            yield from _lines(nearest)
        else:
            yield f"{_where(error.absolute_path)} {_expectation(error)}"


def _expectation(error: ValidationError) -> str:
    rule = str(error.validator)
    if rule in _KEYWORDS:
        return error.message
    # jsonschema's own messages hold the value.
    return (
        _EXPECTATIONS[rule](error.validator_value) if rule in _EXPECTATIONS else "has a form that the schema excludes"
    )


def _distance(branch: list[ValidationError]) -> tuple[bool, int]:
    # A wrong constant or type means that another alternative was intended.
    return (any(error.validator in ("const", "enum", "type") for error in branch), len(branch))


def _where(path: Iterable[str | int]) -> str:
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{part}" if part.isidentifier() else f"[{part!r}]" for part in path
    )
    return "".join(parts).removeprefix(".") or "the payload"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)


_EXPECTATIONS: dict[str, Callable[[Any], str]] = {
    "type": lambda value: f"must be {' or '.join([value] if isinstance(value, str) else value)}",
    "enum": lambda value: f"must be one of {_listed(value)}",
    "const": lambda value: f"must be {_listed([value])}",
    "format": lambda value: f"must be of the format {value}",
    "minLength": lambda value: f"must have {value} characters or more",
    "maxLength": lambda value: f"must have {value} characters or fewer",
    "minItems": lambda value: f"must have {value} items or more",
    "maxItems": lambda value: f"must have {value} items or fewer",
    "uniqueItems": lambda _: "must not contain the same item twice",
    "minProperties": lambda value: f"must have {value} keys or more",
    "maxProperties": lambda value: f"must have {value} keys or fewer",
    "minimum": lambda value: f"must be {value} or more",
    "maximum": lambda value: f"must be {value} or less",
    "exclusiveMinimum": lambda value: f"must be more than {value}",
    "exclusiveMaximum": lambda value: f"must be less than {value}",
    "multipleOf": lambda value: f"must be a multiple of {value}",
    "oneOf": lambda _: "must fit exactly one of the alternatives",
    "contains": lambda _: "must contain an item of the required form",
    "dependencies": lambda value: f"lacks keys that other keys require: {_listed([value])}",
}


def _required(_validator: Any, required: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    known = schema.get("properties", {})
    for name in required if is_mapping(instance) else ():
        # The server fills in defaults before it validates.
        if name not in instance and "default" not in known.get(name, ()):
            yield ValidationError("is missing", path=[name])


def _additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", ())
    for name, value in instance.items() if is_mapping(instance) else ():
        if name in known or any(_is_found(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"is not known{did_you_mean(name, known)}", path=[name])
        else:
            yield from validator.descend(value, allowed, path=name)


def _pattern(_validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _is_found(pattern, instance):
        yield ValidationError(f"must match {pattern}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    for pattern, below in patterns.items() if is_mapping(instance) else ():
        for name in filter(functools.partial(_is_found, pattern), instance):
            yield from validator.descend(instance[name], below, path=name, schema_path=pattern)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        # These are JavaScript patterns: `$` matches only at the very end, in Python also before a final newline.
        return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), re.ASCII)
    except re.error:
        return None


def _is_found(pattern: str, text: str) -> bool:
    """Return whether a pattern is found in a string. A pattern that Python cannot compile is left to the server."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(text) is not None


_KEYWORDS = {
    "required": _required,
    "additionalProperties": _additional,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
}
_Validator: Any = extend(Draft7Validator, _KEYWORDS)  # type: ignore[no-untyped-call]

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        # The server accepts leap seconds, and Python does not.
        parse_date(value.replace(":60", ":59"))
    except ValueError:
        return False
    return True


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or re.fullmatch(pattern, value) is not None


# Looser than the server, so that nothing is rejected here that it would accept.
_FORMATS.checks("uri")(_matches(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"))
_FORMATS.checks("email")(_matches(r"[^@\s]+@[^@\s]+"))


def _parses_with(parse: Callable[[str], object]) -> Callable[[object], bool]:
    def passes(value: object) -> bool:
        if isinstance(value, str):
            try:
                parse(value)
            except ValueError:
                return False
        return True

    return passes


_FORMATS.checks("ipv4")(_parses_with(ipaddress.IPv4Address))
_FORMATS.checks("ipv6")(_parses_with(ipaddress.IPv6Address))
