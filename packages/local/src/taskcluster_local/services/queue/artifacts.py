"""Artifacts of runs: creating them, finding their data, and following links between them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from taskcluster.slugs import slugId

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...storage import Storage
from ...store import Row, Store
from ...timestamps import CLOCK_DRIFT, from_wire, later, to_wire
from .expiry import EXPIRED_FOR
from .messages import QueueMessages
from .state import Queue
from .task import Task

__all__ = ["Artifact", "Artifacts", "Chain", "ObjectStore", "artifact_of", "run_number"]

_GRACE = timedelta(minutes=25)
"""How long artifacts can be added to a run after it ended as an exception."""
_URL_HOLDS = timedelta(minutes=30)
_LONGEST_NAME = 1024
_BATCH = 100

_TABLES = """
CREATE TABLE IF NOT EXISTS artifacts (
    taskId TEXT NOT NULL, runId INTEGER NOT NULL, name TEXT NOT NULL,
    storageType TEXT NOT NULL, expires TEXT NOT NULL, present INTEGER NOT NULL, details TEXT NOT NULL,
    PRIMARY KEY (taskId, runId, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS artifacts_listed ON artifacts (taskId, runId, by_name(name));
CREATE INDEX IF NOT EXISTS artifacts_by_expiry ON artifacts (expires);
"""


class ObjectStore(Protocol):
    """The object service as the queue uses it."""

    def is_finished(self, name: str) -> bool:
        """Return whether a finished object of that name exists."""
        ...

    def download_url(self, name: str, expires: datetime) -> str | None:
        """Return a URL to download an object, valid until `expires`, or None if it cannot be downloaded."""
        ...


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact of a run."""

    taskId: str
    runId: int
    name: str
    storageType: str
    expires: str
    present: bool
    """Whether it can be downloaded; objects must be finished first."""
    contentType: str
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    """The properties that only artifacts of its storage type have."""

    def info(self) -> dict[str, Any]:
        """Return the artifact in the form of the API."""
        found = {name: getattr(self, name) for name in ("storageType", "name", "expires", "contentType")}
        return (
            found if "contentLength" not in self.details else {**found, "contentLength": self.details["contentLength"]}
        )

    @property
    def is_public(self) -> bool:
        """Whether everyone may download it."""
        return self.name.startswith("public/")

    @property
    def file(self) -> str:
        """The name of the file of an `s3` artifact."""
        return f"{'public' if self.is_public else 'private'}/artifacts/{self.taskId}/{self.runId}/{self.name}"


@dataclass(frozen=True, slots=True)
class Chain:
    """The links from a name to an artifact."""

    names: list[str]
    """The names on the way; reading the artifact requires the scope of each."""
    found: Artifact | ApiError
    """The artifact at the end, or the error if there is none."""

    def end(self) -> Artifact:
        """Return the artifact at the end, which is not a link.

        Raises:
            ApiError: There is none (ResourceNotFound), it has expired (ResourceExpired), or the links are circular
                (InputError).
        """
        if isinstance(self.found, ApiError):
            raise self.found
        return self.found


class Artifacts:
    """All artifacts of a deployment.

    Args:
        store: The deployment's database.
        storage: The files of `s3` artifacts.
        objects: The objects of `object` artifacts.
        queue: The tasks.
        messages: Publishes that artifacts were created.
    """

    def __init__(
        self, store: Store, storage: Storage, objects: ObjectStore, queue: Queue, messages: QueueMessages
    ) -> None:
        self._store = store
        self._storage = storage
        self._objects = objects
        self._queue = queue
        self._messages = messages
        store.create(_TABLES)

    # Writing

    def create(self, taskId: str, runId: str, name: str, given: dict[str, Any], now: datetime) -> Artifact:
        """Create an artifact of a run, or change it in one of the allowed ways."""
        expires = from_wire(given["expires"])
        if len(name) > _LONGEST_NAME:
            raise ApiError(
                "InputError", f"The name of an artifact can have at most {_LONGEST_NAME} characters, not {len(name)}"
            )
        if expires < now - CLOCK_DRIFT:
            raise ApiError("InputError", "Expires must be in the future")
        task, run = self._run(taskId, runId)
        if "workerId" not in run:
            raise ApiError("InputError", "Run was not claimed by a worker and so no artifacts can exist")
        if to_wire(expires) > task.expires:
            raise ApiError(
                "InputError",
                f"Artifact expires ({to_wire(expires)}) after the task expiration {task.expires} "
                "(task.expires < expires) - this is not allowed, as the artifact would outlive its task",
            )
        in_grace = run["state"] == "exception" and now < later(from_wire(run["resolved"]), _GRACE)
        if run["state"] != "running" and not in_grace:
            raise ApiError("RequestConflict", f"Run {runId} of task `{taskId}` is not running: it is {run['state']}.")
        existing = self.find(taskId, run["runId"], name)
        artifact = _described(task, run["runId"], name, given, to_wire(expires), existing)
        if existing is not None:
            artifact = _changed(existing, artifact)
        with self._store.transaction():
            self._save(artifact)
            if artifact.storageType in ("reference", "link", "error"):
                self._messages.artifact_created(task, run, artifact.info())
        return artifact

    def _run(self, taskId: str, runId: str) -> tuple[Task, dict[str, Any]]:
        # Other methods return 404 for these; this one, as in real deployments, 400.
        task = self._queue.find(taskId)
        if task is None:
            raise ApiError("InputError", "Task not found")
        number = run_number(runId)
        if number >= len(task.runs):
            raise ApiError("InputError", "Run not found")
        return task, task.runs[number]

    def finish(self, taskId: str, runId: str, name: str, uploadId: str) -> None:
        """Finish the upload of an `object` artifact. The call can be repeated."""
        number = run_number(runId)
        artifact = self.find(taskId, number, name)
        if artifact is None:
            raise ApiError(
                "ResourceNotFound", f"Artifact with taskId `{taskId}`, runId {runId}, name `{name}` not found"
            )
        if artifact.storageType != "object":
            raise ApiError("InputError", "Only object artifacts can be finished")
        if artifact.present:
            return
        if artifact.details["uploadId"] != uploadId:
            raise ApiError("InputError", "given uploadId does not match that for the artifact")
        if not self._objects.is_finished(artifact.details["name"]):
            raise ApiError(
                "InputError", "Object storing artifact data does not exist: upload it and finish the upload first"
            )
        task = self._queue.task(taskId)
        with self._store.transaction():
            self._save(replace(artifact, present=True))
            self._messages.artifact_created(task, task.runs[number], artifact.info())

    def _save(self, artifact: Artifact) -> None:
        self._store.run(
            "INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?)",
            artifact.taskId,
            artifact.runId,
            artifact.name,
            artifact.storageType,
            artifact.expires,
            artifact.present,
            # As JSON, because columns cannot store unpaired surrogates and large integers.
            dumps({**artifact.details, "contentType": artifact.contentType}),
        )

    def expire(self, now: datetime) -> None:
        """Delete expired artifacts and their data."""
        before = to_wire(now - EXPIRED_FOR)
        while rows := self._store.all(f"SELECT * FROM artifacts WHERE expires < ? LIMIT {_BATCH}", before):
            with self._store.transaction():
                for artifact in map(artifact_of, rows):
                    self._store.run(
                        "DELETE FROM artifacts WHERE taskId = ? AND runId = ? AND name = ?",
                        artifact.taskId,
                        artifact.runId,
                        artifact.name,
                    )
                    if artifact.storageType == "s3":
                        self._storage.delete(artifact.file)

    # Reading

    def find(self, taskId: str, runId: int, name: str) -> Artifact | None:
        """Return an artifact, or None."""
        # A link can contain any string; names are printable ASCII.
        if not name.isascii():
            return None
        row = self._store.one(
            "SELECT * FROM artifacts WHERE taskId = ? AND runId = ? AND name = ?", taskId, runId, name
        )
        return None if row is None else artifact_of(row)

    def of_run(self, taskId: str, runId: int, page: Page) -> Listing:
        """Return the artifacts of a run by name, even if they are unfinished or have expired."""
        statement = "SELECT * FROM artifacts WHERE taskId = ? AND runId = ?"
        return page.read(self._store, statement, taskId, runId, names=("name",))

    def follow(self, taskId: str, runId: int, name: str, now: datetime) -> Chain:
        """Follow links from a name."""
        names: list[str] = []
        while name not in names:
            names.append(name)
            artifact = self.find(taskId, runId, name)
            if artifact is None or not artifact.present:
                return Chain(names, ApiError("ResourceNotFound", "Artifact not found"))
            if artifact.expires < to_wire(now):
                return Chain(names, ApiError("ResourceExpired", "Artifact expired"))
            if artifact.storageType != "link":
                return Chain(names, artifact)
            name = artifact.details["artifact"]
        return Chain(names, ApiError("InputError", "Artifact leads to a link cycle"))

    def url(self, artifact: Artifact, now: datetime) -> str:
        """Return the URL of an `s3`, `reference` or `object` artifact; everyone can use it if the artifact is public.

        Raises:
            ApiError: The data does not exist (ResourceNotFound).
        """
        if artifact.storageType == "reference":
            return str(artifact.details["url"])
        until = later(now, _URL_HOLDS)
        if artifact.storageType == "s3":
            return self._storage.get_url(artifact.file, None if artifact.is_public else until)
        url = self._objects.download_url(artifact.details["name"], until)
        if url is None:
            raise ApiError("ResourceNotFound", "Artifact not found")
        return url

    def put_url(self, artifact: Artifact, until: datetime) -> str:
        """Return a URL to upload an `s3` artifact, valid until then."""
        return self._storage.put_url(artifact.file, until)


def _described(
    task: Task, runId: int, name: str, given: dict[str, Any], expires: str, existing: Artifact | None
) -> Artifact:
    """Return the artifact that a payload describes."""
    kind = given["storageType"]
    common = ("storageType", "expires", "contentType")
    details = {key: value for key, value in given.items() if key not in common}
    if kind == "object":
        known = existing.details if existing is not None else {}
        # Repeating the call continues the same upload.
        details |= {
            "projectId": task.projectId,
            "name": f"t/{task.taskId}/{runId}/{name}",
            "uploadId": known.get("uploadId") or slugId(),
        }
    content_type = given.get("contentType", "application/binary")
    return Artifact(task.taskId, runId, name, kind, expires, kind != "object", content_type, details)


def _changed(existing: Artifact, new: Artifact) -> Artifact:
    """Return an existing artifact after it is created again, or raise ApiError (RequestConflict)."""
    before, after = existing.storageType, new.storageType
    kept = before == after and (existing.details == new.details or after == "reference")
    turned = before == "reference" and after == "link"
    same_content = existing.contentType == new.contentType or after == "link"
    if not ((kept or turned) and same_content and new.expires >= existing.expires):
        raise ApiError(
            "RequestConflict",
            "Artifact already exists with different properties, and none of the allowed exceptions apply: "
            "it can expire later, a reference can get another url, and a reference can become a link",
        )
    return replace(new, contentType=existing.contentType, present=existing.present)


def artifact_of(row: Row) -> Artifact:
    """Return the artifact in a row."""
    details = json.loads(row["details"])
    content_type = details.pop("contentType")
    return Artifact(
        row["taskId"],
        row["runId"],
        row["name"],
        row["storageType"],
        row["expires"],
        bool(row["present"]),
        content_type,
        details,
    )


def run_number(runId: str) -> int:
    """Return the number of a run in a URL. Numbers too long to exist become one that does not exist."""
    return int(runId) if len(runId) < 9 else 10**9
