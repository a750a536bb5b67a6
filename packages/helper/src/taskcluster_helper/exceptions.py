"""What the helper raises of its own; each is a TaskclusterFailure, beside the failures of the calls themselves."""

from __future__ import annotations

from typing import Any

from taskcluster.exceptions import TaskclusterFailure

__all__ = ["ArtifactMissingError", "ConfigurationError", "SecretError", "WaitTimeoutError"]


class ConfigurationError(TaskclusterFailure, AssertionError):
    """What the helper was given, or found in the environment, cannot work; programs catch it as AssertionError too."""


class SecretError(TaskclusterFailure):
    """A secret lacks a required key, or is not made of keys and values; the text names keys and never a value."""


class ArtifactMissingError(TaskclusterFailure):
    """The run has ended, and what was waited for is not among its artifacts."""


class WaitTimeoutError(TaskclusterFailure, TimeoutError):
    """The time for waiting is over; `last` is what was seen last, or None where nothing was."""

    def __init__(self, message: str, last: Any = None) -> None:
        super().__init__(message)
        self.last = last
