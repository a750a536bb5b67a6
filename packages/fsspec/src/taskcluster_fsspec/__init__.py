"""An fsspec filesystem for artifacts (`tcartifact://`), indexed artifacts (`tcindex://`) and objects (`tcobject://`)."""

from __future__ import annotations

from . import version as version
from .artifacts import ArtifactFileSystem
from .index import IndexFileSystem
from .objects import ObjectFileSystem

__all__ = ["ArtifactFileSystem", "IndexFileSystem", "ObjectFileSystem"]
