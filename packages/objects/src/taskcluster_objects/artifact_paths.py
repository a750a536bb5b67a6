"""Paths for the names of artifacts, all of them inside one directory."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path

from taskcluster.exceptions import TaskclusterFailure

__all__ = ["chosen", "paths_for"]


def chosen(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that match a pattern, in which `*` also matches slashes."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def paths_for(directory: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the paths of artifacts by name.

    Args:
        directory: The directory for all of them.
        names: The artifacts' names. Each slash starts a subdirectory.

    Raises:
        TaskclusterFailure: A name or a symbolic link leads out of the directory, or a path is in use by another file.
    """
    root = os.path.realpath(directory)
    paths = {name: directory.joinpath(*name.split("/")) for name in names}
    files = set(paths.values())
    parents = {parent for path in files for parent in path.parents if parent.is_relative_to(directory)}
    usable = {parent: parent not in files and _can_hold_files(parent, root) for parent in parents}
    for name, path in paths.items():
        is_named_well = all(map(_is_file_name, name.split("/")))
        if not is_named_well or not all(usable.get(each, True) for each in path.parents) or path.is_dir():
            raise TaskclusterFailure(
                f"cannot download the artifact {name!r} into {directory}: its name or an existing file prevents it; "
                "exclude it by the pattern, or download it to another path"
            )
    return paths


def _can_hold_files(directory: Path, root: str) -> bool:
    """Return whether a directory is at or below `root`, or can be created there."""
    if os.path.lexists(directory) and not directory.is_dir():
        return False
    return Path(os.path.realpath(directory)).is_relative_to(root)


def _is_file_name(part: str) -> bool:
    return part not in ("", ".", "..") and not set(part) & set("\\\0") and not (os.name == "nt" and ":" in part)
