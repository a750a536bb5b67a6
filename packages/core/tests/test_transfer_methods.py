"""Errors of plugins' transfer methods: they name the plugin, what to return instead, and no secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from taskcluster.plugins import Location, PluginError, UploadOffer
from taskcluster.transfer_methods import checked

URL = "https://storage.example.com/x?sig=no-secret"
OFFER = UploadOffer("text/plain", 9, b"no-secret")


class Both:
    """A method for uploads and downloads whose functions return, or call, what a test sets."""

    name = "torrent"

    def __init__(self, returned: Any = None) -> None:
        self.returned = returned

    def _return(self) -> Any:
        return self.returned() if callable(self.returned) else self.returned

    def propose(self, offer: UploadOffer) -> Any:
        return self._return()

    def destination(self, response: Any) -> Any:
        return self._return()

    def accept(self) -> Any:
        return self._return()

    def source(self, response: Mapping[str, Any]) -> Any:
        return self._return()


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "propose": lambda upload, download: upload.propose(OFFER),
    "destination": lambda upload, download: upload.destination({"url": URL}),
    "accept": lambda upload, download: download.accept(),
    "source": lambda upload, download: download.source({"url": URL}),
}


def call(function: str, returned: Any) -> Any:
    return FUNCTIONS[function](*checked("torrents", Both(returned)))


def error(function: str, returned: Any) -> str:
    with pytest.raises(PluginError) as caught:
        call(function, returned)
    # The exception of the plugin holds secrets.
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "no-secret" not in str(caught.value)
    start = f"the plugin 'torrents': {function} of its method 'torrent' "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        ("propose", None),
        ("propose", {"size": 9}),
        ("destination", None),
        ("destination", Location(URL, "PUT", {"X-Size": "9"}, "2030-01-01T00:00:00.000Z")),
        ("accept", True),
        ("source", Location("HTTP://storage.example.com", hashes={"sha256": "00"})),
    ],
    ids=["no-proposal", "proposal", "stored", "destination", "accept", "source"],
)
def test_returns_what_a_method_returns(function: str, returned: Any) -> None:
    assert call(function, returned) is returned


def raises() -> Any:
    raise ValueError(f"cannot parse {URL}")


async def coroutine() -> None:
    raise AssertionError("never awaited")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_names_a_function_that_raises(function: str) -> None:
    assert error(function, raises).startswith("raised ValueError: cannot parse … (test_transfer_methods.py, line ")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_names_a_coroutine_function(function: str) -> None:
    assert error(function, coroutine) == "must be a plain function, which sync and async programs call"


@pytest.mark.parametrize(
    ("function", "returned", "problem"),
    [
        ("propose", {"sizes": {1}}, "must return a JSON value: set is not a JSON type; only datetimes and bytes are"),
        ("propose", float("nan"), "must return a JSON value: Out of range float values are not JSON compliant"),
        ("propose", b"no-secret\xff", "returned bytes that are not UTF-8; it must return a JSON value"),
        ("accept", None, "must return a JSON value, for example True, not None"),
        ("accept", object(), "must return a JSON value: object is not a JSON type"),
        ("destination", URL, "must return a taskcluster.plugins.Location or None, not str"),
        ("source", None, "must return a taskcluster.plugins.Location, not NoneType"),
        ("source", Location, "must return a taskcluster.plugins.Location, not the class Location itself"),
        ("source", Location(5), "returned a Location whose url is not a string but int"),  # type: ignore[arg-type]
        ("source", Location("no-secret"), "returned a Location whose url is not an http or https address"),
        ("source", Location(URL, None), "returned a Location whose method is not a string"),  # type: ignore[arg-type]
        ("source", Location(URL, headers=()), "returned a Location whose headers is not"),  # type: ignore[arg-type]
        (
            "destination",
            Location(URL, headers={"X-Key": 5}),  # type: ignore[dict-item]
            "returned a Location whose headers is not a mapping of strings",
        ),
        ("source", Location(URL, expires=5), "returned a Location whose expires is not"),  # type: ignore[arg-type]
        ("source", Location(URL, hashes={"sha256": b""}), "returned a Location whose hashes is"),  # type: ignore[dict-item]
    ],
    ids=[
        *("set", "nan", "bytes", "nothing", "object", "string", "none", "class"),
        *("url", "address", "method", "headers", "header", "expires", "hash"),
    ],
)
def test_names_a_function_that_returns_another_type(function: str, returned: Any, problem: str) -> None:
    value = returned if not isinstance(returned, type) else lambda: returned
    assert error(function, value).startswith(problem)


def test_a_method_for_both_directions_is_used_for_both() -> None:
    upload, download = checked("torrents", Both(True))
    assert (upload.name, download.name) == ("torrent", "torrent")
    assert [hasattr(each, "propose") for each in (upload, download)] == [True, False]
    assert [hasattr(each, "accept") for each in (upload, download)] == [False, True]
