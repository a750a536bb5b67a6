"""Test the conversion of schemas to types."""

import json

import pytest

from taskcluster_codegen import typed
from taskcluster_codegen.spec import SpecError, parse

from .examples import a_method, a_spec, an_exchange


def types_of(types, methods=(), **more):
    methods = [a_method(), *methods]
    spec = a_spec(types={f"widgets/v1/{name}.json": schema for name, schema in types.items()}, methods=methods, **more)
    return typed.of_spec(parse(spec, "specs/widgets.json"))


def definitions(types, methods=(), **more):
    """Return the type of each alias, and the keys and types of each record, by name."""
    found = types_of(types, methods, **more)
    return {
        each.name: each.type if each.is_alias else {key.name: key.annotation for key in each.keys}
        for each in found.definitions
    }


def an_object(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
DATE = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "None"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"type": "array", "items": TEXT}}, "list[list[str]]"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"type": "object", "properties": {}}, "dict[str, Any]"),
        ({"type": "object", "additionalProperties": NUMBER}, "dict[str, float]"),
        ({"enum": ["a", 1, True, None, 'b"']}, 'Literal["a", 1, True, None, "b\\""]'),
        ({"const": ""}, 'Literal[""]'),
        ({"oneOf": [TEXT, NUMBER, TEXT]}, "str | float"),
        ({"anyOf": [TEXT, {}]}, "Any"),
        ({"oneOf": [{"format": "ipv4"}, {"format": "ipv6"}], "type": "string"}, "str"),
        ({}, "Any"),
        (True, "Any"),
        (None, "dict[str, Any]"),
    ],
    ids=json.dumps,
)
def test_aliases(schema, wanted):
    found = types_of({"some-thing": schema})
    if wanted == "Any" and schema in ({}, True):
        assert found.results["widgets/v1/some-thing.json"] == "Any"
    else:
        assert {each.name: each.type for each in found.definitions if each.is_alias}["SomeThing"] == wanted


def test_nested_records():
    inner = an_object(["deep"], deep={"type": "array", "items": an_object(x=NUMBER)})
    found = definitions({"list-things.v2": an_object(["one"], one=TEXT, two=inner, three={"enum": ["a"]})})
    assert found["ListThingsV2"] == {
        "one": "str",
        "two": "NotRequired[ListThingsV2Two]",
        "three": 'NotRequired[Literal["a"]]',
    }
    assert found["ListThingsV2Two"] == {"deep": "list[ListThingsV2TwoDeepItem]"}
    assert found["ListThingsV2TwoDeepItem"] == {"x": "NotRequired[float]"}


def test_alternatives_are_numbered():
    found = definitions({"either": {"oneOf": [an_object(a=TEXT), an_object(b=TEXT)]}})
    assert found["Either"] == "Either1 | Either2"
    assert found["Either2"] == {"b": "NotRequired[str]"}


def a_form(value, **more):
    return an_object(["kind"], kind=value, **more)


A_CONST, AN_ENUM = {"const": "big-box"}, {"enum": ["ring", "rings"]}


@pytest.mark.parametrize("word", ["oneOf", "anyOf"])
def test_alternatives_are_named_by_their_constants(word):
    found = definitions({"made": {word: [a_form(A_CONST, a=an_object(b=TEXT)), a_form(AN_ENUM)]}})
    assert found["Made"] == "MadeBigBox | MadeRing"
    assert found["MadeBigBox"] == {"kind": 'Literal["big-box"]', "a": "NotRequired[MadeBigBoxA]"}
    assert found["MadeRing"] == {"kind": 'Literal["ring", "rings"]'}


@pytest.mark.parametrize(
    "second",
    [
        a_form(A_CONST),
        a_form({"enum": ["other", "big-box"]}),
        a_form(TEXT),
        a_form({"enum": ["other", 5]}),
        a_form({"const": "Big Box"}),
        a_form({"const": "…"}),
        a_form({"const": ""}),
        an_object(kind={"const": "other"}),
        an_object(["other"], other={"const": "x"}),
        a_form({"const": "elsewhere"}),
    ],
    ids=[
        "the-same",
        "common",
        "any-string",
        "no-string",
        "the-same-name",
        "no-name",
        "empty",
        "optional",
        "missing",
        "a-file's-name",
    ],
)
def test_alternatives_without_a_discriminator_are_numbered(second):
    schemas = {"made": {"oneOf": [a_form(A_CONST), second]}, "made-elsewhere": TEXT}
    assert definitions(schemas)["Made1"] == {"kind": 'Literal["big-box"]'}


