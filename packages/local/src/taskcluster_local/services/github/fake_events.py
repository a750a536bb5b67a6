"""Fake events with the keys that GitHub sends, to show what a `.taskcluster.yml` creates for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...encoding import is_object

__all__ = ["DELIVERY", "NO_COMMIT", "fake_event", "merged"]

DELIVERY = "00000000-0000-0000-0000-000000000000"
"""The id of the delivery of events that GitHub did not send."""
NO_COMMIT = "0" * 40
"""GitHub's placeholder for a commit that does not exist."""

_BEFORE = "fedcba9876543210fedcba9876543210fedcba98"
_AFTER = "0123456789abcdef0123456789abcdef01234567"
_TREE = "89abcdef0123456789abcdef0123456789abcdef"
_KINDS = {
    "github-push": "push",
    "github-pull-request": "pull_request",
    "github-pull-request-untrusted": "pull_request",
    "github-release": "release",
    "github-issue-comment": "issue_comment",
}
_API = "https://api.github.com"
_USER_URLS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_ORGANIZATION_URLS = {
    "url": "",
    "repos_url": "/repos",
    "events_url": "/events",
    "hooks_url": "/hooks",
    "issues_url": "/issues",
    "members_url": "/members{/member}",
    "public_members_url": "/public_members{/member}",
}
_REPOSITORY_URLS = {
    "forks_url": "/forks",
    "keys_url": "/keys{/key_id}",
    "collaborators_url": "/collaborators{/collaborator}",
    "teams_url": "/teams",
    "hooks_url": "/hooks",
    "issue_events_url": "/issues/events{/number}",
    "events_url": "/events",
    "assignees_url": "/assignees{/user}",
    "branches_url": "/branches{/branch}",
    "tags_url": "/tags",
    "blobs_url": "/git/blobs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "trees_url": "/git/trees{/sha}",
    "statuses_url": "/statuses/{sha}",
    "languages_url": "/languages",
    "stargazers_url": "/stargazers",
    "contributors_url": "/contributors",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "commits_url": "/commits{/sha}",
    "git_commits_url": "/git/commits{/sha}",
    "comments_url": "/comments{/number}",
    "issue_comment_url": "/issues/comments{/number}",
    "contents_url": "/contents/{+path}",
    "compare_url": "/compare/{base}...{head}",
    "merges_url": "/merges",
    "archive_url": "/{archive_format}{/ref}",
    "downloads_url": "/downloads",
    "issues_url": "/issues{/number}",
    "pulls_url": "/pulls{/number}",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "labels_url": "/labels{/name}",
    "releases_url": "/releases{/id}",
    "deployments_url": "/deployments",
}


