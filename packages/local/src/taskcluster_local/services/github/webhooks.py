"""What GitHub delivers: checked, and turned into the messages that are published of it."""

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

__all__ = ["Publication", "check_signature", "publication"]

_ACTION = re.compile(r"[a-z_]{1,40}", re.ASCII)
_DIGESTS = {"x-hub-signature-256": "sha256", "x-hub-signature": "sha1"}


@dataclass(frozen=True, slots=True)
class Publication:
    """A message that is to be published."""

    exchange: str
    schema: str
    payload: dict[str, Any]
    words: dict[str, str]


def check_signature(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raise ApiError (InputError) unless a body was signed with a secret.

    Args:
        secret: What GitHub was told to sign with.
        headers: Of the request; of the two signatures the stronger one counts.
        body: As it was sent.
    """
    for name, algorithm in _DIGESTS.items():
        given = headers.get(name)
        if given is not None:
            digest = hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()
            if hmac.compare_digest(given.encode(errors="replace"), f"{algorithm}={digest}".encode()):
                return
            raise ApiError("InputError", f"{name} does not match: is this deployment told the webhook's secret?")
    raise ApiError("InputError", "the webhook is not signed: set its secret at GitHub")


def publication(headers: Mapping[str, str], body: dict[str, Any]) -> Publication | None:
    """Return what is to be published of a delivery; None where there is nothing to say.

    Args:
        headers: Of the request.
        body: The event.

    Raises:
        ApiError: The headers do not tell the event (MalformedPayload), the event lacks something, or is of a kind that
            is not taken (InputError).
    """
    kind, delivery = headers.get("x-github-event"), headers.get("x-github-delivery")
    if not kind or not delivery:
        raise ApiError("MalformedPayload", "Request missing X-GitHub-Event or X-GitHub-Delivery header")
    if kind == "ping":
        return None
    try:
        return _publication(kind, delivery, body)
    except _Lacking as lacking:
        raise ApiError("InputError", f"the {kind} event has no {lacking}") from None


def _publication(kind: str, delivery: str, body: dict[str, Any]) -> Publication | None:
    common: dict[str, Any] = {
        "version": 1,
        "organization": sanitized(_text(body, "repository", "owner", "login")),
        "repository": sanitized(_text(body, "repository", "name")),
        "installationId": _whole(body, "installation", "id"),
        "eventId": delivery,
        "body": body,
    }
    words = {"organization": common["organization"], "repository": common["repository"]}
    if kind == "push":
        ref = _text(body, "ref")
        # Of a branch that is no more there is nothing to build.
        if body.get("deleted") is True:
            return None
        branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        payload = {**common, "tasks_for": "github-push", "branch": branch, "details": _push_details(body)}
        return Publication("push", "github/v1/github-push-message.json", payload, words)
    if kind == "pull_request":
        action = _text(body, "action")
        if not _ACTION.fullmatch(action):
            raise ApiError("InputError", f"{action[:40]!r} is no action of a pull request")
        payload = {
            **common,
            "action": action,
            "tasks_for": "github-pull-request",
            "branch": _text(body, "pull_request", "head", "ref"),
            "details": _pull_request_details(body),
        }
        schema = "github/v1/github-pull-request-message.json"
        return Publication("pullRequest", schema, payload, {**words, "action": action})
    if kind == "release":
        branch = _text(body, "release", "target_commitish")
        details = {
            "event.type": "release",
            "event.head.ref": f"refs/tags/{_text(body, 'release', 'tag_name')}",
            "event.head.user.login": _text(body, "sender", "login"),
        }
        payload = {**common, "tasks_for": "github-release", "branch": branch, "details": details}
        return Publication("release", "github/v1/github-release-message.json", payload, words)
    if kind == "check_run":
        if body.get("action") != "rerequested":
            return None
        payload = {
            **common,
            "tasks_for": "github-check-run",
            "checkRunId": _whole(body, "check_run", "id"),
            "checkSuiteId": _whole(body, "check_run", "check_suite", "id"),
        }
        return Publication("rerun", "github/v1/github-rerun-message.json", payload, words)
    raise ApiError("InputError", f"No publisher available for X-GitHub-Event: {kind}")


def _push_details(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "event.type": "push",
        "event.base.repo.branch": _text(body, "ref").removeprefix("refs/heads/"),
        "event.head.repo.branch": _text(body, "ref").removeprefix("refs/heads/"),
        "event.head.user.login": _text(body, "sender", "login"),
        "event.head.ref": _text(body, "ref"),
        "event.base.sha": _text(body, "before"),
        "event.head.sha": _text(body, "after"),
    }


def _pull_request_details(body: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {
        "event.type": f"pull_request.{_text(body, 'action')}",
        "event.pullNumber": _whole(body, "number"),
        "event.head.user.login": _text(body, "pull_request", "head", "user", "login"),
    }
    for side in ("base", "head"):
        details[f"event.{side}.repo.branch"] = _text(body, "pull_request", side, "ref")
        details[f"event.{side}.sha"] = _text(body, "pull_request", side, "sha")
    return details


class _Lacking(Exception):
    """Where in an event something is missing."""


def _found(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body.get(name) if is_object(body) else None
    return body


def _text(body: Any, *path: str) -> str:
    found = _found(body, path)
    if not isinstance(found, str) or not found:
        raise _Lacking(".".join(path))
    return found


def _whole(body: Any, *path: str) -> int:
    found = _found(body, path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise _Lacking(".".join(path))
    return found
