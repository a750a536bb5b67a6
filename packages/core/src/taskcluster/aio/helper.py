"""`taskcluster.aio.helper`: shared configuration, secrets, waiting and logs, which taskcluster-helper brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..facade import alias_module

if TYPE_CHECKING:
    from taskcluster_helper.aio import ArtifactMissingError as ArtifactMissingError
    from taskcluster_helper.aio import ConfigurationError as ConfigurationError
    from taskcluster_helper.aio import SecretError as SecretError
    from taskcluster_helper.aio import WaitTimeoutError as WaitTimeoutError
    from taskcluster_helper.aio import load_secrets as load_secrets
    from taskcluster_helper.aio import task_log_lines as task_log_lines
    from taskcluster_helper.aio import wait_for_artifact as wait_for_artifact
    from taskcluster_helper.aio import wait_for_indexed_task as wait_for_indexed_task
    from taskcluster_helper.aio import wait_for_task as wait_for_task
    from taskcluster_helper.aio import wait_for_task_group as wait_for_task_group
else:
    alias_module(__name__, "taskcluster_helper.aio")
