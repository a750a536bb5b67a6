"""Tests of submitted forms: their fields, and what is refused because it would keep others waiting."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest

from taskcluster_local import LocalTaskcluster
from taskcluster_local.api import Api, HandlerCall
from taskcluster_local.errors import ApiError
from taskcluster_local.site import form_fields
from taskcluster_local.site.routes import ROUTES

from .visitor import Visitor

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.mark.parametrize("piece", [3, 4, 5, 8192])
@pytest.mark.parametrize(
    "body",
    [
        "", "a", "a=", "=b", "a=b&a=c", "&&a=b&", "a=b=c", "a+b=c+d", "a=%", "a=%4", "a=%%41", "a=%zz%41", "a=%00",
        quote_plus("ä€😀 x" * 9), "a=" + quote_plus("ä€😀\n x" * 9), "a=%ff%c3&b=%c3%a4%c3", "a=ä€", "a=1;b=2",
    ],
)  # fmt: skip
def test_fields_are_as_browsers_encode_them(monkeypatch: pytest.MonkeyPatch, body: str, piece: int) -> None:
    monkeypatch.setattr(form_fields, "_PIECE", piece)
    expected = dict(parse_qsl(body, keep_blank_values=True, errors="replace"))
    assert form_fields.fields_of(body.encode()) == expected


def test_line_ends_become_line_feeds() -> None:
    assert form_fields.fields_of(b"a=x%0D%0Ay%0D%0A") == {"a": "x\ny\n"}


def test_invalid_bytes_are_replaced() -> None:
    assert form_fields.fields_of(b"a=\xffx") == {"a": "\ufffdx"}


def test_too_many_fields_are_refused() -> None:
    form_fields.fields_of(b"&".join([b"a=b"] * 1000))
    with pytest.raises(ApiError, match="1000 fields"):
        form_fields.fields_of(b"&" * 1000)


LONG = {route.path for route in ROUTES if route.verb == "POST" and route.longest > 512 * 1024}


def test_only_documents_may_be_long() -> None:
    assert {
        "/tasks/create", "/hooks/<hookGroupId>/<hookId>", "/secrets", "/secrets/<name>",
        "/services/<service>/<method>",
    } == LONG  # fmt: skip


def test_long_fields_are_refused_where_no_document_is_expected(local: LocalTaskcluster) -> None:
    visitor = Visitor(local)
    token = visitor.open("/signin").form("/signin").fields["csrf"]
    body = urlencode({"csrf": token, "scopes": "s\n" * 200_000}).encode()
    for path in ("/signin", "/auth/clients/create", "/auth/scopes/expansions", "/notify/denylist/delete", "/signout"):
        page = visitor.send("POST", path, body, FORM)
        assert (page.status, "too long" in page.text) == (400, True), path
    assert "too long" not in visitor.send("POST", "/secrets", body, FORM).text


@pytest.mark.parametrize("path", ["/auth/clients", "/auth/clients/create", "/secrets"])
def test_long_dates_are_not_parsed(local: LocalTaskcluster, path: str) -> None:
    visitor = Visitor(local)
    visitor.sign_in()
    token = visitor.open("/secrets").form("/secrets").fields["csrf"]
    fields = {"csrf": token, "name": "n", "clientId": "c", "value": "{}", "expires": "1" * 200}
    page = visitor.send("POST", path, urlencode(fields).encode(), FORM)
    assert (page.status, "it is too long" in page.text) == (400, True)


def test_long_payloads_are_checked_in_a_thread(local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    check = Api._check_payload

    def recorded(api: Api, call: HandlerCall) -> None:
        threads.append(threading.current_thread().name)
        check(api, call)

    monkeypatch.setattr(Api, "_check_payload", recorded)
    visitor = Visitor(local)
    visitor.sign_in()
    page = visitor.open("/secrets")
    threads.clear()
    value = json.dumps({"values": list(range(10_000))})
    assert visitor.post(page, "/secrets", name="long", value=value).status == 303
    assert [name for name in threads if name != "taskcluster-local"], threads
    threads.clear()
    assert visitor.post(page, "/secrets", name="short", value="{}").status == 303
    assert set(threads) == {"taskcluster-local"}
