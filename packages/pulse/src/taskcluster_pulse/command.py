"""`taskcluster pulse`, a command that this distribution adds to taskcluster-cli, without which it is not imported."""

from __future__ import annotations

import os
from typing import Any

import click

from taskcluster_cli.plugins import App, Failure, group, pass_app

from .exceptions import PulseFailure
from .settings import is_broker_named

__all__ = ["pulse"]


@group()
def pulse() -> None:
    """Receive Pulse messages."""


@pulse.command(
    examples=[
        "taskcluster pulse listen exchange/taskcluster-queue/v1/task-completed --count 1 --json",
        "taskcluster pulse listen taskcluster-queue/v1/task-failed 'route.index.project.#'",
    ]
)
@click.argument("exchange")
@click.argument("pattern", default="#")
@click.option("--count", type=click.IntRange(1), help="Stop after so many messages.")
@click.option(
    "--timeout", type=click.FloatRange(0), help="Stop after so many seconds; status 1 if --count was not reached."
)
@click.option("--broker", metavar="URL", help="The broker, amqps://USER:PASSWORD@HOST. Defaults to PULSE_URL.")
@pass_app
def listen(app: App, exchange: str, pattern: str, count: int | None, timeout: float | None, broker: str | None) -> int:
    """Print messages as they arrive.

    They come from the broker that --broker, PULSE_URL or PULSE_HOSTNAME names, or else from the stream of the local
    deployment. With --json, each message is an object in a line.
    """
    from .cli import listen as listen_to

    arguments: dict[str, Any] = {"url": broker}
    if broker is None and not is_broker_named(os.environ):
        options = app.options()
        arguments = {"root_url": options["rootUrl"], "credentials": options.get("credentials")}

    def write(line: str) -> None:
        app.out.line(line)
        app.out.flush()

    try:
        complete = listen_to(
            exchange, pattern, write, as_json=app.out.is_for_programs, count=count, timeout=timeout, **arguments
        )
    except PulseFailure as exc:
        raise Failure(str(exc)) from exc
    return 0 if complete else 1
