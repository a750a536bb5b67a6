"""The classes of fsspec that ours derive from. fsspec has no types, so those of the used members are declared here."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

__all__ = [
    "NO_CALLBACK",
    "AbstractBufferedFile",
    "AbstractFileSystem",
    "BaseCache",
    "Callback",
    "Info",
    "compr",
    "get_compression",
    "register_cache",
]

Info = dict[str, Any]
"""What `info` returns of a file or directory: name, size, type, and more."""

if TYPE_CHECKING:

    class Callback:
        """Reports the progress of a transfer."""

        def set_size(self, size: int | None) -> None: ...
        def absolute_update(self, value: int) -> None: ...
        def relative_update(self, inc: int = 1) -> None: ...
        def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Any: ...

    NO_CALLBACK: Callback

    class BaseCache:
        """Keeps what an open file has read."""

        name: str
        blocksize: int
        size: int
        fetcher: Any

        def __init__(self, blocksize: int, fetcher: Any, size: int) -> None: ...
        def _fetch(self, start: int | None, stop: int | None) -> bytes: ...

    compr: dict[str, Any]
    """Compressors by name."""

    def get_compression(urlpath: str, compression: str | None) -> str | None:
        """Return the name of a compression, inferred if wanted."""

    def register_cache(cls: type[BaseCache], clobber: bool = False) -> None:
        """Register a class of caches by its name."""

    class AbstractFileSystem:
        """The base class of filesystems."""

        protocol: str
        root_marker: str
        blocksize: int
        dircache: MutableMapping[str, Any]
        storage_options: dict[str, Any]

        def __init__(self, *args: Any, **storage_options: Any) -> None: ...
        def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes: ...
        def expand_path(
            self, path: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any
        ) -> Any: ...
        def find(
            self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
        ) -> Any: ...
        def get(
            self,
            rpath: Any,
            lpath: Any,
            recursive: bool = False,
            callback: Callback = ...,
            maxdepth: int | None = None,
            **kwargs: Any,
        ) -> None: ...
        def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any: ...
        def info(self, path: str, **kwargs: Any) -> Info: ...
        def invalidate_cache(self, path: str | None = None) -> None: ...
        def open(
            self,
            path: str,
            mode: str = "rb",
            block_size: int | None = None,
            cache_options: Mapping[str, Any] | None = None,
            compression: str | None = None,
            **kwargs: Any,
        ) -> Any: ...
        def walk(
            self,
            path: str,
            maxdepth: int | None = None,
            topdown: bool = True,
            on_error: Any = "omit",
            **kwargs: Any,
        ) -> Iterator[Any]: ...
        @classmethod
        def _parent(cls, path: str) -> str: ...
        @classmethod
        def _strip_protocol(cls, path: Any) -> Any: ...

    class AbstractBufferedFile(io.IOBase):
        """The base class of files."""

        path: str
        mode: str
        loc: int
        blocksize: int
        cache: BaseCache

        def __init__(
            self,
            fs: Any,
            path: str,
            mode: str = "rb",
            block_size: int | str | None = "default",
            autocommit: bool = True,
            cache_type: str = "readahead",
            cache_options: Mapping[str, Any] | None = None,
            size: int | None = None,
            **kwargs: Any,
        ) -> None: ...
        @property
        def size(self) -> int: ...
        @size.setter
        def size(self, size: int) -> None: ...

else:
    from fsspec.caching import BaseCache, register_cache
    from fsspec.callbacks import DEFAULT_CALLBACK as NO_CALLBACK
    from fsspec.callbacks import Callback
    from fsspec.compression import compr
    from fsspec.core import get_compression
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
