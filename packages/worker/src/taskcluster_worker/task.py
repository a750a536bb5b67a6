"""Task descriptions: what a worker does for one run, whichever payload format it came in. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

__all__ = [
    "BACKING_LOG",
    "LIVE_LOG",
    "ArtifactContent",
    "Base64Content",
    "CacheVolume",
    "Content",
    "DeclaredArtifact",
    "Format",
    "Image",
    "IndexedContent",
    "Mount",
    "NamedImage",
    "RawContent",
    "Task",
    "UrlContent",
]

LIVE_LOG = "public/logs/live.log"
"""The name of the live log unless the payload has another one."""
BACKING_LOG = "public/logs/live_backing.log"
"""The name of the complete log unless the payload has another one."""

Format: TypeAlias = Literal["generic-worker", "docker-worker"]
"""The format of a payload."""


@dataclass(frozen=True, slots=True)
class ArtifactContent:
    """An artifact of a task."""

    taskId: str
    artifact: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class IndexedContent:
    """An artifact of the task that the index has under a namespace."""

    namespace: str
    artifact: str


@dataclass(frozen=True, slots=True)
class UrlContent:
    """The data at a URL."""

    url: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RawContent:
    """A string in the payload."""

    raw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Base64Content:
    """Data in the payload, as base64."""

    base64: str = field(repr=False)


Content: TypeAlias = ArtifactContent | IndexedContent | UrlContent | RawContent | Base64Content


@dataclass(frozen=True, slots=True)
class Mount:
    """A file, a read-only directory or a writable cache that is put into the task's directory."""

    path: str
    """Relative to the task's directory."""
    is_file: bool
    content: Content | None
    format: str | None
    """The compression of a file, or the format of an archive."""
    cache: str | None = None
    """The name of the cache, if it is one."""


@dataclass(frozen=True, slots=True)
class CacheVolume:
    """A writable cache that a container mounts at an absolute path."""

    cache: str
    path: str


@dataclass(frozen=True, slots=True)
class DeclaredArtifact:
    """An artifact that the payload declares."""

    name: str
    path: str
    is_file: bool
    expires: datetime | None = None
    """Defaults to the task's."""
    content_type: str | None = None
    content_encoding: str | None = None
    optional: bool = False
    """Whether the task may complete without it."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image in a registry, or on this machine."""

    name: str


Image: TypeAlias = NamedImage | ArtifactContent | IndexedContent
"""A container image: by name, or an artifact that holds one."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a task."""

    taskId: str
    runId: int
    definition: Mapping[str, Any] = field(repr=False)
    """As createTask got it, with defaults."""
    format: Format
    commands: tuple[tuple[str, ...], ...]
    """They run one after another. Empty if the image's default command is to run."""
    max_run_time: int
    """Seconds."""
    deadline: datetime
    expires: datetime
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    artifacts: tuple[DeclaredArtifact, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[CacheVolume, ...] = ()
    image: Image | None = None
    capabilities: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Of a docker-worker payload: `privileged`, `disableSeccomp`, `devices`."""
    features: frozenset[str] = frozenset()
    """The features that are on."""
    proxy_interface: Literal["localhost", "docker-bridge"] = "localhost"
    live_log: str | None = LIVE_LOG
    """The name of the live log; None if it is off."""
    backing_log: str | None = BACKING_LOG
    """The name of the complete log; None if it is off."""
    warnings: tuple[str, ...] = ()
    """About keys of the payload that have no effect, for the log."""
    retry_statuses: frozenset[int] = frozenset()
    """Exit statuses after which the queue retries the task."""
    purge_statuses: frozenset[int] = frozenset()
    """Exit statuses after which writable caches are deleted."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the task."""
        return tuple(self.definition.get("scopes", ()))
