"""Async clients: `taskcluster.aio.Queue` and the rest, with the same methods as coroutine functions.

>>> async with taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"}) as queue:
...     await queue.status("fN1SbArXTPSVFNUvaOlinQ")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import taskcluster

if TYPE_CHECKING:
    from .. import exceptions as exceptions
    from . import asyncclient as asyncclient
    from . import asyncutils as asyncutils
    from . import download as download
    from . import helper as helper
    from . import pulse as pulse
    from . import reader_writer as reader_writer
    from . import retry as retry
    from . import upload as upload
    from .asyncclient import AsyncBaseClient as AsyncBaseClient
    from .asyncclient import createApiClient as createApiClient
    from .asyncclient import createSession as createSession

    # isort: split
    # The beginning of the block that taskcluster-codegen writes.
    from taskcluster_auth import AuthEvents as AuthEvents
    from taskcluster_auth.aio import Auth as Auth
    from taskcluster_github import GithubEvents as GithubEvents
    from taskcluster_github.aio import Github as Github
    from taskcluster_hooks import HooksEvents as HooksEvents
    from taskcluster_hooks.aio import Hooks as Hooks
    from taskcluster_index.aio import Index as Index
    from taskcluster_notify import NotifyEvents as NotifyEvents
    from taskcluster_notify.aio import Notify as Notify
    from taskcluster_object.aio import Object as Object
    from taskcluster_purge_cache.aio import PurgeCache as PurgeCache
    from taskcluster_queue import QueueEvents as QueueEvents
    from taskcluster_queue.aio import Queue as Queue
    from taskcluster_secrets.aio import Secrets as Secrets
    from taskcluster_web_server.aio import WebServer as WebServer
    from taskcluster_worker_manager import WorkerManagerEvents as WorkerManagerEvents
    from taskcluster_worker_manager.aio import WorkerManager as WorkerManager
    # The end of the block that taskcluster-codegen writes.

_MODULES = {
    "asyncclient": f"{__name__}.asyncclient",
    "asyncutils": f"{__name__}.asyncutils",
    "exceptions": "taskcluster.exceptions",
    "retry": f"{__name__}.retry",
}
_NAMES = ("AsyncBaseClient", "createApiClient", "createSession")
_ALIASES = {
    "download": "taskcluster_objects",
    "helper": "taskcluster_helper",
    "pulse": "taskcluster_pulse",
    "reader_writer": "taskcluster_objects",
    "upload": "taskcluster_objects",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(_MODULES[name])
        if name in _NAMES:
            value = getattr(importlib.import_module(f"{__name__}.asyncclient"), name)
            globals()[name] = value
            return value
        if name in _ALIASES:
            return importlib.import_module(f"{__name__}.{name}")
        if name in _shared_names():
            return getattr(taskcluster, name)
        if name == "__all__":
            # For `import *`, which would fail if one class cannot be imported.
            return sorted([*_MODULES, *_installed(), *_NAMES, *_shared_names(), *_service_names(importable=True)])
        from ..facade import class_named

        return class_named(__name__, name, "async_client", "events")

    def __dir__() -> list[str]:
        return sorted([*_MODULES, *_installed(), *_NAMES, *_shared_names(), *_service_names()])

    def _installed() -> list[str]:
        from ..facade import is_installed

        return [name for name, package in _ALIASES.items() if is_installed(package)]

    def _shared_names() -> list[str]:
        # Exceptions and utilities are shared; of names that exist twice, this package has the async one.
        return [name for name in taskcluster._NAMES if name not in (*_NAMES, "BaseClient")]

    def _service_names(*, importable: bool = False) -> list[str]:
        from ..registry import registry

        return registry.class_names("async_client", "events", importable=importable)
