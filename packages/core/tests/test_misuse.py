"""Errors of misuse name the fix."""

from __future__ import annotations

import inspect
from typing import Any
from unittest import mock

import pytest

from taskcluster.exceptions import TaskclusterFailure

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
