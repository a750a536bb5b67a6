"""Convert JSON schemas to named static types: TypedDicts for objects, aliases for the rest."""

from __future__ import annotations

import json
import keyword
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from taskcluster.shapes import is_array, is_mapping

from .layout import split
from .literals import printable
from .spec import MethodSpec, Spec, SpecError

__all__ = [
    "NO_QUERY",
    "PATH_VALUE",
    "QUERY_VALUE",
    "Alias",
    "Key",
    "Record",
    "Types",
    "of_spec",
    "params_name",
    "query_name",
]

NO_QUERY, PATH_VALUE, QUERY_VALUE = "NoQuery", "PathValue", "QueryValue"
_VALUES = (
    (PATH_VALUE, "The value of a path parameter.", "str | int"),
    (QUERY_VALUE, "The value of a query parameter; None omits it.", "str | float | datetime | None"),
)

_PRIMITIVES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_WORDS = re.compile(r"[A-Za-z0-9]+")
_QUOTED = r'"(?:\\.|[^"\\])*"'
_IMPORTED = ("Any", "Literal", "NotRequired", "TypeAlias", "TypedDict")
_MAX_LENGTH = 10_000
"""The maximum length of a type in characters. Nested unions of equal schemas grow exponentially."""


@dataclass(frozen=True)
class Key:
    """A key of a record."""

    name: str
    type: str
    required: bool = True
    summary: str = ""

    @property
    def annotation(self) -> str:
        """The annotation in a TypedDict."""
        return self.type if self.required else f"NotRequired[{self.type}]"


@dataclass(frozen=True)
class Record:
    """A TypedDict."""

    name: str
    summary: str
    keys: tuple[Key, ...]

    is_alias = False

    @property
    def functional(self) -> bool:
        """Whether a key is not a valid attribute name, so that the functional syntax is needed."""
        return not all(map(_is_plain, (key.name for key in self.keys)))

    @property
    def used(self) -> Iterator[str]:
        """The types that it uses."""
        return (key.type for key in self.keys)

    def map(self, change: Callable[[str], str]) -> Record:
        """Return a copy with `change` applied to its types."""
        return replace(self, keys=tuple(replace(key, type=change(key.type)) for key in self.keys))


@dataclass(frozen=True)
class Alias:
    """A type alias."""

    name: str
    summary: str
    type: str

    is_alias = True

    @property
    def used(self) -> Iterator[str]:
        """The types that it uses."""
        return iter((self.type,))

    def map(self, change: Callable[[str], str]) -> Alias:
        """Return a copy with `change` applied to its type."""
        return replace(self, type=change(self.type))


Definition = Record | Alias


@dataclass(frozen=True)
class Types:
    """The types of a service."""

    definitions: tuple[Definition, ...]
    """Ordered so that each follows those it uses."""
    payloads: Mapping[str, str] = field(repr=False)
    """The type of each schema in payloads, by its key."""
    results: Mapping[str, str] = field(repr=False)
    """The type of each schema in results, by its key."""
    items: Mapping[str, str] = field(repr=False)
    """The type of a page's items, by the name of the page's type."""
    forms: Mapping[str, list[tuple[str, str]]] = field(repr=False)
    """The types of payload and result for each value of the property that both tell their forms by, by method."""

    @property
    def names(self) -> list[str]:
        """All names in natural order: 2 before 10."""

        def counted(name: str) -> list[tuple[int, str]]:
            return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]

        return sorted((definition.name for definition in self.definitions), key=counted)

    @property
    def imported(self) -> list[str]:
        """Names to import from typing."""
        used = {name for definition in self.definitions for text in definition.used for name in _names_in(text)}
        return [*sorted(used & {"Any", "Literal"}), "TypeAlias"]

    @property
    def newer(self) -> list[str]:
        """Names to import from typing in newer Pythons, or from typing_extensions."""
        records = [definition for definition in self.definitions if isinstance(definition, Record)]
        optional = any(not key.required for record in records for key in record.keys)
        return [*(["NotRequired"] if optional else []), *(["TypedDict"] if records else [])]


def of_spec(spec: Spec) -> Types:
    """Return the types of a service: of each schema, and of the parameters of each method.

    Raises:
        SpecError: Two types would have the same name, or a `$ref` cannot be resolved.
    """
    return _Schemas(spec).types()


def params_name(method: MethodSpec) -> str:
    """Return the name of the type of a method's `params`."""
    return f"{_camel(method.name)}Params"


