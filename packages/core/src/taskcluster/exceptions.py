"""Every exception the client raises, the same classes in sync and async code.

`except taskcluster.exceptions.TaskclusterFailure` catches all of them. What the server said is data on
`TaskclusterRestFailure` and `TaskclusterAuthFailure`: `status_code`, `body`, `code`, `requestInfo`, `missing_scopes`.
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
    """The base of all failures; raised itself when a call is wrong before anything is sent."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ calls the class with `args` alone, which fails for every constructor that
        # wants more, a subclass of the caller's included.
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
    """Return `exc`, or what it says where an HTTP library's exception holds sockets or fails to come back."""
    import pickle

    try:
        pickle.loads(pickle.dumps(exc))
    except Exception:
        return Exception(f"{type(exc).__name__}: {exc}")
    return exc


class _Answered(TaskclusterFailure):
    """What the failures that carry a server's answer have in common."""

    def __init__(
        self, msg: str | None, superExc: BaseException | None = None, status_code: int = 500, body: Any = None
    ) -> None:
        # Named, because async code's subclasses are aiohttp's errors too, whose constructors want something else.
        Exception.__init__(self, msg)
        self.superExc = superExc
        self.status_code = status_code
        self.body: Any = {} if body is None else body

    @property
    def code(self) -> str | None:
        """The server's error code, such as `ResourceNotFound`, or None where the body has none."""
        code = self._field("code")
        return code if isinstance(code, str) else None

    @property
    def requestInfo(self) -> Mapping[str, Any] | None:
        """What the server noted of the request (method, params, payload, time), or None where it did not."""
        info = self._field("requestInfo")
        return info if is_mapping(info) else None

    @property
    def missing_scope_expression(self) -> Any:
        """The scope expression a 403 says is not satisfied: a scope, or AllOf and AnyOf of them; None elsewhere."""
        message = self._field("message")
        if self.code != "InsufficientScopes" or not isinstance(message, str):
            return None
        # The server fences the unsatisfied part first (or, without credentials, the whole expression).
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
        """Every scope that `missing_scope_expression` names, in its order, each once."""
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


class TaskclusterRestFailure(_Answered):
    """The server answered with a status that is neither a success nor 401.

    Args:
        msg: The server's message, or a text that names the call and the status.
        superExc: The exception below this one, if any.
        status_code: The HTTP status.
        body: The answer's JSON; an empty dict where it was not JSON.
    """

    def __init__(
        self, msg: str | None, superExc: BaseException | None, status_code: int = 500, body: Any = None
    ) -> None:
        super().__init__(msg, superExc, status_code, body)


class TaskclusterAuthFailure(_Answered):
    """The server responded with status 401, or the credentials cannot be used and nothing was sent.

    In both cases `status_code` is 401 and `code` is `AuthenticationFailed`, so that a program that gets new credentials
    after a 401 gets them in time.
    """


def unusable_credentials(message: str) -> TaskclusterAuthFailure:
    """Return the failure to raise when credentials cannot be used, with the status and code that a server sends."""
    return TaskclusterAuthFailure(message, None, 401, {"code": "AuthenticationFailed", "message": message})


class TaskclusterConnectionError(TaskclusterFailure):
    """No whole answer came: refused, reset, timed out, or cut off; `superExc` is of the HTTP library's class.

    It is a copy without the request and the response, which hold secrets.
    """

    def __init__(self, msg: str, superExc: BaseException | None) -> None:
        Exception.__init__(self, msg)
        self.superExc = superExc


class TaskclusterTopicExchangeFailure(TaskclusterFailure):
    """A routing key pattern was asked for with parts that the exchange does not have, or in a wrong form."""


class TaskclusterArtifactError(TaskclusterFailure):
    """The artifact is of storage type `error`; `reason` is the worker's reason for it."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class ObjectHashVerificationError(TaskclusterFailure):
    """Downloaded bytes do not have the hashes that the object service states for them."""


class UnknownOptionWarning(UserWarning):
    """A client was given an option, or a key of credentials, that it does not know and ignores."""
