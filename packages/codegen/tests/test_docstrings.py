"""Test the content of docstrings, and that no string can terminate them."""

import ast

import pytest

from taskcluster_codegen import docstrings, typed
from taskcluster_codegen.spec import parse

from .examples import a_method, a_spec, an_exchange


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        'ends with "',
        'holds """ and more',
        '""""""',
        "ends with \\",
        "a \\n that is no line break",
        'a \\""" of both',
        "two\n\nparagraphs",
        "{braces} and %s and {{ templates }}",
    ],
)
@pytest.mark.parametrize("indent", [0, 4, 8])
def test_docstring_preserves_any_text(text, indent):
    source = "".join(" " * 4 * depth + "if True:\n" for depth in range(indent // 4))
    tree = ast.parse(source + docstrings.docstring(text, indent) + "\n")
    [constant] = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value is not True]
    assert "\n".join(line.strip() for line in constant.strip().split("\n")) == text


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a:b", "`a:b`"),
        ({"AllOf": ["a", "b"]}, "`a` and `b`"),
        ({"AnyOf": ["a", "b", "c"]}, "`a` or `b` or `c`"),
        ({"AnyOf": ["a", {"AllOf": ["b", "c"]}]}, "`a` or (`b` and `c`)"),
        ({"AllOf": ["a", {"AnyOf": ["b", {"AllOf": ["c", "d"]}]}]}, "`a` and (`b` or (`c` and `d`))"),
        ({"AllOf": ["a"]}, "`a`"),
        ({"AllOf": []}, "none"),
        ({"AnyOf": []}, "never satisfied"),
        ({"each": "r:<x>", "for": "x", "in": "xs"}, "`r:<x>` for each `x` of `xs`"),
        ({"AllOf": [{"each": "r:<x>", "for": "x", "in": "xs"}]}, "`r:<x>` for each `x` of `xs`"),
        ({"AnyOf": [{"each": "r:<x>", "for": "x", "in": "xs"}]}, "`r:<x>` for any `x` of `xs`"),
        ({"AllOf": ["a", {"each": "r:<x>", "for": "x", "in": "xs"}]}, "`a` and (`r:<x>` for each `x` of `xs`)"),
        ({"AnyOf": [{"each": "r:<x>", "for": "x", "in": "xs"}, "a"]}, "(`r:<x>` for any `x` of `xs`) or `a`"),
        ({"if": "public", "then": "a"}, "`a` if `public`"),
        ({"if": "light", "then": {"AnyOf": ["a", "b"]}, "else": "b"}, "(`a` or `b`) if `light`, else `b`"),
        ({"AllOf": ["a", {"if": "light", "then": "b"}]}, "`a` and (`b` if `light`)"),
    ],
)
def test_scope_expressions(expression, said):
    assert docstrings.scopes(expression) == said


FULL = {
    "name": "setWidget",
    "title": "Set Widget",
    "description": "Sets it.",
    "method": "put",
    "route": "/widget/<name>/<part>",
    "args": ["name", "part"],
    "emptyArgs": ["part"],
    "query": ["limit", "continuationToken"],
    "input": "widgets/v1/widget.json",
    "output": "widgets/v1/widget.json",
    "stability": "experimental",
    "scopes": "widgets:set:<name>",
    "addedAfter": "72.0.1",
    "removedBefore": "113.2.0",
}


def test_method_with_everything():
    spec = parse(a_spec(methods=[FULL]), "w.json")
    assert docstrings.method(spec, spec.methods[0], typed.of_spec(spec)) == (
        "Set Widget.\n\n"
        "Sets it.\n\n"
        "Removed in Taskcluster 113.2.0; older deployments still have it. Calling it emits a DeprecationWarning.\n\n"
        "- Path parameters: `name`, `part` (may be empty)\n"
        "- Payload: `taskcluster_widgets.types.Widget`\n"
        "- Query parameters: `limit`, `continuationToken`\n"
        "- Returns: `taskcluster_widgets.types.Widget`\n\n"
        "``PUT /widget/<name>/<part>`` · experimental · scopes: `widgets:set:<name>` · added after Taskcluster 72.0.1"
    )
    assert docstrings.signature(spec.methods[0]) == "setWidget(name, part, payload, limit=…, continuationToken=…)"


def test_method_without_optional_parts():
    spec = parse(a_spec(methods=[a_method("ping", "/ping")]), "w.json")
    assert (
        docstrings.method(spec, spec.methods[0], typed.of_spec(spec))
        == "Ping.\n\nDoes ping.\n\n``GET /ping`` · stable · no scopes"
    )
    assert docstrings.signature(spec.methods[0]) == "ping()"


def test_exchange_lists_routing_key_fields():
    spec = parse(a_spec(exchanges=[an_exchange()]), "w.json")
    assert docstrings.exchange(spec, spec.exchanges[0], typed.of_spec(spec)) == (
        "Widget Made.\n\n"
        "Published then.\n\n"
        "Routing key fields:\n\n"
        "- `kind`: always `primary`\n"
        "- `rest`: anything else (one or more words)\n\n"
        "``exchange/widgets/v1/widget-made`` · messages: `taskcluster_widgets.types.Widget`"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("aaaa bbbb cccc", ["aaaa bbbb", "cccc"]),
        ("- aaaa bbbbbb", ["- aaaa", "bbbbbb"]),
        ("a\n\n    indented by four", ["a", "", "    indented", "    by four"]),
        ("unbreakable-name/<of-a-route>", ["unbreakable-name/<of-a-route>"]),
    ],
)
def test_only_long_lines_are_wrapped(text, lines):
    assert docstrings.wrapped(text, 12).split("\n") == lines
