"""Tests of the pages: what all have in common, the overview, tasks, and signing in."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import taskcluster
import taskcluster.upload
from taskcluster_local import LocalTaskcluster
from taskcluster_local.site.page import PageRequest
from taskcluster_local.site.routes import ROUTES

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless, create_task

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture
def anyone(local: LocalTaskcluster) -> Visitor:
    return Visitor(local)


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


PATHS = ["/", "/tasks", "/signin", "/auth/clients/create", "/unknown", "/docs/x", "/tasks/VCNiTDd8SC-ozYfVoDn7Og"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", ["anyone", "root"])
def test_every_page_is_protected_and_complete(request: pytest.FixtureRequest, who: str, path: str) -> None:
    visitor: Visitor = request.getfixturevalue(who)
    page = visitor.open(path)
    assert page.status == (404 if "VCN" in path else 200)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.html.endswith("</html>")
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1
    assert ("html", {"lang": "en"}) in page.elements
    assert_harmless(page)
    head = visitor.send("HEAD", path)
    assert (head.status, head.content) == (page.status, b"")
    assert head.headers["content-type"] == page.headers["content-type"]


def test_static_files_are_served_and_nothing_else(anyone: Visitor) -> None:
    page = anyone.open("/")
    found = {attributes["href"] for tag, attributes in page.elements if tag == "link"}
    assert found == {"/static/site.css", "/static/icon.svg"}
    for path in found:
        assert anyone.send("GET", path).headers["content-type"].startswith(("text/css", "image/svg+xml"))
    for path in ("/static/../site.py", "/static/%2e%2e/site.py", "/static/", "/static/none.js", "/static/site.py"):
        assert anyone.send("GET", path).status == 404


def test_pages_with_a_foreign_host_are_refused(anyone: Visitor) -> None:
    assert anyone.send("GET", "/", None, {"Host": "evil.example"}).status == 421


# Signing in


def test_signing_in_and_out(local: LocalTaskcluster, anyone: Visitor) -> None:
    before = dict(anyone.open("/") and anyone.cookies)
    page = anyone.sign_in()
    assert "Signed in as static/taskcluster/root" in page.text
    # A session that someone else prepared is not used.
    assert anyone.cookies.keys() == before.keys()
    assert anyone.cookies != before
    signed_in = dict(anyone.cookies)
    page = anyone.submit(page, "/signout")
    assert "Signed in" not in page.text
    anyone.cookies = signed_in
    assert "Signed in" not in anyone.open("/").text


def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(anyone: Visitor, local: LocalTaskcluster) -> None:
    header = anyone.open("/").headers["set-cookie"]
    assert header.endswith("; Path=/; HttpOnly; SameSite=Strict")
    # Browsers share cookies among ports.
    assert str(urlsplit(local.root_url).port) in header.partition("=")[0]


def test_temporary_credentials_sign_in(local: LocalTaskcluster, anyone: Visitor) -> None:
    now = taskcluster.utils.fromNow("-1 minute"), taskcluster.utils.fromNow("1 hour")
    issued = taskcluster.createTemporaryCredentials(
        start=now[0], expiry=now[1], scopes=["queue:*"], name="a-person", **local.options()["credentials"]
    )
    assert "Signed in as a-person" in anyone.sign_in(issued).text


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"accessToken": "wrong"}, "Bad mac"),
        ({"clientId": "nobody"}, "nobody"),
        ({"clientId": 'a"b\n\u202e'}, "client"),
        ({"certificate": "{"}, "certificate"),
        ({"certificate": "[" * 100_000}, "certificate"),
        ({"certificate": "[]"}, "certificate"),
    ],
    ids=["token", "client", "characters", "broken-certificate", "deep-certificate", "list-as-certificate"],
)
def test_wrong_credentials_are_refused(anyone: Visitor, fields: dict[str, str], reason: str) -> None:
    page = anyone.submit(anyone.open("/signin"), "/signin", **{"accessToken": "t", **fields})
    assert page.status == 401
    assert reason.lower() in page.text.lower()
    assert "Signed in" not in page.text
    assert_harmless(page)


def test_a_page_leads_back_to_itself_after_signing_in(anyone: Visitor) -> None:
    page = anyone.open("/tasks?id=x%20y")
    link = next(link for link in page.links if link.startswith("/signin"))
    form = anyone.open(link)
    credentials = {**anyone.local.options()["credentials"]}
    assert anyone.post(form, "/signin", **credentials).headers["location"] == "/tasks?id=x%20y"


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:x",
        "",
        "/a\r\nX: y",
    ],
)
def test_signing_in_does_not_lead_to_other_sites(anyone: Visitor, back: str) -> None:
    form = anyone.open(f"/signin?back={quote(back, safe='')}")
    response = anyone.post(form, "/signin", **anyone.local.options()["credentials"])
    assert (response.status, response.headers["location"]) == (303, "/")


@pytest.mark.parametrize("how", ["missing", "wrong", "another-session", "another-site", "no-origin-host", "no-cookie"])
def test_forms_of_others_are_refused(local: LocalTaskcluster, root: Visitor, how: str) -> None:
    page = root.open("/")
    token = page.form("/signout").fields["csrf"]
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": local.root_url}
    cookies = dict(root.cookies)
    match how:
        case "missing":
            token = ""
        case "wrong":
            token = "0" * len(token)
        case "another-session":
            token = Visitor(local).sign_in().form("/signout").fields["csrf"]
        case "another-site":
            headers["Origin"] = "https://evil.example"
        case "no-origin-host":
            # Of a page in a sandbox, for example an artifact.
            headers["Origin"] = "null"
        case _:
            root.cookies = {}
    response = root.send("POST", "/signout", f"csrf={token}".encode(), headers)
    assert response.status == 403
    root.cookies = cookies
    assert "Signed in" in root.open("/").text


def test_every_form_needs_the_token_and_the_origin(root: Visitor, local: LocalTaskcluster) -> None:
    token = root.open("/").form("/signout").fields["csrf"]
    paths = [re.sub(r"<\w+…?>", "x", route.path) for route in ROUTES if route.verb == "POST"]
    assert len(paths) > 10
    for path in paths:
        for body, origin in ((b"csrf=x", local.root_url), (f"csrf={token}".encode(), "http://127.0.0.1:1")):
            page = root.send("POST", path, body, {**FORM, "Origin": origin})
            assert (path, page.status, "sent by another site" in page.text) == (path, 403, True)
    assert "Signed in" in root.open("/").text


def test_forms_without_a_body_or_of_other_types_are_refused(root: Visitor) -> None:
    token = root.open("/").form("/signout").fields["csrf"]
    for kind in ("text/plain", "multipart/form-data", "application/json"):
        assert root.send("POST", "/signout", f"csrf={token}".encode(), {"Content-Type": kind}).status == 403
    assert root.send("POST", "/signout").status == 403
    assert root.send("POST", "/unknown").status == 404


def test_long_forms_are_refused(root: Visitor) -> None:
    body = b"csrf=" + b"x" * (10 * 2**20 + 1)
    response = root.send("POST", "/signout", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert (response.status, "too long" in response.text) == (400, True)


def test_bodies_that_are_not_read_are_not_requests(root: Visitor, local: LocalTaskcluster) -> None:
    hidden = b"GET /signout HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000
    with contextlib.closing(http.client.HTTPConnection(urlsplit(local.root_url).netloc, timeout=60)) as connection:
        for path in ("/signout", "/unknown", "/"):
            connection.request("POST", path, hidden, {"Content-Type": "text/plain"})
            response = connection.getresponse()
            assert (response.status, b"<h1>" in response.read()) in ((403, True), (404, True))
            connection.request("GET", "/tasks")
            response = connection.getresponse()
            assert (response.status, b"A taskId, or an address" in response.read()) == (200, True)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_pages_have_no_other_methods(anyone: Visitor, method: str) -> None:
    assert anyone.send(method, "/").status == 404


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "//evil.example/tasks", "/\\evil.example", "http://evil.example/", "*", "/tasks//evil.example"],
)
def test_odd_targets_lead_nowhere(local: LocalTaskcluster, target: str) -> None:
    address = urlsplit(local.root_url)
    lines = (f"GET {target} HTTP/1.1", f"Host: {address.netloc}", "Sec-Fetch-Site: cross-site", "Connection: close")
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        text = response.read().decode()
    assert "http-equiv" not in text or 'url=/tasks//evil.example"' in text
    assert "location" not in response.headers
    assert "set-cookie" not in response.headers


def test_requests_of_other_sites_keep_the_session(root: Visitor) -> None:
    """Browsers do not send the cookie then; a new one would replace it."""
    cookies, root.cookies = root.cookies, {}
    for method, path in (("GET", "/"), ("GET", "/unknown"), ("POST", "/signout"), ("POST", "/signin"), ("POST", "/x")):
        page = root.send(method, path, b"a=b", {**FORM, "Sec-Fetch-Site": "cross-site"})
        assert "set-cookie" not in page.headers
    root.cookies = cookies
    assert "Signed in" in root.open("/").text


@pytest.mark.parametrize("origin", ["http://[::1", "http://", "", "x", "http://evil.example\t", "https://127.0.0.1:1"])
def test_odd_origins_are_refused(root: Visitor, origin: str) -> None:
    token = root.open("/").form("/signout").fields["csrf"]
    response = root.send("POST", "/signout", f"csrf={token}".encode(), {**FORM, "Origin": origin})
    assert response.status == 403
    assert "Signed in" in root.open("/").text


@pytest.mark.parametrize(
    "cookie",
    ["x" * 43, "a=b; ; =; taskcluster-local=x", '"', "%00", ";" * 5000],
    ids=["43", "odd", "quote", "nul", "many"],
)
def test_odd_cookies_are_no_session(anyone: Visitor, local: LocalTaskcluster, cookie: str) -> None:
    name = next(iter(dict(anyone.open("/") and anyone.cookies)))
    for given in (cookie, f"{name}={cookie}"):
        page = anyone.send("GET", "/", None, {"Cookie": given})
        assert (page.status, "Signed in" in page.text) == (200, False)


def test_links_on_other_sites_lead_to_pages_for_those_signed_in(root: Visitor, local: LocalTaskcluster) -> None:
    # Browsers send no strict cookies then; the page that they get opens the same one from this site.
    cookies, root.cookies = root.cookies, {}
    page = root.open("/tasks?id=<x>", **{"Sec-Fetch-Site": "cross-site"})
    assert "set-cookie" not in page.headers
    assert [attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes] == [
        "0; url=/tasks?id=<x>"
    ]
    root.cookies = cookies
    assert "Signed in" in root.open("/tasks", **{"Sec-Fetch-Site": "same-origin"}).text


def test_a_session_ends_with_its_client(local: LocalTaskcluster, anyone: Visitor) -> None:
    auth = taskcluster.Auth(local.options())
    client = auth.createClient("site/ending", {"expires": taskcluster.fromNow("1 hour"), "description": "d"})
    assert "Signed in as site/ending" in anyone.sign_in(client).text
    auth.disableClient("site/ending")
    page = anyone.open("/")
    assert page.status == 401
    assert "Signed in" not in anyone.open("/").text


def test_an_address_signs_in_once(local: LocalTaskcluster, anyone: Visitor) -> None:
    address = local.sign_in_url()
    path = address.removeprefix(local.root_url)
    # Opening it, as a preview of a link does, uses nothing.
    anyone.send("HEAD", path)
    page = anyone.open(path)
    assert "Signed in" not in page.text
    other = Visitor(local).open(path)
    assert "Signed in as static/taskcluster/root" in anyone.submit(page, "/signin").text
    assert path.partition("code=")[2] not in anyone.open("/").html
    refused = anyone.open(path)
    assert (refused.status, "used already" in refused.text) == (401, True)
    late = Visitor(local)
    late.open("/")
    assert late.send("POST", "/signin", b"code=x", FORM).status == 403
    assert other.status == 200


@pytest.mark.once
def test_serve_prints_an_address_on_a_terminal() -> None:
    shown, process_end = os.openpty()
    command = "import sys; from taskcluster_local.cli import main; sys.exit(main())"
    with subprocess.Popen([sys.executable, "-c", command, "serve"], stdout=process_end) as process:
        os.close(process_end)
        with open(shown, encoding="utf-8") as lines:
            line = next(line for line in lines if line.startswith("# sign in"))
            assert re.fullmatch(
                r"# sign in to the web page once at http://127\.0\.0\.1:\d+/signin\?code=[\w-]{43}\n", line
            )
            process.terminate()


# Creating a client for a program


def create_client(visitor: Visitor, query: str, **fields: str) -> VisitedPage:
    return visitor.post(visitor.open(f"/auth/clients/create?{query}"), "/auth/clients/create", **fields)


def test_a_program_gets_a_client(local: LocalTaskcluster, root: Visitor) -> None:
    query = "name=for-me&expires=1d&scope=queue:*&scope=secrets:get:x&description=d&callback_url=http://localhost:8/p"
    page = root.open(f"/auth/clients/create?{query}")
    assert "form-action 'self' http://localhost:8;" in page.headers["content-security-policy"]
    location = root.post(page, "/auth/clients/create").headers["location"]
    found = re.fullmatch(r"http://localhost:8/p\?clientId=taskcluster/root/for-me&accessToken=([\w-]+)", location)
    assert found is not None
    options = {
        "rootUrl": local.root_url,
        "credentials": {"clientId": "taskcluster/root/for-me", "accessToken": found[1]},
    }
    auth = taskcluster.Auth(options)
    assert {"queue:*", "secrets:get:x"} <= set(auth.currentScopes()["scopes"])
    client = auth.client("taskcluster/root/for-me")
    assert (client["description"], client["deleteOnExpiration"]) == ("d", True)


def test_a_client_gets_no_more_scopes_than_its_creator(local: LocalTaskcluster, anyone: Visitor) -> None:
    auth = taskcluster.Auth(local.options())
    scopes = ["queue:create-task:*", "auth:create-client:site/person/*"]
    person = auth.createClient(
        "site/person", {"expires": taskcluster.fromNow("1 hour"), "description": "d", "scopes": scopes}
    )
    anyone.sign_in(person)
    page = anyone.open("/auth/clients/create?name=n&scope=queue:create-task:p&scope=secrets:get:x")
    assert "secrets:get:x" in page.text.partition("does not get them")[2]
    anyone.post(page, "/auth/clients/create")
    assert auth.client("site/person/n")["scopes"] == ["queue:create-task:p"]


def test_wildcards_mean_the_scopes_of_the_creator(local: LocalTaskcluster, anyone: Visitor) -> None:
    """`taskcluster signin` requests `*` by default."""
    auth = taskcluster.Auth(local.options())
    scopes = ["queue:create-task:a", "secrets:get:x", "auth:create-client:site/other/*"]
    expires = taskcluster.fromNow("1 hour")
    anyone.sign_in(auth.createClient("site/other", {"expires": expires, "description": "d", "scopes": scopes}))
    create_client(anyone, "name=all&expires=1d&scope=*")
    assert set(scopes) <= set(auth.client("site/other/all")["scopes"])
    create_client(anyone, "name=some&expires=1d&scope=queue:create-*")
    assert auth.client("site/other/some")["scopes"] == ["queue:create-task:a"]


@pytest.mark.once
def test_the_command_signs_in(local: LocalTaskcluster, root: Visitor, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TASKCLUSTER_")}
    environ |= {"TASKCLUSTER_ROOT_URL": local.root_url, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "taskcluster_cli", "signin", "--no-browser", "--export", "--shell", "sh"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environ
    ) as process:
        assert process.stderr is not None
        address = next(line.strip() for line in process.stderr if "/auth/clients/create" in line)
        page = root.open(address.removeprefix(local.root_url))
        response = root.post(page, "/auth/clients/create")
        assert response.status == 303
        with urllib.request.urlopen(response.headers["location"], timeout=30) as done:
            assert b"Signed in" in done.read()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = dict(line.removeprefix("export ").split("=", 1) for line in out.splitlines() if "=" in line)
    assert found["TASKCLUSTER_CLIENT_ID"].startswith("taskcluster/root/cli-")
    credentials = {"clientId": found["TASKCLUSTER_CLIENT_ID"], "accessToken": found["TASKCLUSTER_ACCESS_TOKEN"]}
    assert "*" in taskcluster.Auth({"rootUrl": local.root_url, "credentials": credentials}).currentScopes()["scopes"]


@pytest.mark.parametrize(
    "callback",
    ["http://127.0.0.1:1/", "https://evil.example/", "http://localhost.evil.example/", "http://localhost:1@evil.example/",
     "ftp://localhost/", "javascript:alert(1)", "http://localhost:1/\r\nx: y", "http://LOCALHOST:1/", "//localhost:1/"],
)  # fmt: skip
def test_credentials_are_sent_to_this_machine_only(root: Visitor, callback: str) -> None:
    page = root.open(f"/auth/clients/create?name=n&callback_url={quote(callback, safe='')}")
    assert (page.status, page.text.count("callback_url must be")) == (400, 1)
    blank = root.open("/auth/clients/create?name=n&expires=1d")
    response = root.post(blank, "/auth/clients/create", callback_url=callback)
    assert (response.status, "location" in response.headers) == (400, False)


def test_without_a_program_the_token_is_shown_once(root: Visitor) -> None:
    page = create_client(root, "name=shown&expires=1d")
    assert "taskcluster/root/shown" in page.text
    assert page.headers["cache-control"] == "no-store"


def test_a_period_that_cannot_be_understood_is_named(root: Visitor) -> None:
    page = create_client(root, "name=n&expires=1d", expires="soon")
    assert (page.status, "soon" in page.text) == (400, True)


# Tasks


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_tasks_say_is_text(local: LocalTaskcluster, root: Visitor, attack: str) -> None:
    metadata = {"name": attack, "description": attack, "owner": attack, "source": f"https://example.com/{attack}"}
    taskId = create_task(local, metadata=metadata, payload={attack: attack}, extra={attack: attack})
    dependent = create_task(local, metadata=metadata, dependencies=[taskId], taskGroupId=taskId)
    queue = taskcluster.Queue(local.options())
    queue.claimWork("site/tasks", {"workerGroup": "g", "workerId": "i", "tasks": 32})
    queue.createArtifact(
        taskId,
        "0",
        f"public/{attack if attack.isascii() else 'x'}",
        {
            "storageType": "error",
            "expires": taskcluster.fromNow("1 hour"),
            "reason": "file-missing-on-worker",
            "message": attack,
        },
    )
    for path in (
        f"/tasks/{taskId}",
        f"/tasks/{taskId}/runs/0",
        f"/tasks/{taskId}/definition",
        f"/tasks/{dependent}",
        "/",
    ):
        page = root.open(path)
        assert page.status == 200
        assert " ".join(attack.split()) in page.text
        assert_harmless(page)
    page = root.open(f"/tasks/{taskId}/runs/0/public/{quote(attack if attack.isascii() else 'x', safe='')}")
    assert page.status == 404
    assert attack in page.text
    assert_harmless(page)


def test_many_dependencies_and_dependents_are_read_in_parts(
    local: LocalTaskcluster, root: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a thousand tasks at once kept other requests waiting."""
    first = create_task(local)
    others = [create_task(local, dependencies=[first]) for _ in range(101)]
    last = create_task(local, dependencies=others)
    sizes: list[int] = []
    call = PageRequest.call

    async def recorded(page: PageRequest, *given: Any, **named: Any) -> Any:
        body = await call(page, *given, **named)
        sizes.extend(len(body[name]) for name in ("tasks", "statuses") if name in body)
        return body

    monkeypatch.setattr(PageRequest, "call", recorded)
    page = root.open(f"/tasks/{last}")
    assert set(others) <= {link.rpartition("/")[2] for link in page.links}
    page = root.open(f"/tasks/{first}")
    more = next(link for link in page.links if link.startswith("?dependents="))
    links = page.links + root.open(f"/tasks/{first}{more.partition('#')[0]}").links
    assert set(others) <= {link.rpartition("/")[2] for link in links}
    assert max(sizes) == 100


