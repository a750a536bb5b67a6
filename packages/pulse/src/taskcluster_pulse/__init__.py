"""Consume and publish Pulse messages; programs import this as `taskcluster.pulse`.

Pulse is RabbitMQ with rules for names. `Consumer` receives messages from it and reconnects. `taskcluster.aio.pulse` has
the async counterparts.

`amqp.py` speaks the protocol, `broker_link.py` declares and consumes a queue over one connection,
`supervisor.py` replaces connections, and `procedures.py` decides what happens to each message.
"""

from . import version as version
from .consumer import Consumer
from .exceptions import ConsumerStopped, MessageFormatError, PulseConnectionError, PulseFailure, PulseRefused
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
