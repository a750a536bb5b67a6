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
        TaskclusterFailure: A file would be elsewhere, by its name or by a link that lies in the way; or something that
            is there, or the file of another artifact, is in its way.
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
                f"the artifact {name!r} cannot be a file in {directory}, by its name or by what is in its way: "
                "choose others by the pattern, or download it alone to a path of your own"
            )
    return paths


def _can_hold_files(directory: Path, root: str) -> bool:
    """Whether a directory is at or below `root`, or can be made there."""
    if os.path.lexists(directory) and not directory.is_dir():
        return False
    return Path(os.path.realpath(directory)).is_relative_to(root)


def _is_file_name(part: str) -> bool:
    return part not in ("", ".", "..") and not set(part) & set("\\\0") and not (os.name == "nt" and ":" in part)
