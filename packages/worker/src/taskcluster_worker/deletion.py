"""Delete directories that tasks have written to."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["delete_directory"]

_log = logging.getLogger("taskcluster.worker")


def delete_directory(directory: Path) -> None:
    """Delete a directory, even if a task made parts of it unreadable or read-only. Log an error if that fails."""
    shutil.rmtree(directory, ignore_errors=True)
    if not directory.exists():
        return
    for parent, directories, _ in os.walk(directory):
        for name in directories:
            path = Path(parent, name)
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(stat.S_IRWXU)
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        _log.error("cannot delete %s", directory)
