"""What a broker's reasons mean, and what to do about them."""

from __future__ import annotations

import re

from .amqp import FRAME_ERROR
from .exceptions import PulseConnectionError, PulseFailure, PulseRefused
from .settings import BrokerSettings

__all__ = ["explain"]

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' for (?P<what>queue|exchange) '(?P<which>.+)' in vhost '.*': "
    r"received (?P<ours>.+?),? but current is (?P<theirs>.+)"
)
_VALUE = re.compile(r"the value '(.*)' of type '.*'")
_REFUSED_QUEUE = re.compile(r"access to queue '(.*)' in vhost")
_REFUSED_EXCHANGE = re.compile(r"access to exchange '(.*)' in vhost")
_NO_EXCHANGE = re.compile(r"no exchange '(.*)' in vhost")


def explain(code: int | None, text: str, settings: BrokerSettings) -> PulseFailure:
    """Return the failure for the reason that a broker gave while a consumer or publisher set up.

    Args:
        code: The reply code; None if the connection was lost without a reason.
        text: The broker's text.
        settings: The connection.

    Returns:
        PulseRefused if the reason does not change by itself, else PulseConnectionError.
    """
    user, address = settings.username, settings.address
    problem: str | None = None
    if code == 403 and "Login was refused" in text:
        problem = (
            f"the broker {address} refuses the login of {user!r}: check the user name and the password (PULSE_USERNAME "
            "and PULSE_PASSWORD, or the URL); Taskcluster credentials are no Pulse account"
        )
    elif code == 530 and "limit" not in text:
        problem = (
            f"the broker {address} refuses the vhost {settings.vhost!r} to {user!r}: pass another one as vhost or "
            f"PULSE_VHOST ({text})"
        )
    elif code == 403 and (found := _REFUSED_QUEUE.search(text)):
        problem = (
            f"{user!r} has no access to the queue {found[1]!r}: the names of its queues must begin with 'queue/{user}/'"
        )
    elif code == 403 and (found := _REFUSED_EXCHANGE.search(text)):
        problem = (
            f"{user!r} has no access to the exchange {found[1]!r}: it may read every exchange 'exchange/…', and write "
            f"to those that begin with 'exchange/{user}/'"
        )
    elif code == 404 and (found := _NO_EXCHANGE.search(text)):
        problem = (
            f"the broker {address} has no exchange {found[1]!r}: check its name; Taskcluster's are "
            "'exchange/taskcluster-<service>/v1/<name>', and events classes return them"
        )
    elif code == 406 and (found := _INEQUIVALENT.search(text)):
        ours, theirs = _value(found["ours"]), _value(found["theirs"])
        problem = (
            f"the {found['what']} {found['which']!r} exists with {found['name']} = {theirs}, not {ours}: pass the same "
            "(queue_type, queue_arguments), use another name, or delete it"
        )
    elif code in (403, 405, 406, FRAME_ERROR):
        problem = f"the broker {address} refuses: {text}"
    if problem is not None and code is not None:
        return PulseRefused(problem, code)
    return PulseConnectionError(f"the broker {address}: {text}")


def _value(text: str) -> str:
    found = _VALUE.search(text)
    return repr(found[1]) if found else text
