"""Tests of the pages of services, which call methods of plugins and of Taskcluster's services."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_local.plugins import Context, HandlerCall, LocalService, Reply, hookimpl
from taskcluster_local.registry import LocalRegistry

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless, create_task

EXAMPLE = Path(__file__).parents[3] / "examples/plugin-widgets/src"
NASTY = "</pre>".join(ATTACKS.values())


def _method(name: str, verb: str = "get", **more: Any) -> dict[str, Any]:
    route = f"/{name}{'/<what>' if 'args' in more else ''}"
    return {"name": name, "method": verb, "route": route, "args": [], "description": NASTY, "title": NASTY, **more}


REFERENCE = {
    "serviceName": "hostile",
    "apiVersion": "v1",
    "className": "Hostile",
    "title": NASTY,
    "description": NASTY,
    "methods": [
        _method(
            "echo", "post", args=["what"], query=["more"], input="hostile/v1/echo.json", scopes="hostile:echo:<what>"
        ),
        _method("tokens"),
        _method("broken"),
        _method("teapot"),
    ],
    "types": {
        "hostile/v1/echo.json": {"type": "object", "description": NASTY, "properties": {"text": {"title": NASTY}}}
    },
}


def _handlers(context: Context) -> Any:
    def echo(call: HandlerCall) -> Any:
        return {"what": call.params, "query": call.query, "payload": call.payload}

    def tokens(call: HandlerCall) -> Any:
        return {
            "accessToken": "token-1",
            "credentials": {"clientId": "c", "certificate": "token-2"},
            "urls": ["https://example.com/x?sig=token-3&bewit=token-4", "https://example.com/x"],
            "continuationToken": "shown",
        }

    def broken(call: HandlerCall) -> Any:
        raise RuntimeError(NASTY)

    def teapot(call: HandlerCall) -> Any:
        return Reply(418, {"short": "and stout"})

    return {"echo": echo, "tokens": tokens, "broken": broken, "teapot": teapot}


@hookimpl
def taskcluster_local_services() -> list[LocalService]:
    return [LocalService(reference=REFERENCE, handlers=_handlers)]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    points = [
        EntryPoint("hostile", __name__, "taskcluster_local"),
        EntryPoint("widgets", "widgets_client.local", "taskcluster_local"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        patch.setattr("taskcluster_local.local.registry", LocalRegistry(lambda: points))
        with LocalTaskcluster(poll=0) as running:
            yield running


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


def call(visitor: Visitor, service: str, method: str, **fields: str) -> VisitedPage:
    path = f"/services/{service}/{method}"
    return visitor.submit(
        visitor.open(path), path, **{name.replace("__", "."): value for name, value in fields.items()}
    )


def test_services_of_plugins_come_first(local: LocalTaskcluster) -> None:
    links = [link for link in Visitor(local).open("/services").links if link.startswith("/services/")]
    assert links[:2] == ["/services/hostile", "/services/widgets"]
    assert {"/services/queue", "/services/local"} <= {*links[2:]}


def test_without_plugins_the_page_says_how_to_add_one() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taskcluster_local.local.registry", LocalRegistry(lambda: ()))
        with LocalTaskcluster() as running:
            assert "entry points in the group taskcluster_local" in Visitor(running).open("/services").text


def test_service_shows_methods_and_exchanges(local: LocalTaskcluster) -> None:
    page = Visitor(local).open("/services/widgets")
    assert "create PUT /entries/<name> Create Entry" in page.text
    assert "exchange/widgets/v1/entry-created primary.<name>.<reserved>" in page.text
    assert "/services/widgets/create" in page.links


@pytest.mark.once
@pytest.mark.parametrize("service", ["auth", "hooks", "object", "queue", "widgets", "local"])
def test_every_method_has_a_form(local: LocalTaskcluster, service: str) -> None:
    anyone = Visitor(local)
    methods = [link for link in anyone.open(f"/services/{service}").links if link.startswith(f"/services/{service}/")]
    assert methods
    for link in methods:
        page = anyone.open(link)
        assert page.status == 200
        assert page.form(link).method == "post"


def test_methods_of_a_plugin_are_called(local: LocalTaskcluster, root: Visitor) -> None:
    form = root.open("/services/widgets/create").form("/services/widgets/create")
    assert '"description": ""' in form.fields["payload"]
    page = call(root, "widgets", "create", param__name="a b/c", payload='{"description": "first"}')
    assert "Status 200" in page.text
    assert '"colour": "red"' in page.text
    assert '"name": "a b/c"' in call(root, "widgets", "get", param__name="a b/c").text
    page = call(root, "widgets", "list", query__limit="1")
    assert page.form("/services/widgets/list").fields["query.limit"] == "1"
    assert '"name": "a b/c"' in page.text
    call(root, "widgets", "remove", param__name="a b/c")
    page = call(root, "widgets", "get", param__name="a b/c")
    assert page.status == 404
    assert "No such entry" in page.text


@pytest.mark.parametrize(
    ("payload", "status", "message"),
    [
        ("", 400, "MalformedPayload"),
        ("{nope", 400, "MalformedPayload"),
        ("[" * 1000, 400, "MalformedPayload"),
        ("7", 400, "MalformedPayload"),
        ('{"description": 7}', 400, "InputValidationError"),
        ("{}", 400, "description"),
    ],
    ids=["empty", "broken", "deep", "number", "type", "missing"],
)
def test_invalid_payload_is_refused_and_kept(root: Visitor, payload: str, status: int, message: str) -> None:
    page = call(root, "widgets", "create", param__name="x", payload=payload)
    assert page.status == status
    assert message in page.text
    fields = page.form("/services/widgets/create").fields
    assert (fields["param.name"], fields["payload"].removeprefix("\n")) == ("x", payload)


def test_methods_are_called_with_the_readers_rights(local: LocalTaskcluster) -> None:
    visitor = Visitor(local)
    assert call(visitor, "local", "status").status == 200
    page = call(visitor, "widgets", "list")
    assert page.status == 403
    assert "widgets:list" in page.text
    visitor.sign_in(local.options(["widgets:list"])["credentials"])
    assert call(visitor, "widgets", "list").status == 200
    assert "widgets:remove:x" in call(visitor, "widgets", "remove", param__name="x").text


def test_form_without_a_payload_gets_the_example(root: Visitor) -> None:
    token = root.open("/services/auth/expandScopes").form("/services/auth/expandScopes").fields["csrf"]
    body = f"csrf={token}&other=x".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    page = root.send("POST", "/services/auth/expandScopes", body, headers)
    assert (page.status, '"scopes": []' in page.text) == (400, True)


def test_parameters_must_not_be_empty(root: Visitor) -> None:
    page = call(root, "widgets", "get", param__name="")
    assert page.status == 400
    assert "Enter a value for name." in page.text


@pytest.mark.parametrize("path", ["/services/none", "/services/queue/none", "/services/none/none"])
def test_unknown_services_and_methods(root: Visitor, path: str) -> None:
    assert root.open(path).status == 404
    assert_harmless(root.open(f"{path}%3Cscript%3E"))


def test_texts_of_plugins_are_escaped(root: Visitor) -> None:
    payload = taskcluster.utils.dumpJson({"text": NASTY, "half": "\ud800"})
    called = call(root, "hostile", "echo", param__what=NASTY, query__more=NASTY, payload=payload)
    assert called.status == 200
    refused = call(Visitor(root.local), "hostile", "echo", param__what=NASTY, payload="{}")
    assert refused.status == 403
    broken = call(root, "hostile", "broken")
    assert broken.status == 500
    pages = [root.open("/services"), root.open("/services/hostile"), root.open("/services/hostile/echo")]
    for page in (*pages, called, refused, broken):
        assert "<script>alert(1)</script>" in page.raw_text
        assert_harmless(page)


def test_status_of_a_reply_is_shown(root: Visitor) -> None:
    page = call(root, "hostile", "teapot")
    assert page.status == 418
    assert "Status 418" in page.text
    assert "and stout" in page.text


def test_tokens_are_hidden_until_they_are_asked_for(root: Visitor) -> None:
    hidden = call(root, "hostile", "tokens")
    assert "token-" not in hidden.html
    assert {"(hidden)", "shown"} <= {*hidden.text.replace('"', " ").split()}
    assert "https://example.com/x?(hidden)" in hidden.text
    shown = call(root, "hostile", "tokens", reveal="on")
    assert [number for number in range(1, 5) if f"token-{number}" in shown.text] == [1, 2, 3, 4]


def test_addresses_without_end_are_searched_once(local: LocalTaskcluster, root: Visitor) -> None:
    """Anyone who can create a task determines what the page searches for signed URLs: this took half an hour."""
    attack = "https://" * 100_000
    taskId = create_task(local, extra={"attack": attack, "signed": f"{attack}example.com/?signature"})
    page = call(root, "queue", "task", param__taskId=taskId)
    assert attack in page.text
    assert "example.com/?(hidden)" in page.text
    assert "signature" not in page.text


def test_secrets_are_hidden_until_they_are_asked_for(local: LocalTaskcluster, root: Visitor) -> None:
    secret: Any = {"secret": {"password": "hunter2"}, "expires": taskcluster.fromNow("1 hour")}
    taskcluster.Secrets(local.options()).set("a/b", secret)
    assert "hunter2" not in call(root, "secrets", "get", param__name="a/b").html
    assert "hunter2" in call(root, "secrets", "get", param__name="a/b", reveal="on").html
