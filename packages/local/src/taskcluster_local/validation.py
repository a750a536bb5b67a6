"""Validate payloads against the JSON schemas of the APIs: add defaults, then list all errors."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft6Validator, Draft7Validator, SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]
from referencing import Registry
from referencing.jsonschema import DRAFT6

from taskcluster.shapes import is_array

from .encoding import is_object
from .formats import FORMATS, Pattern

__all__ = ["WORTH_COMPILING", "ApiSchemas", "Schema"]

_MOST_ERRORS = 1000
_BASE = "https://taskcluster.invalid/schemas/"
"""Identifies the schemas to each other; nothing is fetched."""

WORTH_COMPILING = 20
"""After this many payloads a schema is compiled, which takes as long as this many validations."""
_AS_LARGE = 100
"""A payload with this many values counts as a further one."""


class ApiSchemas:
    """The schemas of some APIs.

    Args:
        types: JSON schemas by key, such as `queue/v1/task.json`; None for an unknown one, which then accepts any
            object. A `$ref` is relative to the key of its schema.
    """

    def __init__(self, types: Mapping[str, Any]) -> None:
        resources = [
            (_BASE + key, DRAFT6.create_resource({"type": "object"} if schema is None else schema))
            for key, schema in types.items()
        ]
        self._registry: Registry[Any] = Registry[Any]().with_resources(resources)
        self._schemas: dict[str, Schema] = {}

    def schema(self, key: str) -> Schema:
        """Return the schema for a key, prepared once."""
        if key not in self._schemas:
            whole: Any = {"$ref": _BASE + key}
            # A schema that contains itself keeps its references, and has no defaults below them.
            with contextlib.suppress(RecursionError):
                whole = _inlined(whole, self._registry.resolver())
            validator = _Validator(whole, registry=self._registry, format_checker=FORMATS)
            self._schemas[key] = Schema(key, validator, _defaults(whole), whole)
        return self._schemas[key]


class Schema:
    """A schema prepared for use.

    Args:
        key: Its key.
        validator: Lists the errors of a value.
        defaults: The default values.
        whole: The schema with its references replaced, to be compiled if it is used often; None never to compile it.
    """

    def __init__(self, key: str, validator: Validator, defaults: _Defaults | None = None, whole: Any = None) -> None:
        self.key = key
        self.whole = whole
        self._validator = validator
        self._defaults = defaults
        self._used = 0
        self._accepts: Callable[[Any], bool] | None = None

    @classmethod
    def given(cls, schema: dict[str, Any]) -> Schema:
        """Return a schema from a client. It may only refer to itself, and adds no defaults.

        Raises:
            ValueError: It is not a JSON schema of draft 7 or older.
        """
        try:
            Draft7Validator.check_schema(schema, format_checker=FORMATS)
        except SchemaError as error:
            raise ValueError("; ".join(_lines(error))) from None
        except RecursionError:
            raise ValueError("nested too deeply") from None
        # A separate registry, so that references are never fetched.
        return cls("", _GivenValidator(schema, registry=Registry[Any](), format_checker=FORMATS))

    def fill(self, payload: Any) -> None:
        """Add the schema's defaults for missing properties to `payload`."""
        if self._defaults is not None:
            self._defaults.fill(payload)

    def errors(self, payload: Any) -> list[str]:
        """Return the errors of `payload`, one per line, limited in number."""
        # Nearly always there are none, which compiled code finds out much faster.
        if self._accepts is not None and self._accepts(payload):
            return []
        used, self._used = self._used, self._used + 1 + _number_of_values(payload) // _AS_LARGE
        if used < WORTH_COMPILING <= self._used and self.whole is not None:
            # Imported here, for deployments that are used enough to need it.
            from .compiled import compiled

            self._accepts = compiled(self.whole)
            if self._accepts is not None and self._accepts(payload):
                return []
        lines = (line for error in self._validator.iter_errors(payload) for line in _lines(error))
        return list(itertools.islice(lines, _MOST_ERRORS))


def _number_of_values(payload: Any) -> int:
    """Return the number of values in a JSON value."""
    number, left = 0, [payload]
    while left:
        value = left.pop()
        if is_object(value) or is_array(value):
            number += len(value)
            left.extend(value.values() if is_object(value) else value)
    return number


