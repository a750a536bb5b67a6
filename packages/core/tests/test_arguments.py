"""The calling conventions, bound to methods."""

from __future__ import annotations

import copy
import datetime
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.arguments import OMITTED, Bound, bind, parameters, without_omitted
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.spec import Method

PARTS = st.text(min_size=1).filter(lambda text: text not in (".", "..")) | st.integers()
PAYLOADS = st.dictionaries(st.text(), st.integers(), max_size=3)


def method(route: str, *, query: tuple[str, ...] = (), payload: bool = False, verb: str = "get") -> Method:
    """Return a method with the parameters of its route, in order."""
    names = Method.from_entry({"name": "m", "method": verb, "route": route, "args": []}).parameters
    entry = {"name": "m", "method": verb, "route": route, "args": list(names), "query": list(query)}
    return Method.from_entry({**entry, "input": "v1/thing.json#"} if payload else entry)


READ = method("/task/<taskId>/runs/<runId>", query=("limit", "continuationToken", "since"))
WRITE = method("/task/<taskId>/runs/<runId>", query=("limit", "continuationToken"), payload=True, verb="put")
PLAIN = method("/ping")
POST = method("/tasks", payload=True, verb="post")


def call(target: Method, *args: Any, **kwargs: Any) -> Bound:
    return bind(target, args, kwargs)


@given(v1=PARTS, v2=PARTS, payload=PAYLOADS, limit=st.integers(0, 9))
def test_the_four_conventions_are_equivalent(v1: Any, v2: Any, payload: dict[str, int], limit: int) -> None:
    query = {"limit": limit}
    expected = call(WRITE, v1, v2, payload, query=query)
    assert call(WRITE, payload, taskId=v1, runId=v2, query=query) == expected
    assert call(WRITE, payload=payload, query=query, params={"taskId": v1, "runId": v2}) == expected
    assert call(WRITE, v1, v2, payload=payload, query=query) == expected
    assert expected.payload is payload
    assert expected.query == query


@given(v1=PARTS, v2=PARTS)
def test_the_conventions_are_equivalent_without_a_payload(v1: Any, v2: Any) -> None:
    expected = call(READ, v1, v2)
    assert call(READ, taskId=v1, runId=v2) == call(READ, params={"taskId": v1, "runId": v2}) == expected
    assert expected.payload is None
    assert expected.query == {}


@pytest.mark.parametrize(
    ("bound", "path"),
    [
        (lambda: call(READ, "t", 0), "/task/t/runs/0"),
        (lambda: call(READ, "t", runId=0), "/task/t/runs/0"),
        (lambda: call(READ, 0, taskId="t"), "/task/t/runs/0"),
        (lambda: call(READ, "t", params={"runId": 0}), "/task/t/runs/0"),
        (lambda: call(READ, runId=0, params={"taskId": "t"}), "/task/t/runs/0"),
        (lambda: call(WRITE, "t", {}, runId=0), "/task/t/runs/0"),
        (lambda: call(PLAIN), "/ping"),
        (lambda: call(POST, {}), "/tasks"),
        (lambda: call(READ, "a/b", "c d"), "/task/a%2Fb/runs/c%20d"),
    ],
)
def test_conventions_may_be_mixed(bound: Callable[[], Bound], path: str) -> None:
    assert bound().path == path


def test_keywords_may_be_query_parameters() -> None:
    assert call(READ, "t", 0, continuationToken="x").query == {"continuationToken": "x"}
    assert call(READ, "t", 0, query={"limit": 1}, continuationToken="x").query == {"limit": 1, "continuationToken": "x"}


def test_query_is_sent_to_a_method_without_query_parameters() -> None:
    assert call(PLAIN, query={"limit": 1}).query == {"limit": 1}


def test_signature_may_be_a_query_parameter() -> None:
    assert call(READ, "t", 0, query={"bewit": "x"}).query == {"bewit": "x"}


