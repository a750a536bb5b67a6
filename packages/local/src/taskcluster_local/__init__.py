"""A local Taskcluster deployment for development and tests."""

from __future__ import annotations

from . import version as version

# Known to type checkers.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .events import Message as Message
    from .loading import LoadError as LoadError
    from .local import LocalTaskcluster as LocalTaskcluster
    from .services.notify.outbox import Notification as Notification
    from .store import StoreError as StoreError

__all__ = ["LoadError", "LocalTaskcluster", "Message", "Notification", "StoreError"]


if not TYPE_CHECKING:
    # Every run of pytest loads the pytest plugin; only tests that use its fixtures should pay for importing the server.
    from taskcluster.facade import lazily

    __getattr__ = lazily(
        __name__,
        {
            "LoadError": "loading",
            "LocalTaskcluster": "local",
            "Message": "events",
            "Notification": "services.notify.outbox",
            "StoreError": "store",
        },
    )