@dataclass
class _Defaults:
    """The defaults of the missing properties of an object, and below it."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    properties: dict[str, _Defaults] = field(default_factory=dict[str, Any])
    items: _Defaults | None = None

    def __bool__(self) -> bool:
        return bool(self.values or self.properties or self.items)

    def fill(self, payload: Any) -> None:
        if is_object(payload):
            for name, value in self.values.items():
                if name not in payload:
                    payload[name] = copy.deepcopy(value) if is_object(value) or is_array(value) else value
            for name, below in self.properties.items():
                if name in payload:
                    below.fill(payload[name])
        elif is_array(payload) and self.items is not None:
            for item in payload:
                self.items.fill(item)


def _defaults(schema: Any) -> _Defaults | None:
    """Return the defaults of a schema, without those below oneOf and the like, which may not apply."""
    if not is_object(schema):
        return None
    found = _Defaults()
    for name, below in schema.get("properties", {}).items():
        if is_object(below) and "default" in below:
            found.values[name] = below["default"]
        nested = _defaults(below)
        if nested:
            found.properties[name] = nested
    found.items = _defaults(schema.get("items"))
    return found or None


_NAMED = ("properties", "patternProperties", "definitions")
"""Keywords whose values are schemas by name."""
_VALUES = ("const", "default", "enum", "examples")
"""Keywords whose values are not schemas."""


def _inlined(schema: Any, resolver: Any) -> Any:
    """Return a schema with its references replaced: looking them up takes most of a validation's time.

    Raises:
        RecursionError: It contains itself.
    """
    if is_array(schema):
        return [_inlined(each, resolver) for each in schema]
    if not is_object(schema):
        return schema
    if isinstance(schema.get("$ref"), str):
        resolved = resolver.lookup(schema["$ref"])
        inlined = _inlined(resolved.contents, resolved.resolver)
        # A `$ref` makes its siblings ineffective, except this one.
        return {**inlined, "default": schema["default"]} if "default" in schema else inlined
    found: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _VALUES:
            found[keyword] = value
        elif keyword in _NAMED and is_object(value):
            found[keyword] = {name: _inlined(below, resolver) for name, below in value.items()}
        elif keyword not in ("$id", "$schema"):
            found[keyword] = _inlined(value, resolver)
    return found


def _lines(error: ValidationError | SchemaError) -> Iterator[str]:
    for branch in error.context or ():
        yield from _lines(branch)
    where = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
    say = _MESSAGES.get(str(error.validator))
    yield f"data{where} {error.message if say is None else say(error.validator_value)}"


_MESSAGES: dict[str, Callable[[Any], str]] = {
    "type": lambda value: f"must be {value}",
    "enum": lambda _: "must be equal to one of the allowed values",
    "const": lambda value: f"must be {value!r}",
    "format": lambda value: f'must match format "{value}"',
    "pattern": lambda value: f'must match pattern "{value}"',
    "minLength": lambda value: f"must NOT have fewer than {value} characters",
    "maxLength": lambda value: f"must NOT have more than {value} characters",
    "minItems": lambda value: f"must NOT have fewer than {value} items",
    "maxItems": lambda value: f"must NOT have more than {value} items",
    "uniqueItems": lambda _: "must NOT have duplicate items",
    "minimum": lambda value: f"must be >= {value}",
    "maximum": lambda value: f"must be <= {value}",
    "oneOf": lambda _: "must match exactly one schema in oneOf",
    "anyOf": lambda _: "must match a schema in anyOf",
}


def _required(_validator: Any, required: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        absent = (name for name in required if name not in instance)
        yield from (ValidationError(f"must have required property '{name}'") for name in absent)


def _additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not is_object(instance):
        return
    known = schema.get("properties", {})
    for name in instance:
        if name in known:
            continue
        if allowed is False:
            yield ValidationError(f'must NOT have additional properties: "{name}"')
        elif isinstance(allowed, dict):
            yield from validator.descend(instance[name], allowed, path=name)


def _pattern(_validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not Pattern.of(pattern).matches(instance):
        yield ValidationError(pattern)


def _unique(_validator: Any, unique: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    # jsonschema compares every pair of items if they cannot be sorted.
    if unique and is_array(instance) and len({json.dumps(each, sort_keys=True) for each in instance}) < len(instance):
        yield ValidationError("not unique")


_KEYWORDS = {"uniqueItems": _unique, "required": _required, "additionalProperties": _additional, "pattern": _pattern}
_Validator: Any = extend(Draft6Validator, _KEYWORDS)  # type: ignore[no-untyped-call]
_GivenValidator: Any = extend(Draft7Validator, _KEYWORDS)  # type: ignore[no-untyped-call]
