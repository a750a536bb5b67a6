"""The async counterparts of the helper's functions, which programs import from `taskcluster.aio.helper`."""

from ..exceptions import ArtifactMissingError, ConfigurationError, SecretError, WaitTimeoutError
from .logs import task_log_lines
from .secrets import load_secrets
from .waiting import wait_for_artifact, wait_for_indexed_task, wait_for_task, wait_for_task_group

__all__ = [
    "ArtifactMissingError",
    "ConfigurationError",
    "SecretError",
    "WaitTimeoutError",
    "load_secrets",
    "task_log_lines",
    "wait_for_artifact",
    "wait_for_indexed_task",
    "wait_for_task",
    "wait_for_task_group",
]


def __dir__() -> list[str]:
    return __all__
