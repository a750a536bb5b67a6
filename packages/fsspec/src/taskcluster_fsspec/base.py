"""What the filesystems have in common."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from taskcluster.shapes import is_array

from .caches import AdaptiveCache
from .connection import Connection, each_of, os_errors
from .contents import Content
from .exceptions import RequestFailed, Unsupported, already_exists
from .files import CompressedFile, ReadFile, TextFile, WriteFile
from .interface import NO_CALLBACK, AbstractFileSystem, Callback, Info, compr, get_compression
from .paths import canonical
from .sources import Sources

__all__ = ["TaskclusterFileSystem"]

_SECRETS = ("credentials", "clientId", "accessToken", "certificate", "client_id", "access_token", "token", "password")


class TaskclusterFileSystem(AbstractFileSystem):
    """Reads over clients of Taskcluster.

    Credentials are no option, because options are part of pickles and of Dask's graphs. Each process takes them from
    its environment, from the task's proxy, or from a configuration file.

    Args:
        root_url: The deployment. Defaults to the one of the environment, of each process.
        profile: The name of a profile of the `taskcluster` command to take credentials from.
        config_file: The path of a configuration file to take credentials from. Defaults to that of the `taskcluster`
            command.
        follow_references: Whether to read artifacts that are references to other servers.
        max_concurrency: How many files or parts `cat`, `cat_ranges` and `get` read at a time.
        spool_size: How many bytes of decoded files to keep on disk for the next time that they are opened.
        **storage_options: Those of fsspec, for example `use_listings_cache`.

    Raises:
        TypeError: Credentials are given.
    """

    protocol: str
    blocksize = 64 * 1024
    root_marker = ""

    def __init__(
        self,
        *,
        root_url: str | None = None,
        profile: str | None = None,
        config_file: str | None = None,
        follow_references: bool = True,
        max_concurrency: int = 8,
        spool_size: int = 2 * 1024**3,
        **storage_options: Any,
    ) -> None:
        given = [name for name in _SECRETS if name in storage_options]
        if given:
            raise TypeError(
                f"{given[0]} is no option, because options are part of pickles and task graphs: set the variables "
                "TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN where files are read, or pass profile or "
                "config_file, which name a source there"
            )
        super().__init__(**storage_options)
        self._sources = Sources(root_url, profile, config_file)
        self._follows_references = follow_references
        self._spool_size = spool_size
        self._max_concurrency = max_concurrency

    @property
    def fsid(self) -> str:
        """The scheme and the deployment."""
        return f"{self.protocol}-{self._sources.root_url or 'environment'}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if is_array(path):
            return [cls._strip_protocol(each) for each in path]
        return canonical(path if isinstance(path, str) else path.__fspath__(), cls.protocol)

    @property
    def _connection(self) -> Connection:
        # A forked process has its own, because it must not use the parent's sockets, nor wait for its threads.
        name = f"_connection_{os.getpid()}"
        found: Connection | None = vars(self).get(name)
        if found is not None:
            return found
        made = Connection(self._sources, self._follows_references, self._spool_size)
        # Another thread may be faster.
        used: Connection = vars(self).setdefault(name, made)
        if used is made:
            weakref.finalize(self, made.close)
        else:
            made.close()
        return used

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget decoded files."""
        found: Connection | None = vars(self).get(f"_connection_{os.getpid()}")
        if found is not None:
            found.contents.clear()
        super().invalidate_cache(path)

    def close(self) -> None:
        """Close the connections and delete the decoded files. The filesystem stays usable, and opens new ones."""
        found: Connection | None = vars(self).pop(f"_connection_{os.getpid()}", None)
        if found is not None:
            found.close()
        self.invalidate_cache()

    # Reading

    def _content_of(self, path: str) -> tuple[Any, Info]:
        """Return what opens a file's content, and its info without the size. "Latest" is resolved now."""
        raise NotImplementedError

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Mapping[str, Any] | None = None,
        cache_type: str = AdaptiveCache.name,
        **kwargs: Any,
    ) -> ReadFile | WriteFile:
        if mode == "rb":
            return self._open_to_read(path, block_size, cache_type, cache_options)
        if mode in ("wb", "xb"):
            return self._open_to_write(path, mode, autocommit, kwargs)
        raise Unsupported(f"{path}: files are written once and as a whole; mode {mode!r} is not possible")

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: Mapping[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a file.

        Args:
            path: The path.
            mode: `rb`, `rt`, `wb`, `wt`, `xb` or `xt`.
            block_size: How many bytes to read at least.
            cache_options: The options of the cache.
            compression: How the content is compressed; `infer` for what the name's suffix says. This is not the
                Content-Encoding, which is always decoded.
            **kwargs: `cache_type` is the name of a cache of fsspec. For writing, `content_type`, `expires` and, for
                artifacts, `storage_type`. For text, `encoding`, `errors` and `newline`.
        """
        if "r" in mode:
            return super().open(path, mode, block_size, cache_options, compression, **kwargs)
        if "b" not in mode:
            text = {name: kwargs.pop(name) for name in ("encoding", "errors", "newline") if name in kwargs}
            binary = f"{mode.replace('t', '')}b"
            return TextFile(self.open(path, binary, block_size, cache_options, compression, **kwargs), **text)
        file = super().open(path, mode, block_size, cache_options, **kwargs)
        kind = get_compression(self._strip_protocol(path), compression)
        return file if kind is None else CompressedFile(compr[kind](file, mode="w"), file)

    def _open_to_read(
        self,
        path: str,
        block_size: int | None = None,
        cache_type: str = AdaptiveCache.name,
        cache_options: Mapping[str, Any] | None = None,
    ) -> ReadFile:
        reopen, details = self._content_of(path)
        return ReadFile(self, path, reopen, details, block_size or self.blocksize, cache_type, cache_options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Return the bytes of a file, or a part of them.

        Args:
            path: The path.
            start: Where to start; a negative number counts from the end.
            end: Where to end; a negative number counts from the end.
            **kwargs: Ignored.
        """
        path = self._strip_protocol(path)
        with self._open_to_read(path) as file:
            return _part(file, start, end)

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """Return the bytes of a file, or those of several by path, read several at a time.

        Args:
            path: A path or pattern, or a list of them.
            recursive: Whether to read the files in directories.
            on_error: `raise`, `omit` or `return`.
            **kwargs: Ignored.
        """
        paths = self.expand_path(path, recursive=recursive)
        if len(paths) == 1 and not isinstance(path, list) and paths[0] == self._strip_protocol(path):
            return self.cat_file(paths[0])
        if recursive:
            paths = [each for each in paths if not self.isdir(each)]
        results = each_of(self._max_concurrency, _Guarded(self.cat_file, on_error), paths)
        return {
            each: result
            for each, result in zip(paths, results, strict=True)
            if on_error == "return" or not isinstance(result, Exception)
        }

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | list[int],
        ends: int | list[int],
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return parts of files, read several at a time. Each file is opened once.

        Args:
            paths: A path for each part.
            starts: Where each starts.
            ends: Where each ends.
            max_gap: Ignored.
            on_error: `raise` or `return`.
            **kwargs: Ignored.
        """
        paths = self._strip_protocol(list(paths))
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(paths) == len(starts) == len(ends):
            raise ValueError("there must be a start and an end for each path")
        distinct = list(dict.fromkeys(paths))
        opened = each_of(self._max_concurrency, _Guarded(self._open_to_read, on_error), distinct)
        files = dict(zip(distinct, opened, strict=True))
        try:
            read = _Guarded(_part_at, on_error)
            return each_of(self._max_concurrency, read, [files[path] for path in paths], starts, ends)
        finally:
            for file in opened:
                if isinstance(file, ReadFile):
                    file.close()

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = NO_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Download files, several at a time; arguments as for any filesystem of fsspec."""
        collected = self._collected
        jobs: list[tuple[str, str]] = []
        collected.jobs = jobs
        try:
            # fsspec decides which file goes where, and calls get_file for each.
            super().get(rpath, lpath, recursive=recursive, maxdepth=maxdepth, **kwargs)
        finally:
            collected.jobs = None
        callback.set_size(len(jobs))

        def download(remote: str, local: str) -> None:
            with callback.branched(remote, local) as child:
                self.get_file(remote, local, callback=child)
            callback.relative_update()

        if jobs:
            each_of(self._max_concurrency, download, [job[0] for job in jobs], [job[1] for job in jobs])

    @property
    def _collected(self) -> Any:
        return vars(self).setdefault("_jobs_of_get", threading.local())

    def get_file(
        self, rpath: str, lpath: Any, callback: Callback = NO_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Download a file, verified if the object service has its hash. It appears when it is complete.

        Args:
            rpath: The path.
            lpath: Where to put it; a path or an open file.
            callback: Gets the progress, in stored bytes.
            outfile: An open file, instead of `lpath`.
            **kwargs: Ignored.
        """
        jobs: list[tuple[str, Any]] | None = getattr(self._collected, "jobs", None)
        if jobs is not None:
            jobs.append((rpath, lpath))
            return
        path = self._strip_protocol(rpath)
        target: Any = lpath if outfile is None else outfile

        def progress(done: int, total: int | None) -> None:
            if total is not None:
                callback.set_size(total)
            callback.absolute_update(done)

        if hasattr(target, "write"):
            self._download(path, target, progress)
        elif self.isdir(path):
            Path(target).mkdir(parents=True, exist_ok=True)
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self._download(path, target, progress)

    def _download(self, path: str, target: Any, progress: Any) -> None:
        raise NotImplementedError

    # Information

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Return whether there is such a file or directory; raise PermissionError if that cannot be known."""
        return self._type(path) is not None

    def isdir(self, path: str) -> bool:
        """Return whether there is such a directory."""
        return self._type(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Return whether there is such a file."""
        return self._type(path) == "file"

    def _type(self, path: str) -> str | None:
        try:
            return str(self._entry(self._strip_protocol(path))["type"])
        except FileNotFoundError:
            return None
        except RequestFailed as exc:
            # A path that Taskcluster rejects, for example with a malformed taskId, cannot exist.
            if exc.status_code == HTTPStatus.BAD_REQUEST:
                return None
            raise

    def _entry(self, path: str) -> Info:
        """Return the info of a file or directory; the size of a file may be None."""
        raise NotImplementedError

    def _size_of(self, path: str, content: Content) -> int:
        """Return the size of a content, and release it. To learn that of an encoded one, all is read."""
        try:
            with os_errors(path):
                return content.size
        finally:
            content.release()
            self._connection.contents.trim()

    def ukey(self, path: str) -> str:
        """Return a string that changes if the content of the path does."""
        path = self._strip_protocol(path)
        parts = [self.fsid, *self._version(path)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def checksum(self, path: str) -> int:
        """Return `ukey` as a number."""
        return int(self.ukey(path), 16)

    def _version(self, path: str) -> list[str]:
        """Return what names a file, and its ETag or an empty string. At most the first bytes are requested."""
        raise NotImplementedError

    # Writing

    def _open_to_write(self, path: str, mode: str, autocommit: bool, options: Mapping[str, Any]) -> WriteFile:
        if self._type(path) == "file":
            raise already_exists(path)
        return WriteFile(path, mode, self._uploader(path, options), autocommit)

    def _uploader(self, path: str, options: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def pipe_file(self, path: str, value: bytes, mode: str = "create", **kwargs: Any) -> None:
        """Write a file; raise FileExistsError if there is one, whatever `mode` is."""
        with self.open(path, "xb", **kwargs) as file:
            file.write(value)

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Write an empty file; raise FileExistsError if there is one."""
        self.pipe_file(path, b"", **kwargs)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Download a file and upload it under another name."""
        if self.isdir(path1):
            return
        with self.open(path1) as source, self.open(path2, "xb", **kwargs) as target:
            while data := source.read(1024 * 1024):
                target.write(data)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Do nothing: directories exist while files are in them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: directories exist while files are in them."""

    def rm_file(self, path: str) -> None:
        """Raise io.UnsupportedOperation: files cannot be deleted, they expire."""
        raise Unsupported(f"{path} cannot be deleted: it expires at its time")

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Raise io.UnsupportedOperation: files cannot be deleted, they expire."""
        self.rm_file(str(path))

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """Raise io.UnsupportedOperation: files cannot be renamed."""
        raise Unsupported(f"{path1} cannot be renamed: copy it")


class _Guarded:
    """Calls a function, and returns its exception unless that is to be raised."""

    def __init__(self, function: Any, on_error: str) -> None:
        self._function = function
        self._raises = on_error == "raise"

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._function(*arguments)
        except Exception as exc:
            if self._raises:
                raise
            return exc


def _part(file: Any, start: int | None, end: int | None) -> bytes:
    """Return a part of an open file; negative numbers count from its end."""
    first = 0 if start is None else start if start >= 0 else max(0, file.size + start)
    last = end if end is None or end >= 0 else file.size + end
    data: bytes = file.read_at(first, last)
    return data


def _part_at(file: Any, start: int | None, end: int | None) -> bytes:
    if isinstance(file, Exception):
        raise file
    return _part(file, start, end)
