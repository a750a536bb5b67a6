"""`tcindex://NAMESPACE/NAME`: the artifacts of indexed tasks."""

from __future__ import annotations

import fnmatch
from typing import Any

from .below_runs import RunFileSystem
from .exceptions import not_found
from .interface import Info
from .listings import directory
from .paths import LATEST, RunPath, has_magic, index_path, quoted, unquoted
from .runs import Run

__all__ = ["IndexFileSystem"]


class IndexFileSystem(RunFileSystem):
    """Artifacts by path of the index, for example `tcindex://project.tests.latest/public/timings.csv`.

    A path that ends with a dot, for example `project.tests.`, is a namespace, a directory of tasks and namespaces. The
    same path without the dot is the task of that name, a directory of the artifacts of its latest run.
    """

    protocol = "tcindex"

    @classmethod
    def _parent(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        if "/" in path:
            return path.rpartition("/")[0]
        above = path.rstrip(".").rpartition(".")[0]
        return f"{above}." if above else ""

    def _split(self, path: str) -> RunPath:
        return index_path(path)

    def _run(self, named: str) -> Run:
        found = self._connection.call(named, "index", "findTask", unquoted(named))
        return self._chosen_run(named, found["taskId"], LATEST)

    def _children_above_runs(self, path: str) -> list[Info] | None:
        if "/" in path or (path and not path.endswith(".")):
            return None
        found = self._children(path)
        if path and not found:
            raise not_found(f"there is nothing in the namespace {path}")
        return found

    def _children(self, namespace: str) -> list[Info]:
        connection, at = self._connection, unquoted(namespace).rstrip(".")
        below = connection.pages(namespace, "index", "listNamespaces", "namespaces", at)
        tasks = connection.pages(namespace, "index", "listTasks", "tasks", at)
        return [
            *(directory(f"{quoted(each['namespace'])}.") for each in below),
            *(directory(quoted(each["namespace"])) for each in tasks),
        ]

    def _children_directory(self, path: str) -> bool:
        return self._children_above_runs(path) is not None

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Find files by a pattern. In the path of the index, `*` matches one component, for example `project.*.latest`.

        Args:
            path: The pattern.
            maxdepth: How deep `**` goes.
            **kwargs: As for any filesystem of fsspec.
        """
        is_directory = path.endswith("/")
        run, slash, rest = self._strip_protocol(path).partition("/")
        if not has_magic(run):
            return super().glob(path, maxdepth, **kwargs)
        detail = kwargs.get("detail", False)
        found: dict[str, Info] = {}
        for info in self._matching(run):
            if slash:
                pattern = f"{info['name']}/{rest}" + ("/" if is_directory else "")
                found |= super().glob(pattern, maxdepth, **{**kwargs, "detail": True})
            else:
                found[info["name"]] = info
        return found if detail else list(found)

    def _matching(self, pattern: str) -> list[Info]:
        """Return the namespaces, if the pattern ends with a dot, or else the tasks that match it."""
        wants_namespaces = pattern.endswith(".")
        *above, last = pattern.rstrip(".").split(".")
        namespaces = [""]
        for part in above:
            namespaces = [name for namespace in namespaces for name in self._next(namespace, part, is_namespace=True)]
        names = [name for each in namespaces for name in self._next(each, last, is_namespace=wants_namespaces)]
        return [directory(name) for name in names]

    def _next(self, namespace: str, pattern: str, *, is_namespace: bool) -> list[str]:
        if not has_magic(pattern):
            name = f"{namespace}{pattern}"
            # Whether it exists shows when what is in it is listed.
            return [f"{name}."] if is_namespace else [name]
        names = [info["name"] for info in self._children(namespace)]
        return [
            name
            for name in names
            if name.endswith(".") == is_namespace and fnmatch.fnmatchcase(name.rstrip(".").rpartition(".")[2], pattern)
        ]