def test_pagination_limit_is_the_default_of_the_query_limit() -> None:
    assert call(READ, "t", 0, paginationLimit=5).query == {"limit": 5}
    assert call(READ, "t", 0, paginationLimit=5, query={"limit": 7}).query == {"limit": 7}


def test_the_callers_query_and_params_are_not_changed() -> None:
    query, params = {"limit": 1}, {"taskId": "t"}
    call(READ, query=query, params=params, runId=1, continuationToken="x")
    assert query == {"limit": 1}
    assert params == {"taskId": "t"}


def test_a_pagination_handler_is_kept() -> None:
    assert call(READ, "t", 0, paginationHandler=print).pagination_handler is print


@pytest.mark.parametrize("name", ["payload", "query", "params", "paginationHandler", "paginationLimit"])
def test_none_omits_an_argument(name: str) -> None:
    assert call(READ, "t", 0, **{name: None}) == call(READ, "t", 0)


def test_an_empty_payload_is_a_payload() -> None:
    assert call(WRITE, "t", 0, {}).payload == {}
    assert call(WRITE, "t", 0, payload=[]).payload == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: call(READ, "t"), "lacks runId"),
        (lambda: call(READ), "lacks taskId, runId"),
        (lambda: call(READ, "t", 0, 1), "3 positional arguments, 1 too many"),
        (lambda: call(READ, "t", taskId="u", runId=0), "m: taskId is given by position and by keyword: call it as m"),
        (lambda: call(READ, "t", 1, runId=0), "runId is given by position and by keyword"),
        (lambda: call(READ, "t", params={"taskId": "u", "runId": 0}), "taskId is given by position and by keyword"),
        (lambda: call(WRITE, "t", 0, {}, taskId="u"), "taskId is given by position and by keyword"),
        (lambda: call(READ, {"limit": 1}, taskId="t", runId=0), r"pass query={\.\.\.}"),
        (lambda: call(READ, "t", 0, {"limit": 1}), r"pass query={\.\.\.}"),
        (lambda: call(PLAIN, {}), "no payload and no query parameters"),
        (lambda: call(WRITE, "t", 0), "needs a payload"),
        (lambda: call(WRITE, "t", 0, {}, {}), "a dict too many"),
        (lambda: call(WRITE, "t", 0, {}, payload={}), "m: payload is given twice: call it as m"),
        (lambda: call(POST, [1], payload={}), "payload is given twice"),
        (lambda: call(PLAIN, paginationLimit=1), r"m takes no paginationLimit: .* no limit to set: call it as m\(\)"),
        (lambda: call(PLAIN, paginationLimit=0), "m takes no paginationLimit"),
        (lambda: call(READ, "t", 0, taskid="t"), "no argument 'taskid'; did you mean 'taskId'"),
        (lambda: call(READ, "t", 0, continuationtoken="x"), "did you mean 'continuationToken'"),
        (lambda: call(READ, "t", 0, qeury={}), "did you mean 'query'"),
        (lambda: call(READ, "t", 0, zzz=1), r"no argument 'zzz': call it as m\(taskId, runId, limit=…"),
        (lambda: call(READ, "t", 0, params={"x": 1}), "no path parameter 'x'"),
        (lambda: call(READ, runId=0, params={"taskId": "t", "runId": 0}), "'runId' is given twice"),
        (lambda: call(READ, "t", 0, limit=1, query={"limit": 1}), "'limit' is given twice"),
        (lambda: call(READ, "t", 0, query={"limt": 1}), "no query parameter 'limt'; did you mean 'limit'?"),
        (lambda: call(READ, "t", 0, query={1: 1}), "no query parameter 1: call it as"),
        (lambda: call(READ, "t", 0, query=[1]), "query must be a dict, not list"),
        (lambda: call(READ, "t", 0, params="x"), "params must be a dict, not str"),
        (lambda: call(READ, "t", 0, paginationHandler=1), "paginationHandler must be callable"),
        (lambda: call(READ, "", 0), "taskId must not be empty"),
        (lambda: call(READ, "..", 0), r"taskId must not be '\.\.'"),
        (lambda: call(READ, ".", 0), r"taskId must not be '\.'"),
        (lambda: call(READ, None, 0), "taskId must be a string or an integer, not NoneType"),
        (lambda: call(READ, b"t", 0), "not bytes"),
        (lambda: call(READ, True, 0), "not bool"),
        (lambda: call(READ, 1.0, 0), "not float"),
        (lambda: call(READ, "\ud800", 0), "not valid Unicode"),
    ],
)
def test_invalid_arguments_raise(wrong: Callable[[], Bound], message: str) -> None:
    with pytest.raises(TaskclusterFailure, match=message):
        wrong()


