"""The exceptions of this package."""

from __future__ import annotations

from taskcluster.exceptions import TaskclusterFailure

__all__ = ["ConsumerStopped", "MessageFormatError", "PulseConnectionError", "PulseFailure", "PulseRefused"]


def __dir__() -> list[str]:
    return __all__


class PulseFailure(TaskclusterFailure):
    """The base class of this package's failures. Raised itself for invalid arguments."""


class PulseConnectionError(PulseFailure):
    """There is no connection, or it was lost. A later attempt may succeed."""


class PulseRefused(PulseFailure):
    """The broker or the deployment refuses something that does not change by itself; the message says what to do.

    `code` is the broker's reply code, e.g. 403, 404, 406 or 530, or the HTTP status.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[PulseRefused], tuple[str, int]]:
        return type(self), (str(self), self.code)


class MessageFormatError(PulseFailure):
    """The body of a message is not a JSON object in UTF-8."""


class ConsumerStopped(PulseFailure):
    """There are no more messages, because the consumer was stopped."""