def query_name(method: MethodSpec) -> str:
    """Return the name of the type of a method's `query`."""
    return f"{_camel(method.name)}Query"


@dataclass(frozen=True)
class _Discriminator:
    """The property that tells the members of a union apart."""

    word: str
    """`oneOf` or `anyOf`."""
    property: str
    values: list[dict[str, None]]
    """The values in each member, in order."""


class _Schemas:
    """The schemas of one service. A place is a key and the path below it.

    Dates in payloads may be datetimes or strings; in results they are strings. A schema with dates that is used in both
    therefore has two types.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._types = spec.types
        self._named_by_refs = {self._resolve(key, ref) for key, ref in _refs(spec.types)}
        references: dict[str, set[str]] = {key: set() for key in spec.types}
        for key, ref in _refs(spec.types):
            references[key].add(self._resolve(key, ref)[0])
        in_payloads = _closure(references, (method.input for method in spec.methods))
        in_results = _closure(references, [method.output for method in spec.methods])
        in_results |= _closure(references, [exchange.schema for exchange in spec.exchanges])
        self._only_in_payloads = in_payloads - in_results
        self._with_two_types = {
            key
            for key in in_payloads & in_results
            if any('"date-time"' in json.dumps(spec.types[each]) for each in _closure(references, [key]))
        }
        self._definitions: dict[str, Definition] = {}
        self._places: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._found: dict[tuple[str, tuple[str, ...], bool], str] = {}
        self._open: set[tuple[str, tuple[str, ...], bool]] = set()

    def types(self) -> Types:
        for value in _VALUES:
            self._define(Alias(*value))
        self._define(Record(NO_QUERY, "The `query` of methods without query parameters.", ()))
        keys = [key for key in self._types if not self._has_only_definitions(key)]
        results = {key: self._type(key, (), key in self._only_in_payloads) for key in keys}
        payloads = {key: self._type(key, (), True) if key in self._with_two_types else results[key] for key in keys}
        for method in self._spec.methods:
            if method.args:
                path = [Key(name, PATH_VALUE) for name in method.args]
                self._define(Record(params_name(method), f"The `params` of `{method.name}`.", tuple(path)))
            if method.query:
                query = [Key(name, QUERY_VALUE, required=False) for name in method.query]
                self._define(Record(query_name(method), f"The `query` of `{method.name}`.", tuple(query)))
        pages = {results[method.output] for method in self._spec.methods if method.output and _is_listing(method)}
        items = {page: item for page in sorted(pages) if (item := self._item(page)) is not None}
        forms = {method.name: found for method in self._spec.methods if (found := self._forms(method))}
        return Types(tuple(_in_order(self._definitions)), payloads, results, items, forms)

    def _forms(self, method: MethodSpec) -> list[tuple[str, str]]:
        """Return the types of payload and result for each form of the payload, if it determines that of the result."""
        if method.input is None or method.output is None:
            return []
        sent, returned = (self._discriminator(key, ()) for key in (method.input, method.output))
        if sent is None or returned is None or sent.property != returned.property:
            return []
        found: list[tuple[str, str]] = []
        for number, values in enumerate(sent.values):
            fitting = [at for at, others in enumerate(returned.values) if values.keys() <= others.keys()]
            if not fitting:
                return []
            result = self._type(
                method.output, (returned.word, str(fitting[0])), method.output in self._only_in_payloads
            )
            found.append((self._type(method.input, (sent.word, str(number)), True), result))
        return found

    def _discriminator(self, key: str, steps: tuple[str, ...]) -> _Discriminator | None:
        """Return what tells the members of the union at a place apart, if there is such a property."""
        schema = self._at(key, steps)
        word = next((each for each in ("oneOf", "anyOf") if is_mapping(schema) and is_array(schema.get(each))), None)
        if word is None:
            return None
        members = [self._followed(key, (*steps, word, str(number))) for number in range(len(schema[word]))]
        if len(members) < 2 or not all(is_mapping(each) and is_mapping(each.get("properties")) for each in members):
            return None
        for name in members[0]["properties"]:
            values = [_constants(member, name) for member in members]
            distinct = {value for each in values for value in each}
            if all(values) and len(distinct) == sum(map(len, values)):
                return _Discriminator(word, name, values)
        return None

    def _has_only_definitions(self, key: str) -> bool:
        """Return whether a file contains only definitions."""
        schema = self._types[key]
        return is_mapping(schema) and schema.keys() <= {"definitions"} and bool(schema)

    def _item(self, page: str) -> str | None:
        """Return the type of a page's items, if it contains exactly one list."""
        definition = self._definitions.get(page)
        if not isinstance(definition, Record):
            return None
        texts = [self._resolve_alias(key.type) for key in definition.keys]
        lists = [text for text in texts if text.startswith("list[") and len(_alternatives(text)) == 1]
        return lists[0].removeprefix("list[").removesuffix("]") if len(lists) == 1 else None

    def _resolve_alias(self, text: str) -> str:
        """Return the type of an alias."""
        definition = self._definitions.get(text)
        return self._resolve_alias(definition.type) if isinstance(definition, Alias) else text

    def _define(self, definition: Definition) -> None:
        self._check_name(definition.name)
        if definition.name in self._definitions:
            raise SpecError(f"{self._spec.file}: two types would be named {definition.name}")
        self._definitions[definition.name] = definition

    def _check_name(self, name: str) -> None:
        if not _is_plain(name) or name in _IMPORTED:
            raise SpecError(f"{self._spec.file}: a type cannot be named {name!r}; rename its schema")

    # Places.

    def _resolve(self, key: str, ref: str) -> tuple[str, tuple[str, ...]]:
        file, _, fragment = ref.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(key), file)) if file else key
        if target not in self._types:
            raise SpecError(f"{self._spec.file}: {key} refers to {ref}, which is not in types")
        steps = tuple(part.replace("~1", "/").replace("~0", "~") for part in fragment.split("/")[1:])
        self._at(target, steps)
        return target, steps

    def _at(self, key: str, steps: tuple[str, ...]) -> Any:
        schema = self._types[key]
        for step in steps:
            try:
                schema = schema[int(step)] if is_array(schema) else schema[step]
            except (LookupError, TypeError, ValueError):
                raise SpecError(f"{self._spec.file}: {key} has no value at {'/'.join(steps)}") from None
        return schema

    # Types.

    def _type(self, key: str, steps: tuple[str, ...], in_payload: bool) -> str:
        """Return the type of the schema at a place, and define the names it uses."""
        place = (key, steps, in_payload)
        if place in self._open:
            # A recursive type without a record, which would have a name, cannot be written.
            return "Any"
        if place not in self._found:
            self._open.add(place)
            found = self._new_type(key, steps, in_payload)
            self._open.remove(place)
            self._found[place] = found if len(found) <= _MAX_LENGTH else "Any"
        return self._found[place]

    def _new_type(self, key: str, steps: tuple[str, ...], in_payload: bool) -> str:
        schema = self._at(key, steps)
        if schema is None:
            return self._alias(key, steps, in_payload, "dict[str, Any]", "Any object; its schema is unknown.")
        if isinstance(schema, bool) or not schema:
            return "Any"
        if "$ref" in schema:
            target, further = self._resolve(key, schema["$ref"])
            found = self._type(
                target, further, target in self._only_in_payloads or (in_payload and target in self._with_two_types)
            )
            # Each file has its own name.
            return found if steps else self._alias(key, steps, in_payload, found)
        if _is_record(schema):
            return self._record(key, steps, in_payload, schema)
        found = self._other(key, steps, in_payload, schema)
        is_choice = "enum" in schema and (key, steps) in self._named_by_refs
        return self._alias(key, steps, in_payload, found) if not steps or is_choice else found

    def _other(self, key: str, steps: tuple[str, ...], in_payload: bool, schema: Mapping[str, Any]) -> str:
        if "const" in schema:
            return _literal([schema["const"]])
        if "enum" in schema:
            return _literal(schema["enum"])
        kinds = schema.get("type")
        if kinds in (None, "object"):
            # oneOf and anyOf beside a type only narrow it.
            for word in ("oneOf", "anyOf"):
                if word in schema:
                    places = [(*steps, word, str(number)) for number in range(len(schema[word]))]
                    return _union(self._type(key, place, in_payload) for place in places)
        if is_array(kinds):
            return _union(self._of_kind(str(kind), key, steps, in_payload, schema) for kind in kinds)
        return "Any" if kinds is None else self._of_kind(str(kinds), key, steps, in_payload, schema)

    def _of_kind(self, kind: str, key: str, steps: tuple[str, ...], in_payload: bool, schema: Mapping[str, Any]) -> str:
        if kind == "array":
            items = self._type(key, (*steps, "items"), in_payload) if is_mapping(schema.get("items")) else "Any"
            return f"list[{items}]"
        if kind == "object":
            others = schema.get("additionalProperties")
            values = self._type(key, (*steps, "additionalProperties"), in_payload) if is_mapping(others) else "Any"
            return f"dict[str, {values}]"
        if kind == "string" and in_payload and schema.get("format") == "date-time":
            return "str | datetime"
        return _PRIMITIVES.get(kind, "Any")

    def _record(self, key: str, steps: tuple[str, ...], in_payload: bool, schema: Mapping[str, Any]) -> str:
        name = self._claimed_name(key, steps, in_payload)
        if name not in self._definitions:
            # Defined before its keys, which may refer to it.
            self._definitions[name] = Record(name, "", ())
            outside, self._open = self._open, set()
            required = schema.get("required", ())
            keys = [
                Key(
                    each,
                    self._type(key, (*steps, "properties", each), in_payload),
                    required=each in required,
                    summary=_summary(self._followed(key, (*steps, "properties", each))),
                )
                for each in schema["properties"]
            ]
            self._open = outside
            self._definitions[name] = Record(name, self._purpose(key, steps, schema), tuple(keys))
        return name

    def _followed(self, key: str, steps: tuple[str, ...]) -> Any:
        schema = self._at(key, steps)
        seen: set[tuple[str, tuple[str, ...]]] = set()
        while is_mapping(schema) and "$ref" in schema and (key, steps) not in seen:
            seen.add((key, steps))
            key, steps = self._resolve(key, schema["$ref"])
            schema = self._at(key, steps)
        return schema

    def _claimed_name(self, key: str, steps: tuple[str, ...], in_payload: bool) -> str:
        """Return the unique name of the type at a place."""
        name = self._name(key, steps) + ("Input" if in_payload and key in self._with_two_types else "")
        if name not in self._places and name in self._definitions:
            raise SpecError(f"{self._spec.file}: two types would be named {name}")
        self._check_name(name)
        place = self._places.setdefault(name, (key, steps))
        if place != (key, steps):
            raise SpecError(f"{self._spec.file}: {key} and {place[0]} both have a type named {name}")
        return name

    def _name(self, key: str, steps: tuple[str, ...]) -> str:
        """Return the name of the type at a place, from the file's stem and the properties of the path."""
        parts: list[str] = []
        named = iter(enumerate(steps))
        for at, step in named:
            if step in ("properties", "definitions", "patternProperties"):
                parts.append(next(named, (0, ""))[1])
            elif step == "items":
                parts.append("Item")
            elif step == "additionalProperties":
                parts.append("Value")
            elif step in ("oneOf", "anyOf", "allOf"):
                number = int(next(named, (0, "0"))[1])
                names = self._member_names(key, steps[:at], step, _stem(key) + "".join(map(_camel, parts)))
                parts.append(names[number] if names else str(number + 1))
        return _stem(key) + "".join(map(_camel, parts))

    def _member_names(self, key: str, steps: tuple[str, ...], word: str, union: str) -> list[str]:
        """Return the suffixes of the names of a union's members, none if the members can only be counted."""
        found = self._discriminator(key, steps)
        if found is None or found.word != word:
            return []
        names = [_camel(next(iter(values))) for values in found.values]
        files = {_stem(each) for each in self._types}
        if not all(names) or len(set(names)) < len(names) or any(f"{union}{name}" in files for name in names):
            return []
        return names

    def _alias(self, key: str, steps: tuple[str, ...], in_payload: bool, found: str, summary: str = "") -> str:
        name = self._claimed_name(key, steps, in_payload)
        if name not in self._definitions:
            self._define(Alias(name, summary or self._purpose(key, steps, self._at(key, steps)), found))
        return name

    def _purpose(self, key: str, steps: tuple[str, ...], schema: Any) -> str:
        description = schema.get("description") if is_mapping(schema) else None
        if isinstance(description, str) and description.strip():
            return description.strip()
        if steps:
            return f"Part of `{_stem(key)}`."
        inputs = [method.name for method in self._spec.methods if method.input == key]
        outputs = [method.name for method in self._spec.methods if method.output == key]
        messages = [exchange.name for exchange in self._spec.exchanges if exchange.schema == key]
        uses = [
            f"{what} {_listed(names)}"
            for what, names in (("payload of", inputs), ("result of", outputs), ("message of", messages))
            if names
        ]
        return f"{'; '.join(uses).capitalize()[:1] + '; '.join(uses)[1:]}." if uses else f"`{key}`."


