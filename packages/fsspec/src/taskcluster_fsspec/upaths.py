"""Paths of universal_pathlib, which imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class UPath:
        """The base class of paths."""

else:
    from upath import UPath

__all__ = ["ArtifactPath", "IndexPath", "ObjectPath"]


class ArtifactPath(UPath):
    """A path of `tcartifact://`."""

    __slots__ = ()


class IndexPath(UPath):
    """A path of `tcindex://`."""

    __slots__ = ()


class ObjectPath(UPath):
    """A path of `tcobject://`."""

    __slots__ = ()
