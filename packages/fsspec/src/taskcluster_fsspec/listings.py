"""Artifacts of a run as a tree of files and directories. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .interface import Info
from .paths import quoted
from .runs import Run

__all__ = ["Listing", "directory", "file_info"]


def directory(path: str) -> Info:
    """Return the info of a directory."""
    return {"name": path, "size": 0, "type": "directory"}


def file_info(run: Run, artifact: Mapping[str, Any]) -> Info:
    """Return the info of an artifact; its name is the path below the run.

    The size is that of the decoded content as the worker gave it, or None.
    """
    return {
        "name": quoted(artifact["name"]),
        "size": artifact.get("contentLength"),
        "type": "file",
        "artifact": artifact["name"],
        "taskId": run.task_id,
        "runId": run.run_id,
        "storageType": artifact["storageType"],
        "contentType": artifact["contentType"],
        "expires": artifact["expires"],
    }


class Listing:
    """The artifacts of a run. A name that is also the prefix of others is a file and a directory."""

    def __init__(self, run: Run, artifacts: Iterable[Mapping[str, Any]]) -> None:
        self.files: dict[str, Info] = {}
        self._directories: dict[str, list[Info]] = {"": []}
        for artifact in artifacts:
            info = file_info(run, artifact)
            self.files[info["name"]] = info
            self._add(info)

    def _add(self, info: Info) -> None:
        above = info["name"].rpartition("/")[0]
        is_new = above not in self._directories
        self._directories.setdefault(above, []).append(info)
        if is_new:
            self._add(directory(above))

    def is_directory(self, path: str) -> bool:
        """Return whether there are files below a path."""
        return path in self._directories

    def children(self, path: str) -> list[Info] | None:
        """Return the infos of the files and directories at a path; those of a directory do not include itself.

        Return None if there is neither a file nor a directory.
        """
        own = [self.files[path]] if path in self.files else []
        below = self._directories.get(path)
        return None if below is None and not own else [*own, *(below or [])]
