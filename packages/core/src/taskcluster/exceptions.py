"""The exceptions of the client, the same classes in sync and async code.

`except taskcluster.exceptions.TaskclusterFailure` catches all of them. `TaskclusterRestFailure` and
`TaskclusterAuthFailure` hold the server's response: `status_code`, `body`, `code`, `requestInfo`, `missing_scopes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .shapes import is_array, is_mapping

__all__ = [
    "ObjectHashVerificationError",
    "TaskclusterArtifactError",
    "TaskclusterAuthFailure",
    "TaskclusterConnectionError",
    "TaskclusterFailure",
    "TaskclusterRestFailure",
    "TaskclusterTopicExchangeFailure",
    "UnknownOptionWarning",
    "unusable_credentials",
]


def __dir__() -> list[str]:
    return __all__


class TaskclusterFailure(Exception):
    """The base class of all failures. Raised itself for an invalid call, before any request is sent."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ calls the class with `args` only, which fails if the constructor requires more
        # arguments. So do those of subclasses in programs.
        state = dict(self.__dict__)
        if isinstance(state.get("superExc"), BaseException):
            state["superExc"] = _picklable(state["superExc"])
        return (_restore, (type(self), self.args, state))


def _restore(cls: type[TaskclusterFailure], args: tuple[Any, ...], state: dict[str, Any]) -> TaskclusterFailure:
    failure = cls.__new__(cls, *args)
    failure.args = args
    failure.__dict__.update(state)
    return failure


def _picklable(exc: BaseException) -> BaseException:
    """Return `exc`, or an Exception with its message if it cannot be pickled and unpickled."""
    import pickle

    try:
        pickle.loads(pickle.dumps(exc))
    except Exception:
        return Exception(f"{type(exc).__name__}: {exc}")
    return exc


class _FailedResponse(TaskclusterFailure):
    """The base class of failures with a server's response."""

    def __init__(
        self, msg: str | None, superExc: BaseException | None = None, status_code: int = 500, body: Any = None
    ) -> None:
        # Not super(): async code's subclasses also derive from aiohttp's errors, which take other arguments.
        Exception.__init__(self, msg)
        self.superExc = superExc
        self.status_code = status_code
        self.body: Any = {} if body is None else body

    @property
    def code(self) -> str | None:
        """The server's error code, for example `ResourceNotFound`; None if the body has none."""
        code = self._field("code")
        return code if isinstance(code, str) else None

    @property
    def requestInfo(self) -> Mapping[str, Any] | None:
        """The request as the server logged it (method, params, payload, time); None if the body has none."""
        info = self._field("requestInfo")
        return info if is_mapping(info) else None

    @property
    def missing_scope_expression(self) -> Any:
        """The scope expression that was not satisfied, for a 403: a scope, or AllOf and AnyOf of scopes; else None."""
        message = self._field("message")
        if self.code != "InsufficientScopes" or not isinstance(message, str):
            return None
        # The first fenced block is the unsatisfied part or, without credentials, the complete expression.
        _, fence, rest = message.partition("```")
        fenced, closing, _ = rest.partition("```")
        if not fence or not closing:
            return None
        expression = fenced.strip()
        if not expression.startswith("{"):
            return expression
        import json

        try:
            return json.loads(expression)
        except ValueError:
            return None

    @property
    def missing_scopes(self) -> list[str]:
        """The scopes in `missing_scope_expression`, in order and without duplicates."""
        return list(dict.fromkeys(_scopes_in(self.missing_scope_expression)))

    def _field(self, name: str) -> Any:
        return self.body.get(name) if is_mapping(self.body) else None


def _scopes_in(expression: Any) -> list[str]:
    if isinstance(expression, str):
        return [expression]
    if is_mapping(expression):
        return [scope for part in expression.values() for scope in _scopes_in(part)]
    if is_array(expression):
        return [scope for part in expression for scope in _scopes_in(part)]
    return []


class TaskclusterRestFailure(_FailedResponse):
    """The server responded with a status that is neither a success nor 401.

    Args:
        msg: The server's message, or one that names the call and the status.
        superExc: The cause, if there is one.
        status_code: The HTTP status.
        body: The response's JSON; an empty dict if it was not JSON.
    """

    def __init__(
        self, msg: str | None, superExc: BaseException | None, status_code: int = 500, body: Any = None
    ) -> None:
        super().__init__(msg, superExc, status_code, body)


class TaskclusterAuthFailure(_FailedResponse):
    """The server responded with status 401, or the credentials cannot be used and nothing was sent.

    In both cases `status_code` is 401 and `code` is `AuthenticationFailed`, so that a program that gets new credentials
    after a 401 gets them in time.
    """


def unusable_credentials(message: str) -> TaskclusterAuthFailure:
    """Return the failure to raise when credentials cannot be used, with the status and code that a server sends."""
    return TaskclusterAuthFailure(message, None, 401, {"code": "AuthenticationFailed", "message": message})


class TaskclusterConnectionError(TaskclusterFailure):
    """There was no complete response: the connection was refused or reset, timed out, or ended early.

    `superExc` is a copy of the HTTP library's exception, without the request and the response, which hold secrets.
    """

    def __init__(self, msg: str, superExc: BaseException | None) -> None:
        Exception.__init__(self, msg)
        self.superExc = superExc


class TaskclusterTopicExchangeFailure(TaskclusterFailure):
    """The arguments of a routing key pattern are invalid, or the exchange has no such routing key word."""


class TaskclusterArtifactError(TaskclusterFailure):
    """The artifact is of storage type `error`; `reason` is the worker's reason."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class ObjectHashVerificationError(TaskclusterFailure):
    """Downloaded bytes do not match the hashes that the object service has for them."""


class UnknownOptionWarning(UserWarning):
    """An unknown option, or an unknown key of the credentials, is ignored."""
