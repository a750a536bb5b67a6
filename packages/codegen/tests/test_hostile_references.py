"""Test hostile references: strings stay data everywhere, and invalid Python names are rejected."""

import ast
import json
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcluster_codegen import typed
from taskcluster_codegen.cli import main
from taskcluster_codegen.spec import SpecError, parse

from .examples import a_method, a_spec, an_exchange

CODE = '__import__("os")'
NASTY = [
    f'x"""; {CODE}; """y',
    f"x'''; {CODE}; '''y",
    f'x"; {CODE}; "y',
    f"x'; {CODE}; 'y",
    f"x\n{CODE}\n",
    f"x\r{CODE}\r",
    f"x\x0c{CODE}",
    f"x\u2028{CODE}",
    f"{{{{ {CODE} }}}}",
    f"{{% set x = {CODE} %}}",
    f"-->\n{CODE}\n<!--",
    f']\n{CODE} = ["',
    f'a | b[ | {CODE} | "c',
    "ends with a backslash\\",
    'ends with a quote"',
    'ends with three"""',
    '"""',
    "\\",
    '\\"""',
    "\x00",
    "\x7f",
    "\x1b[31m",
    "\ud800",
    "\u202e\u2066",
    "\U000e0001",
    "\ufeff",
    "\U0001f600",
    "ﬁ",
    "",
    " ",
    "a-b",
    "class",
    "None",
    "self",
    "__private",
    "1st",
    "Any",
    "日本",
    "<script>",
    "$ref",
    "x" * 500,
    None,
    0,
    1.5,
    True,
    ["x"],
    {"x": 'y"""'},
]


def documents():
    """Return references and schemas that use every feature."""
    method = {
        "type": "function", "name": "get", "title": "Get", "description": "Gets.", "method": "get", "route": "/w/<id>",
        "args": ["id"], "query": ["continuationToken", "limit"], "stability": "stable", "category": "c",
        "scopes": {"AllOf": ["w:get", {"each": "w:<id>", "for": "id", "in": "ids"}]}, "input": "v1/in.json#",
        "output": "v1/w.json#",
    }  # fmt: skip
    words = [
        {"name": "kind", "summary": "s", "constant": "primary", "required": True},
        {"name": "rest", "summary": "s", "multipleWords": True},
    ]
    exchange = {"type": "topic-exchange", "exchange": "made", "name": "made", "title": "Made", "description": "Made.",
                "routingKey": words, "schema": "v1/w.json#"}  # fmt: skip
    common = {"apiVersion": "v1", "serviceName": "widgets", "title": "Widgets", "description": "Keeps."}
    widget = {
        "type": "object",
        "title": "Widget",
        "description": "A widget.",
        "required": ["a"],
        "properties": {
            "a": {"type": "string", "description": "d", "default": "x", "maxLength": 5},
            "b": {"enum": ["one", "two"]},
            "c": {"const": "three"},
            "d": {"type": "array", "items": {"$ref": "#"}},
            "e": {"oneOf": [{"type": "string", "enum": ["q"]}, {"type": "array", "items": {"$ref": "#"}}]},
            "f": {"type": "object", "properties": {"g": {"$ref": "in.json#"}}},
        },
    }
    payload = {"type": "object", "properties": {"when": {"type": "string", "format": "date-time"}}}
    return {
        "references/widgets/v1/api.json": {**common, "entries": [method]},
        "references/widgets/v1/exchanges.json": {**common, "exchangePrefix": "exchange/w/", "entries": [exchange]},
        "schemas/widgets/v1/w.json": widget,
        "schemas/widgets/v1/in.json": payload,
    }


def places(value, place=()):
    """Yield the path of every value and every key."""
    yield place, False
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(value, dict):
            yield (*place, key), True
        yield from places(below, (*place, key))


PLACES = sorted({each for each in places(documents()) if len(each[0]) > 1}, key=repr)


def changed(found, place, is_key, nasty):
    *way, last = place
    inner = found
    for step in way:
        inner = inner[step]
    if is_key:
        inner[nasty if isinstance(nasty, str) else str(nasty)] = inner.pop(last)
    else:
        inner[last] = nasty
    return found