def test_references():
    found = definitions(
        {
            "a": an_object(
                file={"$ref": "b.json#"},
                part={"$ref": "b.json#/properties/size"},
                choice={"$ref": "b.json#/properties/state"},
                drawer={"$ref": "c.json#/definitions/one"},
                own={"$ref": "#/properties/file"},
            ),
            "b": an_object(["size"], size=NUMBER, state={"enum": ["x", "y"]}),
            "c": {"definitions": {"one": an_object(z=TEXT), "two": TEXT}},
        }
    )
    assert found["A"] == {
        "file": "NotRequired[B]",
        "part": "NotRequired[float]",
        "choice": "NotRequired[BState]",
        "drawer": "NotRequired[COne]",
        "own": "NotRequired[B]",
    }
    assert found["BState"] == 'Literal["x", "y"]'
    assert "C" not in found


@pytest.mark.parametrize("ref", ["other.json#", "a.json#/properties/none", "../v2/a.json"])
def test_unresolved_reference_is_rejected(ref):
    with pytest.raises(SpecError, match=r"specs/widgets.json: widgets/v1/a.json"):
        types_of({"a": an_object(b={"$ref": ref})})


def test_duplicate_type_name_is_rejected():
    with pytest.raises(SpecError, match="AB"):
        types_of({"a-b": an_object(x=TEXT), "a": an_object(b=an_object(y=TEXT))})


def test_definitions_follow_those_they_use():
    found = types_of(
        {"a": an_object(c={"$ref": "c.json"}), "b": TEXT, "c": {"type": "array", "items": {"$ref": "b.json"}}}
    )
    names = [each.name for each in found.definitions if each.name in "ABC"]
    assert names == ["B", "C", "A"]


def test_recursive_types_are_quoted():
    found = definitions({"tree": an_object(["next"], next={"type": "array", "items": {"$ref": "#"}})})
    assert found["Tree"] == {"next": '"list[Tree]"'}


def test_dates_in_payloads_and_results():
    put = a_method("put", method="put", input="widgets/v1/only-taken.json")
    both = a_method("change", method="post", input="widgets/v1/both.json", output="widgets/v1/both.json")
    found = types_of(
        {"only-taken": an_object(at=DATE), "both": an_object(at=DATE), "both-undated": an_object(x=TEXT)}, [put, both]
    )
    records = {each.name: each for each in found.definitions if not each.is_alias}
    assert records["OnlyTaken"].keys[0].type == "str | datetime"
    assert (records["Both"].keys[0].type, records["BothInput"].keys[0].type) == ("str", "str | datetime")
    assert found.payloads["widgets/v1/both.json"] == "BothInput"
    assert found.results["widgets/v1/both.json"] == "Both"
    assert found.payloads["widgets/v1/both-undated.json"] == "BothUndated"


def test_params_and_query_types():
    found = definitions({}, [a_method("listThings", "/things/<a>/<b>", query=["limit"])])
    assert found["ListThingsParams"] == {"a": "PathValue", "b": "PathValue"}
    assert found["ListThingsQuery"] == {"limit": "NotRequired[QueryValue]"}


def test_page_items():
    listing = {"query": ["continuationToken"], "output": "widgets/v1/page.json"}
    page = an_object(["things"], things={"$ref": "things.json"}, continuationToken=TEXT)
    things = {"type": "array", "items": an_object(a=TEXT)}
    found = types_of({"page": page, "things": things}, [a_method("list", "/list", **listing)])
    assert found.items == {"Page": "ThingsItem"}
    page["properties"]["more"] = {"type": "array"}
    assert types_of({"page": page, "things": things}, [a_method("list", "/list", **listing)]).items == {}


def test_key_docstrings():
    keys = {
        "text": {"type": "string", "minLength": 1, "maxLength": 10, "description": "A text.\nOf two lines."},
        "exact": {"type": "string", "minLength": 4, "maxLength": 4},
        "at": {**DATE, "default": "now"},
        "count": {"type": "integer", "minimum": 0},
        "ratio": {"type": "number", "minimum": 0, "maximum": 1},
        "few": {"type": "array", "maxItems": 3},
        "plain": TEXT,
    }
    (record,) = [each for each in types_of({"a": an_object(**keys)}).definitions if each.name == "A"]
    assert {key.name: key.summary for key in record.keys} == {
        "text": "A text. Of two lines; 1 to 10 characters.",
        "exact": "4 characters.",
        "at": 'Date and time in ISO 8601; default `"now"`.',
        "count": "0 or more.",
        "ratio": "0 to 1.",
        "few": "At most 3 items.",
        "plain": "",
    }


def test_type_docstrings():
    schema = "widgets/v1/widget.json"
    put = a_method("put", method="put", input=schema, output=schema)
    found = types_of({"widget": an_object(x=an_object(y=TEXT))}, [put], exchanges=[an_exchange()])
    summaries = {each.name: each.summary for each in found.definitions}
    assert summaries["Widget"] == "Payload of `put`; result of `put`; message of `widgetMade`."
    assert summaries["WidgetX"] == "Part of `Widget`."
