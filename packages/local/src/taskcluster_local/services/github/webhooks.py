"""Check GitHub's webhooks, and convert their events to messages."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...encoding import is_object
from ...errors import ApiError
from .state import sanitized

__all__ = ["Publication", "check_signature", "described", "publication"]

_ACTION = re.compile(r"[a-z_]{1,40}", re.ASCII)
_SKIPS = ("[skip ci]", "[ci skip]")
_LONGEST_SEARCHED = 1_000_000
_LONGEST_NAME = 100
_PUBLISHED = ("push", "pull_request", "release", "check_run")
_DIGESTS = {"x-hub-signature-256": "sha256", "x-hub-signature": "sha1"}


@dataclass(frozen=True, slots=True)
class Publication:
    """The message about an event, and the names of the repository at GitHub."""

    exchange: str
    schema: str
    payload: dict[str, Any]
    words: dict[str, str]
    organization: str
    repository: str


def check_signature(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raise ApiError (InputError) unless a body was signed with a secret.

    Args:
        secret: The secret of the webhook.
        headers: The headers of the request. If there are two signatures, the stronger one is checked.
        body: The body of the request.
    """
    for name, algorithm in _DIGESTS.items():
        given = headers.get(name)
        if given is not None:
            digest = hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()
            if hmac.compare_digest(given.encode(errors="replace"), f"{algorithm}={digest}".encode()):
                return
            raise ApiError("InputError", f"{name} does not match: does this deployment have the webhook's secret?")
    raise ApiError("InputError", "the webhook is not signed: set its secret at GitHub")


def publication(headers: Mapping[str, str], body: dict[str, Any]) -> Publication | None:
    """Return the message about a delivery, or None if there is nothing to build.

    Args:
        headers: The headers of the request.
        body: The event.

    Raises:
        ApiError: A header is missing (MalformedPayload), or a key of the event is missing (InputError).
    """
    kind, delivery = headers.get("x-github-event"), headers.get("x-github-delivery")
    if not kind or not delivery:
        raise ApiError("MalformedPayload", "Request missing X-GitHub-Event or X-GitHub-Delivery header")
    # GitHub reports rejected deliveries as failures to the owners of the repository.
    if kind not in _PUBLISHED or _is_skipped(kind, body):
        return None
    return described(kind, delivery, body)


def described(kind: str, delivery: str, body: dict[str, Any]) -> Publication:
    """Return the message about an event.

    Args:
        kind: GitHub's name for the event: `push`, `pull_request`, `release`, `issue_comment` or `check_run`.
        delivery: The id of its delivery, a UUID.
        body: The event.

    Raises:
        ApiError: A key of the event is missing (InputError).
    """
    try:
        return _described(kind, delivery, body)
    except _MissingValue as missing:
        raise ApiError("InputError", f"the {kind} event has no {missing}") from None


def _is_skipped(kind: str, body: dict[str, Any]) -> bool:
    if kind == "push":
        # There is nothing to build after a branch or tag was deleted.
        return body.get("deleted") is True or _says_skip(_found(body, ("head_commit", "message")))
    if kind == "pull_request":
        return _says_skip(_found(body, ("pull_request", "title")))
    return kind == "check_run" and body.get("action") != "rerequested"


