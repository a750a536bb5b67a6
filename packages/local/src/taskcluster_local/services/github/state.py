"""Repositories and their builds, and the statuses and comments for GitHub, which is never contacted."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...events import Events
from ...pages import Page
from ...store import Row, Store
from ...timestamps import Clock, normal, to_wire

__all__ = ["STATES", "Github", "sanitized"]

STATES = ("pending", "success", "error", "failure", "cancelled")

_NAME = re.compile(r"[a-zA-Z0-9_.%-]{1,100}", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_SLUG = re.compile(r"[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]", re.ASCII)

_TABLES = """
CREATE TABLE IF NOT EXISTS github_repositories (
    organization TEXT NOT NULL, repository TEXT NOT NULL, installed INTEGER NOT NULL,
    PRIMARY KEY (organization, repository)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS github_files (
    organization TEXT NOT NULL, repository TEXT NOT NULL, taskclusterYml TEXT NOT NULL,
    PRIMARY KEY (organization, repository)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS github_builds (
    taskGroupId TEXT PRIMARY KEY, organization TEXT NOT NULL, repository TEXT NOT NULL, sha TEXT NOT NULL,
    branch TEXT, state TEXT NOT NULL, eventType TEXT NOT NULL, eventId TEXT NOT NULL, pullRequestNumber INTEGER,
    created TEXT NOT NULL, updated TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS github_builds_by_age ON github_builds (created, taskGroupId);
CREATE INDEX IF NOT EXISTS github_builds_of_organization ON github_builds (organization, created, taskGroupId);
CREATE INDEX IF NOT EXISTS github_builds_of_pull_request
    ON github_builds (organization, repository, pullRequestNumber, created, taskGroupId);
CREATE INDEX IF NOT EXISTS github_builds_of_commit
    ON github_builds (organization, repository, sha, created, taskGroupId);
CREATE INDEX IF NOT EXISTS github_builds_of_repository
    ON github_builds (organization, repository, created, taskGroupId);
CREATE INDEX IF NOT EXISTS github_builds_of_branch
    ON github_builds (organization, repository, branch, created, taskGroupId);
CREATE TABLE IF NOT EXISTS github_statuses (
    id INTEGER PRIMARY KEY, organization TEXT NOT NULL, repository TEXT NOT NULL, sha TEXT NOT NULL,
    given TEXT NOT NULL, created TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS github_comments (
    id INTEGER PRIMARY KEY, organization TEXT NOT NULL, repository TEXT NOT NULL, number INTEGER NOT NULL,
    body TEXT NOT NULL, created TEXT NOT NULL
);
"""


def sanitized(name: str) -> str:
    """Return a name in the form of builds and messages, in which `.` is replaced."""
    return name.replace(".", "%")


class Github:
    """The GitHub repositories of a deployment.

    They are those added by `add_repository`, with the builds added by `add_build`. The statuses and comments that a
    real deployment would send to GitHub are stored (`statuses`, `comments`).
    """

    def __init__(self, store: Store, events: Events, clock: Clock) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        store.create(_TABLES)

    def add_repository(
        self, organization: str, repository: str, *, installed: bool = True, taskclusterYml: str | None = None
    ) -> None:
        """Add or change a repository.

        Args:
            organization: The owner's name.
            repository: The repository's name.
            installed: Whether the deployment's GitHub app is installed for it.
            taskclusterYml: Its file `.taskcluster.yml`, for all branches; None if it has none. An invalid file is
                reported when an event is received.

        Raises:
            ApiError: A name is invalid (InputError).
        """
        _check_names(organization, repository)
        names = {"organization": sanitized(organization), "repository": sanitized(repository)}
        known = tuple(names.values())
        with self._store.transaction():
            self._store.run("INSERT OR REPLACE INTO github_repositories VALUES (?, ?, ?)", *known, installed)
            # Stored as JSON, which can represent any string in a payload.
            text = None if taskclusterYml is None else dumps(taskclusterYml)
            row = self._store.one(
                "SELECT taskclusterYml FROM github_files WHERE organization = ? AND repository = ?", *known
            )
            if text == (row and row["taskclusterYml"]):
                return
            self._store.run("DELETE FROM github_files WHERE organization = ? AND repository = ?", *known)
            if text is not None:
                self._store.run("INSERT INTO github_files VALUES (?, ?, ?)", *known, text)
            self._events.publish("github", "taskclusterYmlUpdate", names, **names)

    def taskcluster_yml(self, organization: str, repository: str) -> str | None:
        """Return the file of a repository, or None if it has none or the app is not installed for it."""
        row = self._store.one(
            "SELECT taskclusterYml FROM github_files JOIN github_repositories USING (organization, repository)"
            " WHERE organization = ? AND repository = ? AND installed",
            sanitized(organization),
            sanitized(repository),
        )
        return None if row is None else str(json.loads(row["taskclusterYml"]))

    def add_build(
        self,
        organization: str,
        repository: str,
        sha: str,
        taskGroupId: str,
        *,
        branch: str | None = None,
        state: str = "pending",
        eventType: str = "push",
        eventId: str | None = None,
        pullRequestNumber: int | None = None,
        created: str | None = None,
        updated: str | None = None,
    ) -> None:
        """Add or change a build, and add its repository if it does not exist.

        Args:
            organization: The owner's name.
            repository: The repository's name.
            sha: The commit, 40 hexadecimal digits.
            taskGroupId: The task group of the build. It need not exist.
            branch: The branch.
            state: One of STATES.
            eventType: The kind of event, such as `push` or `pull_request.opened`.
            eventId: The id of the event, a UUID. Defaults to a random one.
            pullRequestNumber: The number of the pull request, if it is a build of one.
            created: When it was created, as a date-time. Defaults to now.
            updated: When it was last updated. Defaults to `created`.

        Raises:
            ApiError: An argument is invalid (InputError).
        """
        _check_names(organization, repository)
        _check(_SHA.fullmatch(sha) is not None, f"{sha!r} is not a sha: it must be 40 hexadecimal digits")
        _check(_SLUG.fullmatch(taskGroupId) is not None, f"{taskGroupId!r} is not a taskGroupId")
        _check(state in STATES, f"the state of a build must be one of {', '.join(STATES)}, not {state!r}")
        made = to_wire(self._clock()) if created is None else _date(created)
        with self._store.transaction():
            self._store.run(
                "INSERT OR IGNORE INTO github_repositories VALUES (?, ?, 1)",
                sanitized(organization),
                sanitized(repository),
            )
            self._store.run(
                "INSERT OR REPLACE INTO github_builds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                taskGroupId,
                sanitized(organization),
                sanitized(repository),
                sha,
                branch,
                state,
                eventType,
                _event_id(eventId),
                pullRequestNumber,
                made,
                made if updated is None else _date(updated),
            )

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """The statuses of commits, oldest first.

        Each has organization, repository, sha, state and created, and context, description and target_url, which may be
        None.
        """
        return [
            {**_target(row), **json.loads(row["given"])}
            for row in self._store.all("SELECT * FROM github_statuses ORDER BY id")
        ]

    @property
    def comments(self) -> list[dict[str, Any]]:
        """The comments, oldest first, each with organization, repository, number, body, created."""
        return [
            {**_target(row), "number": row["number"], "body": json.loads(row["body"])}
            for row in self._store.all("SELECT * FROM github_comments ORDER BY id")
        ]

    def installed(self, organization: str, repository: str) -> bool:
        """Return whether the deployment's GitHub app is installed for a repository."""
        row = self._store.one(
            "SELECT installed FROM github_repositories WHERE organization = ? AND repository = ?",
            sanitized(organization),
            sanitized(repository),
        )
        return row is not None and bool(row["installed"])

    def builds(self, page: Page, **wanted: str | int | None) -> dict[str, Any]:
        """Return builds in the form of the API, newest first.

        Args:
            page: The page to return.
            **wanted: Their organization, repository, sha or pullRequestNumber; None for any.
        """
        given = {name: value for name, value in wanted.items() if value is not None}
        condition = " AND ".join(f"{name} = ?" for name in given) or "1"
        found = page.read(
            self._store,
            f"SELECT * FROM github_builds WHERE {condition}",
            *given.values(),
            key=("created", "taskGroupId"),
            descending=True,
        )
        return found.body("builds", _build)

    def pending(self, organization: str, repository: str, **wanted: str | int | None) -> list[str]:
        """Return the task groups of the builds of a repository that can be cancelled.

        Raises:
            ApiError: No such builds exist (ResourceNotFound).
        """
        given = {name: value for name, value in wanted.items() if value is not None}
        conditions = "".join(f" AND {name} = ?" for name in given)
        rows = self._store.all(
            "SELECT taskGroupId FROM github_builds"
            f" WHERE organization = ? AND repository = ? AND state = 'pending'{conditions} ORDER BY created",
            sanitized(organization),
            sanitized(repository),
            *given.values(),
        )
        if not rows:
            raise ApiError("ResourceNotFound", "No cancellable builds found")
        return [row["taskGroupId"] for row in rows]

    def cancelled(self, taskGroupId: str, now: datetime) -> dict[str, Any]:
        """Mark a build as cancelled, and return it in the form of the API."""
        with self._store.transaction():
            self._store.run(
                "UPDATE github_builds SET state = 'cancelled', updated = ? WHERE taskGroupId = ?",
                to_wire(now),
                taskGroupId,
            )
            rows = self._store.all("SELECT * FROM github_builds WHERE taskGroupId = ?", taskGroupId)
        return _build(rows[0])

    def set_state(self, taskGroupId: str, state: str, now: datetime) -> None:
        """Set the state of the build of a task group, if there is one."""
        self._store.run(
            "UPDATE github_builds SET state = ?, updated = ? WHERE taskGroupId = ? AND state NOT IN (?, 'cancelled')",
            state,
            to_wire(now),
            taskGroupId,
            state,
        )

    def is_build(self, taskGroupId: str) -> bool:
        """Return whether a task group belongs to a build."""
        return self._store.one("SELECT 1 FROM github_builds WHERE taskGroupId = ?", taskGroupId) is not None

    def latest(self, organization: str, repository: str, branch: str) -> Row | None:
        """Return the newest build of a branch, or None."""
        return self._store.one(
            "SELECT * FROM github_builds WHERE organization = ? AND repository = ? AND branch = ?"
            " ORDER BY created DESC, taskGroupId DESC LIMIT 1",
            sanitized(organization),
            sanitized(repository),
            branch,
        )

    def add_status(self, organization: str, repository: str, sha: str, given: dict[str, Any]) -> None:
        """Store a status of a commit.

        Raises:
            ApiError: The app is not installed for the repository (ResourceNotFound).
        """
        self._check_installed(organization, repository)
        self._store.run(
            "INSERT INTO github_statuses (organization, repository, sha, given, created) VALUES (?, ?, ?, ?, ?)",
            organization,
            repository,
            sha,
            dumps({name: given.get(name) for name in ("state", "context", "description", "target_url")}),
            to_wire(self._clock()),
        )

    def add_comment(self, organization: str, repository: str, number: int, body: str) -> None:
        """Store a comment on an issue or pull request.

        Raises:
            ApiError: The app is not installed for the repository (ResourceNotFound).
        """
        self._check_installed(organization, repository)
        self._store.run(
            "INSERT INTO github_comments (organization, repository, number, body, created) VALUES (?, ?, ?, ?, ?)",
            organization,
            repository,
            number,
            dumps(body),
            to_wire(self._clock()),
        )

    def _check_installed(self, organization: str, repository: str) -> None:
        if not self.installed(organization, repository):
            raise ApiError("ResourceNotFound", f"Repository {organization}/{repository} not found: add it first")


def _target(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("organization", "repository", "sha", "created") if name in row}


def _build(row: Row) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "branch"}
    if shown["pullRequestNumber"] is None:
        del shown["pullRequestNumber"]
    return shown


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ApiError("InputError", message)


def _check_names(*names: str) -> None:
    for name in names:
        _check(_NAME.fullmatch(name) is not None, f"{name!r} is not the name of an organization or repository")


def _event_id(given: str | None) -> str:
    if given is None:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise ApiError("InputError", f"the eventId {given!r} is not a UUID") from None


def _date(text: str) -> str:
    try:
        return normal(text)
    except ValueError as error:
        raise ApiError("InputError", str(error)) from None
