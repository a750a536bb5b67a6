"""Makes the Widgets service known."""

from taskcluster.plugins import Service, hookimpl


@hookimpl
def taskcluster_services() -> list[Service]:
    """Return the service."""
    return [
        Service(
            name="widgets",
            api_version="v1",
            client="example_widgets.client:Widgets",
            async_client="example_widgets.client:AsyncWidgets",
            events="example_widgets.client:WidgetsEvents",
            spec="example_widgets:reference.json",
        )
    ]
