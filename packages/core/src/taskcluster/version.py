"""The version that all distributions of the family share: that of the Taskcluster whose API they carry."""

from __future__ import annotations

VERSION = "113.2.0"


def user_agent(suffix: str | None) -> str:
    """Return what requests say they come from.

    Args:
        suffix: The option userAgentSuffix.
    """
    return f"taskcluster-client-py/{VERSION} {suffix}" if suffix else f"taskcluster-client-py/{VERSION}"
