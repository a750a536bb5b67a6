"""Writable caches, which tasks use one after another. Tasks that run at the same time never share one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.slugs import slugId
from taskcluster.timestamps import format_date, parse_date

from .deletion import delete_directory

__all__ = ["Cache", "Caches", "is_purged"]

_log = logging.getLogger("taskcluster.worker")

_DESCRIPTION = "cache.json"
_DELETED = "deleted-"
_SLACK = timedelta(minutes=5)
"""How much earlier than the last time requests to purge are asked for."""


@dataclass(frozen=True)
class Cache:
    """A cache that a task uses. Its data is in `directory`, unless the task has it."""

    name: str
    created: datetime
    place: Path
    is_new: bool = field(default=False, compare=False)

    @property
    def directory(self) -> Path:
        """Where its data is kept."""
        return self.place / "data"


def is_purged(created: datetime, before: datetime | None) -> bool:
    """Return whether a cache must not be used because of a request to purge older ones."""
    return before is not None and created <= before


class Caches:
    """The caches of a worker.

    Args:
        directory: Where they are kept, also for the next worker.
        task_queue: The task queue of the worker.
        purge_cache: A client of the purge-cache service with the worker's credentials.
    """

    def __init__(self, directory: Path, task_queue: str, purge_cache: Any) -> None:
        self._directory = directory
        self._task_queue = task_queue
        self._purge_cache = purge_cache
        self._asked: datetime | None = None
        self._purged: dict[str, datetime] = {}
        self._free: dict[str, list[Cache]] = {}
        for place in directory.glob("*"):
            cache = _kept(place)
            if cache is not None:
                self._free.setdefault(cache.name, []).append(cache)
            else:
                delete_directory(place)

    async def ask(self, now: datetime) -> None:
        """Ask which caches are to be purged, and delete those that are free."""
        query = {} if self._asked is None else {"since": format_date(self._asked - _SLACK)}
        try:
            response = await self._purge_cache.purgeRequests(self._task_queue, query=query)
        except TaskclusterFailure as error:
            _log.warning("cannot ask which caches to purge: %s", error)
            return
        self._asked = now
        for request in response["requests"]:
            name, before = request["cacheName"], parse_date(request["before"])
            self._purged[name] = max(before, self._purged.get(name, before))
            for cache in self._free.pop(name, []):
                await self.give_back(cache)

    def take(self, name: str, now: datetime) -> Cache:
        """Return a free cache of a name, or a new one."""
        if self._free.get(name):
            return self._free[name].pop()
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        cache = Cache(name, now, self._directory / f"{digest}-{slugId()}", is_new=True)
        cache.directory.mkdir(parents=True)
        description = json.dumps({"name": name, "created": format_date(now)})
        (cache.place / _DESCRIPTION).write_text(description, encoding="utf-8")
        return cache

    async def give_back(self, cache: Cache) -> None:
        """Let other tasks use a cache, or delete it if it was purged meanwhile. Its data is in its directory."""
        if is_purged(cache.created, self._purged.get(cache.name)):
            await _delete(cache.place)
        else:
            self._free.setdefault(cache.name, []).append(replace(cache, is_new=False))

    async def delete(self, cache: Cache) -> None:
        """Delete a cache that was taken."""
        await _delete(cache.place)


def _kept(place: Path) -> Cache | None:
    """Return the cache that an earlier worker kept, or None if it was killed, or the disk was full.

    A task had the cache then, or it was being created or deleted.
    """
    try:
        found: Mapping[str, Any] = json.loads((place / _DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    cache = Cache(found["name"], parse_date(found["created"]), place)
    return cache if cache.directory.is_dir() and not place.name.startswith(_DELETED) else None


async def _delete(place: Path) -> None:
    # Renamed first, so that a worker that is killed meanwhile leaves no damaged cache.
    doomed = place.with_name(f"{_DELETED}{place.name}")
    os.rename(place, doomed)
    await asyncio.to_thread(delete_directory, doomed)
