"""Derive the event that a `.taskcluster.yml` is rendered for from a repository. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from taskcluster.slugs import slugId

from ..encoding import is_object
from ..errors import ApiError
from ..services.github.fake_events import DELIVERY, NO_COMMIT, fake_event, merged
from ..services.github.webhooks import described, publication
from .errors import RunError
from .repository import Facts

__all__ = ["Event", "derived", "recorded"]

_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_.-]+", re.ASCII)
_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)/?(.+)")
_PASSWORD = re.compile(r"https?://[^/@]*@")
_NOREPLY = re.compile(r"(?:\d+\+)?([a-zA-Z0-9-]+)@users\.noreply\.github\.com", re.ASCII)
_PLACEHOLDER_HOST, _PLACEHOLDER_OWNER = "github.com", "local"


@dataclass(frozen=True)
class Event:
    """An event, ready to render a `.taskcluster.yml` for it."""

    organization: str
    repository: str
    message: dict[str, Any]
    """The message of the github service about it."""
    context: dict[str, Any]
    """Further names for the template."""
    refs: dict[str, str]
    """The references that tasks find in the repository, with their commits or names of commits."""
    head: str
    """The one of `refs` that tasks run for."""
    addresses: tuple[str, ...]
    """The addresses of the repository, from which tasks clone it."""
    is_skipped: bool
    """Whether a real deployment would create no tasks, because of `[skip ci]` for example."""


def derived(
    facts: Facts, kind: str, branch: str | None, settings: list[tuple[str, Any]], base_branch: str | None, now: datetime
) -> Event:
    """Return the event of a repository.

    Args:
        facts: The repository.
        kind: push, pull_request, tag, release or cron.
        branch: The name of the branch, or of the tag of a tag or release. Defaults to that of the checkout.
        settings: Values to replace, by path, for example `event.sender.login`.
        base_branch: The branch that a pull request is for. Defaults to the default branch.
        now: The time.

    Raises:
        RunError: The commit has no tag, or a value cannot be replaced.
    """
    address = _address(facts.origin, facts.directory)
    replaced = _nested(settings)
    login = _login(facts)
    named = branch or facts.branch or facts.default_branch
    if kind == "cron":
        return _cron(facts, address, named, login, replaced)
    given: dict[str, Any]
    if kind == "pull_request":
        given = {"type": "github-pull-request", "action": "opened"}
        own = _pull_request(facts, address, named, base_branch or facts.default_branch, login)
    elif kind == "release":
        given = {"type": "github-release", "action": "published"}
        release = {
            "tag_name": _tag(facts, branch),
            "target_commitish": facts.default_branch,
            "author": {"login": login},
        }
        own = {"release": release, "repository": _repository(facts, address), "sender": {"login": login}}
    else:
        given = {"type": "github-push"}
        ref = f"refs/tags/{_tag(facts, branch)}" if kind == "tag" else f"refs/heads/{named}"
        own = _push(facts, address, ref, login)
    overrides = _overridden(own, replaced.pop("event", {}))
    name, body = fake_event({**given, "overrides": overrides}, address.owner, address.name, now)
    return _event(name, body, replaced, facts.commit, facts.origin)


def recorded(body: Mapping[str, Any], settings: list[tuple[str, Any]], origin: str | None) -> Event:
    """Return an event as GitHub delivered it.

    Args:
        body: The event.
        settings: Values to replace, by path.
        origin: The address of the repository's `origin`, if any.

    Raises:
        RunError: It is not an event that deployments create tasks for.
    """
    replaced = _nested(settings)
    event = _overridden(dict(body), replaced.pop("event", {}))
    kinds = {"pull_request": "pull_request", "release": "release", "comment": "issue_comment", "ref": "push"}
    kind = next((kind for key, kind in kinds.items() if key in event), None)
    if kind is None:
        raise RunError(f"the event is not one of GitHub's: it has none of the keys {', '.join(kinds)}")
    return _event(kind, event, replaced, None, origin)


def _event(kind: str, body: dict[str, Any], replaced: dict[str, Any], commit: str | None, origin: str | None) -> Event:
    tasks_for = replaced.pop("tasks_for", None)
    try:
        found = described(kind, DELIVERY, body)
        published = publication({"x-github-event": kind, "x-github-delivery": DELIVERY}, body)
    except ApiError as error:
        raise RunError(error.message) from None
    message = found.payload if tasks_for is None else {**found.payload, "tasks_for": tasks_for}
    refs, head = _refs(kind, body, commit)
    return Event(
        organization=found.organization,
        repository=found.repository,
        message=message,
        context=replaced,
        refs=refs,
        head=head,
        addresses=_addresses(body, origin),
        is_skipped=published is None and kind != "issue_comment",
    )


def _cron(facts: Facts, address: _Address, branch: str, login: str, replaced: dict[str, Any]) -> Event:
    """Return the event of a cron hook, with the names that the hooks of taskgraph's users pass."""
    context: dict[str, Any] = {
        "cron": {"task_id": "", "job_name": "local", "job_product": "", "job_symbol": "local", "quoted_args": ""},
        "push": {
            "owner": "cron",
            "revision": facts.commit,
            "base_revision": facts.parent,
            "branch": branch,
            "pushlog_id": -1,
            "pushdate": 0,
        },
        "repository": {"url": address.url, "project": address.name, "level": "1", "type": "git"},
        "ownTaskId": slugId(),
    }
    body = {"repository": _repository(facts, address), "sender": {"login": login}}
    tasks_for = replaced.pop("tasks_for", "cron")
    body = _overridden(body, replaced.pop("event", {}))
    return Event(
        organization=address.owner,
        repository=address.name,
        message={"tasks_for": tasks_for, "body": body, "branch": branch, "details": {"event.type": "cron"}},
        context=merged(context, replaced),
        refs={f"refs/heads/{branch}": facts.commit},
        head=f"refs/heads/{branch}",
        addresses=_addresses(body, facts.origin),
        is_skipped=False,
    )


