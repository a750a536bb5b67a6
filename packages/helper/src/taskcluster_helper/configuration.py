"""One configuration for all clients of a program: the deployment and the credentials."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

import taskcluster
import taskcluster.aio
from taskcluster.environment import optionsFromEnvironment
from taskcluster.options import Credentials
from taskcluster.redacted import ClientOptions, without_user_info
from taskcluster.registry import registry
from taskcluster.suggestions import did_you_mean

from .artifacts import upload_artifact
from .exceptions import ConfigurationError
from .secrets import load_secrets

__all__ = ["TaskclusterConfig"]

log = logging.getLogger("taskcluster")

_PROXY = "http://taskcluster"
"""The URL of a task's proxy if TASKCLUSTER_PROXY_URL is not set."""


class TaskclusterConfig:
    """The configuration of a program, created once and shared.

        tc = TaskclusterConfig("https://tc.example.com")
        tc.auth()
        queue = tc.get_service("queue")

    Args:
        url: The deployment's root URL; defaults to TASKCLUSTER_ROOT_URL. Checked by the first call of a client.

    Raises:
        ConfigurationError: There is no URL.
    """

    options: dict[str, Any] | None
    """The options that clients get; None before `auth`. They may be changed or replaced."""
    secrets: dict[str, Any] | None
    """What `load_secrets` returned last."""
    default_url: str
    """The deployment's root URL, which is not the proxy's."""

    def __init__(self, url: str | None = None) -> None:
        self.options = None
        self.secrets = None
        self.default_url = url or os.environ.get("TASKCLUSTER_ROOT_URL") or ""
        if url is None and not self.default_url:
            raise ConfigurationError(
                "You must specify a Taskcluster deployment url: TaskclusterConfig('https://tc.example.com'), "
                "or TASKCLUSTER_ROOT_URL in the environment"
            )

    def __repr__(self) -> str:
        # Tracebacks may show an object before its constructor has set the URL.
        return f"<{type(self).__name__} of {without_user_info(str(getattr(self, 'default_url', '')))}>"

    def auth(
        self,
        client_id: str | None = None,
        access_token: str | None = None,
        max_retries: int = 12,
        *,
        certificate: str | None = None,
    ) -> None:
        """Choose the credentials of all clients made from now on, from the first source that has some.

        These are: the ones given here; TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN and, for temporary ones,
        TASKCLUSTER_CERTIFICATE; in a task (TASK_ID or TASKCLUSTER_PROXY_URL is set) its proxy, which then is the root
        URL; none.

        Args:
            client_id: The clientId.
            access_token: Its access token.
            max_retries: How often clients send a failed request again.
            certificate: The certificate of temporary credentials.

        Nothing is rejected here: if the first source that has some has only part of them, the first call of a client
        raises TaskclusterAuthFailure.
        """
        given = {"clientId": client_id, "accessToken": access_token, "certificate": certificate}
        found = {name: value for name, value in given.items() if value}
        source = "given"
        if not found:
            found = dict(optionsFromEnvironment().get("credentials", {}))
            source = "environment"
        options = ClientOptions(maxRetries=max_retries, rootUrl=self.default_url)
        proxy = os.environ.get("TASKCLUSTER_PROXY_URL")
        if found:
            options["credentials"] = Credentials.copy_of(found)
        elif proxy or "TASK_ID" in os.environ:
            source = "task proxy"
            options["rootUrl"] = proxy or _PROXY
        else:
            source = "none"
        log.debug("credentials for %s: %s", self.default_url, source)
        self.options = options

    # The beginning of the block that taskcluster-codegen writes.
    @overload
    def get_service(self, service_name: Literal["auth"], use_async: Literal[False] = False) -> taskcluster.Auth: ...
    @overload
    def get_service(self, service_name: Literal["auth"], use_async: Literal[True]) -> taskcluster.aio.Auth: ...
    @overload
    def get_service(self, service_name: Literal["github"], use_async: Literal[False] = False) -> taskcluster.Github: ...
    @overload
    def get_service(self, service_name: Literal["github"], use_async: Literal[True]) -> taskcluster.aio.Github: ...
    @overload
    def get_service(self, service_name: Literal["hooks"], use_async: Literal[False] = False) -> taskcluster.Hooks: ...
    @overload
    def get_service(self, service_name: Literal["hooks"], use_async: Literal[True]) -> taskcluster.aio.Hooks: ...
    @overload
    def get_service(self, service_name: Literal["index"], use_async: Literal[False] = False) -> taskcluster.Index: ...
    @overload
    def get_service(self, service_name: Literal["index"], use_async: Literal[True]) -> taskcluster.aio.Index: ...
    @overload
    def get_service(self, service_name: Literal["notify"], use_async: Literal[False] = False) -> taskcluster.Notify: ...
    @overload
    def get_service(self, service_name: Literal["notify"], use_async: Literal[True]) -> taskcluster.aio.Notify: ...
    @overload
    def get_service(self, service_name: Literal["object"], use_async: Literal[False] = False) -> taskcluster.Object: ...
    @overload
    def get_service(self, service_name: Literal["object"], use_async: Literal[True]) -> taskcluster.aio.Object: ...
    @overload
    def get_service(
        self,
        service_name: Literal["purge-cache", "purgeCache", "purge_cache", "purgecache"],
        use_async: Literal[False] = False,
    ) -> taskcluster.PurgeCache: ...
    @overload
    def get_service(
        self, service_name: Literal["purge-cache", "purgeCache", "purge_cache", "purgecache"], use_async: Literal[True]
    ) -> taskcluster.aio.PurgeCache: ...
    @overload
    def get_service(self, service_name: Literal["queue"], use_async: Literal[False] = False) -> taskcluster.Queue: ...
    @overload
    def get_service(self, service_name: Literal["queue"], use_async: Literal[True]) -> taskcluster.aio.Queue: ...
    @overload
    def get_service(
        self, service_name: Literal["secrets"], use_async: Literal[False] = False
    ) -> taskcluster.Secrets: ...
    @overload
    def get_service(self, service_name: Literal["secrets"], use_async: Literal[True]) -> taskcluster.aio.Secrets: ...
    @overload
    def get_service(
        self,
        service_name: Literal["web-server", "webServer", "web_server", "webserver"],
        use_async: Literal[False] = False,
    ) -> taskcluster.WebServer: ...
    @overload
    def get_service(
        self, service_name: Literal["web-server", "webServer", "web_server", "webserver"], use_async: Literal[True]
    ) -> taskcluster.aio.WebServer: ...
    @overload
    def get_service(
        self,
        service_name: Literal["worker-manager", "workerManager", "worker_manager", "workermanager"],
        use_async: Literal[False] = False,
    ) -> taskcluster.WorkerManager: ...
    @overload
    def get_service(
        self,
        service_name: Literal["worker-manager", "workerManager", "worker_manager", "workermanager"],
        use_async: Literal[True],
    ) -> taskcluster.aio.WorkerManager: ...
    # The end of the block that taskcluster-codegen writes.
    @overload  # A plugin's service, or a name that is not a literal.
    def get_service(self, service_name: str, use_async: bool = False) -> Any: ...

    def get_service(self, service_name: str, use_async: bool = False) -> Any:
        """Return a new client of a service, authenticated as `auth` chose; `auth()` is called if it was not yet.

        Args:
            service_name: Any spelling: `queue`, `purge-cache`, `purgeCache`, `purge_cache`, or a plugin's service.
            use_async: Whether to return the class of `taskcluster.aio`.

        Raises:
            ConfigurationError: The service is unknown.
            ModuleNotFoundError: The service is known but not installed; the message says what to install.
        """
        try:
            # Not always a string: the variable it was read from may not be set.
            service = registry.service(str(service_name))
        except LookupError:
            near = did_you_mean(str(service_name), registry.services())
            raise ConfigurationError(f"Invalid Taskcluster service {service_name}{near}") from None
        if self.options is None:
            self.auth()
        # By attribute, because tests of programs replace these.
        return getattr(taskcluster.aio if use_async else taskcluster, service.class_name)(self.options)

    def load_secrets(
        self,
        secret_name: str,
        prefixes: Iterable[str] = (),
        required: Iterable[str] = (),
        existing: Mapping[str, Any] | None = None,
        local_secrets: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a secret's value, and keep it in `secrets`; as `load_secrets`, with the shared authentication."""
        service = self.get_service("secrets") if local_secrets is None else None
        self.secrets = load_secrets(service, secret_name, prefixes, required, existing, local_secrets)
        return self.secrets

    def upload_artifact(
        self, artifact_path: str, content: str | bytes, content_type: str, ttl: datetime.timedelta
    ) -> str:
        """Deprecated: upload an artifact of the task that this runs in, and return its address.

        Use `taskcluster.upload.uploadArtifactFromBuf`. Arguments and failures are those of `upload_artifact`.
        """
        path = upload_artifact(self.get_service("queue"), artifact_path, content, content_type, ttl)
        return self.default_url.rstrip("/") + path
