"""Tests of loading files, and of the errors in invalid files."""

from __future__ import annotations

import textwrap
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

import taskcluster
from taskcluster_local import LoadError, LocalTaskcluster
from taskcluster_local.loading import load, read

NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)

FILE = """
    secrets:
      project/x:
        secret: {password: hunter2}
        expires: 2 days
    tasks:
      test:
        taskQueueId: p/w
        dependencies: [build]
        taskGroupId: build
        metadata: &about {name: n, description: d, owner: o, source: "https://example.com"}
      build:
        taskQueueId: p/w
        metadata: *about
    """
ACCOUNTS = """
    roles:
      worker-type:p/*:
        scopes: ["queue:claim-work:<..>"]
    clients:
      project/x/bot:
        scopes: ["assume:worker-type:p/w"]
        expires: 1 month
    """
HOOKS = """
    hooks:
      project-x/nightly/one:
        metadata: {name: n, description: d, owner: o@example.com}
        task: {}
    """


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "setup.yml"
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as made:
        yield made


@pytest.fixture
def local(running: LocalTaskcluster) -> LocalTaskcluster:
    running.reset()
    return running


def task_ids(path: Path) -> dict[str, str]:
    return {item.key: item.params["taskId"] for item in read(path, NOW).items if item.kind == "tasks"}


@pytest.mark.parametrize("times", [1, 2])
def test_adds_secrets_and_tasks(local: LocalTaskcluster, write: Any, times: int) -> None:
    path = write(FILE)
    for _ in range(times):
        assert local.load(path) == {}
    ids = task_ids(path)
    with taskcluster.Queue(local.options()) as queue, taskcluster.Secrets(local.options()) as secrets:
        assert secrets.get("project/x")["secret"] == {"password": "hunter2"}
        test = queue.task(ids["test"])
        assert (test["dependencies"], test["taskGroupId"]) == ([ids["build"]], ids["build"])
        assert queue.status(ids["test"])["status"]["state"] == "unscheduled"
        assert queue.status(ids["build"])["status"]["state"] == "pending"


@pytest.mark.parametrize("times", [1, 2])
def test_adds_roles_and_clients(local: LocalTaskcluster, write: Any, times: int) -> None:
    path = write(ACCOUNTS)
    tokens = local.load(path)
    credentials = {"clientId": "project/x/bot", "accessToken": tokens["project/x/bot"]}
    for _ in range(times - 1):
        assert local.load(path) == {}
    with taskcluster.Auth({**local.options(), "credentials": credentials}) as auth:
        assert "queue:claim-work:p/w" not in auth.currentScopes()["scopes"]
        assert "queue:claim-work:w" in auth.currentScopes()["scopes"]


@pytest.mark.parametrize("times", [1, 2])
def test_adds_hooks(local: LocalTaskcluster, write: Any, times: int) -> None:
    for _ in range(times):
        local.load(write(HOOKS))
    with taskcluster.Hooks(local.options()) as hooks:
        assert hooks.hook("project-x", "nightly/one")["metadata"]["name"] == "n"


def test_accepts_mapping_and_empty_file(local: LocalTaskcluster, write: Any) -> None:
    local.load({"secrets": {"a": {"secret": {"b": 1}}}})
    with taskcluster.Secrets(local.options()) as secrets:
        assert secrets.get("a")["secret"] == {"b": 1}
    for source in ({}, {"tasks": None}, write(""), write("# nothing yet\n")):
        assert local.load(source) == {}


