"""Paths of universal_pathlib, which imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class UPath:
        """The base class of paths."""

    def get_filesystem_class(protocol: str) -> type:
        """Import and return the class of a filesystem."""
        ...

else:
    from fsspec import get_filesystem_class
    from upath import UPath

__all__ = ["ArtifactPath", "IndexPath", "ObjectPath"]

# Paths of schemes whose filesystem is not imported cause a warning.
for _scheme in ("tcartifact", "tcindex", "tcobject"):
    get_filesystem_class(_scheme)


class ArtifactPath(UPath):
    """A path of `tcartifact://`."""

    __slots__ = ()


class IndexPath(UPath):
    """A path of `tcindex://`."""

    __slots__ = ()


class ObjectPath(UPath):
    """A path of `tcobject://`."""

    __slots__ = ()
