"""What publishers have in common: those of programs, and that of a local deployment."""

from __future__ import annotations

from typing import Any

from pamqp import commands

from .amqp import AmqpChannel, AmqpConnection

__all__ = ["confirming_channel", "declare_exchange", "json_properties"]


async def confirming_channel(connection: AmqpConnection) -> AmqpChannel:
    """Open a channel on which the broker confirms messages."""
    channel = await connection.channel()
    await channel.call(commands.Confirm.Select(), commands.Confirm.SelectOk)
    return channel


async def declare_exchange(channel: AmqpChannel, name: str) -> None:
    """Create an exchange unless it exists, durable and of type topic."""
    await channel.call(
        commands.Exchange.Declare(exchange=name, exchange_type="topic", durable=True), commands.Exchange.DeclareOk
    )


def json_properties(headers: dict[str, Any]) -> commands.Basic.Properties:
    """Return the properties of a message in JSON that the broker keeps on disk."""
    return commands.Basic.Properties(
        content_type="application/json", content_encoding="utf-8", delivery_mode=2, headers=headers
    )