def test_errors_name_the_method_and_its_signature() -> None:
    with pytest.raises(TaskclusterFailure) as caught:
        call(WRITE, "t")
    assert str(caught.value) == ("m lacks runId: call it as m(taskId, runId, payload, limit=…, continuationToken=…)")


def test_the_payload_is_optional_for_a_url() -> None:
    bare = bind(WRITE, ("t", 0), {}, needs_payload=False)
    assert bare.path == "/task/t/runs/0"
    assert bind(WRITE, ("t", 0, {}), {}, needs_payload=False).path == bare.path


def test_args_order_the_parameters_that_the_route_places() -> None:
    swapped = Method.from_entry({"name": "m", "method": "get", "route": "/<b>/<a>", "args": ["a", "b"]})
    assert call(swapped, "first", "second").path == "/second/first"


def test_a_parameter_may_be_empty_if_the_method_allows_it() -> None:
    entry = {"name": "m", "method": "get", "route": "/list/<namespace>", "args": ["namespace"]}
    with pytest.raises(TaskclusterFailure, match="empty"):
        call(Method.from_entry(entry), "")
    assert call(Method.from_entry({**entry, "emptyArgs": ["namespace"]}), "").path == "/list/"


def test_target_is_the_encoded_path_and_query() -> None:
    assert call(READ, "t", 0).target(READ) == "/task/t/runs/0"
    assert call(READ, "t", 0, query={"limit": None}).target(READ) == "/task/t/runs/0"
    date = datetime.datetime(2024, 1, 1)
    assert call(READ, "t", 0, limit=1, query={"since": date}).target(READ) == (
        "/task/t/runs/0?since=2024-01-01T00%3A00%3A00Z&limit=1"
    )


def test_repr_shows_no_payload() -> None:
    assert "hidden" not in repr(call(POST, {"secret": "hidden"}))


# Signatures


@pytest.mark.parametrize(
    ("args", "query", "has_payload", "names"),
    [
        ([], [], False, "query"),
        (["taskId"], [], True, "taskId payload query"),
        ([], ["continuationToken", "limit"], False, "query continuationToken limit paginationHandler paginationLimit"),
        ([], ["continuationToken"], False, "query continuationToken paginationHandler"),
        ([], ["limit"], False, "query limit"),
        (["payload", "params"], ["query", "paginationLimit"], False, "query"),
        (["self", "args", "kwargs", "class", "a-b", "__a", "é", "a"], ["a", "_b"], False, "a query _b"),
    ],
    ids=["nothing", "payload", "pages", "pages-without-limit", "limit", "reserved", "invalid"],
)
def test_parameters_named_by_signatures(args: list[str], query: list[str], has_payload: bool, names: str) -> None:
    assert parameters(args, query, has_payload=has_payload) == names.split()


def test_omitted_arguments_are_dropped() -> None:
    assert without_omitted({"a": OMITTED, "b": None, "c": ...}) == {"b": None, "c": ...}
    assert repr(OMITTED) == "..."
    assert copy.deepcopy(OMITTED) is pickle.loads(pickle.dumps(OMITTED)) is OMITTED
