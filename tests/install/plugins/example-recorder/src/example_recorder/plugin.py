"""Records each attempt."""

from example_recorder import EVENTS
from taskcluster.plugins import RequestEvent, hookimpl


@hookimpl
def taskcluster_request(event: RequestEvent) -> None:
    """Keep it."""
    EVENTS.append(event)
