"""A message as async programs see it."""

from __future__ import annotations

from ..message import PayloadT, ReceivedMessage

__all__ = ["PulseMessage"]


class PulseMessage(ReceivedMessage[PayloadT]):
    """A message in async code."""

    async def ack(self) -> None:
        """Acknowledge the message, which removes it from the queue.

        If its connection was lost meanwhile, the broker delivers it again.
        """
        self.delivery.settle(ack=True)

    async def reject(self, *, requeue: bool = False) -> None:
        """Reject the message: it is dropped, or dead-lettered if the queue has a dead letter exchange.

        Args:
            requeue: Whether the broker shall deliver it again instead.
        """
        self.delivery.settle(ack=False, requeue=requeue)
