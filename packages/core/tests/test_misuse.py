"""Errors of misuse name the fix."""

from __future__ import annotations

import inspect
from typing import Any
from unittest import mock

import pytest

from taskcluster.arguments import api_method
from taskcluster.exceptions import TaskclusterFailure, UnknownOptionWarning

ROOT = "https://tc.example.com"


def made(mode: Any, reference: Any) -> Any:
    return mode.module.createApiClient("Widgets", reference)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rootUrl": ROOT}, r"'rootUrl': pass options as one dict, Widgets\({'rootUrl': …}\)$"),
        ({"options": {"rootUrl": ROOT}, "timeout": 5}, r"'timeout': pass options as one dict, Widgets\("),
        ({"accessToken": "secret"}, r"'accessToken': pass it in the options, Widgets\({'credentials': {"),
        ({"options": {"rootUrl": ROOT}, "sesion": None}, "'sesion'; did you mean 'session'"),
        ({"zzz": "secret"}, "unexpected keyword argument 'zzz'$"),
    ],
)
def test_unknown_keyword_of_a_constructor_raises(mode: Any, reference: Any, arguments: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says) as caught:
        made(mode, reference)(**arguments)
    assert "secret" not in str(caught.value)


def test_a_root_url_instead_of_options_raises(mode: Any, reference: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=f"must be a mapping, not str: pass {{'rootUrl': '{ROOT}'}}"):
        made(mode, reference)(ROOT)


def test_constructors_keep_their_signature(mode: Any, reference: Any) -> None:
    widgets = made(mode, reference)
    assert list(inspect.signature(widgets).parameters) == ["options", "session"]
    with pytest.raises(TypeError, match="unexpected keyword"):
        mock.create_autospec(widgets)(rootUrl=ROOT)


def test_unknown_query_parameter_raises_before_sending(mode: Any, wire: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="has no query parameter 'colour'; did you mean 'color'"):
        mode.run(mode.widgets().listWidgets(query={"colour": "red"}))
    assert wire.sent == []


def outcome(mode: Any, function: str, *args: Any) -> Any:
    """Call a function of a client that calls a method, and return all that it returns or yields."""

    async def collected(iterator: Any) -> list[Any]:
        return [item async for item in iterator]

    result = getattr(mode.widgets(), function)(*args)
    if hasattr(result, "__aiter__"):
        return mode.run(collected(result))
    return list(result) if hasattr(result, "__next__") else mode.run(result)


@pytest.mark.parametrize("method", ["listWidgets", {"widgets": ["secret"]}], ids=["name", "result"])
@pytest.mark.parametrize("function", ["paginate", "paginate_items", "get_response"])
def test_name_or_result_instead_of_a_method_raises(mode: Any, wire: Any, function: str, method: Any) -> None:
    with pytest.raises(TypeError, match="pass the method itself") as caught:
        outcome(mode, function, method)
    assert "secret" not in str(caught.value)
    assert wire.sent == []


@pytest.mark.parametrize("function", ["buildUrl", "buildSignedUrl"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda widgets: widgets.listWidgets, "'listWidgets'$"),
        (lambda widgets: type(widgets).listWidgets, "'listWidgets'$"),
        (lambda widgets: 5, "such as 'ping', not int$"),
        (lambda widgets: None, "such as 'ping', not NoneType$"),
        (lambda widgets: widgets, "such as 'ping', not Widgets$"),
    ],
    ids=["method", "function", "number", "none", "client"],
)
def test_a_method_instead_of_its_name_raises(mode: Any, function: str, given: Any, says: str) -> None:
    widgets = mode.widgets()
    with pytest.raises(TaskclusterFailure, match=f"^widgets: pass the name of the method as a string: {says}"):
        getattr(widgets, function)(given(widgets))


@pytest.mark.parametrize("expiration", ["soon", float("nan"), float("inf"), [5]], ids=["string", "nan", "inf", "list"])
def test_expiration_that_is_not_a_number_raises(mode: Any, expiration: Any) -> None:
    widgets = mode.widgets(credentials={"clientId": "c", "accessToken": "t"})
    with pytest.raises(TaskclusterFailure, match=r"^buildSignedUrl: expiration must be a number of seconds, not "):
        widgets.buildSignedUrl("listWidgets", expiration=expiration)


@pytest.mark.parametrize(
    ("args", "kwargs", "retries", "timeout"),
    [
        (({"maxRetries": 1},), {}, 1, None),
        ((), {"options": {"maxRetries": 1}}, 1, None),
        (({"maxRetries": 1, "timeout": 2},), {"maxRetries": 3}, 3, 2),
        ((None,), {"timeout": 2}, 5, 2),
        ((), {}, 5, None),
    ],
    ids=["dict", "keyword", "both", "none", "nothing"],
)
def test_with_options_accepts_a_dict(mode: Any, args: Any, kwargs: Any, retries: int, timeout: Any) -> None:
    widgets = mode.widgets(maxRetries=5)
    derived = widgets.with_options(*args, **kwargs)
    assert (derived.options["maxRetries"], derived.options.get("timeout")) == (retries, timeout)
    assert derived.options["credentials"] == widgets.options["credentials"]
    assert widgets.options["maxRetries"] == 5


@pytest.mark.parametrize("args", [({"timout": 5},), ()], ids=["dict", "keyword"])
def test_with_options_warns_of_an_unknown_option_once(mode: Any, args: Any) -> None:
    widgets = mode.widgets()
    with pytest.warns(
        UnknownOptionWarning, match="unknown option 'timout' is ignored; did you mean 'timeout'"
    ) as caught:
        widgets.with_options(*args, **({} if args else {"timout": 5}))
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("given", [ROOT, 5, [("timeout", 5)]], ids=["url", "number", "pairs"])
def test_with_options_rejects_what_is_no_mapping(mode: Any, given: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=f"^options must be a mapping, not {type(given).__name__}: pass "):
        mode.widgets().with_options(given)


@pytest.mark.parametrize(
    ("client", "got"),
    [
        ({"rootUrl": ROOT, "get": "secret"}, "dict"),
        (ROOT, "str"),
        (None, "NoneType"),
        (dict, "the class dict itself"),
        (object(), "object"),
    ],
    ids=["options", "url", "none", "class", "other"],
)
def test_argument_that_is_no_client_raises(client: Any, got: str) -> None:
    with pytest.raises(TaskclusterFailure) as caught:
        api_method(client, "get", "secrets_service", "Secrets")
    assert str(caught.value) == (
        "secrets_service must be a client with the method get, for example taskcluster.Secrets({'rootUrl': …}), "
        f"not {got}"
    )


def test_mocks_are_clients(mode: Any, reference: Any) -> None:
    widgets = made(mode, reference)
    for fake in (mock.create_autospec(widgets), mock.create_autospec(widgets, instance=True), mock.MagicMock()):
        assert api_method(fake, "listWidgets", "widgets", "Widgets") is fake.listWidgets
