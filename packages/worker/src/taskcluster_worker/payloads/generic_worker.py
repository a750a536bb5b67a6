"""Payloads of generic-worker, valid ones."""

from __future__ import annotations

import posixpath
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from taskcluster.scopes import missing
from taskcluster.timestamps import parse_date

from ..resolution import MalformedPayload
from ..task import (
    BACKING_LOG,
    LIVE_LOG,
    ArtifactContent,
    Base64Content,
    Content,
    DeclaredArtifact,
    IndexedContent,
    Mount,
    RawContent,
    Task,
    UrlContent,
)

__all__ = ["task"]

_WITHOUT_EFFECT = {
    "resourceMonitor": "The feature resourceMonitor has no effect: this worker records no use of resources.",
    "supersederUrl": "supersederUrl has no effect.",
}
_ON_BY_DEFAULT = frozenset({"liveLog", "backingLog"})


def task(payload: Mapping[str, Any], common: Mapping[str, Any]) -> Task:
    """Return the task for a payload.

    Args:
        payload: It fits the schema.
        common: The fields of the task that do not depend on the payload.

    Raises:
        MalformedPayload: It needs scopes that the task does not have, or has paths that lead out of its directory.
    """
    features = {**dict.fromkeys(_ON_BY_DEFAULT, True), **payload.get("features", {})}
    logs, statuses = payload.get("logs", {}), payload.get("onExitStatus", {})
    mounts = tuple(_mount(mount) for mount in payload.get("mounts", ()))
    problems = [
        f"payload: the mount {mount.path!r} must be a relative path inside the task's directory"
        for mount in mounts
        if not _is_inside(mount.path)
    ]
    problems += [
        f"payload: the content of the mount {mount.path!r} is not base64"
        for mount in mounts
        if isinstance(mount.content, Base64Content) and not _is_base64(mount.content.base64)
    ]
    if payload.get("osGroups"):
        problems.append("payload: osGroups must be empty on this worker")
    required = [f"generic-worker:cache:{mount.cache}" for mount in mounts if mount.cache is not None]
    lacking = missing(common["definition"].get("scopes", ()), required)
    problems += [f"the task needs the scope {scope} for its cache; add it to task.scopes" for scope in lacking]
    if problems:
        raise MalformedPayload(problems)
    return Task(
        **common,
        format="generic-worker",
        commands=tuple(map(tuple, payload["command"])),
        max_run_time=payload["maxRunTime"],
        env=payload.get("env", {}),
        artifacts=tuple(_artifact(artifact) for artifact in payload.get("artifacts", ())),
        mounts=mounts,
        features=frozenset(name for name, is_on in features.items() if is_on),
        proxy_interface=payload.get("taskclusterProxyInterface", "localhost"),
        live_log=logs.get("live", LIVE_LOG) if features["liveLog"] else None,
        backing_log=logs.get("backing", BACKING_LOG) if features["backingLog"] else None,
        warnings=tuple(warning for key, warning in _WITHOUT_EFFECT.items() if payload.get(key) or features.get(key)),
        retry_statuses=frozenset(statuses.get("retry", ())),
        purge_statuses=frozenset(statuses.get("purgeCaches", ())),
    )


def _artifact(declared: Mapping[str, Any]) -> DeclaredArtifact:
    return DeclaredArtifact(
        name=declared.get("name") or declared["path"],
        path=declared["path"],
        is_file=declared["type"] == "file",
        expires=parse_date(declared["expires"]) if "expires" in declared else None,
        content_type=declared.get("contentType"),
        content_encoding=declared.get("contentEncoding"),
        optional=declared.get("optional", False),
    )


def _mount(declared: Mapping[str, Any]) -> Mount:
    is_file = "file" in declared
    return Mount(
        path=declared["file" if is_file else "directory"],
        is_file=is_file,
        content=_content(declared["content"]) if "content" in declared else None,
        format=declared.get("format"),
        cache=declared.get("cacheName"),
    )


def _content(declared: Mapping[str, Any]) -> Content:
    if "taskId" in declared:
        return ArtifactContent(declared["taskId"], declared["artifact"], declared.get("sha256"))
    if "namespace" in declared:
        return IndexedContent(declared["namespace"], declared["artifact"])
    if "url" in declared:
        return UrlContent(declared["url"], declared.get("sha256"))
    return RawContent(declared["raw"]) if "raw" in declared else Base64Content(declared["base64"])


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _is_inside(path: str) -> bool:
    normal = posixpath.normpath(path)
    return not path.startswith("/") and normal not in (".", "..") and not normal.startswith("../") and "\0" not in path
