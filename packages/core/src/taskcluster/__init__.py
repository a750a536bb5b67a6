"""Taskcluster for Python: one class per service, sync here and async under `taskcluster.aio`.

    >>> import taskcluster
    >>> queue = taskcluster.Queue({"rootUrl": "https://tc.example.com"})
    >>> queue.status("fN1SbArXTPSVFNUvaOlinQ")

Nothing but this module is imported until it is used: a name loads the module it lives in, and a service's class (such
as `taskcluster.Queue`) is looked up among the installed plugins.
"""

from __future__ import annotations

import importlib
import os

from . import version

# Type checkers know the name. Importing it from typing would take ten times as long as everything else here.
# Not a literal False: jedi, which completes names in notebooks and editors, would ignore the block below.
TYPE_CHECKING = bool()  # noqa: UP018

if TYPE_CHECKING:
    from . import aio as aio
    from . import client as client
    from . import download as download
    from . import exceptions as exceptions
    from . import helper as helper
    from . import plugins as plugins
    from . import pulse as pulse
    from . import upload as upload
    from . import utils as utils
    from .api_response import ApiResponse as ApiResponse
    from .call import log as log
    from .client import BaseClient as BaseClient
    from .client import createApiClient as createApiClient
    from .client import createSession as createSession
    from .credentials import createTemporaryCredentials as createTemporaryCredentials
    from .credentials import isExpired as isExpired
    from .encodings import encodeStringForB64Header as encodeStringForB64Header
    from .encodings import makeB64UrlSafe as makeB64UrlSafe
    from .encodings import makeB64UrlUnsafe as makeB64UrlUnsafe
    from .encodings import toStr as toStr
    from .environment import Resolved as Resolved
    from .environment import optionsFromEnvironment as optionsFromEnvironment
    from .environment import resolve_options as resolve_options
    from .exceptions import ObjectHashVerificationError as ObjectHashVerificationError
    from .exceptions import TaskclusterArtifactError as TaskclusterArtifactError
    from .exceptions import TaskclusterAuthFailure as TaskclusterAuthFailure
    from .exceptions import TaskclusterConnectionError as TaskclusterConnectionError
    from .exceptions import TaskclusterFailure as TaskclusterFailure
    from .exceptions import TaskclusterRestFailure as TaskclusterRestFailure
    from .exceptions import TaskclusterTopicExchangeFailure as TaskclusterTopicExchangeFailure
    from .exceptions import UnknownOptionWarning as UnknownOptionWarning
    from .options import Options as Options
    from .payloads import dumpJson as dumpJson
    from .plain_http import calculateSleepTime as calculateSleepTime
    from .plain_http import makeHttpRequest as makeHttpRequest
    from .plain_http import makeSingleHttpRequest as makeSingleHttpRequest
    from .plain_http import putFile as putFile
    from .retries import DELAY_FACTOR as DELAY_FACTOR
    from .retries import MAX_DELAY as MAX_DELAY
    from .retries import MAX_RETRIES as MAX_RETRIES
    from .retries import RANDOMIZATION_FACTOR as RANDOMIZATION_FACTOR
    from .scopes import scopeMatch as scopeMatch
    from .scopes import scopesMatch as scopesMatch
    from .slugs import slugId as slugId
    from .slugs import stableSlugId as stableSlugId
    from .timestamps import fromNow as fromNow
    from .timestamps import fromNowJSON as fromNowJSON
    from .timestamps import stringDate as stringDate
    from .utils import decryptMessage as decryptMessage
    from .utils import encryptEnvVar as encryptEnvVar
    from .utils import scope_match as scope_match

    # isort: split
    # The beginning of the block that taskcluster-codegen writes.
    from taskcluster_auth import Auth as Auth
    from taskcluster_auth import AuthEvents as AuthEvents
    from taskcluster_github import Github as Github
    from taskcluster_github import GithubEvents as GithubEvents
    from taskcluster_hooks import Hooks as Hooks
    from taskcluster_hooks import HooksEvents as HooksEvents
    from taskcluster_index import Index as Index
    from taskcluster_notify import Notify as Notify
    from taskcluster_notify import NotifyEvents as NotifyEvents
    from taskcluster_object import Object as Object
    from taskcluster_purge_cache import PurgeCache as PurgeCache
    from taskcluster_queue import Queue as Queue
    from taskcluster_queue import QueueEvents as QueueEvents
    from taskcluster_secrets import Secrets as Secrets
    from taskcluster_web_server import WebServer as WebServer
    from taskcluster_worker_manager import WorkerManager as WorkerManager
    from taskcluster_worker_manager import WorkerManagerEvents as WorkerManagerEvents
    # The end of the block that taskcluster-codegen writes.

# Uninstalling or upgrading the published client would remove files of this one.
if os.path.exists(f"{__path__[0]}/generated/__init__.py"):
    from .installation import mixed_with_published

    raise mixed_with_published(__path__[0])

__version__ = version.VERSION

_MODULES = ("aio", "client", "exceptions", "plugins", "utils")

_ALIASES = {
    "download": "taskcluster_objects",
    "helper": "taskcluster_helper",
    "pulse": "taskcluster_pulse",
    "upload": "taskcluster_objects",
}
"""Modules that another distribution brings, by the package in it."""

_NAMES = {
    name: module
    for module, names in {
        "api_response": "ApiResponse",
        "call": "log",
        "client": "BaseClient createApiClient createSession",
        "credentials": "createTemporaryCredentials isExpired",
        "encodings": "encodeStringForB64Header makeB64UrlSafe makeB64UrlUnsafe toStr",
        "environment": "Resolved optionsFromEnvironment resolve_options",
        "exceptions": (
            "ObjectHashVerificationError TaskclusterArtifactError TaskclusterAuthFailure TaskclusterConnectionError "
            "TaskclusterFailure TaskclusterRestFailure TaskclusterTopicExchangeFailure UnknownOptionWarning"
        ),
        "options": "Options",
        "payloads": "dumpJson",
        "plain_http": "calculateSleepTime makeHttpRequest makeSingleHttpRequest putFile",
        "retries": "DELAY_FACTOR MAX_DELAY MAX_RETRIES RANDOMIZATION_FACTOR",
        "scopes": "scopeMatch scopesMatch",
        "slugs": "slugId stableSlugId",
        "timestamps": "fromNow fromNowJSON stringDate",
        "utils": "decryptMessage encryptEnvVar scope_match",
    }.items()
    for name in names.split()
}

if os.environ.get("DEBUG_TASKCLUSTER_CLIENT"):
    from . import debugging as debugging


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _MODULES or name in _ALIASES:
            return importlib.import_module(f"{__name__}.{name}")
        if name in _NAMES:
            value = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
            globals()[name] = value
            return value
        if name == "__all__":
            # For `import *`, which would fail if one class cannot be imported.
            return sorted([*_MODULES, *_installed(), *_NAMES, *_service_names(importable=True)])
        from .facade import class_named

        return class_named(__name__, name, "client", "events")

    def __dir__() -> list[str]:
        return sorted([*_MODULES, *_installed(), *_NAMES, *_service_names()])

    def _installed() -> list[str]:
        from .facade import is_installed

        return [name for name, package in _ALIASES.items() if is_installed(package)]

    def _service_names(*, importable: bool = False) -> list[str]:
        from .registry import registry

        return registry.class_names("client", "events", importable=importable)
