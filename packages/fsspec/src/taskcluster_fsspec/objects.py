"""`tcobject://NAME`: objects of the object service."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.timestamps import fromNow
from taskcluster_objects.content_types import content_type_of
from taskcluster_objects.download import downloadToFile, downloadToPath
from taskcluster_objects.upload import uploadFromFile

from .base import TaskclusterFileSystem
from .connection import os_errors
from .contents import Content
from .exceptions import Unsupported
from .interface import Info
from .listings import directory
from .paths import has_magic, unquoted

__all__ = ["ObjectFileSystem"]


class ObjectFileSystem(TaskclusterFileSystem):
    """Objects by name, for example `tcobject://builds/2026/model.bin`. They cannot be listed.

    Args:
        project_id: The project of new objects; required for writing.
        expires: When new objects expire, for example `1 year`.
        **options: Those of all filesystems of this package.
    """

    protocol = "tcobject"

    def __init__(self, *, project_id: str | None = None, expires: str = "1 month", **options: Any) -> None:
        super().__init__(**options)
        self._project_id = project_id
        self._expires = expires

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        """Return the object of a path; objects cannot be listed.

        Args:
            path: The path.
            detail: Whether to return its info instead of its path.
            **kwargs: Ignored.
        """
        path = self._strip_protocol(path)
        if not path:
            raise Unsupported("objects cannot be listed: the object service has no method for that")
        return [self.info(path)] if detail else [self._entry(path)["name"]]

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Return the object of a path; raise io.UnsupportedOperation for a pattern.

        Args:
            path: The path.
            maxdepth: Ignored.
            **kwargs: As for any filesystem of fsspec.
        """
        path = self._strip_protocol(path)
        if has_magic(path):
            raise Unsupported(f"{path} is a pattern, and objects cannot be listed: write * as %2A, ? as %3F, [ as %5B")
        return super().glob(path, maxdepth, **kwargs)

    def _entry(self, path: str) -> Info:
        if not path:
            return directory(path)
        name = unquoted(path)
        metadata = self._connection.call(path, "object", "object", name)
        return {
            "name": path,
            "size": None,
            "type": "file",
            "object": name,
            "projectId": metadata["projectId"],
            "expires": metadata["expires"],
        }

    def info(self, path: str, **kwargs: Any) -> Info:
        """Return name, size, type and more of an object. Its first bytes are requested to learn its size."""
        path = self._strip_protocol(path)
        info = self._entry(path)
        if info["type"] == "file":
            info["size"] = self._size_of(path, self._content(path))
        return info

    def modified(self, path: str) -> datetime:
        """Return the date that storage has, or else 1970: objects do not change."""
        content = self._content(self._strip_protocol(path))
        content.release()
        stated = content.stored.modified
        return parsedate_to_datetime(stated) if stated else datetime.fromtimestamp(0, timezone.utc)

    def _version(self, path: str) -> list[str]:
        content = self._content(path)
        content.release()
        return [unquoted(path), content.stored.etag or ""]

    def _content_of(self, path: str) -> tuple[Callable[[], Content], Info]:
        name = unquoted(path)
        details = {"name": path, "size": None, "type": "file", "object": name}
        return functools.partial(self._content, path), details

    def _content(self, path: str) -> Content:
        contents = self._connection.contents
        with contents.opening(path):
            # Objects do not change.
            known = contents.get(path)
            if known is not None:
                return known
            content = self._connection.object_content(path, unquoted(path))
            contents.keep(path, content)
        contents.trim()
        return content

    def _download(self, path: str, target: Any, progress: Any) -> None:
        download: Any = downloadToPath if isinstance(target, str | os.PathLike) else downloadToFile
        with os_errors(path):
            self._connection.authenticated(
                "object",
                lambda client: download(target, name=unquoted(path), objectService=client, progress=progress),
            )

    def _uploader(self, path: str, options: Mapping[str, Any]) -> Callable[[BinaryIO], None]:
        project_id = options.get("project_id") or self._project_id
        if project_id is None:
            raise TaskclusterFailure("writing objects needs the option project_id, for example project_id='my-project'")
        name = unquoted(path)

        def upload(file: BinaryIO) -> None:
            uploadFromFile(
                projectId=project_id,
                name=name,
                contentType=content_type_of(name, options.get("content_type")),
                expires=fromNow(options.get("expires") or self._expires),
                file=file,
                objectService=self._connection.client("object"),
            )

        return upload
