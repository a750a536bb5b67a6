"""The tasks of taskcluster-fsspec's own tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "packages" / "fsspec" / "tests"))

from filesystems.conftest import fs, index_fs, local, object_fs, server, tasks

__all__ = ["fs", "index_fs", "local", "object_fs", "server", "tasks"]
