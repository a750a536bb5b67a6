"""URLs, and quoting that no library changes."""

from __future__ import annotations

import datetime
import string
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import requote_uri
from urllib3.util import parse_url
from yarl import URL

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.urls import encode_query, endpoint, quote_parameter

TEXT = st.text(min_size=1).filter(lambda text: text not in (".", "..")) | st.text(
    alphabet="./%?#&+=;:@!$'()*,~ \\<>[]^`{|}\"\n\x00ü€", min_size=3, max_size=8
)
UNTOUCHED = frozenset(string.ascii_letters + string.digits + "-._~%")


@pytest.mark.parametrize(
    ("root_url", "prefix", "path", "host", "port"),
    [
        ("https://tc.example.com", "https://tc.example.com/api/queue/v1", "/api/queue/v1", "tc.example.com", "443"),
        ("https://tc.example.com//", "https://tc.example.com/api/queue/v1", "/api/queue/v1", "tc.example.com", "443"),
        ("http://taskcluster", "http://taskcluster/api/queue/v1", "/api/queue/v1", "taskcluster", "80"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/queue/v1", "/api/queue/v1", "127.0.0.1", "8080"),
        ("http://[::1]:8080", "http://[::1]:8080/api/queue/v1", "/api/queue/v1", "[::1]", "8080"),
        ("https://TC.example.com", "https://TC.example.com/api/queue/v1", "/api/queue/v1", "tc.example.com", "443"),
        ("https://x.example/sub", "https://x.example/sub/api/queue/v1", "/sub/api/queue/v1", "x.example", "443"),
    ],
)
def test_splits_an_endpoint(root_url: str, prefix: str, path: str, host: str, port: str) -> None:
    found = endpoint(root_url, "queue", "v1")
    assert (found.prefix, found.path, found.host, found.port) == (prefix, path, host, port)


def test_an_international_host_is_signed_in_ascii() -> None:
    found = endpoint("https://tc.exämple.com", "queue", "v1")
    assert (found.prefix, found.host) == ("https://tc.exämple.com/api/queue/v1", "tc.xn--exmple-cua.com")


@pytest.mark.parametrize("host", ["a..example.com", "a" * 64, "\ud800.example.com"])
def test_an_invalid_host_raises(host: str) -> None:
    with pytest.raises(TaskclusterFailure, match="host of the option rootUrl"):
        endpoint(f"https://{host}", "queue", "v1")


@pytest.mark.parametrize("port", ["x", "99999", "-1"])
def test_raises_for_an_invalid_port(port: str) -> None:
    with pytest.raises(TaskclusterFailure, match="port"):
        endpoint(f"https://tc.example.com:{port}", "queue", "v1")


@pytest.mark.parametrize(
    ("value", "quoted"), [("a/b c", "a%2Fb%20c"), (0, "0"), (-5, "-5"), ("...", "..."), ("~._-", "~._-")]
)
def test_a_parameter_is_a_string_or_an_integer(value: Any, quoted: str) -> None:
    assert quote_parameter("m", "p", value) == quoted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "m: the parameter p must not be empty: another route would be called"),
        (".", "m: the parameter p must not be '.': another route would be called"),
        ("..", "m: the parameter p must not be '..': another route would be called"),
        (None, "m: the parameter p must be a string or an integer, not NoneType"),
        (True, "m: the parameter p must be a string or an integer, not bool"),
        (1.0, "m: the parameter p must be a string or an integer, not float"),
        (b"x", "m: the parameter p must be a string or an integer, not bytes"),
    ],
)
def test_raises_for_an_invalid_parameter(value: Any, message: str) -> None:
    with pytest.raises(TaskclusterFailure) as caught:
        quote_parameter("m", "p", value)
    assert str(caught.value) == message


def test_a_parameter_may_be_empty_where_the_route_allows_it() -> None:
    assert quote_parameter("m", "p", "", may_be_empty=True) == ""
    with pytest.raises(TaskclusterFailure):
        quote_parameter("m", "p", "..", may_be_empty=True)


@given(TEXT)
def test_a_parameter_comes_back_from_its_quoted_form(value: str) -> None:
    assert unquote(quote_parameter("m", "p", value), errors="strict") == value


@given(TEXT)
def test_a_quoted_parameter_is_one_segment(value: str) -> None:
    quoted = quote_parameter("m", "p", value)
    assert set(quoted) <= UNTOUCHED
    assert quoted not in (".", "..")


@given(TEXT, st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_no_http_library_changes_an_address(value: str, query: dict[str, str]) -> None:
    address = f"https://tc.example.com/api/queue/v1/task/{quote_parameter('m', 'p', value)}"
    if query:
        address += f"?{encode_query('m', query)}"
    assert parse_url(address).url == address
    assert requote_uri(address) == address
    assert str(URL(address, encoded=True)) == address
    assert URL(address, encoded=True).raw_path_qs == address.removeprefix("https://tc.example.com")


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4))
def test_a_query_comes_back_from_its_encoded_form(query: dict[str, str]) -> None:
    read = dict(parse_qsl(encode_query("m", query), keep_blank_values=True, errors="strict"))
    assert read == query


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a%20b"),
        ("a+b/c", "a%2Bb%2Fc"),
        (5, "5"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ("", ""),
        (datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), "2024-01-01T00%3A00%3A00Z"),
    ],
)
def test_query_values_are_written_as_the_services_read_them(value: Any, text: str) -> None:
    assert encode_query("m", {"x": value}) == f"x={text}"


def test_omits_a_query_value_of_none() -> None:
    assert encode_query("m", {"x": None, "y": 1, "z": None}) == "y=1"
    assert encode_query("m", {"x": None}) == ""


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a", object()])
def test_rejects_a_query_value_that_is_not_a_scalar(value: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="query parameter x must be a string, number"):
        encode_query("m", {"x": value})


def test_rejects_a_query_value_that_is_not_unicode() -> None:
    with pytest.raises(TaskclusterFailure, match="not valid Unicode"):
        encode_query("m", {"x": "\ud800"})
