"""What most programs that use Taskcluster need beside its clients; they import it from `taskcluster.helper`.

`TaskclusterConfig` is one configuration for all clients, and `load_secrets` loads a program's own configuration from
the secrets service. `wait_for_task` and similar functions wait for a state of the server, `task_log_lines` reads what a
task logs, and `resubmittable` moves the times of a task's definition. `taskcluster.aio.helper` has the async
counterparts.

Decisions are in `procedures`, which core's runner runs; `performer.py` and `aio/performer.py` perform their effects.
"""

from . import version as version
from .artifacts import upload_artifact
from .configuration import TaskclusterConfig
from .exceptions import ArtifactMissingError, ConfigurationError, SecretError, WaitTimeoutError
from .logs import task_log_lines
from .resubmission import resubmittable
from .secrets import load_secrets
from .waiting import wait_for_artifact, wait_for_indexed_task, wait_for_task, wait_for_task_group

__all__ = [
    "ArtifactMissingError",
    "ConfigurationError",
    "SecretError",
    "TaskclusterConfig",
    "WaitTimeoutError",
    "load_secrets",
    "resubmittable",
    "task_log_lines",
    "upload_artifact",
    "wait_for_artifact",
    "wait_for_indexed_task",
    "wait_for_task",
    "wait_for_task_group",
]


def __dir__() -> list[str]:
    return __all__