def _refs(kind: str, body: dict[str, Any], commit: str | None) -> tuple[dict[str, str], str]:
    """Return the references of an event with their commits, and the one that tasks run for."""
    if kind == "push":
        return {body["ref"]: body["after"]}, body["ref"]
    if kind == "pull_request":
        pull = body["pull_request"]
        base, head = pull["base"], pull["head"]
        own = f"refs/pull/{body['number']}/head"
        branches = {f"refs/heads/{side['ref']}": side["sha"] for side in (base, head)}
        return {**branches, own: head["sha"]}, own
    if kind == "release":
        tag = body["release"]["tag_name"]
        return {f"refs/tags/{tag}": commit or f"refs/tags/{tag}"}, f"refs/tags/{tag}"
    branch = f"refs/heads/{body['repository']['default_branch']}"
    return {branch: commit or branch}, branch


@dataclass(frozen=True)
class _Address:
    """The address of a repository."""

    host: str
    path: str
    owner: str
    name: str

    @property
    def url(self) -> str:
        return f"https://{self.host}/{self.path}"

    def keys(self) -> dict[str, str]:
        """Return the addresses in GitHub's events."""
        return {
            "html_url": self.url,
            "clone_url": f"{self.url}.git",
            "svn_url": self.url,
            "ssh_url": f"git@{self.host}:{self.path}.git",
            "git_url": f"git://{self.host}/{self.path}.git",
        }


def _address(origin: str | None, directory: str) -> _Address:
    """Return the address of `origin`, without a user name or password, or a placeholder if it is not a server's."""
    host, path = "", ""
    if origin is not None and "://" in origin:
        parts = urlsplit(origin)
        host, path = parts.hostname or "", parts.path
        if parts.scheme in ("http", "https"):
            # With the port. That of ssh is a different one.
            host = parts.netloc.rpartition("@")[2]
    elif origin is not None and (match := _SCP.fullmatch(origin)):
        host, path = match[1], match[2]
    names = [name for name in path.strip("/").removesuffix(".git").split("/") if name]
    if not host or not names:
        name = _NOT_ALLOWED.sub("-", directory).strip("-") or "repository"
        return _Address(_PLACEHOLDER_HOST, f"{_PLACEHOLDER_OWNER}/{name}", _PLACEHOLDER_OWNER, name)
    owner = names[-2] if len(names) > 1 else host.partition(":")[0]
    return _Address(host, "/".join(names), _NOT_ALLOWED.sub("-", owner), _NOT_ALLOWED.sub("-", names[-1]))


