"""Tests of the github service with repositories and builds that the test adds."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from taskcluster_local.deployment import Configuration, Deployment
from taskcluster_local.errors import ApiError
from taskcluster_local.events import Binding

GITHUB = "/api/github/v1"
SHA = "a" * 40
DELIVERY = "12345678-1234-1234-1234-123456789abc"


# Repositories and builds


def build(site: Any, taskGroupId: str, repository: str = "repo", **fields: Any) -> None:
    site.deployment.shared.github.add_build("Org", repository, fields.pop("sha", SHA), taskGroupId, **fields)


def test_lists_added_builds(site: Any, slug: Any) -> None:
    build(site, slug(1), "some.repo", eventId=DELIVERY, created="2029-01-01T00:00:00Z", state="success")
    assert site.ok("GET", f"{GITHUB}/builds") == {
        "builds": [
            {
                "taskGroupId": slug(1),
                "organization": "Org",
                "repository": "some%repo",
                "sha": SHA,
                "state": "success",
                "eventType": "push",
                "eventId": DELIVERY,
                "created": "2029-01-01T00:00:00.000Z",
                "updated": "2029-01-01T00:00:00.000Z",
            }
        ]
    }
    assert len(site.ok("GET", f"{GITHUB}/builds?organization=Org&repository=some.repo")["builds"]) == 1


def found(site: Any, query: str) -> list[str]:
    return [each["taskGroupId"] for each in site.ok("GET", f"{GITHUB}/builds{query}")["builds"]]


def test_filters_builds(site: Any, slug: Any) -> None:
    build(site, slug(1))
    site.clock.advance(seconds=1)
    build(site, slug(2), "other", pullRequestNumber=7)
    build(site, slug(3), sha="b" * 40)
    assert found(site, "") == [slug(3), slug(2), slug(1)]
    assert found(site, "?organization=Org&repository=repo") == [slug(3), slug(1)]
    assert found(site, f"?organization=Org&repository=repo&sha={SHA}") == [slug(1)]
    assert found(site, "?organization=Org&pullRequest=7") == [slug(2)]
    assert found(site, "?organization=nobody") == []
    first = site.ok("GET", f"{GITHUB}/builds?limit=2")
    assert found(site, f"?limit=2&continuationToken={first['continuationToken']}") == [slug(1)]
    assert site.call("GET", f"{GITHUB}/builds?repository=repo").code == "InputError"
    assert site.call("GET", f"{GITHUB}/builds?organization=Org&sha={SHA}").code == "InputError"
    assert site.call("GET", f"{GITHUB}/builds?pullRequest=x").code == "InvalidRequestArguments"
    assert site.call("GET", f"{GITHUB}/builds", by=None).status == 403


@pytest.mark.parametrize(
    "change", [{"sha": "a"}, {"state": "fine"}, {"eventId": "x"}, {"created": "yesterday"}, {"repository": "a b"}]
)
def test_rejects_invalid_build(site: Any, slug: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="InputError"):
        build(site, slug(1), **change)
    with pytest.raises(ApiError, match="not a taskGroupId"):
        build(site, "x")
    assert site.ok("GET", f"{GITHUB}/builds") == {"builds": []}


def test_cancels_builds(site: Any, slug: Any, task: Any) -> None:
    definition = task(taskGroupId=slug(1), schedulerId="s")
    site.ok("PUT", f"/api/queue/v1/task/{slug(5)}", definition)
    build(site, slug(1))
    build(site, slug(2), sha="b" * 40)
    build(site, slug(3), state="success")
    site.clock.advance(seconds=1)
    body = site.ok("POST", f"{GITHUB}/builds/Org/repo/cancel?sha={SHA}")
    assert [(each["taskGroupId"], each["state"], each["updated"]) for each in body["builds"]] == [
        (slug(1), "cancelled", site.clock.at())
    ]
    run = site.ok("GET", f"/api/queue/v1/task/{slug(5)}/status")["status"]["runs"][-1]
    assert run["reasonResolved"] == "canceled"
    # The second build has no tasks; the third is finished.
    assert [each["taskGroupId"] for each in site.ok("POST", f"{GITHUB}/builds/Org/repo/cancel")["builds"]] == [slug(2)]
    assert site.call("POST", f"{GITHUB}/builds/Org/repo/cancel").code == "ResourceNotFound"


def test_returns_404_if_nothing_to_cancel(site: Any, slug: Any) -> None:
    build(site, slug(1), state="success")
    assert site.call("POST", f"{GITHUB}/builds/Org/repo/cancel").code == "ResourceNotFound"
    assert site.call("POST", f"{GITHUB}/builds/Org/repo/cancel", by="nobody").status == 403


def test_reports_whether_app_is_installed(site: Any) -> None:
    site.deployment.shared.github.add_repository("Org", "in.side")
    site.deployment.shared.github.add_repository("Org", "outside", installed=False)
    for name, installed in (("in.side", True), ("outside", False), ("unknown", False)):
        assert site.ok("GET", f"{GITHUB}/repository/Org/{name}") == {"installed": installed}


def test_redirects_to_latest_build(site: Any, slug: Any) -> None:
    build(site, slug(1), branch="main", state="failure")
    site.clock.advance(seconds=1)
    build(site, slug(2), branch="main", state="success")
    build(site, slug(3), branch="other")
    response = site.call("GET", f"{GITHUB}/repository/Org/repo/main/latest")
    assert (response.status, response.headers["location"]) == (
        302,
        f"http://tc.example.com:8080/tasks/groups/{slug(2)}",
    )
    assert site.call("GET", f"{GITHUB}/repository/Org/repo/none/latest").code == "ResourceNotFound"


@pytest.mark.parametrize(("branch", "shown"), [("main", "success"), ("none", "no builds")])
def test_badge_shows_state(site: Any, slug: Any, branch: str, shown: str) -> None:
    build(site, slug(1), branch="main", state="success")
    response = site.call("GET", f"{GITHUB}/repository/Org/repo/{branch}/badge.svg")
    assert (response.status, response.headers["content-type"].partition(";")[0]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(response.content)[0].text == f"taskcluster: {shown}"


def test_stores_statuses_and_comments(site: Any) -> None:
    github = site.deployment.shared.github
    github.add_repository("Org", "repo")
    path = f"{GITHUB}/repository/Org/repo"
    assert site.ok("POST", f"{path}/statuses/{SHA}", {"state": "pending", "context": "c"}) == {}
    assert site.ok("POST", f"{path}/issues/12/comments", {"body": "hello \ud800"}) == {}
    at = {"organization": "Org", "repository": "repo", "created": site.clock.at()}
    rest = {"context": "c", "description": None, "target_url": None}
    assert github.statuses == [{**at, "sha": SHA, "state": "pending", **rest}]
    assert github.comments == [{**at, "number": 12, "body": "hello \ufffd"}]
    assert site.call("POST", f"{path}/issues/x/comments", {"body": ""}).code == "InvalidRequestArguments"
    elsewhere = f"{GITHUB}/repository/Org/other"
    assert site.call("POST", f"{elsewhere}/statuses/{SHA}", {"state": "error"}).status == 404
    assert site.call("POST", f"{elsewhere}/issues/1/comments", {"body": ""}).status == 404


# Webhooks


def event(**fields: Any) -> dict[str, Any]:
    return {
        "repository": {"name": "some.repo", "owner": {"login": "Org"}},
        "installation": {"id": 5},
        "sender": {"login": "someone"},
        **fields,
    }


SIDE = {"ref": "change", "sha": SHA, "user": {"login": "someone"}}
PULL = event(action="opened", number=3, pull_request={"head": SIDE, "base": {**SIDE, "ref": "main"}})
PUSH = event(ref="refs/heads/feature/x", before="0" * 40, after=SHA)
RELEASE = event(action="published", release={"tag_name": "v1", "target_commitish": "main"})
# GitHub Enterprise has owners like this one.
NAMED = {**PUSH, "repository": {"name": "some.repo", "owner": {"name": "Org", "email": "org@example.com"}}}
RERUN = event(action="rerequested", check_run={"id": 8, "check_suite": {"id": 9}})


def skipping(text: str) -> dict[str, Any]:
    return {**PUSH, "head_commit": {"message": text}}


def deliver(site: Any, kind: str | None, body: Any, **headers: str) -> Any:
    given = {"X-GitHub-Event": kind, "X-GitHub-Delivery": DELIVERY} if kind is not None else {}
    return site.call("POST", f"{GITHUB}/github", body, by=None, headers={**given, **headers})


def heard(site: Any) -> list[Any]:
    messages: list[Any] = []
    names = ("push", "pull-request", "release", "rerun")
    bindings = [Binding(f"exchange/taskcluster-github/v1/{name}", "#") for name in names]
    site.deployment.events.subscribe(bindings, messages.append)
    return messages


@pytest.mark.parametrize(
    ("kind", "body", "exchange", "key", "branch", "schema"),
    [
        ("push", PUSH, "push", "primary.Org.some%repo", "feature/x", "github-push-message"),
        ("pull_request", PULL, "pull-request", "primary.Org.some%repo.opened", "change", "github-pull-request-message"),
        ("release", RELEASE, "release", "primary.Org.some%repo", "main", "github-release-message"),
        ("check_run", RERUN, "rerun", "primary.Org.some%repo", None, "github-rerun-message"),
        # These contain no instruction to skip.
        ("push", skipping("skip ci"), "push", "primary.Org.some%repo", "feature/x", "github-push-message"),
        ("push", NAMED, "push", "primary.Org.some%repo", "feature/x", "github-push-message"),
        (
            "pull_request",
            {**PULL, "pull_request": {**PULL["pull_request"], "title": "t", "body": "[skip ci]"}},
            "pull-request",
            "primary.Org.some%repo.opened",
            "change",
            "github-pull-request-message",
        ),
    ],
)
def test_publishes_events(
    site: Any, kind: str, body: Any, exchange: str, key: str, branch: str | None, schema: str
) -> None:
    messages = heard(site)
    assert deliver(site, kind, body).status == 204
    (message,) = messages
    assert (message.exchange.rpartition("/")[2], message.routingKey) == (exchange, key)
    assert (message.payload["body"], message.payload.get("branch")) == (body, branch)
    assert (message.payload["installationId"], message.payload["eventId"]) == (5, DELIVERY)
    assert not site.deployment.api.schemas.schema(f"github/v1/{schema}.json").errors(message.payload)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("ping", {}),
        ("push", {**PUSH, "deleted": True}),
        ("push", skipping("Words [skip ci]")),
        ("push", skipping("[CI Skip]\n\nWords")),
        ("pull_request", {**PULL, "pull_request": {**PULL["pull_request"], "title": "[Skip CI] Words"}}),
        ("check_run", {**RERUN, "action": "created"}),
        ("fork", PUSH),
        ("star", event(action="created")),
        ("installation", {"action": "created", "installation": {"id": 5}}),
        ("issue_comment", event(action="deleted", comment={"body": "/taskcluster x"})),
        ("issue_comment", event(action="created", comment={"body": "/taskcluster x"})),
        ("of_the_future", {}),
    ],
)
def test_ignores_other_events(site: Any, kind: str, body: Any) -> None:
    messages = heard(site)
    assert deliver(site, kind, body).status == 204
    assert messages == []


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (None, PUSH, "MalformedPayload"),
        ("push", [], "MalformedPayload"),
        ("push", event(), "InputError"),
        ("push", {**PUSH, "installation": None}, "InputError"),
        ("push", {**PUSH, "repository": {"name": "a b", "owner": {"login": "Org"}}}, "InputError"),
        ("pull_request", {**PULL, "action": "x" * 300}, "InputError"),
        ("pull_request", {**PULL, "action": "a.b"}, "InputError"),
    ],
)
def test_rejects_invalid_events(site: Any, kind: str | None, body: Any, code: str) -> None:
    messages = heard(site)
    response = deliver(site, kind, body)
    assert (response.status, response.code, messages) == (400, code, [])


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("refs/heads/main", {"event.type": "push", "event.base.repo.branch": "main", "event.head.tag": None}),
        ("refs/tags/v1/x", {"event.type": "tag", "event.head.tag": "v1/x", "event.base.repo.branch": None}),
    ],
)
def test_publishes_pushed_tag_as_tag_event(site: Any, ref: str, expected: dict[str, Any]) -> None:
    messages = heard(site)
    deliver(site, "push", {**PUSH, "ref": ref})
    details = messages[0].payload["details"]
    assert {name: details.get(name) for name in expected} == expected


def test_checks_signature(site: Any, tmp_path: Path) -> None:
    configuration = Configuration("r" * 44, clock=site.clock, github_webhook_secret="hush")
    site.deployment = Deployment(configuration, site.store, tmp_path, "http://tc.example.com:8080")
    content = json.dumps(PUSH).encode()
    messages = heard(site)
    for algorithm, name in (("sha256", "X-Hub-Signature-256"), ("sha1", "X-Hub-Signature")):
        right, wrong = (hmac.new(key, content, algorithm).hexdigest() for key in (b"hush", b"other"))
        assert deliver(site, "push", PUSH, **{name: f"{algorithm}={right}"}).status == 204
        assert "does not match" in deliver(site, "push", PUSH, **{name: f"{algorithm}={wrong}"}).message
    assert "not signed" in deliver(site, "push", PUSH).message
    assert len(messages) == 2


# .taskcluster.yml


FILE = """
version: 1
reporting: checks-v1
policy: {pullRequests: public}
tasks:
  $if: 'tasks_for == "github-push"'
  then:
    - $let: {id: {$eval: 'as_slugid("a")'}}
      in:
        taskId: {$eval: id}
        provisionerId: p
        workerType: w
        payload: {since: 2020-01-01, sha: "${event.after}", root: "${taskcluster_root_url}"}
    - dependencies: [{$eval: 'as_slugid("a")'}]
      routes: [checks, index.x]
      metadata: {name: "${event.repository.full_name} ${event.ref}"}
