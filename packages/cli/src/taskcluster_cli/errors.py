"""Exit statuses, and what is printed when a command fails: what was wrong, and what to do next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from taskcluster.shapes import is_mapping

if TYPE_CHECKING:
    from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterRestFailure

__all__ = [
    "CLOSED",
    "DENIED",
    "FAILED",
    "INTERRUPTED",
    "MISSING",
    "NEGATIVE",
    "OK",
    "TERMINATED",
    "TIMEOUT",
    "USAGE",
    "Explanation",
    "Failure",
    "Terminated",
    "explain",
]

OK = 0
NEGATIVE = 1
"""A watched task failed, a check answered no, or some of several items failed."""
USAGE = 2
"""Wrong usage, an unreadable or invalid payload, or a question that was declined or could not be asked."""
DENIED = 3
"""No credentials, or not those that are needed: 401 and 403."""
MISSING = 4
"""There is no such thing: 404, no such artifact, expired."""
FAILED = 5
"""Everything else: another refusal, a server error, the network, the disk."""
TIMEOUT = 124
"""`--timeout` is over."""
INTERRUPTED = 130
CLOSED = 141
"""The reader of stdout is gone."""
TERMINATED = 143

_MOST_SCOPES = 10


class Failure(Exception):
    """A command cannot do what it should.

    Args:
        message: What is wrong. No secrets.
        status: The exit status.
        hint: What to do next.
    """

    def __init__(self, message: str, status: int = USAGE, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.hint = hint


class Terminated(BaseException):
    """SIGTERM was received."""


class Explanation(NamedTuple):
    """What to print for an exception."""

    status: int
    message: str
    hints: tuple[str, ...] = ()


def explain(exc: BaseException, credentials: str | None = None) -> Explanation:
    """Return the exit status, the message and hints for an exception.

    Args:
        exc: What a command raised.
        credentials: Whose credentials were used, for example `client 'me' (environment)`.
    """
    if isinstance(exc, Failure):
        return Explanation(exc.status, exc.message, (exc.hint,) if exc.hint else ())
    # Only code that has imported core's exceptions raises them.
    exceptions = sys.modules.get("taskcluster.exceptions")
    if exceptions is not None and isinstance(exc, exceptions.TaskclusterFailure):
        return _of_client(exc, credentials)
    if isinstance(exc, ModuleNotFoundError) and str(exc.name).startswith("taskcluster"):
        return Explanation(USAGE, str(exc))
    if isinstance(exc, OSError):
        name = f": {exc.filename}" if exc.filename else ""
        return Explanation(FAILED, f"{exc.strerror or type(exc).__name__}{name}")
    return Explanation(
        FAILED, f"internal error: {type(exc).__name__}", ("--debug shows where; please report it as a bug",)
    )


def _of_client(exc: BaseException, credentials: str | None) -> Explanation:
    from taskcluster.exceptions import (
        ObjectHashVerificationError,
        TaskclusterArtifactError,
        TaskclusterAuthFailure,
        TaskclusterConnectionError,
        TaskclusterRestFailure,
    )

    match exc:
        case TaskclusterAuthFailure():
            return Explanation(DENIED, _message_of(exc), (_identity(credentials),))
        case TaskclusterRestFailure():
            return _of_response(exc, credentials)
        case TaskclusterArtifactError():
            return Explanation(MISSING, f"the artifact is an error: {exc.message} ({exc.reason})")
        case TaskclusterConnectionError() | ObjectHashVerificationError():
            return Explanation(FAILED, str(exc))
        case _:
            # The helper's, by name: its module is not imported for this.
            kinds = {
                "WaitTimeoutError": TIMEOUT,
                "ArtifactMissingError": MISSING,
                "PluginError": FAILED,
            }
            return Explanation(kinds.get(type(exc).__name__, USAGE), str(exc))


def _message_of(exc: TaskclusterRestFailure | TaskclusterAuthFailure) -> str:
    """Return the server's message without what is for developers of services."""
    message = exc.body.get("message") if is_mapping(exc.body) else None
    text = message if isinstance(message, str) and message else str(exc)
    # Services append a dump of the request, which holds the payload.
    return text.partition("\n---\n")[0].strip()


def _of_response(exc: TaskclusterRestFailure, credentials: str | None) -> Explanation:
    status = exc.status_code
    if exc.missing_scopes:
        shown = exc.missing_scopes[:_MOST_SCOPES]
        rest = len(exc.missing_scopes) - len(shown)
        lines = [f"  {scope}" for scope in shown] + ([f"  and {rest} more"] if rest else [])
        message = "\n".join(["not authorized, these scopes are missing:", *lines])
        return Explanation(DENIED, message, (_identity(credentials),))
    message = f"{_message_of(exc)} ({status}{f' {exc.code}' if exc.code else ''})"
    if status in (401, 403):
        return Explanation(DENIED, message, (_identity(credentials),))
    if status in (404, 410, 424):
        return Explanation(MISSING, message)
    return Explanation(FAILED, message)


def _identity(credentials: str | None) -> str:
    if credentials is None:
        return (
            "no credentials were used; sign in with `taskcluster signin`, or set TASKCLUSTER_CLIENT_ID and "
            "TASKCLUSTER_ACCESS_TOKEN"
        )
    return f"used: {credentials}; `taskcluster whoami` shows its scopes, `taskcluster signin --scope …` gets others"
