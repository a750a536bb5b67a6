"""Consume and publish Pulse messages in async code; programs import this as `taskcluster.aio.pulse`."""

from ..exceptions import ConsumerStopped, MessageFormatError, PulseConnectionError, PulseFailure, PulseRefused
from .consumer import Consumer
from .message import PulseMessage
from .publisher import Publisher
from .waiting import wait_for_task, wait_for_task_group

__all__ = [
    "Consumer",
    "ConsumerStopped",
    "MessageFormatError",
    "Publisher",
    "PulseConnectionError",
    "PulseFailure",
    "PulseMessage",
    "PulseRefused",
    "wait_for_task",
    "wait_for_task_group",
]


def __dir__() -> list[str]:
    return __all__