def _says_skip(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    lower = text[:_LONGEST_SEARCHED].lower()
    return any(skip in lower for skip in _SKIPS)


def _described(kind: str, delivery: str, body: dict[str, Any]) -> Publication:
    # Some events of GitHub Enterprise have owners without `login`.
    login = _found(body, ("repository", "owner", "login"))
    organization = login if isinstance(login, str) and login else _string(body, "repository", "owner", "name")
    repository = _string(body, "repository", "name")
    if max(len(organization), len(repository)) > _LONGEST_NAME:
        raise ApiError("InputError", f"the names of owner and repository must have at most {_LONGEST_NAME} characters")
    words = {"organization": sanitized(organization), "repository": sanitized(repository)}
    if kind in ("pull_request", "issue_comment"):
        action = _string(body, "action")
        if not _ACTION.fullmatch(action):
            raise ApiError("InputError", f"action must be lower-case letters and `_`, not {action[:40]!r}")
        words["action"] = action
    exchange, schema, own = {
        "push": ("push", "push", _push),
        "pull_request": ("pullRequest", "pull-request", _pull_request),
        "issue_comment": ("pullRequest", "pull-request", _comment),
        "release": ("release", "release", _release),
        "check_run": ("rerun", "rerun", _rerun),
    }[kind]
    payload = {
        "version": 1,
        **words,
        "installationId": _integer(body, "installation", "id"),
        "eventId": delivery,
        "body": body,
        **own(body),
    }
    return Publication(exchange, f"github/v1/github-{schema}-message.json", payload, words, organization, repository)


def _push(body: dict[str, Any]) -> dict[str, Any]:
    branch = _string(body, "ref").removeprefix("refs/heads/").removeprefix("refs/tags/")
    return {"tasks_for": "github-push", "branch": branch, "details": _push_details(body)}


def _pull_request(body: dict[str, Any]) -> dict[str, Any]:
    branch = _string(body, "pull_request", "head", "ref")
    return {"tasks_for": "github-pull-request", "branch": branch, "details": _pull_request_details(body)}


def _comment(body: dict[str, Any]) -> dict[str, Any]:
    branch = _string(body, "repository", "default_branch")
    return {"tasks_for": "github-issue-comment", "branch": branch, "details": _comment_details(body)}


def _release(body: dict[str, Any]) -> dict[str, Any]:
    branch = _string(body, "release", "target_commitish")
    return {"tasks_for": "github-release", "branch": branch, "details": _release_details(body)}


def _rerun(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "tasks_for": "github-check-run",
        "checkRunId": _integer(body, "check_run", "id"),
        "checkSuiteId": _integer(body, "check_run", "check_suite", "id"),
    }


def _push_details(body: dict[str, Any]) -> dict[str, Any]:
    ref, login = _string(body, "ref"), _string(body, "sender", "login")
    details = {
        "event.head.user.login": login,
        "event.head.user.email": _email(body, login),
        "event.head.ref": ref,
        "event.base.sha": _string(body, "before"),
        "event.head.sha": _string(body, "after"),
        **_repository_details("head", _found(body, ("repository",))),
    }
    if ref.startswith("refs/tags/"):
        return {"event.type": "tag", "event.head.tag": ref.removeprefix("refs/tags/"), **details}
    branch = ref.removeprefix("refs/heads/")
    branches = {"event.base.repo.branch": branch, "event.head.repo.branch": branch, "event.base.ref": ref}
    return {"event.type": "push", **branches, **details}


def _pull_request_details(body: dict[str, Any]) -> dict[str, Any]:
    login = _string(body, "pull_request", "head", "user", "login")
    details: dict[str, Any] = {
        "event.type": f"pull_request.{_string(body, 'action')}",
        "event.pullNumber": _integer(body, "number"),
        "event.head.user.login": login,
        "event.head.user.email": _email({}, login),
    }
    base_user = _found(body, ("pull_request", "base", "user", "login"))
    if isinstance(base_user, str):
        details["event.base.user.login"] = base_user
    for side in ("base", "head"):
        branch = _string(body, "pull_request", side, "ref")
        details[f"event.{side}.repo.branch"] = branch
        details[f"event.{side}.ref"] = f"refs/heads/{branch}"
        details[f"event.{side}.sha"] = _string(body, "pull_request", side, "sha")
        details |= _repository_details(side, _found(body, ("pull_request", side, "repo")))
    return details


def _release_details(body: dict[str, Any]) -> dict[str, Any]:
    login, tag = _string(body, "sender", "login"), _string(body, "release", "tag_name")
    return {
        "event.type": "release",
        "event.base.repo.branch": _string(body, "release", "target_commitish"),
        "event.head.ref": f"refs/tags/{tag}",
        "event.head.user.login": login,
        "event.head.user.email": _email({}, login),
        "event.version": tag,
        **_repository_details("head", _found(body, ("repository",))),
    }


def _comment_details(body: dict[str, Any]) -> dict[str, Any]:
    login = _string(body, "sender", "login")
    return {
        "event.type": f"issue_comment.{_string(body, 'action')}",
        "event.pullNumber": _integer(body, "issue", "number"),
        "event.head.user.login": login,
        "event.head.user.email": _email({}, login),
    }


def _repository_details(side: str, repository: Any) -> dict[str, str]:
    found = {"name": _found(repository, ("name",)), "url": _found(repository, ("clone_url",))}
    return {f"event.{side}.repo.{key}": value for key, value in found.items() if isinstance(value, str)}


def _email(body: dict[str, Any], login: str) -> str:
    found = _found(body, ("head_commit", "author", "email"))
    return found if isinstance(found, str) and found else f"{login.removesuffix('[bot]')}@users.noreply.github.com"


class _MissingValue(Exception):
    """The path of a missing value in an event."""


def _found(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body.get(name) if is_object(body) else None
    return body


def _string(body: Any, *path: str) -> str:
    found = _found(body, path)
    if not isinstance(found, str) or not found:
        raise _MissingValue(".".join(path))
    return found


def _integer(body: Any, *path: str) -> int:
    found = _found(body, path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise _MissingValue(".".join(path))
    return found
