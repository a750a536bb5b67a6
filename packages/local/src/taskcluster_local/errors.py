"""What an API answers when it refuses: codes, statuses and the body that clients read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .timestamps import to_wire

__all__ = ["ApiError", "error_body"]

_STATUS = {
    "MalformedPayload": 400,
    "InvalidRequestArguments": 400,
    "InputValidationError": 400,
    "InputError": 400,
    "NotInLocalDeployment": 400,
    "NoMatchingBackend": 400,
    "DenylistedAddress": 400,
    "AuthenticationFailed": 401,
    "InsufficientScopes": 403,
    "ForbiddenByGithub": 403,
    "ResourceNotFound": 404,
    "NoMatchingMethod": 406,
    "RequestConflict": 409,
    "ResourceExpired": 410,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ProviderSetupFailed": 503,
}


class ApiError(Exception):
    """A refusal, with one of Taskcluster's error codes; each code has its status."""

    def __init__(self, code: str, message: str) -> None:
        if code not in _STATUS:
            raise ValueError(f"{code!r} is no error code; there are {', '.join(_STATUS)}")
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return _STATUS[self.code]


def error_body(error: ApiError, method: str, params: dict[str, str], payload: Any, now: datetime) -> dict[str, Any]:
    """Return the JSON body that tells a client of `error`.

    Args:
        error: What went wrong.
        method: The API method's name.
        params: The parameters of the URL.
        payload: The request's body as far as it was understood, without secrets.
        now: When it happened.
    """
    time = to_wire(now)
    facts = {"method:    ": method, "errorCode: ": error.code, "statusCode:": error.status, "time:      ": time}
    footer = "\n".join(f"* {name} {value}" for name, value in facts.items())
    return {
        "code": error.code,
        "message": f"{error.message}\n\n---\n\n{footer}",
        "requestInfo": {"method": method, "params": params, "payload": payload, "time": time},
    }
