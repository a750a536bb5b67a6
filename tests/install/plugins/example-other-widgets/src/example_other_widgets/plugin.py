"""Makes another Widgets service known."""

from taskcluster.plugins import Service, hookimpl


@hookimpl
def taskcluster_services() -> list[Service]:
    """Return the service."""
    where = "example_other_widgets.nowhere:Widgets"
    return [Service(name="widgets", api_version="v1", client=where, async_client=where)]
