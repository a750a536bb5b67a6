"""Raises at each attempt."""

from taskcluster.plugins import RequestEvent, hookimpl


@hookimpl
def taskcluster_request(event: RequestEvent) -> None:
    """Fail."""
    raise RuntimeError(f"no room for attempt {event.attempt}")
