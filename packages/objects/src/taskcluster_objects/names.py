"""Names of artifacts as paths of files: none leads out of the directory it is meant for."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path

from taskcluster.exceptions import TaskclusterFailure

__all__ = ["chosen", "paths_for"]


def chosen(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that match a pattern, in which `*` stands for anything, slashes included."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def paths_for(directory: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the paths of artifacts' files by name.

    Args:
        directory: Where the files are to be, itself or below.
        names: The artifacts' names; each slash in one is a directory.

    Raises:
        TaskclusterFailure: A file would be elsewhere, by its name or by a link that lies in the way.
    """
    root = directory.resolve()
    paths = {name: directory.joinpath(*name.split("/")) for name in names}
    below = {parent: parent.resolve().is_relative_to(root) for parent in {path.parent for path in paths.values()}}
    for name, path in paths.items():
        if not all(map(_is_file_name, name.split("/"))) or not below[path.parent] or path.is_dir():
            raise TaskclusterFailure(
                f"the artifact {name!r} cannot be a file in {directory}: choose others by the pattern, "
                "or download it alone to a path of your own"
            )
    return paths


def _is_file_name(part: str) -> bool:
    return part not in ("", ".", "..") and not set(part) & set("\\\0") and not (os.name == "nt" and ":" in part)
