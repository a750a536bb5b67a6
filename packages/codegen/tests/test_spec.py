"""Test reading specs, and errors for invalid ones, which name the file and the entry."""

import pytest

from taskcluster_codegen.spec import SpecError, load_all, parse

from .examples import a_method, a_spec, an_exchange


def test_spec_with_everything():
    text = a_spec(methods=[a_method(query=["limit"], scopes={"AllOf": []})], exchanges=[an_exchange()])
    spec = parse(text, "specs/widgets.json")
    assert (spec.file, spec.text, spec.className) == ("specs/widgets.json", text, "Widgets")
    assert (spec.methods[0].args, spec.methods[0].query, spec.methods[0].scopes) == (
        ("name",),
        ("limit",),
        {"AllOf": []},
    )
    assert spec.methods[0].input is None
    assert [(word.constant, word.multipleWords) for word in spec.exchanges[0].routingKey] == [
        ("primary", False),
        (None, True),
    ]


def test_null_counts_as_missing():
    assert parse(a_spec(exchanges=[an_exchange(schema=None)]), "w.json").exchanges[0].schema is None


def method(*args, **more):
    return a_spec(methods=[a_method(*args, **more)])


def exchange(**more):
    return a_spec(exchanges=[an_exchange(**more)])


TAKEN = [
    *("apiVersion", "buildSignedUrl", "buildUrl", "classOptions", "close", "exchangePrefix", "exchanges", "funcinfo"),
    *("options", "paginate", "serviceName", "session"),
    *("dict", "str"),
]

