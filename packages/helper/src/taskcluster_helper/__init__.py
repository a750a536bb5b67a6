"""What most programs that use Taskcluster need beside its clients; programs find it as `taskcluster.helper`.

`TaskclusterConfig` is one configuration for all clients, and `load_secrets` takes a program's own configuration out of
the secrets service. `wait_for_task` and its like wait for what happens on the server, `task_log_lines` reads what a
task logs, and `resubmittable` moves the times of a task's definition. The async twins are in `taskcluster.aio.helper`.

Waiting and following are generators that yield what is to be done (effects.py, waiting.py, logs.py); two drivers do it,
drive.py and async_drive.py, which differ in `await` and in the HTTP library.
"""

from .artifacts import upload_artifact
from .blocking import task_log_lines, wait_for_artifact, wait_for_indexed_task, wait_for_task, wait_for_task_group
from .configuration import TaskclusterConfig
from .exceptions import ArtifactMissingError, ConfigurationError, SecretError, WaitTimeoutError
from .resubmission import resubmittable
from .secrets import load_secrets

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
