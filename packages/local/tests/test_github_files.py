"""Tests of rendering `.taskcluster.yml`, and of the fake events of `renderTaskclusterYml`."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest

from taskcluster_local.errors import ApiError
from taskcluster_local.services.github.fake_events import fake_event
from taskcluster_local.services.github.rendering import policy, render
from taskcluster_local.services.github.webhooks import described

NOW = datetime(2030, 3, 1, 12, tzinfo=timezone.utc)
DELIVERY = "12345678-1234-1234-1234-123456789abc"
FAKES: dict[str, list[str | None]] = {
    "github-push": [None],
    "github-pull-request": ["opened", "synchronize", "closed", "edited", "labeled", "review_requested", "assigned"],
    "github-pull-request-untrusted": ["opened"],
    "github-release": ["published", "edited", "prereleased"],
    "github-issue-comment": ["created", "edited"],
}


def fake(kind: str = "github-push", action: str | None = None, **overrides: Any) -> dict[str, Any]:
    given = {"type": kind, "overrides": overrides, **({} if action is None else {"action": action})}
    return fake_event(given, "Org", "some.repo", NOW)[1]


def rendered(file: Any, kind: str = "github-push", action: str | None = None, **overrides: Any) -> dict[str, Any]:
    text = file if isinstance(file, str) else json.dumps(file)
    given = {"type": kind, "overrides": overrides, **({} if action is None else {"action": action})}
    event, body = fake_event(given, "Org", "some.repo", NOW)
    payload = {**described(event, DELIVERY, body).payload, "tasks_for": kind}
    result = render(text, payload, "Org", "some.repo", "https://tc.example.com", NOW)
    # Other processes render too.
    assert pickle.loads(pickle.dumps(result)) == result
    return result


def tasks(*given: dict[str, Any]) -> list[dict[str, Any]]:
    """Render a version 1 file and return its tasks."""
    return list(rendered({"version": 1, "tasks": list(given)})["tasks"])


# Ids, order, and defaults


def test_single_task_has_id_of_group() -> None:
    for given in ({"taskId": "a"}, {"taskGroupId": "a"}):
        (only,) = tasks(given)
        assert (only["taskId"], only["task"]["taskGroupId"]) == ("a", "a")
    (only,) = tasks({})
    assert only["taskId"] == only["task"]["taskGroupId"]
    (only,) = tasks({"taskId": "a", "taskGroupId": "b"})
    assert (only["taskId"], only["task"]["taskGroupId"]) == ("a", "b")


def test_several_tasks_share_group() -> None:
    found = tasks({}, {}, {"taskGroupId": "g"}, {"taskId": "a"})
    groups = [each["task"]["taskGroupId"] for each in found]
    assert (groups[0] == groups[1] == groups[3], groups[2]) == (True, "g")
    assert len({*groups, *(each["taskId"] for each in found)}) == 6


@pytest.mark.parametrize(
    ("dependencies", "order"),
    [
        ({"a": [], "b": []}, "ab"),
        ({"a": ["b"], "b": ["c"], "c": []}, "cba"),
        ({"a": ["a"], "b": []}, "ab"),
        ({"a": ["elsewhere", "b"], "b": ["b"]}, "ba"),
        ({"a": ["b"], "b": ["a"]}, "ab"),
        ({"a": ["c"], "b": [], "c": ["b", "c"]}, "bca"),
    ],
)
def test_sorts_tasks_by_dependencies(dependencies: dict[str, list[str]], order: str) -> None:
    found = tasks(*({"taskId": name, "dependencies": needed} for name, needed in dependencies.items()))
    assert "".join(each["taskId"] for each in found) == order


def test_last_task_of_id_wins() -> None:
    found = tasks({"taskId": "a", "payload": 1}, {"taskId": "b"}, {"taskId": "a", "payload": 2})
    assert {each["taskId"]: each["task"].get("payload") for each in found} == {"a": 2, "b": None}
    assert len(found) == 2


def test_adds_defaults_of_real_deployments_only() -> None:
    filled = {"schedulerId": "taskcluster-github", "routes": ["statuses"]}
    (only,) = tasks({"taskId": "a"})
    assert only["task"] == {"taskGroupId": "a", **filled}
    given = {"schedulerId": "mine", "created": "x", "routes": ["statuses", "r"], "taskGroupId": "g"}
    (only,) = tasks({"taskId": "a", **given})
    assert only["task"] == given


@pytest.mark.parametrize(
    ("given", "role"),
    [
        ({}, "branch:main"),
        ({"ref": "refs/heads/a/b"}, "branch:a/b"),
        ({"ref": "refs/tags/v1"}, "tag:v1"),
        ({"repository": {"default_branch": "trunk"}}, "branch:trunk"),
        ({"kind": "github-pull-request", "action": "opened"}, "pull-request"),
        ({"kind": "github-pull-request-untrusted", "action": "opened"}, "pull-request-untrusted"),
        ({"kind": "github-release", "action": "published"}, "release:published"),
        ({"kind": "github-issue-comment", "action": "created"}, "issue-comment"),
    ],
)
def test_scopes_depend_on_event(given: dict[str, Any], role: str) -> None:
    for reporting, route in (({}, "statuses"), ({"reporting": "checks-v1"}, "checks")):
        assert rendered({"version": 1, "tasks": [], **reporting}, **given)["scopes"] == [
            f"assume:repo:github.com/Org/some.repo:{role}",
            f"queue:route:{route}",
            "queue:scheduler-id:taskcluster-github",
        ]


def test_renders_hooks_with_and_without_tasks() -> None:
    hooks = {"$map": ["a", "b/c"], "each(x)": {"name": "g/${x}", "context": {"n": {"$eval": "10/5"}}}}
    for more in ({}, {"tasks": []}, {"tasks": [{}]}):
        found = rendered({"version": 1, "hooks": hooks, **more})
        assert len(found["tasks"]) == len(more.get("tasks", []))
        assert [(each["hookGroupId"], each["hookId"]) for each in found["hooks"]] == [("g", "a"), ("g", "b/c")]
        payload = found["hooks"][0]["payload"]
        assert (payload["n"], payload["tasks_for"], payload["event"]["after"]) == (2, "github-push", fake()["after"])


def test_renders_with_javascript_numbers_and_yaml_1_2() -> None:
    file = "version: 1\ntasks: [{payload: {ports: 22:22, on: yes, n: 1e3, half: '${1/2}', two: '${10/5}', x: 2.0}}]"
    ((only),) = rendered(file)["tasks"]
    assert only["task"]["payload"] == {"ports": "22:22", "on": "yes", "n": 1000, "half": "0.5", "two": "2", "x": 2}


# Version 0


METADATA = {
    "name": "n",
    "description": "d",
    "owner": "{{ event.head.user.email }}",
    "source": "{{ event.head.repo.url }}",
}
CHOICES: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"events": ["push"]}, {}, 1),
    ({"events": ["tag"]}, {}, 0),
    ({"events": ["tag"]}, {"ref": "refs/tags/v1"}, 1),
    ({"events": ["push"]}, {"ref": "refs/tags/v1"}, 0),
    ({"events": ["push"], "branches": ["main"]}, {}, 1),
    ({"events": ["push"], "branches": ["main"]}, {"ref": "refs/heads/x"}, 0),
    ({"events": ["push"], "excludeBranches": ["main"]}, {}, 0),
    ({"events": ["pull_request.*"]}, {"kind": "github-pull-request", "action": "opened"}, 1),
    ({"events": ["pull_request.opened"]}, {"kind": "github-pull-request", "action": "closed"}, 0),
    ({"events": ["release"], "branches": ["x"]}, {"kind": "github-release", "action": "published"}, 1),
    ({}, {}, 0),
]


def version_0(github: dict[str, Any], **more: Any) -> dict[str, Any]:
    task = {"extra": {"github": github}, "payload": {"a": "x {{event.head.sha}} {{ unknown }}"}, "metadata": METADATA}
    return {"version": 0, "metadata": METADATA, "tasks": [{**task, **more}]}


@pytest.mark.parametrize(("github", "event", "count"), CHOICES)
def test_version_0_selects_tasks_by_event(github: dict[str, Any], event: dict[str, Any], count: int) -> None:
    assert len(rendered(version_0(github), **event)["tasks"]) == count


def test_version_0_replaces_parameters() -> None:
    file = version_0(
        {"events": ["push"], "env": True}, expires="{{ '1 day' | $fromNow }}", scopes=["s:{{organization}}"]
    )
    result = rendered(file, kind="github-push")
    (only,) = result["tasks"]
    task = only["task"]
    assert result["scopes"][0] == "assume:repo:github.com/Org/some.repo:branch:main"
    assert (only["taskId"], task["schedulerId"], task["scopes"]) == (
        task["taskGroupId"],
        "taskcluster-github",
        ["s:Org"],
    )
    assert (task["created"], task["deadline"]) == ("2030-03-01T12:00:00.000Z", "2030-03-01T13:00:00.000Z")
    assert task["expires"] == "2030-03-02T12:00:00.000Z"
    assert task["metadata"]["owner"] == "octocat@example.com"
    assert task["metadata"]["source"] == "https://github.com/Org/some.repo.git"
    assert task["payload"]["a"] == f"x {fake()['after']} {{{{ unknown }}}}"
    assert task["payload"]["env"]["GITHUB_EVENT"] == "push"
    assert task["payload"]["env"]["GITHUB_HEAD_SHA"] == fake()["after"]
    assert (task["provisionerId"], task["workerType"]) == ("aws-provisioner-v1", "github-worker")
    (only,) = rendered(version_0({"events": ["push"]}, taskQueueId="p/w"))["tasks"]
    assert "provisionerId" not in only["task"]


@pytest.mark.parametrize(
    "file",
    [
        {"version": 0, "tasks": []},
        {"version": 0, "metadata": METADATA},
        {"version": 0, "metadata": METADATA, "tasks": [], "policy": {}},
        {"version": 0, "metadata": METADATA, "tasks": {}},
        {"version": 0, "metadata": METADATA, "tasks": [{"payload": {}}]},
        version_0({"events": ["push"]}, created={"$fromNow": ""}),
        version_0({"events": ["push"]}, unknown=1),
        version_0({"events": "push"}),
        version_0({"events": ["push"], "branches": [], "excludeBranches": []}),
        version_0({"events": ["push"]}, expires="{{ 'soon' | $fromNow }}"),
    ],
)
def test_invalid_files_of_version_0_raise(file: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="InputError"):
        rendered(file)


@pytest.mark.parametrize(
    ("file", "allowed"),
    [
        ("version: 1", "collaborators"),
        ("{version: 1, policy: {pullRequests: public_restricted}}", "public_restricted"),
        ("version: 0", "collaborators"),
        ("{version: 0, allowPullRequests: public}", "public"),
    ],
)
def test_policies_of_both_versions(file: str, allowed: str) -> None:
    assert policy(file) == allowed


# Fake events


KEYS = {
    "repository": """
        id node_id name full_name private owner html_url description fork url forks_url keys_url
        collaborators_url teams_url hooks_url issue_events_url events_url assignees_url branches_url
        tags_url blobs_url git_tags_url git_refs_url trees_url statuses_url languages_url stargazers_url
        contributors_url subscribers_url subscription_url commits_url git_commits_url comments_url
        issue_comment_url contents_url compare_url merges_url archive_url downloads_url issues_url pulls_url
        milestones_url notifications_url labels_url releases_url deployments_url created_at updated_at
        pushed_at git_url ssh_url clone_url svn_url homepage size stargazers_count watchers_count language
        has_issues has_projects has_downloads has_wiki has_pages has_discussions forks_count mirror_url
        archived disabled open_issues_count license allow_forking is_template web_commit_signoff_required
        topics visibility forks open_issues watchers default_branch custom_properties""",
    "sender": """
        login id node_id avatar_url gravatar_id url html_url followers_url following_url gists_url
        starred_url subscriptions_url organizations_url repos_url events_url received_events_url type
        user_view_type site_admin""",
    "organization": """
        login id node_id url repos_url events_url hooks_url issues_url members_url public_members_url
        avatar_url description""",
    "installation": "id node_id",
    "pull_request": """
        url id node_id html_url diff_url patch_url issue_url number state locked title user body created_at
        updated_at closed_at merged_at merge_commit_sha assignee assignees requested_reviewers
        requested_teams labels milestone draft commits_url review_comments_url review_comment_url
        comments_url statuses_url head base _links author_association auto_merge active_lock_reason merged
        mergeable rebaseable mergeable_state merged_by comments review_comments maintainer_can_modify
        commits additions deletions changed_files""",
    "pull_request._links": "self html issue comments review_comments review_comment commits statuses",
    "pull_request.head": "label ref sha user repo",
    "pull_request.head.repo": "description allow_squash_merge allow_auto_merge delete_branch_on_merge",
    "pull_request.base": "label ref sha user repo",
    "release": """
        url assets_url upload_url html_url id author node_id tag_name target_commitish name draft immutable
        prerelease created_at updated_at published_at assets tarball_url zipball_url body""",
    "issue": """
        url repository_url labels_url comments_url events_url html_url id node_id number title user labels
        state locked assignee assignees milestone comments created_at updated_at closed_at
        author_association active_lock_reason draft pull_request body reactions timeline_url
        performed_via_github_app state_reason""",
    "comment": """
        url html_url issue_url id node_id user created_at updated_at author_association body reactions
        performed_via_github_app""",
    "head_commit": "id tree_id distinct message timestamp url author committer added removed modified",
    "pusher": "name email",
}
OF_KIND = {
    "github-push": (
        "ref before after created deleted forced base_ref compare commits head_commit pusher repository.stargazers"
        " repository.master_branch repository.organization repository.owner.name repository.owner.email"
    ),
    "github-pull-request": "action number pull_request",
    "github-pull-request-untrusted": "action number pull_request",
    "github-release": "action release",
    "github-issue-comment": "action issue comment taskcluster_comment",
}


def lacking(event: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(event, dict) or name not in event:
            return True
        event = event[name]
    return False


@pytest.mark.parametrize(("kind", "action"), [(kind, action) for kind, actions in FAKES.items() for action in actions])
def test_fake_events_have_the_keys_of_real_ones(kind: str, action: str | None) -> None:
    event = fake(kind, action)
    wanted = {*OF_KIND[kind].split(), "repository", "sender", "organization", "installation"}
    paths = [f"{at}.{key}" for at, keys in KEYS.items() if at.partition(".")[0] in wanted for key in keys.split()]
    assert [path for path in (*sorted(wanted), *paths) if lacking(event, path)] == []
    assert event.get("action") == action


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"ref": "refs/heads/dev", "after": "a" * 40, "before": "b" * 40},
            {"head_commit.id": "a" * 40, "base_ref": None, "created": False, "compare": f"{'b' * 12}...{'a' * 12}"},
        ),
        (
            {"ref": "refs/tags/v1"},
            {"base_ref": "refs/heads/main", "created": True, "before": "0" * 40, "compare": "/v1"},
        ),
        (
            {"repository": {"default_branch": "trunk"}},
            {"ref": "refs/heads/trunk", "repository.master_branch": "trunk", "repository.default_branch": "trunk"},
        ),
        (
            {"kind": "github-pull-request", "action": "closed", "number": 7, "pull_request": {"head": {"ref": "x"}}},
            {
                "number": 7,
                "pull_request.number": 7,
                "pull_request.url": "/pulls/7",
                "pull_request.html_url": "/pull/7",
                "pull_request.head.ref": "x",
                "pull_request.head.label": "Org:x",
                "pull_request.base.ref": "main",
                "pull_request.state": "closed",
            },
        ),
        (
            {"kind": "github-pull-request-untrusted", "action": "opened"},
            {
                "pull_request.head.label": "octocat:change",
                "pull_request.head.repo.fork": True,
                "repository.fork": False,
            },
        ),
        (
            {"kind": "github-release", "action": "prereleased", "release": {"tag_name": "v2"}},
            {
                "release.name": "v2",
                "release.tarball_url": "/tarball/v2",
                "release.html_url": "/releases/tag/v2",
                "release.prerelease": True,
                "release.target_commitish": "main",
            },
        ),
        (
            {"kind": "github-issue-comment", "action": "edited", "comment": {"body": "/taskcluster go"}},
            {"taskcluster_comment": "go", "comment.body": "/taskcluster go", "issue.number": 1},
        ),
        ({"kind": "github-issue-comment", "action": "created", "issue": {"number": 3}}, {"issue.html_url": "/pull/3"}),
        ({"sender": {"login": "me"}, "new": 1}, {"sender.login": "me", "sender.type": "User", "new": 1}),
    ],
)
def test_fake_events_follow_overrides(given: dict[str, Any], expected: dict[str, Any]) -> None:
    event = fake(**given)
    for path, value in expected.items():
        found: Any = event
        for name in path.split("."):
            found = found[name]
        is_end = isinstance(value, str) and isinstance(found, str) and found.endswith(value)
        assert is_end or found == value, path
