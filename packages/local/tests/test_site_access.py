"""Tests of the pages for hooks, secrets, clients, roles and scopes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_local.api import HttpRequest, HttpResponse
from taskcluster_local.site import rendering, site
from taskcluster_local.site.views import access

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless

ATTACK = " ".join([*ATTACKS.values(), "</textarea><script>alert(1)</script>"])
PRINTABLE = ATTACK.replace("\u202e", "")
HOOK: Any = {
    "metadata": {"name": ATTACK, "description": ATTACK, "owner": "owner@example.com"},
    "task": {
        "$if": "payload.create",
        "then": {
            "taskQueueId": "site/hooks",
            "payload": {},
            "metadata": {"name": "fired", "description": "d", "owner": "o", "source": "https://example.com"},
        },
    },
    "schedule": ["0 0 3 * * *"],
    "bindings": [{"exchange": "exchange/taskcluster-queue/v1/task-failed", "routingKeyPattern": ATTACK}],
    "triggerSchema": {
        "type": "object",
        "properties": {"create": {"type": "boolean", "default": False}},
        "required": ["create"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    limited = {"clientId": "limited", "accessToken": "t" * 44, "scopes": ["auth:reset-access-token:*"]}
    with LocalTaskcluster(clients=[limited]) as running:
        yield running


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


@pytest.fixture
def anyone(local: LocalTaskcluster) -> Visitor:
    return Visitor(local)


def assert_shown_as_text(page: VisitedPage, *shown: str) -> None:
    """Assert that strings of users are text, not markup."""
    assert_harmless(page)
    for each in shown:
        assert " ".join(each.split()) in page.text


# Secrets


def test_secret_is_hidden_until_revealed(local: LocalTaskcluster, root: Visitor) -> None:
    value = "hidden-" + taskcluster.slugId()
    page = root.submit(root.open("/secrets"), "/secrets", name="proj/ci key", value=f"key: {value}", expires="2 days")
    assert page.path == "/secrets/proj%2Fci%20key"
    assert "It expires" in page.text
    assert value not in page.html
    assert value not in root.open("/secrets").html
    revealed = root.post(page, page.path, button="reveal")
    assert revealed.status == 200
    assert revealed.headers["cache-control"] == "no-store"
    assert value in revealed.text
    assert value not in root.open(page.path).html
    forged = root.send("POST", page.path, b"action=reveal", {"Content-Type": "application/x-www-form-urlencoded"})
    assert forged.status == 403
    assert value not in forged.html


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"value": "a: [1"}, 400, "neither YAML nor JSON"),
        ({"value": r'a: "\Uffffffff"'}, 400, "neither YAML nor JSON"),
        ({"value": "a: .nan"}, 400, "NaN is not JSON"),
        ({"value": "- 1"}, 400, "data/secret must be object"),
        ({"value": ""}, 400, "data/secret must be object"),
        ({"value": "a: &a [*a]"}, 400, "contains itself"),
        ({"value": f"a: {'[' * 300}{']' * 300}"}, 400, "nested too deeply"),
        ({"expires": "soon"}, 400, "Invalid date"),
        ({"expires": " "}, 400, "Invalid date"),
        ({"name": ""}, 400, "must not be empty"),
        ({"name": "taken"}, 409, "exists already"),
    ],
    ids=[
        "not YAML",
        "beyond Unicode",
        "NaN",
        "a list",
        "no value",
        "itself",
        "deep",
        "a word as date",
        "no date",
        "no name",
        "taken",
    ],
)
def test_refused_secret_form_keeps_its_fields(root: Visitor, fields: dict[str, str], status: int, reason: str) -> None:
    create = root.open("/secrets")
    root.submit(create, "/secrets", name="taken", value="{}", expires="1 day")
    given = {"name": f"n {ATTACK}", "value": f"v: {ATTACK}", "expires": "3 days", **fields}
    page = root.post(create, "/secrets", **given)
    assert (page.status, reason in page.text) == (status, True)
    kept = page.form("/secrets").fields
    assert {name: kept[name] for name in given} == given
    assert_shown_as_text(page)


def test_form_keeps_its_fields_when_the_disk_is_full(new_site: Any) -> None:
    async def send(site: Any, request: HttpRequest) -> HttpResponse:
        response = await site.deployment.api.respond(request)
        assert response.stream is not None
        async with contextlib.aclosing(response.stream()) as chunks:
            return replace(response, body=b"".join([chunk async for chunk in chunks]))

    with new_site(roles={"anonymous": ["*"]}) as site:
        form = asyncio.run(send(site, HttpRequest("GET", "/secrets", {})))
        token = form.body.decode().partition('name="csrf" value="')[2].partition('"')[0]
        site.store.run(f"PRAGMA max_page_count = {site.store.one('PRAGMA page_count')['page_count']}")
        fields = {"csrf": token, "name": "n", "value": json.dumps({"a": "typed" * 2000}), "expires": "1 day"}
        headers = {"content-type": "application/x-www-form-urlencoded", "cookie": form.headers["set-cookie"]}
        refused = asyncio.run(send(site, HttpRequest("POST", "/secrets", headers, urlencode(fields).encode())))
    assert refused.status == 500
    assert b"Nothing was stored: " in refused.body
    assert b"typed" * 2000 in refused.body


def test_secret_is_edited_and_deleted(local: LocalTaskcluster, root: Visitor) -> None:
    name = f"edited {ATTACK}"
    page = root.submit(root.open("/secrets"), "/secrets", name=name, value=json.dumps({"a": ATTACK}), expires="1 day")
    assert_shown_as_text(page, name)
    revealed = root.post(page, page.path, button="reveal")
    assert_shown_as_text(revealed, name)
    edited = revealed.form(page.path, "set").fields
    assert json.loads(edited["value"]) == {"a": ATTACK}
    # Lines may begin with tabs in JSON, but not in YAML.
    changed = root.submit(revealed, page.path, button="set", value='{\n\t"b": 2\n}', expires="2100-01-01T00:00:00Z")
    assert changed.path == page.path
    secrets = taskcluster.Secrets(local.options())
    assert secrets.get(name) == {"secret": {"b": 2}, "expires": "2100-01-01T00:00:00.000Z"}
    refused = root.post(changed, page.path, button="set", value="x: [", expires="1 day")
    assert (refused.status, refused.form(page.path, "set").fields["value"].strip()) == (400, "x: [")
    assert root.submit(changed, page.path, button="remove").path == "/secrets"
    assert root.open(page.path).status == 404


def test_secrets_are_listed_in_pages(local: LocalTaskcluster, root: Visitor) -> None:
    secrets = taskcluster.Secrets(local.options())
    names = {f"many/{number}" for number in range(101)}
    for name in names:
        secrets.set(name, {"secret": {}, "expires": taskcluster.fromNow("1 hour")})
    page, found = root.open("/secrets"), list[str]()
    while True:
        found += [target for target in page.links if target.startswith("/secrets/many")]
        following = [target for target in page.links if "page=" in target]
        if not following:
            break
        page = root.open(f"/secrets{following[0]}")
    assert sorted(found) == sorted(f"/secrets/{name.replace('/', '%2F')}" for name in names)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/secrets", "You may not list secrets."),
        ("/secrets/x", "secrets:get:x"),
    ],
    ids=["list", "one"],
)
def test_names_scopes_of_hidden_parts(anyone: Visitor, path: str, reason: str) -> None:
    page = anyone.open(path)
    assert page.status == 200
    assert reason in page.text
    assert f"/signin?back={path.replace('/', '%2F')}" in page.links


# Clients and roles


def test_client_is_created_changed_and_deleted(local: LocalTaskcluster, root: Visitor, anyone: Visitor) -> None:
    auth = taskcluster.Auth(local.options())
    clients = root.open("/auth/clients")
    created = root.post(
        clients, "/auth/clients", clientId="proj/ci", description=f"{ATTACK}\n2", scopes=f" a:*\n\n{PRINTABLE}\na:*"
    )
    assert created.status == 200
    assert_shown_as_text(created, ATTACK)
    path = "/auth/clients/proj%2Fci"
    assert path in created.links
    page = root.open(path)
    assert_shown_as_text(page, ATTACK, PRINTABLE)
    shown = auth.client("proj/ci")
    assert (shown["description"], set(shown["scopes"])) == (f"{ATTACK}\n2", {"a:*", PRINTABLE})
    # An unchanged form changes nothing.
    root.submit(page, path, button="update")
    unchanged = auth.client("proj/ci")
    assert unchanged == {**shown, "lastModified": unchanged["lastModified"]}
    for button, is_disabled in (("disable", True), ("enable", False)):
        page = root.submit(page, path, button=button)
        assert auth.client("proj/ci")["disabled"] is is_disabled
    changed = root.submit(page, path, button="update", expires="2100-01-01T00:00:00Z", deleteOnExpiration="on")
    assert "2100-01-01 00:00:00 UTC , and is then deleted" in changed.text
    refused = root.post(changed, path, button="update", expires="never", scopes="typed", description="typed too")
    assert (refused.status, "Invalid date" in refused.text) == (400, True)
    kept = refused.form(path, "update").fields
    assert (kept["expires"], kept["scopes"].strip(), kept["description"].strip()) == ("never", "typed", "typed too")
    assert root.submit(changed, path, button="delete").path == "/auth/clients"
    assert root.open(path).status == 404


def test_access_token_is_shown_once(local: LocalTaskcluster, root: Visitor) -> None:
    given = {"clientId": "once", "description": "", "scopes": "", "expires": "1 hour"}
    created = root.post(root.open("/auth/clients"), "/auth/clients", **given)
    tokens = [token_in(created)]
    path = "/auth/clients/once"
    page = root.open(path)
    assert tokens[0] not in page.html
    reset = root.post(page, path, button="reset")
    assert reset.headers["cache-control"] == "no-store"
    tokens.append(token_in(reset))
    assert tokens[0] != tokens[1]
    assert tokens[1] not in root.open(path).html
    options = {**local.options(), "credentials": {"clientId": "once", "accessToken": tokens[1]}}
    assert taskcluster.Auth(options).currentScopes()["scopes"]


def token_in(page: VisitedPage) -> str:
    before, _, after = page.html.partition("is shown only this once:</p>\n<p><code>")
    assert after, before
    return after.partition("</code>")[0]


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"clientId": ATTACK}, 400, "clientId"),
        ({"clientId": ""}, 400, "clientId"),
        ({"clientId": "static/x"}, 400, "static/"),
        ({"scopes": "a\u2028b"}, 400, "data/scopes/0"),
        ({"scopes": "a**"}, 400, "must not end with"),
        ({"expires": "1 parsec"}, 400, "Invalid date"),
        ({"description": "d" * 10241}, 400, "data/description"),
    ],
    ids=["attack", "no id", "static id", "not ASCII", "two stars", "unknown unit", "long description"],
)
def test_refused_client_form_keeps_its_fields(root: Visitor, fields: dict[str, str], status: int, reason: str) -> None:
    given = {"clientId": "refused", "description": ATTACK, "scopes": "a\nb", "expires": "1 day", **fields}
    page = root.post(root.open("/auth/clients"), "/auth/clients", **given)
    assert (page.status, reason in page.text) == (status, True)
    kept = page.form("/auth/clients").fields
    assert {name: kept[name] for name in given} == given
    assert_shown_as_text(page)


def test_actions_need_scopes(local: LocalTaskcluster, root: Visitor, anyone: Visitor) -> None:
    given = {"clientId": "guarded", "description": "", "scopes": "", "expires": "1 hour"}
    root.post(root.open("/auth/clients"), "/auth/clients", **given)
    path = "/auth/clients/guarded"
    for action, scope in (("disable", "disable-client"), ("delete", "delete-client"), ("update", "update-client")):
        refused = anyone.post(anyone.open(path), path, button=action)
        assert (refused.status, f"auth:{scope}:guarded" in refused.text) == (403, True)
    limited = Visitor(local)
    limited.sign_in({"clientId": "limited", "accessToken": "t" * 44})
    assert token_in(limited.post(limited.open(path), path, button="reset"))
    forged = root.send("POST", path, b"action=delete", {"Content-Type": "application/x-www-form-urlencoded"})
    assert forged.status == 403
    assert root.open(path).status == 200


def test_clients_are_filtered_by_prefix(local: LocalTaskcluster, root: Visitor) -> None:
    page = root.open("/auth/clients?prefix=static%2Ftaskcluster%2Fq")
    assert [target for target in page.links if target.startswith("/auth/clients/")] == [
        "/auth/clients/static%2Ftaskcluster%2Fqueue"
    ]
    refused = root.open("/auth/clients?prefix=%22%3E%3Cimg%3E")
    assert "prefix" in refused.text
    assert_shown_as_text(refused)
    assert "cannot be changed here" in root.open("/auth/clients/static%2Ftaskcluster%2Fqueue").text


def test_role_is_created_changed_and_deleted(local: LocalTaskcluster, root: Visitor) -> None:
    auth = taskcluster.Auth(local.options())
    roleId = f"r {PRINTABLE} *"
    page = root.submit(root.open("/auth/roles"), "/auth/roles", roleId=roleId, description=ATTACK, scopes="x:<..>\ny:*")
    path = page.path
    assert_shown_as_text(page, roleId, ATTACK, "x:<..>")
    assert_shown_as_text(root.open("/auth/roles"), roleId, ATTACK)
    assert_shown_as_text(root.open(next(each for each in page.links if "assume" in each)), f"assume:{roleId}")
    shown = auth.role(roleId)
    root.submit(page, path, button="update")
    unchanged = auth.role(roleId)
    assert unchanged == {**shown, "lastModified": unchanged["lastModified"]}
    refused = root.post(page, path, button="update", scopes="z:*<..>")
    assert (refused.status, "ambiguous star" in refused.text) == (400, True)
    assert refused.form(path, "update").fields["scopes"].strip() == "z:*<..>"
    changed = root.submit(page, path, button="update", scopes="w")
    assert auth.role(roleId)["scopes"] == ["w"]
    assert root.submit(changed, path, button="delete").path == "/auth/roles"
    assert root.open(path).status == 404


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"roleId": "\u202e"}, 400, "roleId"),
        ({"roleId": "anonymous"}, 409, "already exists"),
        ({"scopes": "assume:refused"}, 400, "must not depend on themselves"),
    ],
    ids=["not ASCII", "taken", "of itself"],
)
def test_refused_role_form_keeps_its_fields(root: Visitor, fields: dict[str, str], status: int, reason: str) -> None:
    given = {"roleId": "refused", "description": ATTACK, "scopes": "a\nb", **fields}
    page = root.post(root.open("/auth/roles"), "/auth/roles", **given)
    assert (page.status, reason in page.text) == (status, True)
    kept = page.form("/auth/roles").fields
    assert {name: kept[name] for name in given} == given
    assert_shown_as_text(page)


# Scopes


def test_lists_holders_of_a_scope(local: LocalTaskcluster, root: Visitor, anyone: Visitor) -> None:
    auth = taskcluster.Auth(local.options())
    auth.createRole("holder", {"description": "half \ud800", "scopes": ["held:*"]})
    assert "half \ufffd" in anyone.open("/auth/roles/holder").text
    auth.createClient(
        "by-role", {"description": "", "scopes": ["assume:holder"], "expires": taskcluster.fromNow("1 hour")}
    )
    auth.createClient("direct", {"description": "", "scopes": ["held:x"], "expires": taskcluster.fromNow("1 hour")})
    page = anyone.open("/auth/scopes?scope=held%3Ax")
    assert page.path == "/auth/scopes/held%3Ax"
    assert {"/auth/roles/holder", "/auth/clients/by-role", "/auth/clients/direct"} <= set(page.links)
    assert "by-role held:* , through a role" in page.text
    assert "direct held:x" in page.text
    other = anyone.open("/auth/scopes/held%3A*")
    assert "/auth/clients/direct" not in other.links
    assert "/auth/clients/by-role" in other.links
    for attack in ATTACKS.values():
        assert_shown_as_text(anyone.open("/auth/scopes?scope=" + quote(attack, safe="")), attack)


def test_scopes_are_expanded(anyone: Visitor) -> None:
    form = anyone.open("/auth/scopes/expansions")
    page = anyone.post(form, "/auth/scopes/expansions", scopes="assume:anonymous\na:*\na:b")
    assert page.status == 200
    assert {"/auth/scopes/a%3A%2A", "/auth/scopes/auth%3Aexpand-scopes"} <= set(page.links)
    assert "/auth/scopes/a%3Ab" not in page.links
    for scopes in (ATTACK, "\n".join(map(str, range(20_001)))):
        refused = anyone.post(form, "/auth/scopes/expansions", scopes=scopes)
        assert refused.status == 400
        assert refused.form("/auth/scopes/expansions").fields["scopes"] == scopes
        assert_shown_as_text(refused)


# Hooks


@pytest.fixture
def hook(local: LocalTaskcluster) -> Iterator[str]:
    hooks = taskcluster.Hooks(local.options())
    auth = taskcluster.Auth(local.options())
    auth.createRole("hook-id:group/dir/hook", {"description": "", "scopes": ["queue:*", "in-tree:*"]})
    hooks.createHook("group", "dir/hook", HOOK)
    yield "/hooks/group/dir%2Fhook"
    hooks.removeHook("group", "dir/hook")
    auth.deleteRole("hook-id:group/dir/hook")


def test_hook_is_shown(root: Visitor, anyone: Visitor, hook: str) -> None:
    listed = anyone.open("/hooks")
    assert hook in listed.links
    assert_shown_as_text(listed, ATTACK, "0 0 3 * * *", "never")
    page = anyone.open(hook)
    assert_shown_as_text(page, "group/dir/hook", ATTACK, "Next fire: ", "03:00:00 UTC", "task-failed")
    assert "/auth/roles/hook-id%3Agroup%2Fdir%2Fhook" in page.links


@pytest.mark.parametrize("payload", ["create: true", '{\n\t"create": true\n}'], ids=["YAML", "JSON"])
def test_triggered_hook_leads_to_its_task(root: Visitor, hook: str, payload: str) -> None:
    response = root.post(root.open(hook), hook, button="trigger", payload=payload)
    assert response.status == 303
    path = response.headers["location"]
    assert "fired" in root.open(path).text
    page = root.open(hook)
    assert path in page.links
    assert "triggerHook success" in page.text
    assert "success," in root.open("/hooks").text


def test_hook_can_render_to_no_task(root: Visitor, hook: str) -> None:
    page = root.submit(root.open(hook), hook, button="trigger", payload="create: false")
    assert "Its template rendered to no task." in page.text


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("create: true\nnope: 1", 'data must NOT have additional properties: "nope"'),
        ("create: 1", "data/create must be boolean"),
        ("", "data must have required property 'create'"),
        ("[]", "data must be object"),
        (f"a: '' {ATTACK}", "neither YAML nor JSON"),
    ],
    ids=["unknown key", "wrong type", "missing key", "a list", "attack"],
)
def test_refused_payload_is_kept(root: Visitor, hook: str, payload: str, reason: str) -> None:
    page = root.post(root.open(hook), hook, button="trigger", payload=payload)
    assert (page.status, reason in page.text) == (400, True)
    assert page.form(hook, "trigger").fields["payload"] == payload
    assert_shown_as_text(page)


def test_trigger_needs_scopes(anyone: Visitor, hook: str) -> None:
    page = anyone.post(anyone.open(hook), hook, button="trigger", payload="create: true")
    assert (page.status, "hooks:trigger-hook:group/dir/hook" in page.text) == (403, True)


def test_failed_fire_shows_its_error(local: LocalTaskcluster, root: Visitor, hook: str) -> None:
    failing: Any = {**HOOK, "task": {"$eval": ATTACK}}
    taskcluster.Hooks(local.options()).updateHook("group", "dir/hook", failing)
    page = root.post(root.open(hook), hook, button="trigger", payload="create: true")
    assert (page.status, "While firing hook" in page.text) == (400, True)
    assert page.text.count("While firing hook") == 2
    assert_shown_as_text(page)


def test_hook_is_edited_and_removed(local: LocalTaskcluster, root: Visitor, hook: str) -> None:
    hooks = taskcluster.Hooks(local.options())
    before = hooks.hook("group", "dir/hook")
    page = root.open(hook)
    root.submit(page, hook, button="update")
    assert hooks.hook("group", "dir/hook") == before
    definition = json.dumps({**HOOK, "schedule": ["@daily"]})
    assert root.submit(page, hook, button="update", definition=definition).path == hook
    assert hooks.hook("group", "dir/hook")["schedule"] == ["@daily"]
    for wrong, reason in (
        ("schedule: [x]", "must have required property 'task'"),
        ("[", "neither YAML"),
        ("", "object"),
    ):
        refused = root.post(page, hook, button="update", definition=wrong)
        assert (refused.status, reason in refused.text) == (400, True)
        assert refused.form(hook, "update").fields["definition"] == wrong
    assert root.submit(page, hook, button="remove").path == "/hooks"
    assert root.open(hook).status == 404


def test_many_scopes_are_sent_in_parts(local: LocalTaskcluster, root: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering thousands at once kept other requests waiting."""
    sizes: list[int] = []

    async def recorded(template: str, variables: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        async for chunk in rendering.render(template, variables):
            sizes.append(len(chunk))
            yield chunk

    scopes = [f"many:{number}" for number in range(3000)]
    taskcluster.Auth(local.options()).createRole("many", {"description": "d", "scopes": scopes})
    monkeypatch.setattr(site, "render", recorded)
    page = root.open("/auth/roles/many")
    assert page.html.count("/auth/scopes/many%3A") == 6000
    assert len(sizes) > 10
    assert max(sizes) < 100_000


def test_others_get_a_turn_between_clients_that_are_searched() -> None:
    class Listing:
        async def attempt(self, *given: Any, **named: Any) -> Any:
            return {}

        async def listed(self, *given: Any, **named: Any) -> AsyncGenerator[Any, None]:
            for number in range(30):
                yield {"clientId": f"c/{number}", "scopes": [], "expandedScopes": ["other", "turns:*"]}

    async def scenario() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        listing: Any = Listing()
        holders = await access._holders(listing, "turns:x", "listClients", "clients", "clientId")
        assert holders is not None
        assert len([each async for each in holders]) == 30
        counting.cancel()
        assert turns >= 29

    asyncio.run(scenario())