def _refs(types: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key of the schema and the `$ref`, for each `$ref`."""

    def below(key: str, value: Any) -> Iterator[tuple[str, str]]:
        if is_mapping(value):
            if isinstance(value.get("$ref"), str):
                yield key, value["$ref"]
            for each in value.values():
                yield from below(key, each)
        elif is_array(value):
            for each in value:
                yield from below(key, each)

    for key, schema in types.items():
        yield from below(key, schema)


def _closure(references: Mapping[str, set[str]], keys: Iterable[str | None]) -> set[str]:
    """Return keys and everything reachable from them."""
    found: set[str] = set()
    left = [key for key in keys if key is not None]
    while left:
        key = left.pop()
        if key not in found:
            found.add(key)
            left += references[key]
    return found


def _is_record(schema: Mapping[str, Any]) -> bool:
    return schema.get("type", "object") == "object" and bool(schema.get("properties"))


def _is_listing(method: MethodSpec) -> bool:
    return "continuationToken" in method.query


def _stem(key: str) -> str:
    """Return the name of the type of a file."""
    return _camel(posixpath.basename(key).removesuffix(".json"))


def _constants(member: Mapping[str, Any], name: str) -> dict[str, None]:
    """Return the strings that a required property of a union's member can have, in order; none if it can have any."""
    schema = member["properties"].get(name)
    if not is_mapping(schema) or name not in member.get("required", ()):
        return {}
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return dict.fromkeys(values) if all(isinstance(value, str) for value in values) else {}


def _camel(text: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in _WORDS.findall(text))


def _is_plain(name: str) -> bool:
    """Return whether a name can be an attribute without being changed by Python."""
    # Python normalises non-ASCII names, and mangles names with two leading underscores.
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")


def _literal(values: Iterable[Any]) -> str:
    """Return a Literal of the values, or Any if Literal does not support one."""
    texts: list[str] = []
    for value in values:
        if value is not None and not isinstance(value, bool | int | str):
            return "Any"
        texts.append(printable(json.dumps(value, ensure_ascii=False)) if isinstance(value, str) else repr(value))
    return f"Literal[{', '.join(texts)}]"


def _union(types: Iterable[str]) -> str:
    parts = list(dict.fromkeys(part for each in types for part in _alternatives(each)))
    return "Any" if "Any" in parts else " | ".join(parts)


def _alternatives(text: str) -> list[str]:
    """Return the members of a union."""
    return split(text, " | ")


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _summary(schema: Any) -> str:
    """Return a schema's description and constraints."""
    if not is_mapping(schema):
        return ""
    facts: list[str] = []
    if isinstance(schema.get("description"), str):
        facts.append(" ".join(schema["description"].split()).rstrip("."))
    formats = {"date-time": "date and time in ISO 8601", "uri": "URI", "email": "email address"}
    if schema.get("format") in formats:
        facts.append(formats[schema["format"]])
    if "maxLength" in schema:
        facts.append(f"{_range(schema.get('minLength') or None, schema['maxLength'])} characters")
    if "minimum" in schema or "maximum" in schema:
        facts.append(_range(schema.get("minimum"), schema.get("maximum")))
    if schema.get("maxItems") is not None:
        facts.append(f"at most {schema['maxItems']} items")
    if "default" in schema:
        facts.append(f"default `{json.dumps(schema['default'], ensure_ascii=False)}`")
    text = "; ".join(facts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _range(low: Any, high: Any) -> str:
    if low is None:
        return f"at most {high}"
    return f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"


def _in_order(definitions: Mapping[str, Definition]) -> Iterator[Definition]:
    """Yield definitions sorted by name, each after those it uses; recursive ones are quoted."""
    done: set[str] = set()

    def with_dependencies(name: str, way: tuple[str, ...]) -> Iterator[Definition]:
        if name in done or name in way:
            return
        for text in definitions[name].used:
            for need in sorted(_names_in(text) & definitions.keys()):
                yield from with_dependencies(need, (*way, name))
        yield definitions[name].map(lambda text: _quoted(text) if _names_in(text) & definitions.keys() - done else text)
        done.add(name)

    for name in sorted(definitions):
        yield from with_dependencies(name, ())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _names_in(text: str) -> set[str]:
    return set(re.findall(r"\w+", re.sub(_QUOTED, "", text)))
