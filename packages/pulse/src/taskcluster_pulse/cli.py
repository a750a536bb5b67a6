"""Print messages as they arrive. `taskcluster pulse listen` and `python -m taskcluster_pulse listen` call this."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .consumer import Consumer
from .exceptions import PulseFailure
from .message import PulseMessage

__all__ = ["formatted", "listen", "main"]


def listen(
    exchange: str,
    pattern: str,
    write: Callable[[str], object],
    *,
    as_json: bool = False,
    count: int | None = None,
    timeout: float | None = None,
    **broker: Any,
) -> bool:
    """Print each message in a line, and return whether as many as wanted were received.

    Args:
        exchange: The exchange; `exchange/` may be omitted.
        pattern: The routing key pattern.
        write: Called with each line.
        as_json: Whether lines are JSON objects with the complete message.
        count: Stop after so many messages; None never stops.
        timeout: Stop after so many seconds; None never stops.
        **broker: Arguments of `Consumer`, e.g. `url`.

    Raises:
        PulseFailure: The connection failed, or was refused.
    """
    name = exchange if exchange.startswith("exchange/") else f"exchange/{exchange}"
    until = None if timeout is None else time.monotonic() + timeout
    received = 0
    with Consumer((name, pattern), **broker) as messages:
        while count is None or received < count:
            try:
                message = messages.get(None if until is None else max(until - time.monotonic(), 0.0))
            except TimeoutError:
                break
            write(formatted(message, as_json=as_json))
            received += 1
    return count is None or received >= count


def formatted(message: PulseMessage[Any], *, as_json: bool) -> str:
    """Return a message as a line."""
    if not as_json:
        return " ".join([message.exchange.rpartition("/")[2], message.routing_key, *message.routes])
    document = {
        "exchange": message.exchange,
        "routingKey": message.routing_key,
        "routes": message.routes,
        "redelivered": message.redelivered,
        "payload": message.payload,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m taskcluster_pulse")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "listen",
        help="print messages",
        description="Print messages from the broker that PULSE_URL or PULSE_HOSTNAME names, or from the local "
        "deployment that TASKCLUSTER_ROOT_URL names.",
    )
    command.add_argument("exchange", help="e.g. exchange/taskcluster-queue/v1/task-completed")
    command.add_argument("pattern", nargs="?", default="#", help="routing key pattern (default: all messages)")
    command.add_argument("--json", action="store_true", help="print each message as a JSON object in a line")
    command.add_argument("--count", type=int, help="stop after so many messages")
    command.add_argument("--timeout", type=float, help="stop after so many seconds; with --count, exit with status 1")
    given = parser.parse_args(arguments)

    def write(line: str) -> None:
        print(line, flush=True)

    try:
        complete = listen(
            given.exchange, given.pattern, write, as_json=given.json, count=given.count, timeout=given.timeout
        )
    except PulseFailure as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if complete else 1
