"""Test the signatures of stubs."""

import pytest

from taskcluster_codegen import signatures, typed
from taskcluster_codegen.spec import parse

from .examples import a_method, a_spec, an_exchange

ANY_QUERY = "query: types.NoQuery | None = ..."


def stubs_of(*methods, **more):
    spec = parse(a_spec(methods=list(methods), **more), "specs/widgets.json")
    return signatures.of_spec(spec, typed.of_spec(spec))


def ways(method, **more):
    return [(each.parameters, each.result) for each in stubs_of(method, **more).methods[method["name"]]]


def test_method_without_parameters():
    assert ways(a_method("ping", "/ping")) == [(("*", ANY_QUERY), "Any")]


def test_path_parameters():
    assert ways(a_method("get", "/w/<a>/<b>")) == [
        (("a: types.PathValue", "b: types.PathValue", "*", ANY_QUERY), "Any"),
        (("*", "params: types.GetParams", ANY_QUERY), "Any"),
    ]


def test_payload_last_or_first():
    widget = "payload: types.Widget"
    method = a_method("put", method="put", input="widgets/v1/widget.json", output="widgets/v1/widget.json")
    assert ways(method) == [
        (("name: types.PathValue", widget, "*", ANY_QUERY), "types.Widget"),
        ((widget, "*", "name: types.PathValue", ANY_QUERY), "types.Widget"),
        ((widget, "*", "params: types.PutParams", ANY_QUERY), "types.Widget"),
    ]


def forms(*values):
    def member(value):
        return {"type": "object", "properties": {"kind": {"const": value}}, "required": ["kind"]}

    return {"oneOf": [member(value) for value in values]}


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (("b", "a"), ["SentA ResultA", "SentB ResultB", "Sent Result"]),
        (("a", "b", "c"), ["SentA ResultA", "SentB ResultB", "Sent Result"]),
        (("a", "c"), ["Sent Result"]),
        (("a",), ["Sent Result"]),
    ],
    ids=["all", "more", "others", "one"],
)
def test_payload_determines_result(returned, wanted):
    method = a_method("make", "/make", method="put", input="widgets/v1/sent.json", output="widgets/v1/result.json")
    types = {"widgets/v1/sent.json": forms("a", "b"), "widgets/v1/result.json": forms(*returned)}
    assert ways(method, types=types) == [
        ((f"payload: types.{sent}", "*", ANY_QUERY), f"types.{result}") for sent, result in map(str.split, wanted)
    ]


def test_pagination_handler_returns_none():
    method = a_method("list", "/list", query=["continuationToken", "limit"], output="widgets/v1/widget.json")
    query = ("query: types.ListQuery | None = ...", *(f"{name}: types.QueryValue = ..." for name in method["query"]))
    limit = "paginationLimit: types.QueryValue = ..."
    assert ways(method) == [
        (("*", *query, limit), "types.Widget"),
        (("*", "paginationHandler: Callable[[types.Widget], Any]", limit, *query), "None"),
    ]


def test_pages_of_fixed_size_have_no_limit():
    method = a_method("list", "/list", query=["continuationToken"], output="widgets/v1/widget.json")
    assert [part for parts, _ in ways(method) for part in parts if "imit" in part] == []


def test_routing_key_signatures():
    pattern, parts = stubs_of(a_method(), exchanges=[an_exchange()]).exchanges["widgetMade"]
    assert pattern.parameters == ("routingKeyPattern: str | Mapping[str, str | int | None]", "/")
    assert parts.parameters == ("*", "kind: str | int | None = ...", "rest: str | int | None = ...")


def test_one_parameter_per_line():
    assert signatures.Signature((), "Any").text("def", "ping") == "    def ping(self) -> Any: ..."
    assert signatures.Signature(("a: int",), "Any").text("async def", "get") == (
        "    async def get(\n        self,\n        a: int,\n    ) -> Any: ..."
    )


def test_run_time_method_names_its_parameters():
    method = parse(a_spec(methods=[a_method(query=["limit"])]), "specs/widgets.json").methods[0]
    assert signatures.run_time_method(method, '        """Doc."""', is_async=True) == (
        "    async def getWidget(self, *args, name=OMITTED, query=OMITTED, limit=OMITTED, **kwargs):\n"
        '        """Doc."""\n'
        '        return await self._call("getWidget", args, {"name": name, "query": query, "limit": limit, **kwargs})'
    )


def test_run_time_method_without_valid_parameters():
    exchange = parse(a_spec(exchanges=[an_exchange(routingKey=[])]), "specs/widgets.json").exchanges[0]
    assert signatures.run_time_exchange(exchange, '        """Doc."""') == (
        "    def widgetMade(self, *args, **kwargs):\n"
        '        """Doc."""\n'
        '        return self._event("widgetMade", args, kwargs)'
    )


def test_run_time_method_with_many_parameters():
    names = [letter * 20 for letter in "abcdef"]
    method = parse(a_spec(methods=[a_method("get", "/w", query=names)]), "specs/widgets.json").methods[0]
    lines = signatures.run_time_method(method, '        """Doc."""', is_async=False).splitlines()
    assert lines[:4] == ["    def get(", "        self,", "        *args,", "        query=OMITTED,"]
    assert lines[-14:-10] == ["        return self._call(", '            "get",', "            args,", "            {"]
    assert lines[-4:] == [
        f'                "{names[-1]}": {names[-1]},',
        "                **kwargs,",
        "            },",
        "        )",
    ]