def fake_event(given: dict[str, Any], organization: str, repository: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the kind and the body of an event, as GitHub would deliver it.

    Args:
        given: The `fakeEvent` of the API: `type`, `action` unless it is a push, and `overrides`, which replace values
            of the event. Values that depend on its branch, tag, commit or number follow the `overrides`.
        organization: The owner's name.
        repository: The repository's name.
        now: The time of the event.
    """
    kind = _KINDS[given["type"]]
    overrides = given.get("overrides", {})
    wanted = _Wanted(overrides, organization, repository, now.strftime("%Y-%m-%dT%H:%M:%SZ"), int(now.timestamp()))
    repo = wanted.repository(organization)
    common = {
        "repository": repo,
        "organization": _organization(organization),
        "sender": _user("octocat", 2),
        "installation": {"id": 4, "node_id": "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uNA=="},
    }
    if kind == "push":
        body = {**common, **_push(wanted, repo)}
    else:
        action = given["action"]
        own = {
            "pull_request": lambda: _pull_request_event(wanted, action, given["type"].endswith("-untrusted")),
            "release": lambda: _release_event(wanted, action),
            "issue_comment": lambda: _comment_event(wanted, action),
        }[kind]()
        body = {"action": action, **common, **own}
    return kind, merged(body, overrides)


@dataclass(frozen=True)
class _Wanted:
    """The names and numbers in an event."""

    overrides: dict[str, Any]
    organization: str
    name: str
    date: str
    seconds: int

    def get(self, path: str, default: Any) -> Any:
        """Return the value of `overrides` at a path if it has the default's type, otherwise the default."""
        found: Any = self.overrides
        for name in path.split("."):
            found = found.get(name) if is_object(found) else None
        return found if type(found) is type(default) else default

    @property
    def default_branch(self) -> str:
        return str(self.get("repository.default_branch", "main"))

    @property
    def url(self) -> str:
        return f"https://github.com/{self.organization}/{self.name}"

    @property
    def api(self) -> str:
        return f"{_API}/repos/{self.organization}/{self.name}"

    def repository(self, owner: str, *, fork: bool = False) -> dict[str, Any]:
        """Return the repository, or a fork of it."""
        full_name = f"{owner}/{self.name}"
        html, api = f"https://github.com/{full_name}", f"{_API}/repos/{full_name}"
        return {
            "id": 6 if fork else 3,
            "node_id": "R_6" if fork else "R_3",
            "name": self.name,
            "full_name": full_name,
            "private": False,
            "owner": _user(owner, 2) if fork else _user(owner, 1, "Organization"),
            "html_url": html,
            "description": "A repository",
            "fork": fork,
            "url": api,
            **{key: api + path for key, path in _REPOSITORY_URLS.items()},
            "created_at": self.date,
            "updated_at": self.date,
            "pushed_at": self.date,
            "git_url": f"git://github.com/{full_name}.git",
            "ssh_url": f"git@github.com:{full_name}.git",
            "clone_url": f"{html}.git",
            "svn_url": html,
            "homepage": None,
            "size": 1,
            "stargazers_count": 0,
            "watchers_count": 0,
            "language": None,
            "has_issues": True,
            "has_projects": True,
            "has_downloads": True,
            "has_wiki": True,
            "has_pages": False,
            "has_discussions": False,
            "forks_count": 0,
            "mirror_url": None,
            "archived": False,
            "disabled": False,
            "open_issues_count": 0,
            "license": None,
            "allow_forking": True,
            "is_template": False,
            "web_commit_signoff_required": False,
            "topics": [],
            "visibility": "public",
            "forks": 0,
            "open_issues": 0,
            "watchers": 0,
            "default_branch": self.default_branch,
            "custom_properties": {},
        }


def _user(login: str, number: int, kind: str = "User") -> dict[str, Any]:
    url = f"{_API}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        **{key: url + path for key, path in _USER_URLS.items()},
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def _organization(login: str) -> dict[str, Any]:
    return {
        "login": login,
        "id": 1,
        "node_id": "O_1",
        **{key: f"{_API}/orgs/{login}{path}" for key, path in _ORGANIZATION_URLS.items()},
        "avatar_url": "https://avatars.githubusercontent.com/u/1?v=4",
        "description": "",
    }


def _push(wanted: _Wanted, repo: dict[str, Any]) -> dict[str, Any]:
    ref = wanted.get("ref", f"refs/heads/{wanted.default_branch}")
    tag = ref.startswith("refs/tags/")
    before, after = wanted.get("before", NO_COMMIT if tag else _BEFORE), wanted.get("after", _AFTER)
    name = ref.removeprefix("refs/tags/").removeprefix("refs/heads/")
    person = {"name": "octocat", "email": "octocat@example.com", "username": "octocat"}
    commit: dict[str, Any] = {
        "id": after,
        "tree_id": _TREE,
        "distinct": True,
        "message": "A commit",
        "timestamp": wanted.date.replace("Z", "+00:00"),
        "url": f"{wanted.url}/commit/{after}",
        "author": person,
        "committer": person,
        "added": [],
        "removed": [],
        "modified": ["README.md"],
    }
    owner = {"name": wanted.organization, "email": f"{wanted.organization}@example.com", **repo["owner"]}
    # Only the repository of a push has these.
    own = {"url": wanted.url, "created_at": wanted.seconds, "pushed_at": wanted.seconds, "owner": owner}
    more = {"stargazers": 0, "master_branch": wanted.default_branch, "organization": wanted.organization}
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "repository": {**repo, **own, **more},
        "pusher": {"name": "octocat", "email": "octocat@example.com"},
        "created": before == NO_COMMIT,
        "deleted": False,
        "forced": False,
        "base_ref": f"refs/heads/{wanted.default_branch}" if tag else None,
        "compare": f"{wanted.url}/compare/{name if before == NO_COMMIT else f'{before[:12]}...{after[:12]}'}",
        "commits": [] if tag else [commit],
        "head_commit": commit,
    }


