"""The directory of a worker. A lock shows that the worker lives."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

from .deletion import delete_directory
from .errors import WorkerError

__all__ = ["delete_abandoned", "worker_directory"]

_log = logging.getLogger("taskcluster.worker")

_PREFIX = "taskcluster-worker-"
_LOCK = "lock"
_TEMPORARY_LOCK = "temporary"
"""Another name, because a directory that a user has given is kept, whatever its name."""


@contextlib.contextmanager
def worker_directory(given: Path | None) -> Generator[Path, None, None]:
    """Yield the directory of a worker, which no other worker uses meanwhile. A temporary one is deleted.

    Args:
        given: The directory, if it is to be kept.

    Raises:
        WorkerError: Another worker uses it.
    """
    if given is None:
        temporary = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            # Nobody else takes the lock of a file that has another name.
            with (temporary / "new").open("w", encoding="utf-8") as lock:
                _take(lock)
                os.rename(temporary / "new", temporary / _TEMPORARY_LOCK)
                yield temporary
        finally:
            delete_directory(temporary)
        return
    given.mkdir(parents=True, exist_ok=True)
    with (given / _LOCK).open("w", encoding="utf-8") as lock:
        if not _take(lock):
            raise WorkerError(f"the directory {given} is used by another worker: give each its own")
        # A worker that was killed leaves the directories of its tasks.
        delete_directory(given / "tasks")
        yield given


def delete_abandoned(own: Path) -> None:
    """Delete the temporary directories of this user's workers that were killed.

    Args:
        own: The directory of the worker that asks.
    """
    if sys.platform == "win32":
        return
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = directory.lstat()
            if directory == own or not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            # Without a lock, it is just being created or deleted.
            with (directory / _TEMPORARY_LOCK).open("r+", encoding="utf-8") as lock:
                if _take(lock):
                    _log.info("deleting %s, which a worker has left that was killed", directory)
                    delete_directory(directory)


def _take(file: IO[str]) -> bool:
    """Lock a file until it is closed, and return whether nobody else has locked it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return True
    except OSError:
        return False
    return True
