"""Filesystems of artifacts, whatever names the task's run."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, BinaryIO, TypeVar

from taskcluster.timestamps import parse_date
from taskcluster_objects.content_types import content_type_of
from taskcluster_objects.download import downloadArtifactToFile, downloadArtifactToPath
from taskcluster_objects.upload import uploadArtifactFromFile

from .base import TaskclusterFileSystem
from .connection import os_errors
from .contents import Content
from .exceptions import IsDirectory, Unsupported, not_found
from .interface import Info
from .listings import Listing, directory, file_info
from .paths import RunPath
from .runs import Run, chosen_run

__all__ = ["RunFileSystem"]

_LIST_AFTER = 3
"""How many artifacts of a run to look up one by one. Then it is listed, because a program that opens several will open
more, and a page of a listing costs no more than one artifact."""
T = TypeVar("T")
_MAX_KNOWN = 10_000
"""How many infos, and how many versions, of single artifacts to keep."""


@dataclasses.dataclass
class _Known:
    """What cannot change any more."""

    runs: dict[str, Run] = dataclasses.field(default_factory=dict[str, Run])
    files: dict[tuple[str, str], Info] = dataclasses.field(default_factory=dict[tuple[str, str], Info])
    versions: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict[tuple[str, str], list[str]])
    lookups: Counter[str] = dataclasses.field(default_factory=Counter[str])
    """How many artifacts of each run were looked up one by one."""


class RunFileSystem(TaskclusterFileSystem):
    """Artifacts of runs. Listings and infos are kept if the run is resolved, because they cannot change then."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known = _Known()

    # Runs

    def _split(self, path: str) -> RunPath:
        raise NotImplementedError

    def _run(self, named: str) -> Run:
        """Return the run that a path names, now."""
        raise NotImplementedError

    def _chosen_run(self, path: str, task_id: str, wanted: str) -> Run:
        known = self._known.runs.get(f"{task_id}/{wanted}")
        if known is not None:
            return known
        status = self._connection.call(path, "queue", "status", task_id)["status"]
        run = chosen_run(status, wanted, datetime.now(timezone.utc))
        if run.is_final:
            self._known.runs[run.key] = run
        return run

    # Listings

    def _listing(self, path: str, run: Run, refresh: bool = False) -> Listing:
        if not refresh:
            try:
                known: Listing = self.dircache[run.key]
                return known
            except KeyError:
                pass
        found = self._connection.pages(path, "queue", "listArtifacts", "artifacts", run.task_id, run.run_id)
        listing = Listing(run, found)
        if run.is_final:
            self.dircache[run.key] = listing
        return listing

    def ls(
        self,
        path: str,
        detail: bool = True,
        refresh: bool = False,
        listings: dict[str, tuple[Run, Listing]] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the files and directories at a path.

        Args:
            path: The path.
            detail: Whether to return their infos instead of their paths. Infos have the size None if the worker gave
                none; `info` then looks it up.
            refresh: Whether to list artifacts of a resolved run again.
            listings: Listings to use and to add to, by run.
            **kwargs: Ignored.
        """
        path = self._strip_protocol(path)
        found = self._children_above_runs(path)
        if found is None:
            run_path = self._split(path)
            known = {} if listings is None else listings
            if run_path.run not in known:
                run = self._run(run_path.run)
                known[run_path.run] = run, self._listing(path, run, refresh)
            run, listing = known[run_path.run]
            children = listing.children(run_path.rest)
            if children is None:
                raise not_found(f"{path}: run {run.run_id} of task {run.task_id} has no such artifacts")
            found = [{**info, "name": f"{run_path.run}/{info['name']}"} for info in children]
        return found if detail else [info["name"] for info in found]

    def _children_above_runs(self, path: str) -> list[Info] | None:
        """Return the directories at a path above runs, or None if it is not above them."""
        raise NotImplementedError

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: Any = "omit",
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Yield directories with the names of what is in them, as `os.walk`; each run is listed once.

        Args:
            path: Where to start.
            maxdepth: How deep to go.
            topdown: Whether a directory comes before those in it.
            on_error: `omit` directories that do not exist, `raise`, or a function of the error. Errors that do not
                mean that nothing is there, for example missing scopes, are raised.
            **kwargs: Passed to `ls`.
        """
        if "listings" not in kwargs:
            kwargs["listings"] = {}
            try:
                self.ls(path, **kwargs)
            except FileNotFoundError:
                # fsspec does what `on_error` says.
                pass
        yield from super().walk(path, maxdepth, topdown, on_error, **kwargs)

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Any:
        """Return the files below a path, or the file at it; each run is listed once.

        Args:
            path: The path.
            maxdepth: How deep to go.
            withdirs: Whether to return directories, too.
            detail: Whether to return a dict with the info of each.
            **kwargs: Passed to `ls`.
        """
        path = self._strip_protocol(path)
        found: dict[str, Info] = {}
        for _, dirs, files in self.walk(path, maxdepth, detail=True, **kwargs):
            here = [*files.values(), *(dirs.values() if withdirs else ())]
            found |= {info["name"]: info for info in here}
            if withdirs and path and path not in found:
                found[path] = directory(path)
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    # Information

    def _entry(self, path: str) -> Info:
        if self._children_directory(path):
            return directory(path)
        run_path = self._split(path)
        return self._file_or_directory(path, self._run(run_path.run), run_path)

    def _children_directory(self, path: str) -> bool:
        """Return whether a path is an existing directory above runs."""
        raise NotImplementedError

    def _file_or_directory(self, path: str, run: Run, run_path: RunPath) -> Info:
        if not run_path.rest:
            return directory(path)
        try:
            return {**self._artifact(path, run, run_path), "name": path}
        except FileNotFoundError:
            if self._listing(path, run).is_directory(run_path.rest):
                return directory(path)
            raise

    def _artifact(self, path: str, run: Run, run_path: RunPath) -> Info:
        key = run.key, run_path.name
        known = self._known.files.get(key)
        if known is not None:
            return known
        self._known.lookups[run.key] += run.is_final
        if run.key in self.dircache or self._known.lookups[run.key] > _LIST_AFTER:
            listing = self._listing(path, run)
            if run_path.rest not in listing.files:
                raise not_found(f"{path}: run {run.run_id} of task {run.task_id} has no such artifact")
            return listing.files[run_path.rest]
        found = self._connection.call(path, "queue", "artifactInfo", run.task_id, run.run_id, run_path.name)
        info = file_info(run, found)
        self._keep(self._known.files, run, run_path.name, info)
        return info

    def _keep(self, kept: dict[tuple[str, str], T], run: Run, name: str, value: T) -> None:
        if run.is_final:
            if len(kept) >= _MAX_KNOWN:
                kept.clear()
            kept[run.key, name] = value

    def info(self, path: str, **kwargs: Any) -> Info:
        """Return name, size, type and more of a file or directory.

        If the worker gave no size, the first bytes are requested to learn it. An encoded file is then read completely,
        and kept for when it is opened.
        """
        path = self._strip_protocol(path)
        info = self._entry(path)
        if info["type"] == "file" and info["size"] is None and info["storageType"] != "error":
            run = self._run_of(info)
            info["size"] = self._size_of(path, self._content(path, run, info["artifact"], None))
            self._keep(self._known.files, run, info["artifact"], dict(info))
        return info

    def _run_of(self, info: Info) -> Run:
        known = self._known.runs.get(f"{info['taskId']}/{info['runId']}")
        return Run(info["taskId"], info["runId"], False, None) if known is None else known

    def modified(self, path: str) -> datetime:
        """Return when the run was resolved, or else started: artifacts themselves have no date."""
        path = self._strip_protocol(path)
        run = self._run(self._split(path).run)
        return parse_date(run.date) if run.date else datetime.fromtimestamp(0, timezone.utc)

    def _version(self, path: str) -> list[str]:
        run_path = self._split(path)
        run = self._run(run_path.run)
        known = self._known.versions.get((run.key, run_path.name))
        if known is not None:
            return known
        self._require_file(path, run, run_path)
        # Dask calls this for each file, but reads them in other processes.
        content = self._content(path, run, run_path.name, None)
        content.release()
        version = [run.task_id, str(run.run_id), run_path.name, content.stored.etag or ""]
        self._keep(self._known.versions, run, run_path.name, version)
        return version

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget listings, infos and decoded files."""
        self.dircache.clear()
        self._known = _Known()
        super().invalidate_cache(path)

    # Reading

    def _content_of(self, path: str) -> tuple[Callable[[], Content], Info]:
        run_path = self._split(path)
        run = self._run(run_path.run)
        info = self._require_file(path, run, run_path)
        return functools.partial(self._content, path, run, run_path.name, info["size"]), info

    def _require_file(self, path: str, run: Run, run_path: RunPath) -> Info:
        """Return the info of a file; raise IsDirectory for a directory."""
        info = self._file_or_directory(path, run, run_path)
        if info["type"] == "directory":
            raise IsDirectory(f"{path} is a directory")
        return info

    def _content(self, path: str, run: Run, name: str, size: int | None) -> Content:
        connection = self._connection
        contents, key = connection.contents, f"{run.key}/{name}"
        with contents.opening(key):
            known = contents.get(key)
            if known is not None and run.is_final:
                return known
            content = connection.artifact_content(path, run.task_id, run.run_id, name, size)
            if known is not None:
                if known.stored.etag is not None and known.stored == content.stored:
                    content.release()
                    return known
                known.release()
            contents.keep(key, content)
        contents.trim()
        return content

    def _download(self, path: str, target: Any, progress: Any) -> None:
        run_path = self._split(path)
        run = self._run(run_path.run)
        connection = self._connection
        with os_errors(path):
            if not self._follows_references:
                connection.locate_artifact(run.task_id, run.run_id, run_path.name)
            to_path = isinstance(target, str | os.PathLike)
            download: Any = downloadArtifactToPath if to_path else downloadArtifactToFile
            connection.authenticated(
                "queue",
                lambda queue: download(
                    target,
                    taskId=run.task_id,
                    runId=run.run_id,
                    name=run_path.name,
                    queueService=queue,
                    progress=progress,
                ),
            )

    # Writing

    def _uploader(self, path: str, options: Mapping[str, Any]) -> Callable[[BinaryIO], None]:
        run_path = self._split(path)
        run = self._run(run_path.run)
        if not run_path.rest:
            raise IsDirectory(f"{path} is a directory")
        if run.is_final:
            raise Unsupported(
                f"{path}: run {run.run_id} of task {run.task_id} is resolved, so it gets no more artifacts"
            )

        def upload(file: BinaryIO) -> None:
            connection = self._connection
            expires = options.get("expires") or connection.call(path, "queue", "task", run.task_id)["expires"]
            uploadArtifactFromFile(
                taskId=run.task_id,
                runId=run.run_id,
                name=run_path.name,
                contentType=content_type_of(run_path.name, options.get("content_type")),
                expires=expires,
                file=file,
                queueService=connection.client("queue"),
                storageType=options.get("storage_type"),
            )

        return upload
