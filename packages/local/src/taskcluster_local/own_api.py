"""The API that only a local deployment has: its state, notifications it would have sent, and repositories it knows.

It is like the other APIs (`/api/local/v1/…`, Hawk, scopes, payloads, pages), but not in the list of references, so that
clients that read the list find the services of a real deployment. The stream of messages is at `/events`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .api import EventStream, Handler, HandlerCall, Interface, Reply
from .documents import version
from .errors import ApiError
from .isolation import isolated
from .pages import Page
from .services.context import SharedState
from .services.github.rendering import policy
from .services.notify.outbox import notification_of
from .store import Row
from .stream import Feed, bindings_in
from .timestamps import MovableClock, to_wire

__all__ = ["EVENTS_PATH", "REFERENCE", "Own", "interface", "paths"]

EVENTS_PATH = "/events"
"""The path of the stream of messages."""

_MOST_MESSAGES = 100

_COUNT: dict[str, Any] = {"type": "integer"}
_TEXT: dict[str, Any] = {"type": "string"}
_DATE: dict[str, Any] = {"type": "string", "format": "date-time"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_GROUP: dict[str, Any] = {
    "taskGroupId": _TEXT,
    "schedulerId": _TEXT,
    "expires": _DATE,
    "sealed": _DATE,
    "states": {"type": "object", "additionalProperties": _COUNT},
}
_GROUP_REQUIRED = ["taskGroupId", "schedulerId", "expires", "states"]

_ABOUT: dict[str, Any] = {"stability": "experimental", "category": "Local", "args": []}
_METHODS: list[dict[str, Any]] = [
    {
        **_ABOUT,
        "name": "status",
        "title": "Status",
        "description": "Returns the time, and how many tasks and waiting workers there are.",
        "method": "get",
        "route": "/status",
        "output": "local/v1/status.json",
        "scopes": "local:status",
    },
    {
        **_ABOUT,
        "name": "reset",
        "title": "Reset",
        "description": "Deletes everything, as if the deployment had been restarted. Returns the status before.",
        "method": "post",
        "route": "/reset",
        "output": "local/v1/status.json",
        "scopes": "local:reset",
    },
    {
        **_ABOUT,
        "name": "listTaskGroups",
        "title": "List Task Groups",
        "description": "Lists the groups of the tasks created last, latest first, with the number of tasks by state.",
        "method": "get",
        "route": "/task-groups",
        "output": "local/v1/task-groups.json",
        "scopes": "queue:list-task-group:*",
    },
    {
        **_ABOUT,
        "name": "taskGroup",
        "title": "Task Group",
        "description": "Returns a task group with the number of its tasks by state, and the task that failed first.",
        "method": "get",
        "route": "/task-group",
        "query": ["taskGroupId"],
        "output": "local/v1/task-group.json",
        "scopes": "queue:list-task-group:<taskGroupId>",
    },
    {
        **_ABOUT,
        "name": "listNotifications",
        "title": "List Notifications",
        "description": "Lists the notifications of the last 24 hours, oldest first unless `newestFirst` is `true`. "
        "They are not delivered.",
        "method": "get",
        "route": "/notifications",
        "query": ["continuationToken", "limit", "newestFirst"],
        "output": "local/v1/notifications.json",
        "scopes": "local:list-notifications",
    },
    {
        **_ABOUT,
        "name": "listTaskQueues",
        "title": "List Task Queues",
        "description": "Lists the task queues with pending or claimed tasks, and those that workers have used in the "
        "last day. The queue service lists only the latter.",
        "method": "get",
        "route": "/task-queues",
        "query": ["continuationToken", "limit"],
        "output": "local/v1/task-queues.json",
        "scopes": {"AllOf": ["queue:list-task-queues", "queue:pending-count:*", "queue:claimed-count:*"]},
    },
    {
        **_ABOUT,
        "name": "listMessages",
        "title": "List Messages",
        "description": "Lists the latest messages that match `bindings`, as /events sends them, newest first. A stream "
        "with `lastEventId` continues without a gap. Messages are kept only once this or /events was requested.",
        "method": "get",
        "route": "/messages",
        "query": ["bindings", "limit"],
        "output": "local/v1/messages.json",
        "scopes": "web:read-pulse",
    },
    {
        **_ABOUT,
        "name": "addRepository",
        "title": "Add Repository",
        "description": "Adds or changes a GitHub repository with its `.taskcluster.yml`.",
        "method": "put",
        "route": "/repository",
        "input": "local/v1/repository.json",
        "scopes": "local:add-repository:<organization>/<repository>",
    },
]

_EVENTS: dict[str, Any] = {
    **_ABOUT,
    "name": "events",
    "method": "get",
    "route": EVENTS_PATH,
    "query": ["bindings", "lastEventId"],
    "scopes": "web:read-pulse",
}
"""At the root, and not in the reference, because clients would wait for the end of the response."""

REFERENCE: dict[str, Any] = {
    "serviceName": "local",
    "apiVersion": "v1",
    "title": "Local Deployment",
    "description": "The methods that only a local deployment has.",
    "methods": _METHODS,
    "entries": [{"type": "function", **method} for method in _METHODS],
    "types": {
        "local/v1/status.json": _object(
            ["version", "time", "secondsAhead", "storage", "tasks", "pending", "running", "waitingWorkers"],
            version=_TEXT,
            time=_DATE,
            secondsAhead={"type": "number"},
            storage={"type": "string", "enum": ["memory", "directory"]},
            tasks=_COUNT,
            pending=_COUNT,
            running=_COUNT,
            waitingWorkers=_COUNT,
        ),
        "local/v1/task-groups.json": _object(
            ["taskGroups"],
            taskGroups={
                "type": "array",
                "items": _object(_GROUP_REQUIRED, **_GROUP),
            },
        ),
        "local/v1/task-group.json": _object(
            _GROUP_REQUIRED,
            **_GROUP,
            firstFailure=_object(
                ["taskId", "runId", "state", "reasonResolved", "resolved"],
                taskId=_TEXT,
                runId=_COUNT,
                state=_TEXT,
                reasonResolved=_TEXT,
                resolved=_DATE,
            ),
        ),
        "local/v1/notifications.json": _object(
            ["notifications"],
            continuationToken=_TEXT,
            notifications={
                "type": "array",
                "items": _object(
                    ["notificationType", "notificationAddress", "payload", "sent"],
                    notificationType=_TEXT,
                    notificationAddress=_TEXT,
                    payload={"type": "object"},
                    sent=_DATE,
                ),
            },
        ),
        "local/v1/task-queues.json": _object(
            ["taskQueues"],
            continuationToken=_TEXT,
            taskQueues={
                "type": "array",
                "items": _object(
                    ["taskQueueId", "pendingTasks", "claimedTasks"],
                    taskQueueId=_TEXT,
                    pendingTasks=_COUNT,
                    claimedTasks=_COUNT,
                ),
            },
        ),
        "local/v1/messages.json": _object(
            ["lastEventId", "exchanges", "messages"],
            lastEventId=_TEXT,
            exchanges={"type": "array", "items": _TEXT},
            messages={"type": "array", "items": {"type": "object"}},
        ),
        "local/v1/repository.json": _object(
            ["organization", "repository"],
            organization={"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,100}$"},
            repository={"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,100}$"},
            installed={"type": "boolean", "default": True},
            taskclusterYml=_TEXT,
        ),
    },
}


@functools.cache
def interface() -> Interface:
    """Return the parsed reference of this API, cached."""
    return Interface({"local": {**REFERENCE, "methods": [*_METHODS, _EVENTS]}})


def paths() -> list[tuple[str, str]]:
    """Return the verb and path of each method."""
    return [(method["method"].upper(), f"/api/local/v1{method['route']}") for method in _METHODS]


@dataclass(frozen=True)
class Own:
    """The handlers of this API."""

    shared: SharedState
    clock: MovableClock
    reset_deployment: Callable[[], Awaitable[None]] | None
    """Replaces the deployment by a new one. None if its data is stored in a directory."""
    feed: Feed

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers, by method."""
        return {
            "status": self.status,
            "reset": self.reset,
            "listTaskGroups": self.listTaskGroups,
            "taskGroup": self.taskGroup,
            "listNotifications": self.listNotifications,
            "listTaskQueues": self.listTaskQueues,
            "listMessages": self.listMessages,
            "addRepository": self.addRepository,
            "events": self.events,
        }

    async def status(self, call: HandlerCall) -> dict[str, Any]:
        """Return the time and the numbers of tasks and waiting workers."""
        return {
            "version": version()["version"],
            "time": to_wire(self.clock()),
            "secondsAhead": self.clock.ahead.total_seconds(),
            "storage": "directory" if self.reset_deployment is None else "memory",
            **self.shared.queue.totals(),
            "waitingWorkers": self.shared.arrivals.count,
        }

    async def reset(self, call: HandlerCall) -> dict[str, Any]:
        """Replace the deployment by a new one, and return the status of the old one."""
        if self.reset_deployment is None:
            raise ApiError(
                "RequestConflict", "This deployment stores its data in a directory: stop it and delete the directory."
            )
        before = await self.status(call)
        await self.reset_deployment()
        return before

    async def events(self, call: HandlerCall) -> Reply:
        """Return messages as they are published."""
        bindings = bindings_in(call.query.get("bindings"), self.shared.interface.exchanges)
        # A browser sends the header when it connects again; its first request has the query only.
        last_id = call.request.headers.get("last-event-id") or call.query.get("lastEventId")
        return Reply(200, EventStream(lambda: self.feed.stream(bindings, last_id)))

    async def listTaskGroups(self, call: HandlerCall) -> dict[str, Any]:
        """Return the groups of the latest tasks."""
        groups = self.shared.queue.groups
        return {"taskGroups": [{**group, "states": groups.counts(group["taskGroupId"])} for group in groups.latest()]}

    async def taskGroup(self, call: HandlerCall) -> dict[str, Any]:
        """Return a group with the numbers of its tasks, and its first failure."""
        taskGroupId = call.query.get("taskGroupId")
        if taskGroupId is None:
            raise ApiError("InvalidRequestArguments", "Query-string parameter: taskGroupId is missing")
        call.authorize(taskGroupId=taskGroupId)
        groups = self.shared.queue.groups
        found = {**groups.group(taskGroupId), "states": groups.counts(taskGroupId)}
        failure = groups.first_failure(taskGroupId)
        return found if failure is None else {**found, "firstFailure": failure}

    async def listNotifications(self, call: HandlerCall) -> dict[str, Any]:
        """Return a page of the notifications that a real deployment would have sent."""
        newest_first = call.query.get("newestFirst") == "true"
        page = self.shared.outbox.page(Page.of(call.query), newest_first=newest_first)
        return page.body("notifications", lambda row: {**notification_of(row).shown(), "sent": row["sent"]})

    async def listTaskQueues(self, call: HandlerCall) -> dict[str, Any]:
        """Return a page of the task queues, with how many of their tasks are pending and claimed."""

        def counted(row: Row) -> dict[str, Any]:
            pending, claimed = self.shared.queue.counts(row["taskQueueId"], call.now)
            return {**row, "pendingTasks": pending, "claimedTasks": claimed}

        return self.shared.queue.queues(Page.of(call.query), call.now).body("taskQueues", counted)

    async def listMessages(self, call: HandlerCall) -> dict[str, Any]:
        """Return the latest messages, and where a stream of the next ones begins."""
        exchanges = self.shared.interface.exchanges
        bindings = bindings_in(call.query["bindings"], exchanges) if "bindings" in call.query else ()
        last_id, messages = await self.feed.latest(bindings, Page.of(call.query, _MOST_MESSAGES).limit)
        return {"lastEventId": last_id, "exchanges": sorted(exchanges), "messages": messages}

    async def addRepository(self, call: HandlerCall) -> dict[str, Any]:
        """Add or change a repository."""
        organization, repository = call.payload["organization"], call.payload["repository"]
        call.authorize(organization=organization, repository=repository)
        text = call.payload.get("taskclusterYml")
        if text is not None:
            await isolated(policy, text)
        self.shared.github.add_repository(
            organization,
            repository,
            installed=call.payload["installed"],
            taskclusterYml=text,
        )
        return {}