def _addresses(body: Mapping[str, Any], origin: str | None) -> tuple[str, ...]:
    """Return the addresses of the repositories in an event, without `.git`: they are prefixes of those with it."""
    pull: Any = body.get("pull_request")
    sides = [pull.get(side) for side in ("head", "base")] if is_object(pull) else []
    repositories = [body.get("repository"), *(side.get("repo") for side in sides if is_object(side))]
    found = [
        repository.get(key)
        for repository in repositories
        if is_object(repository)
        for key in ("clone_url", "html_url", "ssh_url", "git_url", "svn_url")
    ]
    found += [f"ssh://{each.replace(':', '/', 1)}" for each in found if isinstance(each, str) and _SCP.fullmatch(each)]
    # Tasks must not see a password in the address of `origin`; they clone from an address without it.
    found += [] if origin is None or _PASSWORD.match(origin) else [origin]
    return tuple(dict.fromkeys(each.removesuffix(".git") for each in found if isinstance(each, str)))


def _repository(facts: Facts, address: _Address) -> dict[str, Any]:
    return {**address.keys(), "full_name": address.path, "default_branch": facts.default_branch}


def _login(facts: Facts) -> str:
    """Return GitHub's name of the last commit's author, as far as their address or name shows it."""
    author: dict[str, str] = facts.commits[-1]["author"]
    known = _NOREPLY.fullmatch(author["email"])
    return known[1] if known else _NOT_ALLOWED.sub("-", author["name"]).strip("-.") or "nobody"


def _tag(facts: Facts, given: str | None) -> str:
    tag = given or facts.tag
    if tag is None:
        raise RunError("no tag points to the commit: name one, for example --branch v1.0")
    return tag


def _push(facts: Facts, address: _Address, ref: str, login: str) -> dict[str, Any]:
    commits: list[dict[str, Any]] = [
        {**commit, "url": f"{address.url}/commit/{commit['id']}"} for commit in facts.commits
    ]
    is_tag = ref.startswith("refs/tags/")
    return {
        "ref": ref,
        "before": NO_COMMIT if is_tag else facts.parent,
        "after": facts.commit,
        "repository": {**_repository(facts, address), "url": address.url, "master_branch": facts.default_branch},
        "sender": {"login": login},
        "pusher": {"name": login, "email": commits[-1]["author"]["email"]},
        "commits": [] if is_tag else commits,
        "head_commit": commits[-1],
    }


def _pull_request(facts: Facts, address: _Address, head: str, base: str, login: str) -> dict[str, Any]:
    repository = _repository(facts, address)
    subject, _, rest = facts.commits[-1]["message"].partition("\n")
    return {
        "repository": repository,
        "sender": {"login": login},
        "pull_request": {
            "title": subject,
            "body": rest.strip() or None,
            "commits": len(facts.commits),
            "user": {"login": login},
            "head": {"ref": head, "sha": facts.commit, "repo": repository, "user": {"login": login}},
            "base": {"ref": base, "sha": facts.parent, "repo": repository},
        },
    }


def _nested(settings: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return settings as nested objects."""
    found: dict[str, Any] = {}
    for path, value in settings:
        *parents, last = path.split(".")
        target = found
        for position, name in enumerate(parents):
            target = target.setdefault(name, {})
            if not is_object(target):
                raise RunError(f"--set {path}: {'.'.join(parents[: position + 1])} is set to a value without keys")
        target[last] = value
    return found


def _overridden(event: dict[str, Any], replaced: Any) -> dict[str, Any]:
    """Return an event with values replaced recursively."""
    if not is_object(replaced):
        raise RunError("--set event: set one of its keys, for example event.number=3")
    found: dict[str, Any] = merged(event, replaced)
    return found