"""


def rendered(site: Any, text: str, **options: Any) -> Any:
    payload = {"body": text, "fakeEvent": {"type": "github-push"}, **options}
    return site.call("POST", f"{GITHUB}/taskcluster-yml", payload, by=None)


def test_renders_file(site: Any) -> None:
    response = rendered(site, FILE, organization="Org", repository="some.repo")
    assert response.status == 200, response.content
    first, second = response.json["tasks"]
    assert first["task"]["payload"]["since"] == "2020-01-01"
    assert first["task"]["payload"]["root"] == "http://tc.example.com:8080"
    assert ("created" in first["task"], first["task"]["routes"]) == (False, ["checks"])
    assert second["task"]["dependencies"] == [first["taskId"]]
    assert second["task"]["routes"] == ["checks", "index.x"]
    assert second["task"]["metadata"]["name"] == "Org/some.repo refs/heads/main"
    assert first["task"]["taskGroupId"] == second["task"]["taskGroupId"]
    assert response.json["scopes"] == [
        "assume:repo:github.com/Org/some.repo:branch:main",
        "queue:route:checks",
        "queue:scheduler-id:taskcluster-github",
    ]


@pytest.mark.parametrize(
    ("fake", "role"),
    [
        ({"type": "github-push", "overrides": {"ref": "refs/tags/v1"}}, "tag:v1"),
        ({"type": "github-pull-request", "action": "opened"}, "pull-request"),
        ({"type": "github-pull-request-untrusted", "action": "opened"}, "pull-request-untrusted"),
        ({"type": "github-release", "action": "published"}, "release:published"),
        ({"type": "github-issue-comment", "action": "created"}, "issue-comment"),
    ],
)
def test_renders_scopes_of_event(site: Any, fake: dict[str, Any], role: str) -> None:
    text = "version: 1\ntasks: [{metadata: {name: '${event.sender.login}'}}]"
    response = rendered(
        site, text, fakeEvent={**fake, "overrides": {"sender": {"login": "me"}, **fake.get("overrides", {})}}
    )
    assert response.json["scopes"][0].endswith(f":{role}")
    (only,) = response.json["tasks"]
    assert only["taskId"] == only["task"]["taskGroupId"]
    assert only["task"]["metadata"]["name"] == "me"


def test_renders_file_without_tasks(site: Any) -> None:
    assert rendered(site, FILE, fakeEvent={"type": "github-release", "action": "created"}).json["tasks"] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "version: 0",
        "version: 1",
        "version: 2",
        "version: '1'",
        "version: true",
        "version: [1]",
        "version: 1\ntasks: []\ntasks: []",
        "version: 1\nmetadata: {}",
        "version: 1\ntasks: [1]",
        "version: 1\nhooks: [a/b]",
        "version: 1\nhooks: [{name: a}]",
        "version: 1\nhooks: [{name: a/b, payload: {}}]",
        "version: 1\nhooks: [{name: a/b, context: 1}]",
        "version: 1\npolicy: {pullRequests: anyone}",
        "version: 1\npolicy: {pullRequests: public, pushes: public}",
        "version: 1\npolicy: {$if: 'true', then: {pullRequests: public}}",
        "version: 1\nautoCancelPreviousChecks: 1",
        "version: 1\ntasks: [{taskId: 1}]",
        "version: 1\ntasks: {$eval: nothing}",
        "version: 1\ntasks: {$eval: 'as_slugid()'}",
        "version: 1\ntasks: x",
        "version: 1\ntasks: [{routes: 1}]",
        "version: 1\nother: 1",
        "version: 1\nreporting: [1]",
        "version: 1\nreporting: x",
        "version: 1\ntasks: .nan",
        "version: 1\ntasks: &a [*a]",
        "? [1]\n: 2",
        "!!binary aGk=",
        "version: 1\ntasks: " + "[" * 2000,
        "version: 1\ntasks: " + "[" * 300 + "]" * 300,
        "!!timestamp x",
        "{$if: 'true', then: [1], version: 1}",
        "version: 1\ntasks: [{$eval: '1/0'}]",
    ],
)
def test_rejects_invalid_file(site: Any, text: str) -> None:
    response = rendered(site, text)
    assert (response.status, response.code) == (400, "InputError"), response.content
