"""`tcartifact://TASK/RUN/NAME`: the artifacts of a task's run."""

from __future__ import annotations

from .below_runs import RunFileSystem
from .exceptions import Unsupported
from .interface import Info
from .listings import directory
from .paths import LATEST, RunPath, run_path
from .runs import Run

__all__ = ["ArtifactFileSystem"]


class ArtifactFileSystem(RunFileSystem):
    """Artifacts by task and run, for example `tcartifact://fN1SbArXTPSVFNUvaOlinQ/latest/public/data.parquet`."""

    protocol = "tcartifact"

    def _split(self, path: str) -> RunPath:
        return run_path(path)

    def _run(self, named: str) -> Run:
        task_id, _, wanted = named.partition("/")
        return self._chosen_run(named, task_id, wanted or LATEST)

    def _children_above_runs(self, path: str) -> list[Info] | None:
        if not path:
            raise Unsupported("tasks cannot be listed: name one, as in tcartifact://TASK/latest")
        if "/" in path:
            return None
        status = self._connection.call(path, "queue", "status", path)["status"]
        return [directory(f"{path}/{run['runId']}") for run in status.get("runs", [])]

    def _children_directory(self, path: str) -> bool:
        if path and "/" not in path:
            self._connection.call(path, "queue", "status", path)
        return "/" not in path
