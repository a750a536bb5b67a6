"""Implements a hook of a version to come, or a misspelt one."""

from taskcluster.plugins import hookimpl


@hookimpl
def taskcluster_weather() -> str:
    """Never called."""
    return "fine"
