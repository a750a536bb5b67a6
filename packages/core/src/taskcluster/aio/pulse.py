"""`taskcluster.aio.pulse`: consume and publish Pulse messages, which taskcluster-pulse brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..facade import alias_module

if TYPE_CHECKING:
    from taskcluster_pulse.aio import Consumer as Consumer
    from taskcluster_pulse.aio import ConsumerStopped as ConsumerStopped
    from taskcluster_pulse.aio import MessageFormatError as MessageFormatError
    from taskcluster_pulse.aio import Publisher as Publisher
    from taskcluster_pulse.aio import PulseConnectionError as PulseConnectionError
    from taskcluster_pulse.aio import PulseFailure as PulseFailure
    from taskcluster_pulse.aio import PulseMessage as PulseMessage
    from taskcluster_pulse.aio import PulseRefused as PulseRefused
    from taskcluster_pulse.aio import wait_for_task as wait_for_task
    from taskcluster_pulse.aio import wait_for_task_group as wait_for_task_group
else:
    alias_module(__name__, "taskcluster_pulse.aio")
