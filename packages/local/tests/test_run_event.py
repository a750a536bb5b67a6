"""Tests of the events that `taskcluster-local run` derives from a repository."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from taskcluster_local.run.errors import RunError
from taskcluster_local.run.event import Event, derived, recorded
from taskcluster_local.run.repository import Facts
from taskcluster_local.services.github.fake_events import NO_COMMIT

NOW = datetime(2030, 3, 1, 12, tzinfo=timezone.utc)
HEAD, PARENT = "a" * 40, "b" * 40
COMMIT = {
    "id": HEAD,
    "message": "Add a thing\n\nIt was missing.",
    "author": {"name": "Ann Author", "email": "12+ann@users.noreply.github.com"},
}
FACTS = Facts("project", "https://github.com/org/repo.git", "topic", "main", HEAD, PARENT, None, [COMMIT])
PROJECT = "https://github.com/org/repo"


def event(kind: str, facts: Facts = FACTS, branch: str | None = None, **settings: Any) -> Event:
    return derived(
        facts, kind, branch, [(name.replace("__", "."), value) for name, value in settings.items()], None, NOW
    )


def test_push() -> None:
    found = event("push")
    body = found.message["body"]
    assert (found.organization, found.repository, found.message["tasks_for"]) == ("org", "repo", "github-push")
    assert (body["ref"], body["before"], body["after"]) == ("refs/heads/topic", PARENT, HEAD)
    assert body["head_commit"]["message"] == COMMIT["message"]
    assert body["head_commit"]["url"] == f"{PROJECT}/commit/{HEAD}"
    assert body["repository"]["default_branch"] == "main"
    assert body["sender"]["login"] == body["pusher"]["name"] == "ann"
    assert found.refs == {"refs/heads/topic": HEAD}
    assert found.message["details"]["event.type"] == "push"


def test_branch_is_that_of_the_event() -> None:
    assert event("push", branch="main").message["body"]["ref"] == "refs/heads/main"
    assert event("push", replace(FACTS, branch=None)).message["body"]["ref"] == "refs/heads/main"


def test_pull_request() -> None:
    found = derived(FACTS, "pull_request", None, [], "stable", NOW)
    pull = found.message["body"]["pull_request"]
    assert found.message["tasks_for"] == "github-pull-request"
    assert found.message["body"]["action"] == "opened"
    assert (pull["head"]["ref"], pull["head"]["sha"]) == ("topic", HEAD)
    assert (pull["base"]["ref"], pull["base"]["sha"]) == ("stable", PARENT)
    assert pull["head"]["repo"]["clone_url"] == pull["base"]["repo"]["clone_url"] == f"{PROJECT}.git"
    assert (pull["title"], pull["body"], pull["user"]["login"]) == ("Add a thing", "It was missing.", "ann")
    assert found.refs == {"refs/heads/stable": PARENT, "refs/heads/topic": HEAD, "refs/pull/1/head": HEAD}
    assert found.head == "refs/pull/1/head"


@pytest.mark.parametrize(("tag", "branch"), [("v1", None), (None, "v1")], ids=["of the commit", "given"])
def test_tag_and_release(tag: str | None, branch: str | None) -> None:
    facts = replace(FACTS, tag=tag)
    pushed = event("tag", facts, branch)
    assert (pushed.message["tasks_for"], pushed.message["details"]["event.type"]) == ("github-push", "tag")
    body = pushed.message["body"]
    assert (body["ref"], body["before"], body["after"]) == ("refs/tags/v1", NO_COMMIT, HEAD)
    released = event("release", facts, branch)
    assert released.message["tasks_for"] == "github-release"
    assert released.message["body"]["action"] == "published"
    assert released.message["body"]["release"]["tag_name"] == "v1"
    assert pushed.refs == released.refs == {"refs/tags/v1": HEAD}


@pytest.mark.parametrize("kind", ["tag", "release"])
def test_tag_must_be_known(kind: str) -> None:
    with pytest.raises(RunError, match=r"--branch v1\.0"):
        event(kind)


def test_cron() -> None:
    found = event("cron", cron__job_name="nightly", cron__quoted_args="--x")
    assert found.message["tasks_for"] == "cron"
    assert found.context["cron"]["job_name"] == "nightly"
    assert found.context["push"] == {
        "owner": "cron",
        "revision": HEAD,
        "base_revision": PARENT,
        "branch": "topic",
        "pushlog_id": -1,
        "pushdate": 0,
    }
    assert found.context["repository"] == {"url": PROJECT, "project": "repo", "level": "1", "type": "git"}
    assert found.refs == {"refs/heads/topic": HEAD}
    assert PROJECT in found.addresses


@pytest.mark.parametrize(
    ("origin", "clone_url"),
    [
        ("https://github.com/org/repo", f"{PROJECT}.git"),
        ("git@github.com:org/repo.git", f"{PROJECT}.git"),
        ("ssh://git@github.com/org/repo.git", f"{PROJECT}.git"),
        ("ssh://git@example.com:2222/org/repo.git", "https://example.com/org/repo.git"),
        ("https://example.com:8443/group/sub/repo.git/", "https://example.com:8443/group/sub/repo.git"),
        ("https://user:password@github.com/org/repo.git", f"{PROJECT}.git"),
        (None, "https://github.com/local/project.git"),
        ("/srv/git/repo.git", "https://github.com/local/project.git"),
        ("file:///srv/git/repo.git", "https://github.com/local/project.git"),
        ("../repo", "https://github.com/local/project.git"),
    ],
    ids=["https", "scp", "ssh", "port", "groups", "password", "none", "path", "file", "relative"],
)
def test_addresses_are_those_of_origin(origin: str | None, clone_url: str) -> None:
    found = event("push", replace(FACTS, origin=origin))
    repository = found.message["body"]["repository"]
    html_url = clone_url.removesuffix(".git")
    assert repository["clone_url"] == clone_url
    assert repository["html_url"] == repository["svn_url"] == repository["url"] == html_url
    assert {html_url, repository["ssh_url"].removesuffix(".git")} <= {*found.addresses}
    assert not any("password" in address for address in found.addresses)
    if origin is not None and "password" not in origin:
        assert any(origin.startswith(address) for address in found.addresses)


def test_ssh_address_is_known_in_both_forms() -> None:
    assert {"git@github.com:org/repo", "ssh://git@github.com/org/repo"} <= {*event("push").addresses}


@pytest.mark.parametrize(
    ("author", "login"),
    [
        ({"name": "Ann Author", "email": "ann@example.com"}, "Ann-Author"),
        ({"name": "Ann", "email": "bob@users.noreply.github.com"}, "bob"),
        ({"name": "", "email": ""}, "nobody"),
    ],
    ids=["name", "GitHub's address", "nothing"],
)
def test_sender_is_author(author: dict[str, str], login: str) -> None:
    facts = replace(FACTS, commits=[{**COMMIT, "author": author}])
    assert event("push", facts).message["body"]["sender"]["login"] == login


def test_values_are_replaced() -> None:
    found = event(
        "pull_request",
        tasks_for="github-pull-request-untrusted",
        event__pull_request__draft=True,
        event__number=7,
        more__name=[1],
    )
    body = found.message["body"]
    assert found.message["tasks_for"] == "github-pull-request-untrusted"
    assert (body["number"], body["pull_request"]["number"], body["pull_request"]["draft"]) == (7, 7, True)
    assert body["pull_request"]["head"]["sha"] == HEAD
    assert found.context == {"more": {"name": [1]}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([("event", 1)], "set one of its keys"),
        ([("event.a", 1), ("event.a.b", 2)], "event.a is set"),
        ([("event.ref", None)], "no ref"),
    ],
    ids=["event itself", "below a value", "needed"],
)
def test_values_that_cannot_be_replaced(settings: list[tuple[str, Any]], message: str) -> None:
    with pytest.raises(RunError, match=message):
        derived(FACTS, "push", None, settings, None, NOW)


def test_skip_is_noted() -> None:
    assert not event("push").is_skipped
    facts = replace(FACTS, commits=[{**COMMIT, "message": "Words [skip ci]"}])
    assert event("push", facts).is_skipped


@pytest.mark.parametrize("kind", ["push", "pull_request", "release", "tag"])
def test_recorded_event_is_used_as_it_is(kind: str) -> None:
    body = event(kind, replace(FACTS, tag="v1")).message["body"]
    found = recorded(body, [("event.sender.login", "eve")], "https://example.com/fork.git")
    assert found.message["body"] == {**body, "sender": {**body["sender"], "login": "eve"}}
    assert {PROJECT, "https://example.com/fork"} <= {*found.addresses}
    assert not found.is_skipped


def test_recorded_comment() -> None:
    body = {
        **event("push").message["body"],
        "action": "created",
        "comment": {},
        "issue": {"number": 3},
    }
    del body["ref"]
    found = recorded(body, [], None)
    assert found.message["tasks_for"] == "github-issue-comment"
    assert found.refs == {"refs/heads/main": "refs/heads/main"}
    assert not found.is_skipped


def test_recorded_event_must_be_known() -> None:
    with pytest.raises(RunError, match="none of the keys"):
        recorded({"zen": "…"}, [], None)
    with pytest.raises(RunError, match="the push event has no"):
        recorded({"ref": "refs/heads/main"}, [], None)