def test_relative_dates_use_deployment_time(local: LocalTaskcluster, write: Any) -> None:
    local.advance(days=400)
    path = write(FILE)
    local.load(path)
    with taskcluster.Queue(local.options()) as queue:
        assert queue.status(task_ids(path)["build"])["status"]["state"] == "pending"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2 days", "2030-01-03T12:00:00.000Z"),
        ("2030-02-01T00:00:00Z", "2030-02-01T00:00:00.000Z"),
        ("2030-02-01T00:00:00+01:00", "2030-01-31T23:00:00.000Z"),
        ("2030-02-01", "2030-02-01T00:00:00.000Z"),
        ("'2030-02-01T00:00:00Z'", "2030-02-01T00:00:00.000Z"),
    ],
)
def test_parses_dates(write: Any, given: str, kept: str) -> None:
    [item] = read(write(f"secrets: {{a: {{secret: {{}}, expires: {given}}}}}"), NOW).items
    assert item.payload["expires"] == kept


def test_sorts_tasks_and_derives_ids(write: Any) -> None:
    text = "".join(
        f"  {name}: {{taskQueueId: p/w, dependencies: [{needs}], metadata: "
        "{name: n, description: d, owner: o, source: 'https://x'}}\n"
        for name, needs in (("c", "b"), ("b", "a"), ("a", ""), ("Aa0bCd1eQ0C0000000000A", "c"))
    )
    ids = task_ids(write(f"tasks:\n{text}"))
    assert list(ids) == ["a", "b", "c", "Aa0bCd1eQ0C0000000000A"]
    assert ids["Aa0bCd1eQ0C0000000000A"] == "Aa0bCd1eQ0C0000000000A"
    assert len(set(ids.values())) == 4


ABOUT = "metadata: {name: n, description: d, owner: o, source: 'https://x'}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("secret: {}", r":1: secret: unknown section; .*; did you mean 'secrets'\?"),
        ("- secrets", r":1: must be a mapping with some of the keys"),
        ("secrets: [a]", r":1: secrets: must be a mapping"),
        ("secrets:\n  a: b", r":2: secrets\.a: must be a mapping"),
        ("secrets:\n  a:\n    secret: 3", r":3: secrets\.a\.secret: must be object"),
        ("secrets:\n  a: {}", r":2: secrets\.a: must have required property 'secret'"),
        ("secrets:\n  a:\n    secret: {}\n    expires: soon", r":4: secrets\.a\.expires: 'soon' must be a date or"),
        ("secrets:\n  a:\n    secret: {}\n    expires: 3", r":4: secrets\.a\.expires: 3 must be"),
        ("secrets:\n  a:\n    secret: {}\n    until: 3", r":2: secrets\.a: must NOT have additional .*until"),
        (
            "secrets:\n  a:\n    secret:\n      on: 1",
            r":4: secrets\.a\.secret\.on: keys must be strings: put on in quotes",
        ),
        (
            "secrets:\n  a:\n    secret:\n      - 1\n      - .nan",
            r":5: secrets\.a\.secret\.1: float is not a JSON type",
        ),
        (
            "secrets:\n  a:\n    secret: {day: 2030-01-01}",
            r":3: secrets\.a\.secret\.day: dates must be strings here",
        ),
        ("secrets:\n  1: {}", r":2: secrets\.1: keys must be strings: put 1 in quotes"),
        ("secrets:\n  a: {}\n  a: {}", r":3: secrets: duplicate key 'a'"),
        ("secrets: &x\n  a: *x", r":2: secrets\.a: must not contain itself"),
        ("clients:\n  a b: {}", r":2: clients\.a b: 'a b' is not a valid clientId: it must match"),
        ("clients:\n  a:\n    scopes: [x, 3]", r":3: clients\.a\.scopes\.1: must be string"),
        ("hooks:\n  lonely: {}", r":2: hooks\.lonely: '' is not a valid hookId"),
        (
            f"tasks:\n  a: {{dependencies: [b], {ABOUT}}}\n  b: {{dependencies: [a], {ABOUT}}}",
            r":[23]: tasks\.[ab]: circular dependencies: [ab] -> [ab] -> [ab]",
        ),
        ("tasks:\n  a:\n    metadata:\n      name: 3", r":[34]: tasks\.a\.metadata"),
        ("secrets: {", r":\d: "),
        ("secrets: !!python/object:os.system {}", r":1: could not determine a constructor"),
    ],
)
def test_error_names_line_and_path(write: Any, text: str, told: str) -> None:
    path = write(text)
    with pytest.raises(LoadError, match=rf"^{path}{told}"):
        read(path, NOW)