REFUSED = {
    "{": "w.json: not JSON: ",
    "[]": "w.json: must be a JSON object, not []",
    '{"title": 1, "title": 2}': "w.json: not JSON: the key 'title' appears twice",
    a_spec(serviceName=...): "w.json: missing key 'serviceName'",
    a_spec(serviceName="Widgets"): "w.json: serviceName 'Widgets' does not match",
    a_spec(serviceName="-"): "w.json: serviceName '-' does not match",
    a_spec(apiVersion="1"): "w.json: apiVersion '1' does not match",
    a_spec(className="widgets"): "w.json: className 'widgets' does not match",
    a_spec(className="WidgetEvents"): "w.json: className 'WidgetEvents' is reserved",
    a_spec(className="True"): "w.json: className 'True' is reserved",
    a_spec(title="a\nb"): "w.json: title must be one line",
    a_spec(description=""): 'w.json: description must be a printable string, not ""',
    a_spec(description="a\x00"): "w.json: description must be a printable string",
    a_spec(colour="red"): "w.json: unknown key 'colour'",
    a_spec(methods=[]): "w.json: no methods",
    a_spec(methods={}): "w.json: methods must be a list, not {}",
    a_spec(methods=["x"]): 'w.json: method number 0: must be a JSON object, not "x"',
    a_spec(types={"other/v1/x.json": {}}): "w.json: the type 'other/v1/x.json' must be named widgets/",
    a_spec(methods=[a_method(), a_method()]): "w.json: 'getWidget' appears twice in methods",
    # Names of methods
    method("GetWidget"): "w.json: method GetWidget: name 'GetWidget' does not match",
    method("get_widget"): "w.json: method get_widget: name 'get_widget' does not match",
    method("_call"): "w.json: method _call: name '_call' does not match",
    method("import"): "w.json: method import: a method name cannot be a Python keyword",
    **{method(name): f"w.json: method {name}: clients already have an attribute of this name" for name in TAKEN},
    # Parameters
    **{
        text: f"w.json: method getWidget: a parameter cannot be named {name!r}"
        for name in ("payload", "query", "params", "paginationHandler", "paginationLimit")
        for text in (method(route=f"/widget/<{name}>"), method(query=[name]))
    },
    method(route="/widget/<class>"): "w.json: method getWidget: the parameter 'class' cannot be a Python argument",
    method(route="/widget/<a-b>"): "w.json: method getWidget: the parameter 'a-b' cannot be a Python argument",
    method(query=["name"]): "w.json: method getWidget: 'name' appears twice in args and query",
    method(route="/<a>/<a>"): "w.json: method getWidget: 'a' appears twice in args and query",
    method(args=[]): "w.json: method getWidget: args [] must be the parameters of the route /widget/<name>",
    method(route="/<a>/<b>", args=["b", "a"]): "w.json: method getWidget: args ['b', 'a'] must be the parameters",
    method(emptyArgs=["size"]): "w.json: method getWidget: emptyArgs: 'size' is not in args",
    method(query=[1]): "w.json: method getWidget: query must contain names, not 1",
    # The rest of a method
    method(
        method="GET"
    ): 'w.json: method getWidget: method must be one of delete, get, head, options, patch, post, put, not "GET"',
    method(stability="solid"): "w.json: method getWidget: stability must be one of deprecated, experimental, stable",
    method(route="widget/<name>"): "w.json: method getWidget: the route 'widget/<name>' must start with /",
    method(input="widgets/v1/x.json"): "w.json: method getWidget: input 'widgets/v1/x.json' is not in types",
    method(output="blob"): "w.json: method getWidget: output 'blob' is not in types",
    method(colour="red"): "w.json: method getWidget: unknown key 'colour'",
    method(scopes=["a"]): 'w.json: method getWidget: ["a"] is not a scope expression',
    method(scopes={"AllOf": [""]}): "w.json: method getWidget: '' is not a scope",
    method(scopes={"AllOf": ["a"], "AnyOf": ["b"]}): "w.json: method getWidget: {",
    method(scopes={"AnyOf": [{"each": "a"}]}): 'w.json: method getWidget: {"each": "a"} is not a scope expression',
    method(scopes={"if": "x", "then": 1}): "w.json: method getWidget: 1 is not a scope expression",
    # Exchanges
    a_spec(eventsClassName="WidgetsEvents"): "w.json: eventsClassName without exchanges",
    a_spec(exchanges=[an_exchange()], exchangePrefix=...): "w.json: exchanges require",
    a_spec(exchanges=[an_exchange()], eventsClassName="WidgetNews"): "w.json: eventsClassName 'WidgetNews' must end in",
    a_spec(exchanges=[an_exchange()] * 2): "w.json: 'widgetMade' appears twice in exchanges",
    exchange(name="close"): "w.json: exchange close: clients already have an attribute of this name",
    exchange(schema="widgets/v1/x.json"): "w.json: exchange widgetMade: schema 'widgets/v1/x.json' is not in types",
    exchange(routingKey=[{"name": "kind"}]): "w.json: exchange widgetMade: field kind: missing key 'summary'",
    exchange(
        routingKey=[{"name": "kind", "summary": "x", "required": "no"}]
    ): 'w.json: exchange widgetMade: field kind: required must be true or false, not "no"',
    exchange(
        routingKey=[{"name": "a", "summary": "x"}] * 2
    ): "w.json: exchange widgetMade: 'a' appears twice in routingKey",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED.values())
def test_invalid_spec_is_rejected(text, message):
    with pytest.raises(SpecError) as caught:
        parse(text, "w.json")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no specs found"),
        ({"gadgets.json": a_spec()}, "specs/gadgets.json: must be named widgets.json, like its service"),
        (
            {"widgets.json": a_spec(), "gadgets.json": a_spec(serviceName="gadgets", types={}, className="WIDGETS")},
            "specs/widgets.json: class Widgets conflicts with a class of specs/gadgets.json",
        ),
    ],
)
def test_conflicting_specs_are_rejected(tmp_path, files, message):
    (tmp_path / "specs").mkdir()
    for name, text in files.items():
        (tmp_path / "specs" / name).write_text(text, "utf-8")
    with pytest.raises(SpecError) as caught:
        load_all(tmp_path / "specs", tmp_path)
    assert str(caught.value).endswith(message)


def test_spec_must_be_utf8(tmp_path):
    (tmp_path / "widgets.json").write_bytes(b"\xff")
    with pytest.raises(SpecError, match=r"widgets\.json: cannot be read"):
        load_all(tmp_path, tmp_path)