def _links(api: str, html: str, **paths: str) -> dict[str, Any]:
    links = {"self": api, "html": html, **paths}
    return {name: {"href": url} for name, url in links.items()}


def _number(wanted: _Wanted, key: str) -> int:
    return int(wanted.get(f"{key}.number", wanted.get("number", 1)))


def _issue(wanted: _Wanted, number: int, state: str) -> dict[str, Any]:
    """Return the common properties of issues and pull requests."""
    return {
        "number": number,
        "state": state,
        "locked": False,
        "title": "A change",
        "user": _user("octocat", 2),
        "body": "What it changes",
        "created_at": wanted.date,
        "updated_at": wanted.date,
        "closed_at": wanted.date if state == "closed" else None,
        "assignee": None,
        "assignees": [],
        "labels": [],
        "milestone": None,
        "draft": False,
        "comments_url": f"{wanted.api}/issues/{number}/comments",
        "author_association": "MEMBER",
        "active_lock_reason": None,
        "comments": 0,
    }


def _pull_request_event(wanted: _Wanted, action: str, untrusted: bool) -> dict[str, Any]:
    number = _number(wanted, "pull_request")
    url, html = f"{wanted.api}/pulls/{number}", f"{wanted.url}/pull/{number}"
    head_sha = wanted.get("pull_request.head.sha", _AFTER)
    urls = {
        "comments_url": f"{wanted.api}/issues/{number}/comments",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{wanted.api}/pulls/comments{{/number}}",
        "commits_url": f"{url}/commits",
        "statuses_url": f"{wanted.api}/statuses/{head_sha}",
    }
    merging = {
        "allow_squash_merge": True,
        "allow_merge_commit": True,
        "allow_rebase_merge": True,
        "allow_auto_merge": False,
        "delete_branch_on_merge": False,
        "allow_update_branch": False,
        "use_squash_pr_title_as_default": False,
        "squash_merge_commit_message": "COMMIT_MESSAGES",
        "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
        "merge_commit_message": "PR_TITLE",
        "merge_commit_title": "MERGE_MESSAGE",
    }

    def side(name: str, owner: str, ref: str, sha: str) -> dict[str, Any]:
        ref, fork = wanted.get(f"pull_request.{name}.ref", ref), owner != wanted.organization
        repo = {**wanted.repository(owner, fork=fork), **merging}
        return {"label": f"{owner}:{ref}", "ref": ref, "sha": sha, "user": repo["owner"], "repo": repo}

    base_sha = wanted.get("pull_request.base.sha", _BEFORE)
    pull: dict[str, Any] = {
        **_issue(wanted, number, "closed" if action == "closed" else "open"),
        "url": url,
        "id": 5,
        "node_id": "PR_5",
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": f"{wanted.api}/issues/{number}",
        "merged_at": None,
        "merge_commit_sha": _TREE,
        "requested_reviewers": [],
        "requested_teams": [],
        **urls,
        "head": side("head", "octocat" if untrusted else wanted.organization, "change", head_sha),
        "base": side("base", wanted.organization, wanted.default_branch, base_sha),
        "_links": _links(
            url,
            html,
            issue=f"{wanted.api}/issues/{number}",
            **{name.removesuffix("_url"): link for name, link in urls.items()},
        ),
        "author_association": "NONE" if untrusted else "MEMBER",
        "auto_merge": None,
        "draft": action == "converted_to_draft",
        "merged": False,
        "mergeable": None,
        "rebaseable": None,
        "mergeable_state": "unknown",
        "merged_by": None,
        "review_comments": 0,
        "maintainer_can_modify": untrusted,
        "commits": 1,
        "additions": 1,
        "deletions": 0,
        "changed_files": 1,
    }
    label = {
        "id": 7,
        "node_id": "LA_7",
        "url": f"{wanted.api}/labels/bug",
        "name": "bug",
        "color": "f29513",
        "default": True,
        "description": None,
    }
    reviewer = _user("octocat", 2)
    by_action: dict[str, dict[str, Any]] = {
        "synchronize": {"before": _BEFORE, "after": head_sha},
        "edited": {"changes": {}},
        "labeled": {"label": label},
        "unlabeled": {"label": label},
        "assigned": {"assignee": reviewer},
        "unassigned": {"assignee": reviewer},
        "review_requested": {"requested_reviewer": reviewer},
        "review_request_removed": {"requested_reviewer": reviewer},
        "auto_merge_disabled": {"reason": "unknown"},
        "dequeued": {"reason": "MANUAL"},
    }
    return {"number": number, "pull_request": pull, **by_action.get(action, {})}


