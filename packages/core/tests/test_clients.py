"""Calls of sync and async clients: requests, retries, pages, sessions and options."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from typing import Any

import aiohttp
import pytest
import requests

import taskcluster
from taskcluster.exceptions import (
    TaskclusterAuthFailure,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
)

ROOT = "https://tc.example.com"
PREFIX = "/api/widgets/v1"
CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}
OURS = f"taskcluster-client-py/{taskcluster.__version__}"


# classes made at run time


def test_a_class_has_a_documented_method_for_each_entry(mode: Any, reference: Any) -> None:
    made = mode.module.createApiClient("Widgets", reference)
    names = {entry["name"] for entry in reference["entries"]}
    assert names <= set(vars(made))
    assert made.__name__ == "Widgets"
    assert made.widget.__qualname__ == "Widgets.widget"
    assert made.widget.__doc__ == "Get a widget\n\nLooks it up."
    assert (made.serviceName, made.apiVersion, made.__doc__) == ("widgets", "v1", "A service for tests.")
    assert made.funcinfo["widget"]["name"] == "widget"


def test_accepts_a_reference_under_the_key_reference(mode: Any, reference: Any) -> None:
    assert mode.module.createApiClient("Widgets", {"reference": reference}).serviceName == "widgets"


def reference_of(entry: Any) -> dict[str, Any]:
    return {"entries": [entry], "serviceName": "x", "apiVersion": "v1"}


METHOD = {"type": "function", "name": "part", "method": "get", "route": "/widget/<widgetId>", "args": ["widgetId"]}


ODD = {
    **METHOD,
    "method": "put",
    "route": "/widget/<self>/<a-b>/<class>/<payload>/<__x>/<part>",
    "args": ["self", "a-b", "class", "payload", "__x", "part"],
    "query": ["part", "query", "args", "é", "limit"],
    "input": "x.json",
}


def test_a_method_without_title_has_no_docstring(mode: Any) -> None:
    assert mode.module.createApiClient("Widgets", reference_of(METHOD)).part.__doc__ is None


def test_signatures_name_the_parameters(mode: Any, reference: Any) -> None:
    made = mode.module.createApiClient("Widgets", {**reference_of(ODD), "serviceName": "widgets"})
    assert str(inspect.signature(made.part)) == "(self, *args, part=..., payload=..., query=..., limit=..., **kwargs)"
    bound = made({"rootUrl": ROOT}).part
    assert str(inspect.signature(bound)) == "(*args, part=..., payload=..., query=..., limit=..., **kwargs)"
    assert inspect.iscoroutinefunction(bound) == (mode.name == "async")
    made = mode.module.createApiClient("Widgets", reference)
    assert str(inspect.signature(made.widgetMade)) == (
        "(self, *args, routingKeyKind=..., widgetId=..., reserved=..., **kwargs)"
    )


def test_names_that_no_parameter_can_have_are_accepted(mode: Any, wire: Any) -> None:
    made = mode.module.createApiClient("Widgets", {**reference_of(ODD), "serviceName": "widgets"})
    values = dict(zip(ODD["args"], "abcdef", strict=True))
    wire.respond(200, {}, times=2)
    client = made({"rootUrl": ROOT})
    mode.run(client.part(*"abcdef", {"a": 1}, query={"é": 1}))
    mode.run(client.part({"a": 1}, params=values, é=1))
    assert [sent.target for sent in wire.sent] == [f"{PREFIX}/widget/a/b/c/d/e/f?%C3%A9=1"] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        *({}, {"entries": []}, None, [], "text", 5, {"reference": None}, reference_of({}), reference_of(None)),
        *(reference_of({key: METHOD[key] for key in METHOD if key != absent}) for absent in METHOD),
        reference_of({**METHOD, "route": None}),
        reference_of({**METHOD, "args": None}),
        reference_of({"type": "topic-exchange", "name": "widgetMade"}),
    ],
)
def test_raises_for_an_invalid_reference(mode: Any, wrong: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="Widgets is made of something that is no API reference"):
        mode.module.createApiClient("Widgets", wrong)


def test_raises_for_a_route_parameter_without_an_argument(mode: Any) -> None:
    wrong = reference_of({**METHOD, "route": "/widget/<widgetId>/part/<partId>"})
    with pytest.raises(TaskclusterFailure, match=r"the route /widget/<.* of part has parameters .* args: partId"):
        mode.module.createApiClient("Widgets", wrong)


def test_exchanges_of_a_reference_are_bound_without_a_request(reference: Any) -> None:
    widgets = taskcluster.createApiClient("Widgets", reference)({"rootUrl": ROOT})
    assert widgets.widgetMade(widgetId="w") == {  # type: ignore[attr-defined]
        "exchange": "exchange/taskcluster-widgets/v1/widget-made",
        "routingKeyPattern": "primary.w.#",
    }


# requests


def test_get_returns_json_after_one_request(mode: Any, wire: Any) -> None:
    wire.respond(200, {"a": 1})
    assert mode.run(mode.widgets().widget("a/b")) == {"a": 1}
    assert (wire.last.method, wire.last.target, wire.last.body) == ("GET", f"{PREFIX}/widget/a%2Fb", None)
    assert "Content-Type" not in wire.last.headers


def test_a_payload_is_sent_as_json(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    mode.run(mode.widgets().makeWidget("w", {"a": [1, "ä"]}))
    assert (wire.last.method, wire.last.target) == ("PUT", f"{PREFIX}/widget/w")
    assert wire.last.body == b'{"a":[1,"\\u00e4"]}'
    assert wire.last.headers["Content-Type"] == "application/json"


def test_signs_only_with_credentials(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=2)
    mode.run(mode.widgets(credentials=CREDENTIALS).ping())
    assert wire.last.headers["Authorization"].startswith('Hawk id="tester", ts="')
    mode.run(mode.widgets().ping())
    assert "Authorization" not in wire.last.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(mode: Any, wire: Any, status: int) -> None:
    wire.respond(status, {"url": "https://elsewhere.example"}, headers={"Location": "https://elsewhere.example"})
    assert mode.run(mode.widgets(credentials=CREDENTIALS).ping()) == {"url": "https://elsewhere.example"}
    assert len(wire.sent) == 1


def test_a_clients_attributes_show_no_secret(mode: Any, wire: Any) -> None:
    widgets = mode.widgets(credentials=CREDENTIALS)
    wire.respond(200, {}, times=2)
    mode.run(widgets.ping())
    assert "no-secret" not in repr(vars(widgets))
    widgets.options["credentials"] = dict(CREDENTIALS)
    mode.run(widgets.ping())
    assert "no-secret" not in repr(vars(widgets))


def test_raises_if_authorized_scopes_is_a_string(mode: Any, wire: Any) -> None:
    widgets = mode.widgets(credentials=CREDENTIALS)
    widgets.options["authorizedScopes"] = "abc"
    with pytest.raises(TaskclusterFailure, match="authorizedScopes must be a list"):
        mode.run(widgets.ping())
    assert wire.sent == []


def test_invalid_calls_raise_before_any_request(mode: Any, wire: Any) -> None:
    widgets = mode.widgets(credentials={"clientId": "half"})
    for wrong in (
        lambda: widgets.widget(),
        lambda: widgets.makeWidget("w"),
        lambda: widgets.widget("w", zzz=1),
        lambda: widgets.makeWidget("w", {"x": {1}}),
        lambda: widgets.ping(),
    ):
        with pytest.raises(TaskclusterFailure):
            mode.run(wrong())
    assert wire.sent == []


# retries


def test_retries_server_errors_up_to_the_limit(mode: Any, wire: Any, slept: list[float]) -> None:
    wire.respond(500, {"message": "broken"}, times=4)
    with pytest.raises(TaskclusterRestFailure, match=r"^broken$") as caught:
        mode.run(mode.widgets(maxRetries=3).ping())
    assert caught.value.status_code == 500
    assert len(wire.sent) == 4
    assert slept == [0, 0, 0]


def test_sleeps_as_long_as_decided(mode: Any, wire: Any, slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    wire.respond(503).refuse().respond(429, headers={"Retry-After": "7"}).respond(200, {"a": 1})
    assert mode.run(mode.widgets(delayFactor=0.1).ping()) == {"a": 1}
    assert slept == pytest.approx([0.1, 0.2, 7.0])


@pytest.mark.parametrize("failure", ["refuse", "stall"])
def test_retries_connection_failures_and_raises_the_last(mode: Any, wire: Any, failure: str) -> None:
    getattr(wire, failure)(times=3)
    with pytest.raises(TaskclusterConnectionError) as caught:
        mode.run(mode.widgets(maxRetries=2).ping())
    assert len(wire.sent) == 3
    assert isinstance(caught.value.superExc, requests.RequestException | aiohttp.ClientError)
    assert caught.value.__cause__ is caught.value.superExc
    assert f"GET at {ROOT} " in str(caught.value)
    assert ("timed out" in str(caught.value)) is (failure == "stall")


def test_both_modes_raise_the_same_classes(mode: Any, wire: Any) -> None:
    wire.respond(404, {"message": "no"}).respond(401, {"message": "no"}).respond(500, {"message": "no"}).refuse()
    widgets = mode.widgets(maxRetries=0)
    for kind in (TaskclusterRestFailure, TaskclusterAuthFailure, TaskclusterRestFailure, TaskclusterConnectionError):
        with pytest.raises(kind):
            mode.run(widgets.ping())
    assert len(wire.sent) == 4


def test_connection_failures_do_not_show_the_path(mode: Any, wire: Any) -> None:
    wire.refuse()
    with pytest.raises(TaskclusterConnectionError) as caught:
        mode.run(mode.widgets(maxRetries=0).triggerWidget("w", "hook-token", {}))
    assert "hook-token" not in str(caught.value)


# pages

PAGES: list[dict[str, Any]] = [
    {"widgets": [1, 2], "continuationToken": "x y"},
    {"widgets": [], "continuationToken": "z"},
    {"widgets": [3]},
]
TARGETS = [
    f"{PREFIX}/widgets?color=red",
    f"{PREFIX}/widgets?color=red&continuationToken=x%20y",
    f"{PREFIX}/widgets?color=red&continuationToken=z",
]


@pytest.fixture
def three_pages(wire: Any) -> Any:
    for page in PAGES:
        wire.respond(200, page)
    return wire


async def as_list(pages: Any) -> list[Any]:
    return [page async for page in pages]


def collect(mode: Any, pages: Any) -> list[Any]:
    return asyncio.run(as_list(pages)) if mode.name == "async" else list(pages)


def test_calls_the_handler_with_each_page(mode: Any, three_pages: Any) -> None:
    pages: list[Any] = []
    result = mode.run(mode.widgets().listWidgets(query={"color": "red"}, paginationHandler=pages.append))
    assert result is None
    assert pages == PAGES
    assert [sent.target for sent in three_pages.sent] == TARGETS


def test_sends_the_pagination_limit_with_each_page(mode: Any, three_pages: Any) -> None:
    mode.run(mode.widgets().listWidgets(paginationHandler=lambda page: None, paginationLimit=2))
    assert [sent.target.partition("?")[2] for sent in three_pages.sent] == [
        "limit=2",
        "limit=2&continuationToken=x%20y",
        "limit=2&continuationToken=z",
    ]


def test_a_handler_may_be_a_coroutine_function_in_async_code(wire: Any) -> None:
    made = taskcluster.aio.createApiClient("Widgets", {**REFERENCE_OF_LISTING})
    for page in PAGES:
        wire.respond(200, page)
    pages: list[Any] = []

    async def handler(page: Any) -> None:
        await asyncio.sleep(0)
        pages.append(page)

    asyncio.run(made({"rootUrl": ROOT}).listWidgets(paginationHandler=handler))  # type: ignore[attr-defined]
    assert pages == PAGES


REFERENCE_OF_LISTING: dict[str, Any] = {
    "serviceName": "widgets",
    "apiVersion": "v1",
    "entries": [
        {
            "type": "function",
            "name": "listWidgets",
            "method": "get",
            "route": "/widgets",
            "args": [],
            "query": ["continuationToken", "limit"],
        }
    ],
}


def test_an_exception_of_a_handler_ends_the_listing(mode: Any, three_pages: Any) -> None:
    def stop(page: Any) -> None:
        raise KeyError(page["widgets"][0])

    with pytest.raises(KeyError):
        mode.run(mode.widgets().listWidgets(paginationHandler=stop))
    assert len(three_pages.sent) == 1


def test_raises_the_stop_iteration_of_a_handler(mode: Any, three_pages: Any) -> None:
    exhausted: Any = iter(())
    # Python raises a RuntimeError instead if a coroutine raises StopIteration.
    with pytest.raises((StopIteration, RuntimeError)):
        mode.run(mode.widgets().listWidgets(paginationHandler=lambda page: next(exhausted)))


def test_methods_of_an_async_class_are_coroutine_functions(mode: Any) -> None:
    assert inspect.iscoroutinefunction(type(mode.widgets()).widget) is (mode.name == "async")
    assert not inspect.iscoroutinefunction(type(mode.widgets()).widgetMade)


def test_iterates_over_all_pages(mode: Any, three_pages: Any) -> None:
    widgets = mode.widgets()
    assert collect(mode, widgets.paginate(widgets.listWidgets, query={"color": "red"})) == PAGES
    assert [sent.target for sent in three_pages.sent] == TARGETS


def test_iterates_over_all_items(mode: Any, three_pages: Any) -> None:
    widgets = mode.widgets()
    assert collect(mode, widgets.paginate_items(widgets.listWidgets, query={"color": "red"})) == [1, 2, 3]
    assert [sent.target for sent in three_pages.sent] == TARGETS


@pytest.mark.parametrize("first", [{"continuationToken": "t"}, {"query": {"continuationToken": "t"}}])
def test_iteration_starts_at_a_continuation_token(mode: Any, three_pages: Any, first: Any) -> None:
    widgets = mode.widgets()
    assert collect(mode, widgets.paginate_items(widgets.listWidgets, **first)) == [1, 2, 3]
    assert [sent.target.partition("continuationToken=")[2] for sent in three_pages.sent] == ["t", "x%20y", "z"]


def test_stopping_an_iteration_sends_no_more_requests(mode: Any, three_pages: Any) -> None:
    widgets = mode.widgets()

    async def first() -> Any:
        pages = widgets.paginate_items(widgets.listWidgets)
        try:
            return await pages.__anext__()
        finally:
            await pages.aclose()

    item = asyncio.run(first()) if mode.name == "async" else next(widgets.paginate_items(widgets.listWidgets))
    assert item == 1
    assert len(three_pages.sent) == 1


# sessions


def given_session(mode: Any, headers: dict[str, str]) -> Any:
    """Return a caller's session. One of aiohttp must be created and closed on an event loop."""
    if mode.name == "async":
        return aiohttp.ClientSession(headers=headers)
    session = requests.Session()
    session.headers.update(headers)
    return session


