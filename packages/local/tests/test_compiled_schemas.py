"""Tests that compiled schemas agree with jsonschema, for all schemas of the APIs and for nearly valid values."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from taskcluster_local import validation
from taskcluster_local.compiled import compiled
from taskcluster_local.endpoints import references
from taskcluster_local.formats import Pattern
from taskcluster_local.validation import WORTH_COMPILING, ApiSchemas

TYPES = {key: schema for reference in references().values() for key, schema in reference["types"].items()}
PAYLOADS = sorted(
    {method["input"] for reference in references().values() for method in reference["methods"] if "input" in method}
)
SCHEMAS = ApiSchemas(TYPES)

TEXTS = [
    "", " ", "a", "a\n", "a\r", "é", "\U0001f600", "\u2028", "\ud800", "A" * 22, "x" * 300, "1", "true", "null", "{}",
    "{0}", "%s", "a/b", "a/b\n", "٣", "2030-01-01T00:00:00Z", "2030-01-01T23:59:60Z", "2030-02-30T00:00:00Z",
    "2030-01-01T00:00:00.123456+01:00", "2030-01-01 00:00:00", "2030-01-01T00:00:00Z\n", "٢030-01-01T00:00:00Z",
    "https://example.com/", "https://example.com/\n", "https://é", "a@example.com", "a@b", "::1", "127.0.0.1", "(",
]  # fmt: skip
NUMBERS = [0, 1, -1, 0.0, 1.0, -0.0, 0.5, 1.5, 2**53, 2.0**53, 2**63, 2**64, -(2**64), 1e300, 1e21]
SCALARS = [None, True, False, *NUMBERS, *TEXTS]
ODD = [
    *SCALARS,
    [],
    {},
    [[]],
    [{}],
    [None, None],
    [0, False],
    [1, 1.0],
    ["a", "a"],
    {"a": 1},
    {"": {}},
    {"__proto__": 0},
]
ANY = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=2),
    max_leaves=4,
)
FORMATTED = {
    "date-time": ["2030-01-01T00:00:00.000Z", "2030-01-01t00:00:00+00:00", "2030-01-01T23:59:60Z"],
    "uri": ["https://example.com/a?b#c", "ssh:x"],
    "email": ["a.b@example.com"],
    "hostname": ["localhost"],
    "ipv4": ["127.0.0.1"],
    "ipv6": ["::1"],
    "regex": ["^a+$", "git@a"],
}


@pytest.fixture(scope="module", autouse=True)
def _jsonschema_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "WORTH_COMPILING", 0)
        yield


def fits(schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return values that match a schema without references; deep inside, only required properties."""
    for several in ("oneOf", "anyOf"):
        if several in schema:
            rest = {keyword: value for keyword, value in schema.items() if keyword != several}
            return st.one_of([fits({**rest, **each}, depth) for each in schema[several]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return st.one_of([fits({**schema, "type": each}, depth) for each in kind])
    return _of_type(kind, schema, depth)


def _of_type(kind: str | None, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if kind == "object":
        return _objects(schema, depth)
    if kind == "array":
        least = schema.get("minItems", 0)
        unique = repr if schema.get("uniqueItems") else None
        most = least + (depth < 2) + (depth < 1)
        return st.lists(
            fits(schema.get("items", {}), depth + 1),
            min_size=least,
            max_size=min(most, schema.get("maxItems", most)),
            unique_by=unique,
        )
    if kind in ("integer", "number"):
        least, most = schema.get("minimum", -(2**53)), schema.get("maximum", 2**53)
        integers = st.integers(math.ceil(least), math.floor(most))
        return integers | integers.filter(lambda number: abs(number) < 2**53).map(float)
    if kind in ("string", None) and ("format" in schema or "pattern" in schema or kind == "string"):
        return _texts(schema)
    return {"boolean": st.booleans(), "null": st.none()}.get(str(kind), ANY)


def _objects(schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    properties = {name: fits(below, depth + 1) for name, below in schema.get("properties", {}).items()}
    required = {name: properties.pop(name, ANY) for name in schema.get("required", ())}
    others = schema.get("additionalProperties", True)
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
    known = st.fixed_dictionaries(required, optional=properties if depth < 2 else {})
    if others is not False and (depth < 2 or least):
        names = st.sampled_from(["a", "é", "a/b", "{0}", '"', "\n"])
        more = st.dictionaries(
            names, fits({} if others is True else others, depth + 1), min_size=least, max_size=least + 1
        )
        known = st.builds(lambda first, second: {**second, **first}, known, more)
    return known.filter(lambda found: least <= len(found) <= most)


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 10**6)
    if schema.get("format") in FORMATTED:
        pattern = Pattern.of(schema.get("pattern", ""))
        found = st.sampled_from([text for text in FORMATTED[schema["format"]] if pattern.matches(text)])
    elif "pattern" in schema:
        pattern = Pattern.of(schema["pattern"])
        found = st.from_regex(pattern.compiled).filter(pattern.matches)
    else:
        found = st.text(min_size=least, max_size=min(least + 3, most)) | st.sampled_from(TEXTS)
    return found.filter(lambda text: least <= len(text) <= most)


def neighbours(value: Any, chance: random.Random) -> Iterator[Any]:
    """Return copies of `value`, each with one part changed, missing, added or duplicated."""
    for path in _paths(value):
        for _ in range(3):
            yield _changed(value, path, lambda _: copy.deepcopy(chance.choice(ODD)))
        yield _changed(value, path, _otherwise)
        yield _changed(value, path, lambda found: _with_more(found, chance))
        yield _changed(value, path, _with_less)


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in members:
        yield from ((step, *path) for path in _paths(below))


def _changed(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    whole = [copy.deepcopy(value)]
    holder: Any = whole
    step: Any = 0
    for following in path:
        holder, step = holder[step], following
    holder[step] = change(holder[step])
    return whole[0]


def _otherwise(value: Any) -> Any:
    """Return values that are equal, or nearly equal, in Python."""
    if isinstance(value, bool | str):
        return int(value) if isinstance(value, bool) else f"{value}\n"
    if isinstance(value, int) and abs(value) < 2**53:
        return bool(value) if value in (0, 1) else float(value)
    return [value] if isinstance(value, dict) else dict.fromkeys(map(str, value)) if isinstance(value, list) else 1.0


def _with_more(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [*value, *copy.deepcopy(value[:1] or [chance.choice(ODD)])]
    if isinstance(value, dict):
        return {**value, chance.choice(TEXTS): copy.deepcopy(chance.choice(ODD))}
    return value + chance.choice(TEXTS) if isinstance(value, str) else value


def _with_less(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[1:])
    return value[1:] if isinstance(value, list | str) else value


@pytest.mark.parametrize("key", PAYLOADS)
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_agrees_with_jsonschema(key: str, data: st.DataObject, seed: int) -> None:
    schema = SCHEMAS.schema(key)
    accepts = ACCEPTS.setdefault(key, compiled(schema.whole))
    assert accepts is not None
    value = data.draw(fits(schema.whole))
    assert schema.errors(value) == []
    assert accepts(value)
    for near in neighbours(value, random.Random(seed)):
        before = copy.deepcopy(near)
        assert accepts(near) == (schema.errors(near) == []), near
        assert near == before


ACCEPTS: dict[str, Any] = {}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 1, "maximum": 3},
        {"type": "number"},
        {"type": ["integer", "null"]},
        {"minimum": 1},
        {"maxLength": 1},
        {"enum": [1, "a", False, None, [True], {"a": 0}]},
        {"const": 1},
        {"const": False},
        {"const": {"a": [1, {}]}},
        {"pattern": "^a$"},
        {"pattern": r"^\w+$", "format": "uri", "maxLength": 20},
        {"pattern": r"a\$"},
        {"format": "date-time"},
        {"format": "email"},
        {"format": "hostname"},
        {"format": "ipv4"},
        {"format": "ipv6"},
        {"format": "regex"},
        {"format": "unheard-of"},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 1, "maxItems": 2},
        {"type": "array", "items": {"type": "object"}, "uniqueItems": True},
        {"items": False},
        {"items": {"type": "number"}},
        {"properties": {"a": False, "__proto__": True, "{0}": {"type": "string"}, '"': {}, "": {"type": "object"}}},
        {"additionalProperties": {"type": "number"}, "properties": {"a": {"type": "integer"}}},
        {"additionalProperties": False, "properties": {"a": {}}},
        {"required": ["a"], "minProperties": 1, "maxProperties": 1},
        {"oneOf": [{"type": "integer"}, {"minimum": 1}]},
        {"anyOf": [{"type": "integer"}, {"required": ["a"]}, {"pattern": "^a"}]},
        {"type": "object", "default": {"a": 1}, "properties": {"a": {"default": 2}}},
        {},
        True,
        False,
    ],
    ids=str,
)
def test_agrees_with_jsonschema_on_odd_values(schema: Any) -> None:
    accepts, reference = compiled(schema), ApiSchemas({"s/v1/a.json": schema}).schema("s/v1/a.json")
    assert accepts is not None
    for value in [*ODD, *([value, other] for value in ODD for other in ODD), *({"a": value} for value in ODD)]:
        # jsonschema decides about rejected values; its older versions take [1] for [true].
        assert not accepts(value) or reference.errors(value) == [], value
    for value in SCALARS:
        assert accepts(value) == (reference.errors(value) == []), value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"multipleOf": 2},
        {"not": {}},
        {"patternProperties": {"a": {}}},
        {"items": [{}]},
        {"uniqueItems": True},
        {"uniqueItems": True, "items": {"type": "array"}},
        {"properties": {"a": {"dependencies": {}}}},
        {"additionalProperties": False, "required": ["a"]},
    ],
    ids=str,
)
def test_does_not_compile_uncertain_keywords(schema: Any) -> None:
    assert compiled(schema) is None


def test_leaves_deep_nesting_to_jsonschema() -> None:
    accepts = compiled({"type": "array", "items": {"type": "object"}, "uniqueItems": True})
    value: Any = {}
    for _ in range(100_000):
        value = {"a": value}
    assert accepts is not None
    assert not accepts([value])


def test_compiles_schema_after_frequent_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    asked: list[Any] = []

    def watched(schema: Any) -> Callable[[Any], bool] | None:
        made.append(schema)
        accepts = compiled(schema)
        assert accepts is not None
        return lambda value: not asked.append(value) and accepts(value)

    monkeypatch.setattr(validation, "WORTH_COMPILING", WORTH_COMPILING)
    monkeypatch.setattr("taskcluster_local.compiled.compiled", watched)
    schema = ApiSchemas({"s/v1/a.json": {"type": "integer", "maximum": 2}}).schema("s/v1/a.json")
    for _ in range(WORTH_COMPILING - 1):
        assert schema.errors(1) == []
    assert made == []
    for _ in range(2 * WORTH_COMPILING):
        assert schema.errors(2) == []
        assert schema.errors(3) == ["data must be <= 2"]
    assert made == [{"type": "integer", "maximum": 2}]
    assert {2, 3} == set(asked)
