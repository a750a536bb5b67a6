"""Content types of files to upload. No I/O."""

from __future__ import annotations

import mimetypes

from .resuming import UNKNOWN_TYPE

__all__ = ["content_type_of"]


def content_type_of(name: str, given: str | None = None) -> str:
    """Return the content type of a new file: the given one, or else that of the name's extension."""
    return given or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
