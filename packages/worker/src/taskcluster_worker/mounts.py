"""Put the mounts of a payload into a task's directory, and its caches back afterwards."""

from __future__ import annotations

import asyncio
import os
import posixpath
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath

from .caches import Cache, Caches
from .contents import Contents, described
from .formats import unpack_archive, unpack_file
from .resolution import TaskFailed
from .task import Mount, Task

__all__ = ["Mounts"]


class Mounts:
    """The mounts and caches of one run.

    Args:
        task: The task.
        contents: Gets contents with the task's scopes.
        caches: The worker's.
        clock: Returns the deployment's time.
        temporary: A directory for downloads.
        log: Writes a line to the task's log.
    """

    def __init__(
        self,
        task: Task,
        contents: Contents,
        caches: Caches,
        clock: Callable[[], datetime],
        temporary: Path,
        log: Callable[[str], None],
    ) -> None:
        # One inside of another comes later.
        self._mounts = sorted(task.mounts, key=lambda mount: len(PurePosixPath(posixpath.normpath(mount.path)).parts))
        self._volumes = task.volumes
        self._contents = contents
        self._caches = caches
        self._clock = clock
        self._temporary = temporary
        self._log = log
        self._taken: dict[str, Cache] = {}
        self._moved: dict[str, Path] = {}

    async def take_caches(self) -> dict[str, Cache]:
        """Take the caches of the payload, and return them by name."""
        names = [mount.cache for mount in self._mounts if mount.cache is not None]
        names += [volume.cache for volume in self._volumes]
        if names:
            await self._caches.ask(self._clock())
        for name in names:
            cache = self._taken[name] = self._caches.take(name, self._clock())
            self._say(f"{'Creating' if cache.is_new else 'Using'} the cache {name}")
        return self._taken

    async def put(self, directory: Path) -> None:
        """Put everything into the task's directory.

        Raises:
            TaskFailed: Something cannot be fetched or unpacked.
        """
        for number, mount in enumerate(self._mounts):
            try:
                await self._put(mount, directory, self._temporary / f"mount-{number}")
            except TaskFailed as error:
                raise TaskFailed(f"[mounts] {mount.path}: {error}") from error
            except OSError as error:
                raise TaskFailed(f"[mounts] {mount.path}: {error.strerror or error}") from error

    async def _put(self, mount: Mount, directory: Path, download: Path) -> None:
        target = directory / mount.path
        _check_inside(target, directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        if mount.cache is not None:
            cache = self._taken[mount.cache]
            # Caches are on the same file system.
            os.rename(cache.directory, target)
            self._moved[mount.cache] = target
            if mount.content is None or not cache.is_new:
                return
        assert mount.content is not None
        self._say(f"Getting {described(mount.content)} for {mount.path}")
        if mount.is_file and mount.format is None:
            await self._contents.get(mount.content, target)
            return
        await self._contents.get(mount.content, download)
        assert mount.format is not None
        if not mount.is_file:
            target.mkdir(exist_ok=True)
        await _unpack(unpack_file if mount.is_file else unpack_archive, download, mount.format, target)
        download.unlink()

    async def return_caches(self, keep: bool) -> None:
        """Put the caches back, or delete them. The task's processes have ended."""
        # A cache inside of another one was put there later, and leaves it first.
        for name, cache in reversed(self._taken.items()):
            moved = self._moved.get(name)
            if moved is not None and (moved.is_symlink() or not moved.is_dir()):
                self._say(f"The cache {name} was replaced by the task, and is lost")
            elif keep:
                if moved is not None:
                    os.rename(moved, cache.directory)
                self._say(f"Keeping the cache {name}")
                await self._caches.give_back(cache)
                continue
            else:
                self._say(f"Deleting the cache {name}")
            await self._caches.delete(cache)
        self._taken.clear()

    def _say(self, text: str) -> None:
        self._log(f"[mounts] {text}")


def _check_inside(target: Path, directory: Path) -> None:
    """Raise TaskFailed if a symbolic link of another mount leads out of the task's directory."""
    parent = target.parent
    while not parent.exists():
        parent = parent.parent
    if target.is_symlink() or not Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(directory)):
        raise TaskFailed("a symbolic link leads out of the task's directory")


async def _unpack(
    function: Callable[[Path, str, Path, threading.Event], None], source: Path, kind: str, target: Path
) -> None:
    """Unpack in a thread, which ends soon if this is cancelled."""
    stop = threading.Event()
    unpacking = asyncio.ensure_future(asyncio.to_thread(function, source, kind, target, stop))
    try:
        await asyncio.shield(unpacking)
    finally:
        stop.set()
        await asyncio.wait({unpacking})
        # Retrieved, in case this was cancelled.
        unpacking.exception()