def check(found):
    """Create a distribution from documents. If they are accepted, check the written files. Return whether they are."""
    with tempfile.TemporaryDirectory() as folder:
        for path, document in found.items():
            file = Path(folder, "from", path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(document), "utf-8")
        made = Path(folder, "made")
        status = main(["new", "widgets", "--directory", str(made), "--references", str(Path(folder, "from"))])
        assert status in (0, 2)
        assert made.exists() == (status == 0)
        if status != 0:
            return False
        for file in made.rglob("*"):
            if file.suffix in (".py", ".pyi"):
                check_code(file.read_text("utf-8"))
            elif file.suffix == ".json":
                json.loads(file.read_text("utf-8"))
            elif file.suffix == ".toml" and sys.version_info >= (3, 11):
                check_toml(file)
        exec(compile((made / "src/widgets_client/types.py").read_text("utf-8"), "types.py", "exec"), {"__name__": "t"})
        return True


def check_code(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "__import__" not in names
    assert not any(not each.isprintable() and each != "\n" for each in source)


def check_toml(file):
    import tomllib

    project = tomllib.loads(file.read_text("utf-8"))
    assert set(project) == {"build-system", "project", "tool"}
    assert project["project"]["name"] == "widgets-client"


def test_unchanged_documents_are_accepted():
    assert check(documents())


@pytest.mark.once
@settings(max_examples=100, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(place=st.sampled_from(PLACES), nasty=st.sampled_from(NASTY))
def test_hostile_values_are_data_or_rejected(capsys, place, nasty):
    check(changed(documents(), *place, nasty))
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "codec" not in error


TEXTS = [
    ("references/widgets/v1/api.json", "title"),
    ("references/widgets/v1/api.json", "description"),
    ("references/widgets/v1/api.json", "entries", 0, "title"),
    ("references/widgets/v1/exchanges.json", "entries", 0, "routingKey", 0, "summary"),
    ("schemas/widgets/v1/w.json", "description"),
    ("schemas/widgets/v1/w.json", "properties", "a", "description"),
    ("schemas/widgets/v1/w.json", "properties", "a", "default"),
    ("schemas/widgets/v1/w.json", "properties", "b", "enum", 0),
    ("schemas/widgets/v1/w.json", "properties", "c", "const"),
    ("schemas/widgets/v1/w.json", "properties", "e", "oneOf", 0, "enum", 0),
]


@pytest.mark.parametrize("place", TEXTS, ids=lambda place: "/".join(map(str, place[1:])))
def test_code_in_strings_stays_data(place):
    half = [] if place[0].startswith("references") else ["\ud800"]
    for nasty in [*NASTY[:2], *half]:
        assert check(changed(documents(), place, False, nasty))


@pytest.mark.parametrize("title", ['x"""; __import__("os"); """y', 'ends with a quote"', "back\\slash"])
def test_titles_are_preserved(tmp_path, title):
    found = changed(documents(), TEXTS[0], False, title)
    for path, document in found.items():
        file = tmp_path / "from" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document), "utf-8")
    assert main(["new", "widgets", "--directory", str(tmp_path / "made"), "--references", str(tmp_path / "from")]) == 0
    for name in ("src/widgets_client/local.py", "tests/test_widgets.py", "src/widgets_client/client.py"):
        docstring = ast.get_docstring(ast.parse((tmp_path / "made" / name).read_text("utf-8")))
        assert docstring is not None
        assert title in docstring


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"methods": [a_method(query=["a-b"])]}, "the parameter 'a-b' cannot be a Python argument"),
        ({"methods": [a_method(query=["class"])]}, "the parameter 'class' cannot be a Python argument"),
        ({"methods": [a_method(query=["self"])]}, "a parameter cannot be named 'self'"),
        ({"methods": [a_method(route="/<self>")]}, "a parameter cannot be named 'self'"),
        ({"methods": [a_method(name="types")]}, "clients already have an attribute of this name"),
        ({"className": "Any"}, "className 'Any' is reserved"),
        *(
            ({"exchanges": [an_exchange(routingKey=[{"name": name, "summary": "s"}])]}, f"{name!r}")
            for name in ("class", "a-b", "self", "routingKeyPattern", "ﬁ")
        ),
    ],
)
def test_invalid_python_names_are_rejected(more, message):
    with pytest.raises(SpecError, match=r"specs/widgets\.json") as caught:
        parse(a_spec(**more), "specs/widgets.json")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("types", "name"),
    [
        ({"widgets/v1/2fa.json": {"type": "object"}}, "2fa"),
        ({"widgets/v1/any.json": {"type": "string"}}, "Any"),
        ({"widgets/v1/none.json": {"properties": {"a": True}}}, "None"),
        ({"widgets/v1/日本.json": {"type": "object"}}, ""),
        ({"widgets/v1/no-query.json": {"properties": {"a": {"type": "string"}}}}, "NoQuery"),
        ({"widgets/v1/a-b.json": {"type": "string"}, "widgets/v1/aB.json": {"type": "string"}}, "AB"),
    ],
)
def test_invalid_type_names_are_rejected(types, name):
    with pytest.raises(SpecError, match="named") as caught:
        typed.of_spec(parse(a_spec(types={"widgets/v1/widget.json": {}, **types}), "specs/widgets.json"))
    assert name in str(caught.value)


