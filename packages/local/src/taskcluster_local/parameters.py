"""Facts about the APIs that the specs lack: patterns of URL and query parameters, wildcards, secrets in payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .encoding import is_object

__all__ = ["OMITTED", "SLUG", "hidden_payload", "is_wildcard", "parameter_pattern", "query_pattern"]

OMITTED = "(OMITTED)"

_WILDCARDS: dict[str, dict[str, tuple[str, ...]]] = {
    "auth": {"prefix": ()},
    "index": {"name": ()},
    "object": {"name": ("createUpload", "finishUpload")},
    "purge-cache": {"workerPoolId": ()},
    "queue": {"name": (), "taskQueueId": ("getTaskQueue",)},
    "secrets": {"name": ()},
    "worker-manager": {
        "workerPoolId": (
            "listWorkerPoolLaunchConfigs",
            "listWorkersForWorkerGroup",
            "worker",
            "createWorker",
            "updateWorker",
            "removeWorker",
            "shouldWorkerTerminate",
        )
    },
}
"""By service, the URL parameters that match the rest of the path, each with the methods where they do not."""

SLUG = r"^[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$"
"""The pattern of a taskId."""
_PRINTABLE = r"^[\x20-\x7e]+$"
_WORD = r"^[a-zA-Z0-9-_]{1,38}$"
_WORKER_POOL = r"^[a-zA-Z0-9-_]{1,38}/[a-z]([-a-z0-9]{0,36}[a-z0-9])?$"
_INDEX_PATH = r"^([a-zA-Z0-9_!~*'()%-]+\.)*[a-zA-Z0-9_!~*'()%-]+$"

_PARAMETERS: dict[str, dict[str, str]] = {
    "auth": {"clientId": r"^[A-Za-z0-9!@/:.+|_-]+$", "roleId": _PRINTABLE},
    "hooks": {"hookGroupId": r"^[a-zA-Z0-9-_]{1,1000}$", "hookId": r"^[a-zA-Z0-9-_/]{1,1000}$"},
    "index": {"namespace": _INDEX_PATH, "indexPath": _INDEX_PATH, "name": _PRINTABLE},
    "object": {"name": _PRINTABLE},
    "purge-cache": {"workerPoolId": r"^[A-Za-z0-9_-]{1,38}/[A-Za-z0-9_-]{1,38}$"},
    "queue": {
        "taskId": SLUG,
        "taskGroupId": SLUG,
        "provisionerId": _WORD,
        "workerType": _WORD,
        "workerGroup": _WORD,
        "workerId": _WORD,
        "taskQueueId": r"^[a-zA-Z0-9-_]{1,38}/[a-zA-Z0-9-_]{1,38}$",
        "runId": r"^[1-9]*[0-9]+$",
        "name": _PRINTABLE,
    },
    "web-server": {"taskId": SLUG, "taskGroupId": SLUG},
    "worker-manager": {"workerPoolId": _WORKER_POOL},
}
"""By service, the patterns of URL parameters."""

_TRUTH = r"^(true|false)$"
_GITHUB_NAME = r"^[a-zA-Z0-9-_.%]+$"

_QUERY: dict[str, dict[str, str]] = {
    "auth": {"prefix": _PARAMETERS["auth"]["clientId"], "format": r"^iam-role-compat$"},
    "github": {"organization": _GITHUB_NAME, "repository": _GITHUB_NAME, "pullRequest": r"^[0-9]{1,15}$"},
    "local": {"newestFirst": _TRUTH, "taskGroupId": SLUG},
    "queue": {"quarantined": _TRUTH},
    "worker-manager": {
        "errorId": SLUG,
        "includeArchived": _TRUTH,
        "launchConfigId": _WORD,
        "quarantined": _TRUTH,
        "state": r"^(requested|running|stopping|stopped)$",
        "workerPoolId": _WORKER_POOL,
        "workerState": r"^(requested|running|stopping|stopped|standalone)$",
    },
}
"""By service, the patterns of query parameters besides `limit`; others must only not be empty."""


def is_wildcard(service: str, method: str, parameter: str) -> bool:
    """Return whether a URL parameter matches the rest of the path, including `/`."""
    excepted = _WILDCARDS.get(service, {}).get(parameter)
    return excepted is not None and method not in excepted


def parameter_pattern(service: str, parameter: str) -> str | None:
    """Return the pattern of a URL parameter, or None if any string is valid."""
    return _PARAMETERS.get(service, {}).get(parameter)


def query_pattern(service: str, parameter: str) -> str:
    """Return the pattern of a query parameter."""
    if parameter == "limit":
        return r"^[0-9]+$"
    return _QUERY.get(service, {}).get(parameter, "^.+$")


def hidden_payload(service: str, method: str) -> Callable[[Any], Any] | None:
    """Return a function that removes the secrets from a method's payload, or None if it has none."""
    return _HIDDEN.get((service, method))


def _without(*path: str) -> Callable[[Any], Any]:
    def hide(payload: Any, path: tuple[str, ...] = path) -> Any:
        if not path:
            return OMITTED
        if not is_object(payload) or path[0] not in payload:
            return payload
        return {**payload, path[0]: hide(payload[path[0]], path[1:])}

    return hide


_HIDDEN: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("secrets", "set"): _without("secret"),
    ("worker-manager", "registerWorker"): _without(),
    ("worker-manager", "reregisterWorker"): _without(),
    ("worker-manager", "createWorker"): _without("providerInfo", "staticSecret"),
    ("worker-manager", "updateWorker"): _without("providerInfo", "staticSecret"),
}
