"""Find the files of declared artifacts, and decide how they are stored. Reads names and metadata of files only."""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from .task import DeclaredArtifact

__all__ = ["FileArtifact", "MissingArtifact", "content_encoding", "content_type", "found", "is_name"]

_CONTENT_TYPES = {".log": "text/plain", ".jsonl": "application/jsonl", ".gz": "application/gzip"}
_NAME = re.compile(r"[\x20-\x7e]+")
_PACKED = frozenset(
    {
        *("7z", "br", "aab", "apk", "bz2", "deb", "dmg", "flv", "gif", "gz", "jar", "jpeg", "jpg", "lz", "lz4", "mz"),
        *("npz", "pkg", "png", "swf", "sz", "tbz", "tgz", "wasm", "webp", "whl", "woff", "woff2", "xpi", "xz", "zip"),
        *("zst", "zz"),
    }
)

Reason: TypeAlias = Literal["file-missing-on-worker", "invalid-resource-on-worker", "file-not-readable-on-worker"]


@dataclass(frozen=True, slots=True)
class FileArtifact:
    """A file to upload."""

    declared: DeclaredArtifact
    name: str
    path: Path

    @property
    def content_type(self) -> str:
        """Its media type."""
        return self.declared.content_type or content_type(self.path.name)

    @property
    def content_encoding(self) -> str:
        """`gzip` or `identity`."""
        return self.declared.content_encoding or content_encoding(self.path.name)


@dataclass(frozen=True, slots=True)
class MissingArtifact:
    """An artifact that cannot be uploaded, for which an error is stored instead."""

    declared: DeclaredArtifact
    name: str
    reason: Reason
    message: str


def is_name(name: str) -> bool:
    """Return whether the queue accepts the name of an artifact. Clients cannot send the last two."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def content_type(name: str) -> str:
    """Return the media type of a file by its extension."""
    extension = os.path.splitext(name)[1].lower()
    return _CONTENT_TYPES.get(extension) or mimetypes.types_map.get(extension) or "application/octet-stream"


def content_encoding(name: str) -> str:
    """Return `identity` for files that are packed already, else `gzip`."""
    return "identity" if os.path.splitext(name)[1][1:].lower() in _PACKED else "gzip"


def found(declared: DeclaredArtifact, path: Path, directory: Path) -> list[FileArtifact | MissingArtifact]:
    """Return the files of a declared artifact, and its problems.

    Args:
        declared: The artifact.
        path: Its path on this machine.
        directory: The task's directory.
    """
    roots = {os.path.realpath(directory)}
    if not path.is_relative_to(directory):
        # An absolute path, or a copy of what is in a container.
        roots.add(os.path.realpath(path.parent))
    if declared.is_file:
        return [_checked(declared, declared.name, path, roots)]
    problem = _directory_problem(path, roots)
    if problem is not None:
        return [MissingArtifact(declared, declared.name, *problem)]
    return list(_in_directory(declared, path, roots))


def _in_directory(declared: DeclaredArtifact, path: Path, roots: set[str]) -> Iterator[FileArtifact | MissingArtifact]:
    unreadable: list[OSError] = []
    for parent, directories, files in os.walk(path, onerror=unreadable.append):
        directories.sort()
        for name in sorted(files):
            file = Path(parent, name)
            yield _checked(declared, _joined(declared.name, file.relative_to(path).as_posix()), file, roots)
        for name in directories:
            link = Path(parent, name)
            if link.is_symlink():
                # generic-worker does not follow it either. It may lead to any number of files, and into a cycle.
                message = f"{link} is a symbolic link to a directory, which is not followed"
                artifact = _joined(declared.name, link.relative_to(path).as_posix())
                yield MissingArtifact(declared, artifact, "invalid-resource-on-worker", message)
    for error in unreadable:
        name = _joined(declared.name, Path(error.filename).relative_to(path).as_posix())
        yield MissingArtifact(declared, name, "file-not-readable-on-worker", f"{error.filename}: {error.strerror}")


def _joined(name: str, relative: str) -> str:
    prefix = name.rstrip("/")
    return relative if prefix in ("", ".") else f"{prefix}/{relative}"


def _directory_problem(path: Path, roots: set[str]) -> tuple[Reason, str] | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return _unusable(path, error)
    if not stat.S_ISDIR(mode):
        return "invalid-resource-on-worker", f"{path} is not a directory"
    if not _is_inside(path, roots):
        return "invalid-resource-on-worker", f"{path} leads out of the task's directory"
    return None


def _checked(declared: DeclaredArtifact, name: str, path: Path, roots: set[str]) -> FileArtifact | MissingArtifact:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return MissingArtifact(declared, name, *_unusable(path, error))
    invalid: Reason = "invalid-resource-on-worker"
    if stat.S_ISDIR(mode):
        return MissingArtifact(declared, name, invalid, f"{path} is a directory, and the payload declares a file")
    if not stat.S_ISREG(mode):
        return MissingArtifact(declared, name, invalid, f"{path} is not a regular file")
    if not _is_inside(path, roots):
        return MissingArtifact(declared, name, invalid, f"{path} leads out of the task's directory")
    if not os.access(path, os.R_OK):
        return MissingArtifact(declared, name, "file-not-readable-on-worker", f"{path} is not readable")
    return FileArtifact(declared, name, path)


def _unusable(path: Path, error: OSError) -> tuple[Reason, str]:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "file-missing-on-worker", f"{path} does not exist"
    return "file-not-readable-on-worker", f"{path}: {error.strerror}"


def _is_inside(path: Path, roots: set[str]) -> bool:
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(root) for root in roots)