def test_a_task_can_be_opened_by_its_id_or_an_address(root: Visitor, local: LocalTaskcluster) -> None:
    taskId = create_task(local)
    for entered in (taskId, f" {taskId}\n", f"https://tc.example/tasks/{taskId}/runs/0"):
        assert root.open(f"/tasks?id={quote(entered)}").path == f"/tasks/{taskId}"
    assert root.open("/tasks?id=%3Cscript%3E").status == 200


@pytest.mark.parametrize("path", ["/tasks/{}/runs/1", "/tasks/{}/runs/x", "/tasks/{}/runs/0/public/none", "/tasks/%00"])
def test_what_does_not_exist_is_said(root: Visitor, local: LocalTaskcluster, path: str) -> None:
    page = root.open(path.format(create_task(local)))
    assert page.status in (400, 404)
    assert_harmless(page)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "http://x;script-src *//", "http://[::1"])
def test_references_lead_to_web_addresses_only(root: Visitor, local: LocalTaskcluster, url: str) -> None:
    taskId = create_task(local)
    queue = taskcluster.Queue(local.options())
    queue.claimWork("site/tasks", {"workerGroup": "g", "workerId": "i", "tasks": 32})
    expires = taskcluster.fromNow("1 hour")
    reference: Any = {"storageType": "reference", "expires": expires, "contentType": "text/plain", "url": url}
    try:
        queue.createArtifact(taskId, "0", "public/live.log", reference)
    except taskcluster.TaskclusterRestFailure:
        return
    for path in ("public/live.log", "logs/public/live.log"):
        page = root.send("GET", f"/tasks/{taskId}/runs/0/{path}")
        if page.status == 200:
            assert_harmless(page)
            assert "script-src *" not in page.headers["content-security-policy"]
        else:
            assert page.status == 400 or page.headers["location"] == url
            assert url.startswith("http") or "location" not in page.headers


