"""The helper's own exceptions, all of which are TaskclusterFailures."""

from __future__ import annotations

from typing import Any

from taskcluster.exceptions import TaskclusterFailure

__all__ = ["ArtifactMissingError", "ConfigurationError", "SecretError", "WaitTimeoutError"]


class ConfigurationError(TaskclusterFailure, AssertionError):
    """Arguments or environment variables are missing or wrong; programs catch it as AssertionError too."""


class SecretError(TaskclusterFailure):
    """A secret lacks a required key, or is not an object; the message never shows a value."""


class ArtifactMissingError(TaskclusterFailure):
    """The run has ended without creating the artifact."""


class WaitTimeoutError(TaskclusterFailure, TimeoutError):
    """The timeout is over; `last` is the result of the last successful poll, or None."""

    def __init__(self, message: str, last: Any = None) -> None:
        super().__init__(message)
        self.last = last
