"""The errors of API methods: codes, statuses and response bodies."""

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
    """An error response, with one of Taskcluster's error codes, which determines the status."""

    def __init__(self, code: str, message: str) -> None:
        if code not in _STATUS:
            raise ValueError(f"unknown error code {code!r}; known codes are {', '.join(_STATUS)}")
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return _STATUS[self.code]


def error_body(error: ApiError, method: str, params: dict[str, str], payload: Any, now: datetime) -> dict[str, Any]:
    """Return the JSON body of the response for `error`.

    Args:
        error: The error.
        method: The name of the API method.
        params: The URL parameters.
        payload: The parsed body of the request, without secrets.
        now: The time of the error.
    """
    time = to_wire(now)
    facts = {"method:    ": method, "errorCode: ": error.code, "statusCode:": error.status, "time:      ": time}
    footer = "\n".join(f"* {name} {value}" for name, value in facts.items())
    return {
        "code": error.code,
        "message": f"{error.message}\n\n---\n\n{footer}",
        "requestInfo": {"method": method, "params": params, "payload": payload, "time": time},
    }