BAD = [
    "text", 1, None,
    {"properties": {"a": "text"}}, {"properties": []}, {"properties": {"a": {"properties": {"b": 1}}}},
    {"items": "text"}, {"items": [1]}, {"additionalProperties": "no"}, {"oneOf": {}}, {"oneOf": []},
    {"anyOf": ["text"]}, {"allOf": [None]}, {"not": 1}, {"definitions": {"a": 1}}, {"patternProperties": {"a": []}},
    {"enum": "text"}, {"enum": []}, {"required": "text"}, {"required": [1]}, {"type": 1}, {"type": []}, {"$ref": 1},
    {"format": ["x"]},
    {"dependencies": {"a": 1}}, {"if": "text"}, {"contains": 0},
]  # fmt: skip


@pytest.mark.parametrize("schema", BAD, ids=json.dumps)
def test_invalid_schemas_are_rejected(schema):
    inside = {"type": "object", "properties": {"deep": {"type": "array", "items": schema}}}
    # At the top, null stands for a schema that is not known.
    for each in [inside] if schema is None else [inside, schema]:
        with pytest.raises(SpecError, match=r"the type 'widgets/v1/widget\.json': .* must be "):
            parse(a_spec(types={"widgets/v1/widget.json": each}), "specs/widgets.json")


def test_boolean_schemas_are_allowed():
    properties = {"yes": True, "no": False, "list": {"type": "array", "items": True}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False, "not": False}
    types = typed.of_spec(parse(a_spec(types={"widgets/v1/widget.json": schema}), "specs/widgets.json"))
    [record] = [each for each in types.definitions if each.name == "Widget"]
    assert {key.name: key.type for key in record.keys} == {"yes": "Any", "no": "Any", "list": "list[Any]"}


def nested(levels, schema):
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def test_recursive_schemas_terminate():
    definitions = {str(n): {"anyOf": [nested(1, ref(n + 1)), values(ref(n + 1))]} for n in range(40)}
    endless = {
        "itself": {"$ref": "#"},
        "one": {"$ref": "two.json#"},
        "two": {"$ref": "one.json#"},
        "list": nested(1, {"$ref": "#"}),
        "value": {"type": "object", "properties": {"a": {"$ref": "one.json#"}}},
        "doubling": {"definitions": {**definitions, "40": {"type": "string"}}, **ref(0)},
    }
    schemas = {f"widgets/v1/{name}.json": schema for name, schema in endless.items()}
    types = typed.of_spec(parse(a_spec(types={**schemas, "widgets/v1/widget.json": {}}), "specs/widgets.json"))
    assert max(len(text) for each in types.definitions for text in each.used) <= 100_000


def ref(number):
    return {"$ref": f"#/definitions/{number}"}


def values(schema):
    return {"type": "object", "additionalProperties": schema}


@pytest.mark.parametrize("levels", [60, 500, 100_000])
def test_deep_nesting_is_rejected(levels):
    text = a_spec(types={"widgets/v1/widget.json": "HERE"})
    deep = '{"items":' * levels + "{}" + "}" * levels
    if levels == 60:
        typed.of_spec(parse(text.replace('"HERE"', deep), "specs/widgets.json"))
        return
    with pytest.raises(SpecError, match=r"nested (too deeply|more than 100 levels deep)"):
        parse(text.replace('"HERE"', deep), "specs/widgets.json")


def test_literals_keep_code_like_strings():
    schema = {
        "type": "object",
        "properties": {
            "a": {"oneOf": [{"enum": ["x | y[", 'q"', "\\"]}, {"type": "array", "items": {"$ref": "#"}}]},
            "b": {"enum": [1.5, {"a": True}]},
            "c": {"enum": ["a", 1, None, True, -5]},
            "__d": {"type": "string"},
        },
    }
    types = typed.of_spec(parse(a_spec(types={"widgets/v1/widget.json": schema}), "specs/widgets.json"))
    [record] = [each for each in types.definitions if each.name == "Widget"]
    found = {key.name: key.type for key in record.keys}
    assert ast.literal_eval(found["a"]) == r'Literal["x | y[", "q\"", "\\"] | list[Widget]'
    assert found["b"] == "Any"
    assert found["c"] == 'Literal["a", 1, None, True, -5]'
    assert record.functional
