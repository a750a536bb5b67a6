"""Tests of the pages of notifications and of the denylist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .visitor import ATTACKS, Visitor, assert_harmless

MAIL = {"address": "me@example.com", "subject": "the subject", "content": "# the content"}


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as local:
        yield local


@pytest.fixture
def local(running: LocalTaskcluster) -> LocalTaskcluster:
    running.reset()
    return running


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


@pytest.fixture
def notify(local: LocalTaskcluster) -> Any:
    return taskcluster.Notify(local.options())


def test_outbox_shows_what_would_be_sent_newest_first(root: Visitor, notify: Any) -> None:
    assert "taskcluster notify email" in root.open("/notify").text
    notify.email({**MAIL, "link": {"text": "the link", "href": "https://example.com/task"}})
    notify.pulse({"routingKey": "the.key", "message": {"is": "a message"}})
    notify.matrix({"roomId": "!room:example.com", "body": "the body"})
    notify.slack({"channelId": "C123", "text": "the text"})
    page = root.open("/notify")
    shown = ["the text", "the body", '"is": "a message"', "the subject # the content"]
    assert sorted(shown, key=page.text.index) == shown
    assert "https://example.com/task" in page.links
    assert "/notify/denylist" in page.links


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_texts_of_notifications_are_escaped(root: Visitor, notify: Any, attack: str) -> None:
    # Unlike the address of a mail, these can be anything.
    notify.email({**MAIL, "subject": attack, "content": f"[x]({attack})"})
    notify.pulse({"routingKey": attack, "message": {attack: attack}})
    notify.matrix({"roomId": attack, "body": attack, "formattedBody": attack, "format": attack})
    notify.slack({"channelId": attack, "text": attack, "blocks": [attack]})
    page = root.open("/notify")
    assert page.raw_text.count(attack) > 8
    assert_harmless(page)


def test_links_of_mails_are_links_only_to_the_web(root: Visitor, notify: Any) -> None:
    notify.email({**MAIL, "link": {"text": "x", "href": "javascript:alert(1)"}})
    page = root.open("/notify")
    assert "javascript:alert(1)" in page.text
    assert_harmless(page)


def test_outbox_has_pages(root: Visitor, notify: Any) -> None:
    for number in range(101):
        notify.pulse({"routingKey": f"key{number}", "message": {}})
    first = root.open("/notify")
    [link] = [link for link in first.links if link.startswith("?")]
    rest = root.open(f"/notify{link}")
    assert "key100" in first.text
    assert ("key0 " in first.text, "key0 " in rest.text) == (False, True)
    assert "More notifications" not in rest.text


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("email", "me@example.com"),
        *(("matrix-room", attack) for attack in ATTACKS.values()),
    ],
    ids=["address", *ATTACKS],
)
def test_denylist_is_edited(root: Visitor, notify: Any, kind: str, address: str) -> None:
    page = root.submit(root.open("/notify/denylist"), "/notify/denylist", kind=kind, address=address)
    assert page.path == "/notify/denylist"
    assert address in page.raw_text
    assert_harmless(page)
    assert notify.listDenylist()["addresses"] == [{"notificationType": kind, "notificationAddress": address}]
    page = root.submit(page, "/notify/denylist/delete")
    assert notify.listDenylist()["addresses"] == []
    assert "None. The form below adds one." in page.text


def test_addresses_with_unusual_characters_are_deleted(root: Visitor, notify: Any) -> None:
    address = "a\nb\r\nc\0\u2028 \U0001f600"
    notify.addDenylistAddress({"notificationType": "slack-channel", "notificationAddress": address})
    root.submit(root.open("/notify/denylist"), "/notify/denylist/delete")
    assert notify.listDenylist()["addresses"] == []


@pytest.mark.parametrize(
    ("scopes", "kind", "status", "message"),
    [(["notify:*"], "telegram", 400, "notificationType"), ([], "email", 403, "notify:manage-denylist")],
    ids=["type", "scope"],
)
def test_refused_address_keeps_the_form(
    local: LocalTaskcluster, scopes: list[str], kind: str, status: int, message: str
) -> None:
    visitor = Visitor(local)
    visitor.sign_in(local.options(scopes)["credentials"])
    page = visitor.submit(visitor.open("/notify/denylist"), "/notify/denylist", kind=kind, address="me@example.com")
    assert page.status == status
    assert message in page.text
    assert page.form("/notify/denylist").fields["address"] == "me@example.com"


@pytest.mark.parametrize("entry", ["", "{", "[]", '{"notificationType": "email"}'])
def test_damaged_forms_delete_nothing(root: Visitor, notify: Any, entry: str) -> None:
    notify.addDenylistAddress({"notificationType": "email", "notificationAddress": "a"})
    page = root.submit(root.open("/notify/denylist"), "/notify/denylist/delete", entry=entry)
    assert page.status == 400
    assert len(notify.listDenylist()["addresses"]) == 1


@pytest.mark.parametrize(
    ("path", "what"), [("/notify", "the notifications"), ("/notify/denylist", "the addresses")], ids=["outbox", "list"]
)
def test_outbox_and_denylist_need_rights(local: LocalTaskcluster, path: str, what: str) -> None:
    page = Visitor(local).open(path)
    assert page.status == 200
    assert f"You may not list {what}. Sign in" in page.text