def _release_event(wanted: _Wanted, action: str) -> dict[str, Any]:
    tag = wanted.get("release.tag_name", "v1.0")
    url = f"{wanted.api}/releases/6"
    release: dict[str, Any] = {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"https://uploads.github.com/repos/{wanted.organization}/{wanted.name}/releases/6/assets{{?name,label}}",
        "html_url": f"{wanted.url}/releases/tag/{tag}",
        "id": 6,
        "author": _user("octocat", 2),
        "node_id": "RE_6",
        "tag_name": tag,
        "target_commitish": wanted.default_branch,
        "name": tag,
        "draft": False,
        "immutable": False,
        "prerelease": action == "prereleased",
        "created_at": wanted.date,
        "updated_at": wanted.date,
        "published_at": wanted.date,
        "assets": [],
        "tarball_url": f"{wanted.api}/tarball/{tag}",
        "zipball_url": f"{wanted.api}/zipball/{tag}",
        "body": "What is new",
    }
    return {"release": release, **({"changes": {}} if action == "edited" else {})}


def _comment_event(wanted: _Wanted, action: str) -> dict[str, Any]:
    number = _number(wanted, "issue")
    api, html = f"{wanted.api}/issues/{number}", f"{wanted.url}/pull/{number}"
    pull = f"{wanted.api}/pulls/{number}"

    def reactions(url: str) -> dict[str, Any]:
        kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
        return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)}

    issue = {
        **_issue(wanted, number, "open"),
        "url": api,
        "repository_url": wanted.api,
        "labels_url": f"{api}/labels{{/name}}",
        "events_url": f"{api}/events",
        "html_url": html,
        "id": 5,
        "node_id": "PR_5",
        "pull_request": {
            "url": pull,
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "merged_at": None,
        },
        "reactions": reactions(api),
        "timeline_url": f"{api}/timeline",
        "performed_via_github_app": None,
        "state_reason": None,
    }
    comment = {
        "url": f"{wanted.api}/issues/comments/7",
        "html_url": f"{html}#issuecomment-7",
        "issue_url": api,
        "id": 7,
        "node_id": "IC_7",
        "user": _user("octocat", 2),
        "created_at": wanted.date,
        "updated_at": wanted.date,
        "author_association": "MEMBER",
        "body": "/taskcluster test",
        "reactions": reactions(f"{wanted.api}/issues/comments/7"),
        "performed_via_github_app": None,
    }
    words = wanted.get("comment.body", comment["body"]).split()
    command = words[1] if words[:1] == ["/taskcluster"] and len(words) > 1 else "test"
    changes = {"changes": {"body": {"from": "/taskcluster"}}} if action == "edited" else {}
    return {"issue": issue, "comment": comment, "taskcluster_comment": command, **changes}


def merged(event: Any, overrides: Any) -> Any:
    """Return an event, or a value in it, with values replaced recursively."""
    if not is_object(event) or not is_object(overrides):
        return overrides
    changed = {name: merged(event[name], value) if name in event else value for name, value in overrides.items()}
    return {**event, **changed}
