"""Send the notifications in the routes of tasks: `notify.<type>.<address>.on-<event>`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from ...errors import ApiError
from ...events import Binding, Events, Message
from ...timestamps import Clock
from .outbox import Notification
from .state import Notifier

__all__ = ["watch"]

_EXCHANGE = "exchange/taskcluster-queue/v1/task-"
_ENDS = ("completed", "failed", "exception")
_STATES = ("defined", "pending", "running", *_ENDS)
_MEANING = {"resolved": _ENDS, "any": _ENDS, "transition": _STATES, **{state: (state,) for state in _STATES}}
"""The task states of each `on-<event>`; `any` is an older word for `resolved`."""

_KINDS = "email|pulse|matrix-room|slack-channel"
_ROUTE = re.compile(rf"route\.notify\.({_KINDS})\.(.+)\.on-({'|'.join(_MEANING)})", re.DOTALL)

_log = logging.getLogger("taskcluster.local")


def watch(events: Events, notifier: Notifier, root_url: str, clock: Clock) -> None:
    """Send notifications when the states of tasks change.

    Args:
        events: Delivers the queue's messages.
        notifier: Sends the notifications.
        root_url: The root URL of the deployment, for links.
        clock: The deployment's time.
    """
    for state in _STATES:
        events.react(Binding(f"{_EXCHANGE}{state}", "route.notify.#"), _reaction(notifier, state, root_url, clock))


def _reaction(notifier: Notifier, state: str, root_url: str, clock: Clock) -> Callable[[Message], None]:
    def react(message: Message) -> None:
        for route in message.routes:
            match = _ROUTE.fullmatch(route)
            if match is None or state not in _MEANING[match[3]]:
                continue
            kind, address = match[1], match[2]
            payload = _PAYLOADS[kind](address, state, message.payload["status"], root_url)
            try:
                notifier.send(Notification(kind, address, payload), clock())
            except ApiError as error:
                _log.warning("task %s: %s", message.payload["status"]["taskId"], error.message)

    return react


def _headline(state: str, status: dict[str, Any]) -> str:
    return f"Task {state}: {status['taskId']}"


def _link(status: dict[str, Any], root_url: str) -> str:
    return f"{root_url}/tasks/{status['taskId']}"


def _email(address: str, state: str, status: dict[str, Any], root_url: str) -> dict[str, Any]:
    facts = [
        f"Task `{status['taskId']}` in task queue `{status['taskQueueId']}` is {state}.",
        "",
        f"* task group: `{status['taskGroupId']}`",
        f"* runs: {len(status['runs'])}",
        f"* deadline: {status['deadline']}",
    ]
    return {
        "address": address,
        "subject": _headline(state, status),
        "content": "\n".join(facts),
        "link": {"text": "Show the task", "href": _link(status, root_url)},
        "template": "simple",
    }


def _pulse(address: str, state: str, status: dict[str, Any], root_url: str) -> dict[str, Any]:
    return {"routingKey": address, "message": status}


def _matrix(address: str, state: str, status: dict[str, Any], root_url: str) -> dict[str, Any]:
    text = f"{_headline(state, status)} {_link(status, root_url)}"
    return {"roomId": address, "body": text, "msgtype": "m.notice"}


def _slack(address: str, state: str, status: dict[str, Any], root_url: str) -> dict[str, Any]:
    text = f"{_headline(state, status)} {_link(status, root_url)}"
    return {"channelId": address, "text": text, "unfurlLinks": False, "unfurlMedia": False}


_PAYLOADS: dict[str, Callable[[str, str, dict[str, Any], str], dict[str, Any]]] = {
    "email": _email,
    "pulse": _pulse,
    "matrix-room": _matrix,
    "slack-channel": _slack,
}