def call_over_session(mode: Any, headers: dict[str, str], **options: Any) -> Any:
    """Call over a caller's session, and return the session."""

    async def over_aiohttp() -> Any:
        async with given_session(mode, headers) as session:
            await mode.widgets(session, **options).ping()
            assert not session.closed
            return session

    if mode.name == "async":
        return asyncio.run(over_aiohttp())
    session = given_session(mode, headers)
    with mode.widgets(session, **options) as widgets:
        widgets.ping()
    return session


def test_user_agent_has_the_callers_suffix(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=2)
    mode.run(mode.widgets().ping())
    mode.run(mode.widgets(userAgentSuffix="robot/1.0").ping())
    assert [sent.headers["User-Agent"] for sent in wire.sent] == [OURS, f"{OURS} robot/1.0"]


def test_keeps_the_user_agent_of_a_session(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    call_over_session(mode, {"User-Agent": "mine"}, userAgentSuffix="robot/1.0")
    assert wire.last.headers.getall("User-Agent") == ["mine"]


def test_replaces_the_librarys_default_user_agent(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    call_over_session(mode, {})
    assert wire.last.headers.getall("User-Agent") == [OURS]


def test_sends_the_headers_of_a_session(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    call_over_session(mode, {"X-Mine": "1"}, credentials=CREDENTIALS)
    assert wire.last.headers["X-Mine"] == "1"
    assert wire.last.headers["Authorization"].startswith("Hawk ")


@pytest.mark.parametrize(("timeout", "expected"), [(None, (30.0, 60.0)), ((1, 2), (1.0, 2.0))])
def test_every_call_has_a_timeout(mode: Any, wire: Any, timeout: Any, expected: tuple[float, float]) -> None:
    wire.respond(200, {})
    mode.run(mode.widgets(timeout=timeout).ping())
    found = wire.last.timeout
    if mode.name == "async":
        assert found.total is None
        found = (found.sock_connect, found.sock_read)
    assert found == expected


def test_a_callers_session_keeps_its_timeouts(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=2)
    call_over_session(mode, {})
    # The async client itself applies the session's total timeout.
    default = aiohttp.ClientTimeout(total=None, sock_connect=aiohttp.client.DEFAULT_TIMEOUT.sock_connect)
    assert wire.last.timeout == (default if mode.name == "async" else None)
    call_over_session(mode, {}, timeout=5)
    found = wire.last.timeout
    assert ((found.sock_connect, found.sock_read) if mode.name == "async" else found) == (5.0, 5.0)


def test_cookies_auth_and_hooks_of_a_sync_session_are_applied(wire: Any, reference: Any) -> None:
    session = requests.Session()
    session.cookies.set("c", "1")
    session.auth = ("user", "password")
    seen: list[int] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    widgets = taskcluster.createApiClient("Widgets", reference)
    wire.respond(200, {}, times=2)
    widgets({"rootUrl": ROOT}, session).ping()  # type: ignore[attr-defined]
    assert wire.last.headers["Cookie"] == "c=1"
    assert wire.last.headers["Authorization"].startswith("Basic ")
    widgets({"rootUrl": ROOT, "credentials": CREDENTIALS}, session).ping()  # type: ignore[attr-defined]
    assert wire.last.headers["Authorization"].startswith("Hawk ")
    assert seen == [200, 200]


def test_a_header_set_to_none_on_a_sync_session_is_not_sent(wire: Any, reference: Any) -> None:
    session = requests.Session()
    session.headers["Accept"] = None  # type: ignore[assignment]
    wire.respond(200, {})
    taskcluster.createApiClient("Widgets", reference)({"rootUrl": ROOT}, session).ping()  # type: ignore[attr-defined]
    assert "Accept" not in wire.last.headers


def test_a_client_stays_usable_after_it_is_closed(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=3)
    widgets = mode.widgets()

    async def use() -> None:
        async with widgets as entered:
            assert entered is widgets
            await widgets.ping()
        await widgets.close()
        await widgets.ping()

    if mode.name == "async":
        asyncio.run(use())
    else:
        with widgets as entered:
            assert entered is widgets
            widgets.ping()
        widgets.close()
        widgets.ping()
    assert len(wire.sent) == 2


def test_async_client_works_in_several_loops(wire: Any, reference: Any) -> None:
    wire.respond(200, {}, times=6)
    widgets: Any = taskcluster.aio.createApiClient("Widgets", reference)({"rootUrl": ROOT})

    async def twice() -> None:
        await asyncio.gather(widgets.ping(), widgets.ping())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            asyncio.run(twice())
    assert len(wire.sent) == 6


def test_creates_an_async_client_outside_a_loop(wire: Any, reference: Any) -> None:
    wire.respond(200, {"a": 1})
    widgets: Any = taskcluster.aio.createApiClient("Widgets", reference)({"rootUrl": ROOT})

    async def use() -> Any:
        async with widgets:
            return await widgets.ping()

    assert asyncio.run(use()) == {"a": 1}


# options and URLs


def test_options_are_read_at_each_call(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=2).respond(500, times=1)
    widgets = mode.widgets()
    mode.run(widgets.ping())
    widgets.options["rootUrl"] = "https://other.example.com/"
    widgets.options["credentials"] = dict(CREDENTIALS)
    widgets.options["maxRetries"] = 0
    mode.run(widgets.ping())
    assert wire.last.url == "https://other.example.com/api/widgets/v1/ping"
    assert 'id="tester"' in wire.last.headers["Authorization"]
    with pytest.raises(TaskclusterRestFailure):
        mode.run(widgets.ping())


def test_credentials_changed_in_place_sign_the_next_call(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=2)
    widgets = mode.widgets(credentials=CREDENTIALS)
    mode.run(widgets.ping())
    widgets.options["credentials"]["clientId"] = b"another"
    mode.run(widgets.ping())
    assert 'id="another"' in wire.last.headers["Authorization"]


def test_a_url_is_built_without_a_call_or_a_payload(mode: Any, wire: Any) -> None:
    widgets = mode.widgets()
    assert widgets.buildUrl("widget", "a/b") == f"{ROOT}{PREFIX}/widget/a%2Fb"
    assert widgets.buildUrl("widget", widgetId="w") == f"{ROOT}{PREFIX}/widget/w"
    assert widgets.buildUrl("listWidgets", query={"color": "red"}) == f"{ROOT}{PREFIX}/widgets?color=red"
    assert widgets.buildUrl("makeWidget", "w") == f"{ROOT}{PREFIX}/widget/w"
    assert wire.sent == []


@pytest.mark.parametrize("build", ["buildUrl", "buildSignedUrl"])
def test_error_for_an_unknown_method_suggests_another(mode: Any, build: str) -> None:
    with pytest.raises(TaskclusterFailure, match="widgets has no method 'wigdet'; did you mean 'widget'"):
        getattr(mode.widgets(credentials=CREDENTIALS), build)("wigdet", "w")


@pytest.mark.parametrize(
    ("options", "keywords", "ends"),
    [({}, {}, 900), ({"signedUrlExpiration": 60}, {}, 60), ({"signedUrlExpiration": 60}, {"expiration": 5}, 5)],
)
@pytest.mark.usefixtures("frozen")
def test_a_signed_url_expires_after_keyword_or_option(
    mode: Any, options: dict[str, Any], keywords: dict[str, Any], ends: int
) -> None:
    from base64 import urlsafe_b64decode

    url = mode.widgets(credentials=CREDENTIALS, **options).buildSignedUrl("widget", "w", **keywords)
    address, _, bewit = url.partition("?bewit=")
    assert address == f"{ROOT}{PREFIX}/widget/w"
    assert urlsafe_b64decode(bewit + "==").decode().split("\\")[:2] == ["tester", str(1700000000 + ends)]


def test_a_signed_url_keeps_its_query(mode: Any) -> None:
    url = mode.widgets(credentials=CREDENTIALS).buildSignedUrl("listWidgets", color="red")
    assert url.startswith(f"{ROOT}{PREFIX}/widgets?color=red&bewit=")


def test_only_a_get_can_be_signed_and_only_with_credentials(mode: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="makeWidget is called by PUT"):
        mode.widgets(credentials=CREDENTIALS).buildSignedUrl("makeWidget", "w")
    with pytest.raises(TaskclusterAuthFailure, match="needs credentials"):
        mode.widgets().buildSignedUrl("widget", "w")
    with pytest.raises(TaskclusterAuthFailure, match="accessToken missing"):
        mode.widgets(credentials={"clientId": "half"}).buildSignedUrl("widget", "w")


def test_a_removed_method_warns_its_caller(mode: Any, wire: Any) -> None:
    wire.respond(200, {"a": 1})

    async def call() -> Any:
        return await mode.widgets().oldWidget()

    with pytest.warns(DeprecationWarning, match=r"widgets\.oldWidget was removed in Taskcluster 113\.2\.0") as warned:
        assert (asyncio.run(call()) if mode.name == "async" else mode.widgets().oldWidget()) == {"a": 1}
    assert warned[0].filename == __file__


def test_repr_shows_mode_service_and_root_url(mode: Any) -> None:
    assert repr(mode.widgets(credentials=CREDENTIALS)) == f"<Widgets ({mode.name} client of widgets) at {ROOT}>"


# observers


def test_a_plugin_observes_each_attempt(mode: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskcluster.registry import registry

    events: list[Any] = []
    monkeypatch.setattr(registry, "observer", lambda: events.append)
    wire.respond(500).respond(200, {})
    mode.run(mode.widgets().ping())
    assert [(event.service, event.method, event.attempt, event.status) for event in events] == [
        ("widgets", "ping", 1, 500),
        ("widgets", "ping", 2, 200),
    ]
