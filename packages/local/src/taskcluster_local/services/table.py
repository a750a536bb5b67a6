"""The table of a deployment's own services."""

from __future__ import annotations

from collections.abc import Mapping

from .auth import routes as auth
from .context import Build
from .github import routes as github
from .hooks import routes as hooks
from .index import routes as index
from .notify import routes as notify
from .object import routes as object_
from .purge_cache import routes as purge_cache
from .queue import routes as queue
from .secrets import routes as secrets
from .web_server import routes as web_server
from .worker_manager import routes as worker_manager

__all__ = ["SERVICES"]

SERVICES: Mapping[str, Build] = {
    "auth": auth.build,
    "queue": queue.build,
    # After the queue: an expired claim must be resolved as such before its worker is removed.
    "worker-manager": worker_manager.build,
    "object": object_.build,
    # Before the services that publish further messages in reaction to a message.
    "hooks": hooks.build,
    "index": index.build,
    "notify": notify.build,
    "github": github.build,
    "purge-cache": purge_cache.build,
    "secrets": secrets.build,
    "web-server": web_server.build,
}
"""How to build each service, in the order in which they are built, react to messages and run their jobs."""