def test_html_of_tasks_has_no_access_to_pages(root: Visitor, local: LocalTaskcluster) -> None:
    taskId = create_task(local)
    queue = taskcluster.Queue(local.options())
    queue.claimWork("site/tasks", {"workerGroup": "g", "workerId": "i", "tasks": 32})
    taskcluster.upload.uploadArtifactFromBuf(
        taskId=taskId,
        runId=0,
        name="public/a b.html",
        contentType="text/html",
        expires=taskcluster.fromNow("1 hour"),
        data=b"<script>alert(1)</script>",
        queueService=queue,
    )
    page = root.open(f"/tasks/{taskId}")
    link = f"/tasks/{taskId}/runs/0/public/a%20b.html"
    assert link in page.links
    assert "/storage" not in page.html
    redirect = root.send("GET", link)
    assert (redirect.status, redirect.headers["cache-control"]) == (303, "no-store")
    contents = root.send("GET", redirect.headers["location"].removeprefix(local.root_url))
    assert contents.content == b"<script>alert(1)</script>"
    # An origin of its own: without cookies, and without access to windows of pages.
    assert contents.headers["content-security-policy"] == "sandbox allow-scripts"
    assert contents.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        ("/static/site.css", 200, {}),
        ("/static/icon.svg", 200, {}),
        ("/static/none", 404, {}),
        ("/pulse-messages/stream", 200, {}),
        ("/tasks?id=VCNiTDd8SC-ozYfVoDn7Og", 303, {}),
        ("/", 421, {"Host": "<script>.example"}),
        (f"/?{'x' * 20_000}", 400, {}),
    ],
    ids=["style", "picture", "missing", "stream", "redirect", "foreign", "malformed"],
)
def test_nothing_else_is_a_page(root: Visitor, path: str, status: int, headers: dict[str, str]) -> None:
    response = root.send("HEAD" if "stream" in path else "GET", path, None, headers)
    assert response.status == status
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in response.headers