def test_error_in_mapping_names_path() -> None:
    with pytest.raises(LoadError, match=r"^the mapping: secrets\.a\.secret: must be object"):
        read({"secrets": {"a": {"secret": 3}}}, NOW)


def test_reports_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="No such file"):
        read(tmp_path / "missing.yml", NOW)
    (tmp_path / "latin.yml").write_bytes(b"secrets: \xff")
    with pytest.raises(LoadError, match="not UTF-8"):
        read(tmp_path / "latin.yml", NOW)


def test_sends_nothing_of_invalid_file(local: LocalTaskcluster, write: Any) -> None:
    path = write("secrets:\n  a: {secret: {}}\n  b: {secret: 3}")
    with pytest.raises(LoadError):
        local.load(path)
    with taskcluster.Secrets(local.options()) as secrets:
        assert secrets.list() == {"secrets": []}


def test_error_names_rejected_entry(local: LocalTaskcluster, write: Any) -> None:
    path = write(f"tasks: {{a: {{taskQueueId: p/w, deadline: 30 days, {ABOUT}}}}}")
    with pytest.raises(LoadError, match=r"^tasks\.a: .*deadline"):
        local.load(path)


YML = """
version: 1
tasks:
  - provisionerId: p
    workerType: w
    created: {$fromNow: ''}
    deadline: {$fromNow: 1 day}
    payload: {}
    metadata: {name: n, description: d, owner: o, source: "https://x.org"}
"""


@pytest.mark.parametrize("as_text", [True, False])
def test_adds_repository_whose_pushes_create_tasks(local: LocalTaskcluster, as_text: bool) -> None:
    file: Any = YML if as_text else yaml.safe_load(YML)
    role = ["queue:create-task:lowest:p/w", "queue:create-task:project:none", "queue:scheduler-id:taskcluster-github"]
    local.load(
        {
            "roles": {"repo:github.com/Org/some.repo:branch:main": {"scopes": role}},
            "repositories": {"Org/some.repo": {"taskclusterYml": file}, "Org/other": {"installed": False}},
        }
    )
    event = {
        "repository": {"name": "some.repo", "owner": {"login": "Org"}},
        "installation": {"id": 5},
        "sender": {"login": "someone"},
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": "a" * 40,
    }
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4())}
    url = f"{local.root_url}/api/github/v1/github"
    assert requests.post(url, json=event, headers=headers, timeout=30).status_code == 204
    with taskcluster.Github(local.options()) as github, taskcluster.Queue(local.options()) as queue:
        [build] = github.builds()["builds"]
        [member] = queue.listTaskGroup(build["taskGroupId"])["tasks"]
        assert (member["task"]["metadata"]["name"], member["status"]["state"]) == ("n", "pending")
        assert [github.repository("Org", name)["installed"] for name in ("some.repo", "other")] == [True, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("repositories: {a: {}}", r"repositories\.a"),
        ("repositories: {a/b/c: {}}", r"repositories\.a/b/c"),
        ("repositories: {a/b: {taskclusterYml: 'version: 2'}}", r"repositories\.a/b\.taskclusterYml: .*must be 0 or 1"),
        ("repositories: {a/b: {branch: x}}", r"repositories\.a/b"),
    ],
)
def test_rejects_invalid_repository(write: Any, text: str, told: str) -> None:
    with pytest.raises(LoadError, match=told):
        read(write(text), NOW)


def test_adding_repository_requires_scope(local: LocalTaskcluster) -> None:
    with pytest.raises(LoadError, match="local:add-repository:Org/repo"):
        load({"repositories": {"Org/repo": {}}}, local.options(["secrets:*"]), NOW)
