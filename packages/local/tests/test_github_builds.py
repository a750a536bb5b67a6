"""Tests that GitHub events create tasks and builds as the repository's `.taskcluster.yml` specifies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from taskcluster_local.events import Binding

GITHUB = "/api/github/v1"
QUEUE = "/api/queue/v1"
SHA = "a" * 40
DELIVERY = "12345678-1234-1234-1234-123456789abc"
FILE = """
version: 1
policy: {pullRequests: %s}
tasks:
  $map: {$if: 'tasks_for == "github-push"', then: [build, test], else: [build]}
  each(name):
    taskId: {$eval: as_slugid(name)}
    taskGroupId: {$eval: as_slugid("build")}
    dependencies: {$if: 'name == "test"', then: [{$eval: as_slugid("build")}], else: []}
    provisionerId: p
    workerType: w
    created: {$fromNow: ''}
    deadline: {$fromNow: 1 day}
    payload: {}
    metadata:
      name: "${name} for ${tasks_for}"
      description: "${event.repository.full_name}"
      owner: me@example.com
      source: https://example.com
"""
ROLE = ["queue:create-task:lowest:p/w", "queue:create-task:project:none"]


@pytest.fixture
def site(new_site: Any) -> Any:
    with new_site(roles={"repo:github.com/Org/some.repo:*": ROLE}) as made:
        made.deployment.shared.github.add_repository("Org", "some.repo", taskclusterYml=FILE % "collaborators")
        yield made


def event(**fields: Any) -> dict[str, Any]:
    owner = {"login": "Org"}
    return {
        "repository": {"name": "some.repo", "full_name": "Org/some.repo", "owner": owner},
        "installation": {"id": 5},
        "sender": {"login": "someone"},
        **fields,
    }


def pull(association: str) -> dict[str, Any]:
    side = {"ref": "change", "sha": SHA, "user": {"login": "someone"}}
    request = {"head": side, "base": {**side, "ref": "main"}, "author_association": association}
    return event(action="opened", number=3, pull_request=request)


PUSH = event(ref="refs/heads/main", before="0" * 40, after=SHA)


def deliver(site: Any, kind: str, body: Any) -> None:
    headers = {"X-GitHub-Event": kind, "X-GitHub-Delivery": DELIVERY}
    assert site.call("POST", f"{GITHUB}/github", body, by=None, headers=headers).status == 204


def builds(site: Any) -> list[Any]:
    return list(site.ok("GET", f"{GITHUB}/builds")["builds"])


def members(site: Any, taskGroupId: str) -> dict[str, Any]:
    """The tasks of a group with their status, by the first word of their names."""
    listed = site.ok("GET", f"{QUEUE}/task-group/{taskGroupId}/list")["tasks"]
    return {each["task"]["metadata"]["name"].split()[0]: each for each in listed}


def finish(site: Any, outcome: str = "completed", payload: Any = None) -> None:
    claim = site.ok("POST", f"{QUEUE}/claim-work/p/w", {"workerGroup": "g", "workerId": "i"})["tasks"][0]
    path = f"{QUEUE}/task/{claim['status']['taskId']}/runs/{claim['runId']}/{outcome}"
    site.ok("POST", path, payload)


def state(site: Any) -> str:
    (build,) = builds(site)
    return str(build["state"])


def test_push_creates_tasks_and_build(site: Any) -> None:
    requested: list[Any] = []
    bindings = [
        Binding(f"exchange/taskcluster-github/v1/{name}", "#") for name in ("push", "task-group-creation-requested")
    ]
    site.deployment.events.subscribe(bindings, requested.append)
    deliver(site, "push", PUSH)
    (build,) = builds(site)
    assert (build["state"], build["sha"], build["eventType"], build["eventId"]) == ("pending", SHA, "push", DELIVERY)
    _, message = requested
    assert message.routingKey == "primary.Org.some%repo"
    assert message.payload == {
        "taskGroupId": build["taskGroupId"],
        "organization": "Org",
        "repository": "some%repo",
        "version": 1,
    }
    tasks = members(site, build["taskGroupId"])
    assert tasks["build"]["task"]["metadata"]["name"] == "build for github-push"
    assert tasks["build"]["task"]["routes"] == ["statuses"]
    assert (tasks["build"]["status"]["state"], tasks["test"]["status"]["state"]) == ("pending", "unscheduled")
    assert site.call("GET", f"{GITHUB}/repository/Org/some.repo/main/latest").status == 302
    finish(site)
    assert state(site) == "pending"
    finish(site)
    assert state(site) == "success"


def test_failed_build_is_pending_after_rerun(site: Any) -> None:
    deliver(site, "push", PUSH)
    finish(site, "failed")
    assert state(site) == "failure"
    tasks = members(site, builds(site)[0]["taskGroupId"])
    site.ok("POST", f"{QUEUE}/task/{tasks['build']['status']['taskId']}/rerun")
    assert state(site) == "pending"
    finish(site, "exception", {"reason": "worker-shutdown"})
    assert state(site) == "pending"
    finish(site)
    finish(site)
    assert state(site) == "success"


def test_build_fails_if_task_of_group_failed(site: Any) -> None:
    deliver(site, "push", PUSH)
    group = builds(site)[0]["taskGroupId"]
    finish(site, "failed")
    tasks = members(site, group)
    site.ok("POST", f"{QUEUE}/task/{tasks['test']['status']['taskId']}/schedule")
    assert state(site) == "pending"
    finish(site)
    assert state(site) == "failure"


def test_cancelled_build_stays_cancelled(site: Any) -> None:
    deliver(site, "push", PUSH)
    cancelled = site.ok("POST", f"{GITHUB}/builds/Org/some.repo/cancel")["builds"]
    assert [each["state"] for each in cancelled] == ["cancelled"]
    assert state(site) == "cancelled"
    tasks = members(site, builds(site)[0]["taskGroupId"])
    assert {each["status"]["runs"][-1]["reasonResolved"] for each in tasks.values()} == {"canceled"}


def test_release_creates_tasks(site: Any) -> None:
    deliver(site, "release", event(action="published", release={"tag_name": "v1", "target_commitish": "main"}))
    (build,) = builds(site)
    assert build["eventType"] == "release"
    assert members(site, build["taskGroupId"])["build"]["task"]["metadata"]["name"] == "build for github-release"


@pytest.mark.parametrize(
    ("policy", "association", "made_for"),
    [
        ("public", "NONE", "github-pull-request"),
        ("public_restricted", "NONE", "github-pull-request-untrusted"),
        ("public_restricted", "MEMBER", "github-pull-request"),
        ("collaborators", "COLLABORATOR", "github-pull-request"),
        ("collaborators", "CONTRIBUTOR", None),
        ("collaborators_quiet", "NONE", None),
    ],
)
def test_policy_decides_on_tasks_of_pull_requests(
    site: Any, policy: str, association: str, made_for: str | None
) -> None:
    github = site.deployment.shared.github
    github.add_repository("Org", "some.repo", taskclusterYml=FILE % policy)
    deliver(site, "pull_request", pull(association))
    assert len(github.comments) == (1 if made_for is None and policy == "collaborators" else 0)
    if made_for is None:
        assert builds(site) == []
        return
    (build,) = builds(site)
    assert (build["pullRequestNumber"], build["eventType"]) == (3, "pull_request.opened")
    task = members(site, build["taskGroupId"])["build"]["task"]
    assert task["metadata"]["name"] == f"build for {made_for}"


def test_tasks_are_limited_to_scopes_of_event(new_site: Any) -> None:
    with new_site(roles={"repo:github.com/Org/some.repo:branch:main": ROLE}) as site:
        github = site.deployment.shared.github
        github.add_repository("Org", "some.repo", taskclusterYml=FILE % "public")
        deliver(site, "push", {**PUSH, "ref": "refs/heads/other"})
        deliver(site, "pull_request", pull("OWNER"))
        assert builds(site) == []
        assert [each["state"] for each in github.statuses] == ["error", "error"]
        assert "does not have sufficient scopes" in github.statuses[0]["description"]
        (comment,) = github.comments
        assert (comment["number"], "queue:create-task" in comment["body"]) == (3, True)
        deliver(site, "push", PUSH)
        assert len(builds(site)) == 1


def test_cancels_tasks_if_others_are_rejected(site: Any) -> None:
    text = FILE.replace("provisionerId: p", "provisionerId: {$if: 'name == \"test\"', then: other, else: p}")
    site.deployment.shared.github.add_repository("Org", "some.repo", taskclusterYml=text % "public")
    deliver(site, "push", PUSH)
    (build,) = builds(site)
    assert build["state"] == "error"
    (only,) = members(site, build["taskGroupId"]).values()
    assert only["status"]["runs"][-1]["reasonResolved"] == "canceled"


def test_reports_file_that_cannot_be_rendered(site: Any) -> None:
    github = site.deployment.shared.github
    github.add_repository(
        "Org", "some.repo", taskclusterYml="version: 1\npolicy: {pullRequests: public}\ntasks: {$eval: no}"
    )
    deliver(site, "pull_request", pull("NONE"))
    assert (builds(site), github.statuses[0]["sha"], github.statuses[0]["state"]) == ([], SHA, "error")
    assert "cannot be rendered" in github.comments[0]["body"]


def test_creates_no_tasks_without_file(site: Any) -> None:
    github = site.deployment.shared.github
    for known in ({"taskclusterYml": None}, {"installed": False, "taskclusterYml": FILE % "public"}):
        github.add_repository("Org", "some.repo", **known)
        deliver(site, "push", PUSH)
    assert (builds(site), github.statuses) == ([], [])


@pytest.mark.parametrize("text", ["", "version: 2", "version: [1]", "[", "version: 1\npolicy: {pullRequests: anyone}"])
def test_rejects_invalid_file_of_repository(site: Any, text: str) -> None:
    repository = {"organization": "Org", "repository": "some.repo", "taskclusterYml": text}
    response = site.call("PUT", "/api/local/v1/repository", repository)
    assert (response.status, response.code) == (400, "InputError")


def test_publishes_changed_file_only(site: Any) -> None:
    heard: list[dict[str, Any]] = []
    binding = Binding("exchange/taskcluster-github/v1/taskcluster-yml-update", "primary.Org.my%repo")
    site.deployment.events.subscribe([binding], lambda message: heard.append(message.payload))
    for installed, text in ((True, "version: 1"), (False, "version: 1"), (True, "version: 1 # new"), (True, None)):
        site.deployment.shared.github.add_repository("Org", "my.repo", installed=installed, taskclusterYml=text)
    assert heard == [{"organization": "Org", "repository": "my%repo"}] * 3


def push_file(site: Any, file: dict[str, Any], **event: Any) -> None:
    site.deployment.shared.github.add_repository("Org", "some.repo", taskclusterYml=json.dumps(file))
    deliver(site, "push", {**PUSH, **event})


def definition(**more: Any) -> dict[str, Any]:
    metadata = {"name": "n", "description": "d", "owner": "me@example.com", "source": "https://example.com"}
    dates = {"created": {"$fromNow": ""}, "deadline": {"$fromNow": "1 hour"}}
    return {"taskQueueId": "p/w", **dates, "payload": {}, "metadata": metadata, **more}


def test_creates_tasks_after_their_dependencies(site: Any) -> None:
    first, second = {"$eval": "as_slugid('a')"}, {"$eval": "as_slugid('b')"}
    last = definition(taskId=second, dependencies=[first, second])
    push_file(
        site, {"version": 1, "tasks": [last, definition(taskId=first), definition(taskId=first, payload={"x": 1})]}
    )
    listed = site.ok("GET", f"{QUEUE}/task-group/{builds(site)[0]['taskGroupId']}/list")["tasks"]
    assert sorted((len(each["task"]["dependencies"]), each["task"]["payload"]) for each in listed) == [
        (0, {"x": 1}),
        (2, {}),
    ]


def test_pushed_tag_has_its_own_event_type(new_site: Any) -> None:
    with new_site(roles={"repo:github.com/Org/some.repo:tag:v1": ROLE}) as site:
        push_file(site, {"version": 1, "tasks": [definition()]}, ref="refs/tags/v1")
        assert [each["eventType"] for each in builds(site)] == ["tag"]


def test_version_0_file_creates_tasks(site: Any) -> None:
    task = definition(provisionerId="p", workerType="w", extra={"github": {"events": ["push"]}})
    del task["taskQueueId"], task["created"], task["deadline"]
    task["metadata"]["name"] = "v0 {{event.head.sha}}"
    push_file(site, {"version": 0, "metadata": task["metadata"], "tasks": [task]})
    (only,) = members(site, builds(site)[0]["taskGroupId"]).values()
    assert only["task"]["metadata"]["name"] == f"v0 {SHA}"


@pytest.mark.parametrize("name", ["created", "deadline"])
def test_tasks_without_dates_are_rejected(site: Any, name: str) -> None:
    task = definition()
    del task[name]
    push_file(site, {"version": 1, "tasks": [task]})
    assert builds(site) == []
    assert "Schema Validation Failed" in site.deployment.shared.github.statuses[0]["description"]


def test_invalid_files_are_reported_and_create_nothing(site: Any) -> None:
    push_file(site, {"version": 1, "tasks": [definition()], "metadata": {}})
    assert (builds(site), site.deployment.shared.github.statuses[0]["state"]) == ([], "error")


def test_hooks_are_triggered_after_tasks(new_site: Any) -> None:
    role = [*ROLE, "hooks:trigger-hook:g/*"]
    roles = {"repo:github.com/Org/some.repo:*": role, "hook-id:g/h": [*ROLE, "queue:scheduler-id:-"]}
    with new_site(roles=roles) as site:
        metadata = {"name": "h", "description": "d", "owner": "me@example.com"}
        task = definition(
            metadata={**definition()["metadata"], "name": "${payload.tasks_for} ${payload.n} ${payload.event.ref}"}
        )
        hook = {"metadata": metadata, "task": task, "triggerSchema": {"type": "object"}}
        site.ok("PUT", "/api/hooks/v1/hooks/g/h", hook)
        named = {"name": "g/h", "context": {"n": {"$eval": "10/5"}}}
        missing = {"name": "g/missing"}
        for file in ({"hooks": [named]}, {"hooks": [missing, named], "tasks": [definition()]}):
            push_file(site, {"version": 1, **file})
        fires = site.ok("GET", "/api/hooks/v1/hooks/g/h/last-fires")["lastFires"]
        assert [(each["firedBy"], each["result"]) for each in fires] == [("triggerHook", "success")] * 2
        made = site.ok("GET", f"{QUEUE}/task/{fires[0]['taskId']}")
        assert made["metadata"]["name"] == "github-push 2 refs/heads/main"
        # The missing hook does not cancel the tasks.
        assert [each["state"] for each in builds(site)] == ["pending"]
        assert "g/missing" in site.deployment.shared.github.statuses[0]["description"]


@pytest.fixture
def many(site: Any) -> Any:
    """A delivery that makes 50 tasks."""
    person = "{name: n, description: d, owner: me@example.com, source: 'https://example.com'}"
    one = "{taskQueueId: p/w, created: {$fromNow: ''}, deadline: {$fromNow: 1 day}, payload: {}, metadata: %s}"
    file = f"version: 1\ntasks:\n  $map: {{$eval: 'range(0, 50)'}}\n  each(number): {one % person}\n"
    site.deployment.shared.github.add_repository("Org", "some.repo", taskclusterYml=file)
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": DELIVERY}
    return site.request("POST", f"{GITHUB}/github", PUSH, by=None, headers=headers)


def numbers_during(site: Any, request: Any, query: str) -> set[int]:
    """Return the numbers that a query returns at each step of the event loop while a request is handled."""

    async def scenario() -> set[int]:
        seen: set[int] = set()
        sending = asyncio.ensure_future(site.send(request))
        while not sending.done():
            seen.add(site.store.one(query)["number"])
            await asyncio.sleep(0)
        return seen

    return asyncio.run(scenario())


def test_serves_others_while_creating_tasks(site: Any, many: Any) -> None:
    assert len(numbers_during(site, many, "SELECT count(*) AS number FROM tasks")) > 40


def test_serves_others_while_cancelling_tasks(site: Any, many: Any) -> None:
    text = site.deployment.shared.github.taskcluster_yml("Org", "some.repo").replace("range(0, 50)", "range(0, 51)")
    # No role may create tasks in the queue of the last task.
    text = text.replace("taskQueueId: p/w", "taskQueueId: {$if: 'number < 50', then: p/w, else: other/w}")
    site.deployment.shared.github.add_repository("Org", "some.repo", taskclusterYml=text)
    query = "SELECT count(*) AS number FROM tasks WHERE state = 'exception'"
    assert len(numbers_during(site, many, query)) > 40
    (build,) = builds(site)
    listed = site.ok("GET", f"{QUEUE}/task-group/{build['taskGroupId']}/list")["tasks"]
    assert {each["status"]["runs"][-1]["reasonResolved"] for each in listed} == {"canceled"}
    assert (len(listed), build["state"]) == (50, "error")


def test_cancels_tasks_of_aborted_delivery(site: Any, many: Any) -> None:
    async def scenario() -> None:
        sending = asyncio.ensure_future(site.send(many))
        while site.store.one("SELECT count(*) AS number FROM tasks")["number"] < 5:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(scenario())
    (build,) = builds(site)
    assert build["state"] == "error"
    listed = site.ok("GET", f"{QUEUE}/task-group/{build['taskGroupId']}/list")["tasks"]
    assert {each["status"]["state"] for each in listed} == {"exception"}
