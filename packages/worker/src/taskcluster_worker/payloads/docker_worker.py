"""Payloads of docker-worker, valid ones. They are recognised by their key `image`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskcluster.scopes import missing
from taskcluster.timestamps import parse_date

from ..resolution import MalformedPayload
from ..task import (
    BACKING_LOG,
    LIVE_LOG,
    ArtifactContent,
    CacheVolume,
    DeclaredArtifact,
    Image,
    IndexedContent,
    NamedImage,
    Task,
)

__all__ = ["task"]

_FEATURES = {"localLiveLog": "liveLog", "bulkLog": "backingLog"}
"""The names of features that a task has under other names."""
_ON_BY_DEFAULT = frozenset({"localLiveLog", "bulkLog", "artifacts"})


def task(payload: Mapping[str, Any], common: Mapping[str, Any]) -> Task:
    """Return the task for a payload.

    Args:
        payload: It fits the schema.
        common: The fields of the task that do not depend on the payload.

    Raises:
        MalformedPayload: It needs scopes that the task does not have.
    """
    features = {**dict.fromkeys(_ON_BY_DEFAULT, True), **payload.get("features", {})}
    volumes = tuple(CacheVolume(name, path) for name, path in payload.get("cache", {}).items())
    required = [f"docker-worker:cache:{volume.cache}" for volume in volumes]
    lacking = missing(common["definition"].get("scopes", ()), required)
    if lacking:
        raise MalformedPayload(
            [f"the task needs the scope {scope} for its cache; add it to task.scopes" for scope in lacking]
        )
    command, statuses = payload.get("command"), payload.get("onExitStatus", {})
    declared: Mapping[str, Any] = payload.get("artifacts", {}) if features["artifacts"] else {}
    return Task(
        **common,
        format="docker-worker",
        commands=() if command is None else (tuple(command),),
        max_run_time=payload["maxRunTime"],
        env=payload.get("env", {}),
        artifacts=tuple(
            DeclaredArtifact(
                name=name,
                path=artifact["path"],
                is_file=artifact["type"] == "file",
                expires=parse_date(artifact["expires"]) if "expires" in artifact else None,
                # A task with such a payload may complete without its artifacts.
                optional=True,
            )
            for name, artifact in declared.items()
        ),
        volumes=volumes,
        image=_image(payload["image"]),
        capabilities=payload.get("capabilities", {}),
        features=frozenset(_FEATURES.get(name, name) for name, is_on in features.items() if is_on),
        proxy_interface="docker-bridge",
        live_log=payload.get("log", LIVE_LOG) if features["localLiveLog"] else None,
        backing_log=BACKING_LOG if features["bulkLog"] else None,
        warnings=("supersederUrl has no effect.",) if "supersederUrl" in payload else (),
        retry_statuses=frozenset(statuses.get("retry", ())),
        purge_statuses=frozenset(statuses.get("purgeCaches", ())),
    )


def _image(declared: Any) -> Image:
    if isinstance(declared, str):
        return NamedImage(declared)
    if declared["type"] == "docker-image":
        return NamedImage(declared["name"])
    if declared["type"] == "indexed-image":
        return IndexedContent(declared["namespace"], declared["path"])
    return ArtifactContent(declared["taskId"], declared["path"])
