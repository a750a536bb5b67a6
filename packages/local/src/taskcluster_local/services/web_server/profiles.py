"""Show tasks as a profile for the Firefox Profiler, in its processed format, with a track for each task queue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ...timestamps import from_wire, milliseconds

__all__ = ["profile"]

_GECKO_VERSION = 30
_PROCESSED_VERSION = 48
_INTERVAL = 1
"""The phase of a marker that has both a start and an end."""
_CATEGORIES = ("pending", "running", "completed", "failed", "exception")
_COLOURS = ("grey", "blue", "green", "red", "orange")
_FIELDS = ("taskId", "runId", "state", "reasonResolved", "workerGroup", "workerId", "url")


def profile(name: str, tasks: Iterable[dict[str, Any]], root_url: str, now: datetime) -> dict[str, Any]:
    """Return a profile.

    Args:
        name: The name of the profile.
        tasks: The tasks, each with `status` and `task`, as the queue returns the members of a task group.
        root_url: The root URL of the deployment.
        now: The end of unfinished runs.
    """
    members = list(tasks)
    began = [from_wire(run["scheduled"]) for member in members for run in member["status"].get("runs", [])]
    start = min(began, default=now)
    threads: dict[str, _Thread] = {}
    for member in members:
        queue = member["status"]["taskQueueId"]
        thread = threads.setdefault(queue, _Thread(queue, len(threads)))
        thread.add(member, root_url, milliseconds(start), milliseconds(now))
    return {
        "meta": _meta(name, root_url, start, now),
        "libs": [],
        "pages": [],
        "threads": [thread.shown() for thread in threads.values()],
    }


def _meta(name: str, root_url: str, start: datetime, now: datetime) -> dict[str, Any]:
    return {
        "interval": 1,
        "startTime": milliseconds(start),
        "profilingStartTime": 0,
        "profilingEndTime": milliseconds(now) - milliseconds(start),
        "processType": 0,
        "extensions": {"id": [], "name": [], "baseURL": [], "length": 0},
        "categories": [
            {"name": name, "color": colour, "subcategories": ["Other"]}
            for name, colour in zip(_CATEGORIES, _COLOURS, strict=True)
        ],
        "product": name,
        "stackwalk": 0,
        "debug": False,
        "toolkit": "",
        "sourceURL": root_url,
        "version": _GECKO_VERSION,
        "preprocessedProfileVersion": _PROCESSED_VERSION,
        "symbolicationNotSupported": True,
        "usesOnlyOneStackType": True,
        "doesNotUseFrameImplementation": True,
        "markerSchema": [
            {
                "name": "Task",
                "display": ["marker-chart", "marker-table", "timeline-overview"],
                "chartLabel": "{marker.data.label}",
                "tableLabel": "{marker.data.label}",
                "tooltipLabel": "{marker.data.label}",
                "data": [
                    {"key": key, "label": key, "format": "url" if key == "url" else "string", "searchable": True}
                    for key in ("label", *_FIELDS)
                ],
            }
        ],
    }


class _Thread:
    """A track with its markers."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number
        self._strings: dict[str, int] = {}
        self._rows: list[tuple[dict[str, Any], int, int, int, int]] = []

    def add(self, member: dict[str, Any], root_url: str, start: int, now: int) -> None:
        """Add a task: for each run the time it was pending and the time it was running."""
        label = member["task"]["metadata"]["name"]
        taskId = member["status"]["taskId"]
        for run in member["status"].get("runs", []):
            runId = run["runId"]
            known: dict[str, Any] = {
                "type": "Task",
                "label": label,
                "taskId": taskId,
                "url": f"{root_url}/tasks/{taskId}/runs/{runId}",
            }
            known |= {field: str(run[field]) for field in _FIELDS if field in run}
            ended = _time(run.get("resolved"), now)
            started = _time(run.get("started"), ended)
            self._mark(label, "pending", known, _time(run["scheduled"], now) - start, started - start)
            if "started" in run:
                self._mark(label, run["state"], known, started - start, ended - start)

    def _mark(self, label: str, category: str, data: dict[str, Any], start: int, end: int) -> None:
        name = self._strings.setdefault(label, len(self._strings))
        self._rows.append((data, name, start, max(start, end), _CATEGORIES.index(category)))

    def shown(self) -> dict[str, Any]:
        """Return the track in the profile's format; it has markers but no samples."""
        rows = self._rows
        return {
            "processType": "default",
            "processName": self._name,
            "processStartupTime": 0,
            "processShutdownTime": None,
            "registerTime": 0,
            "unregisterTime": None,
            "pausedRanges": [],
            "showMarkersInTimeline": True,
            "name": self._name,
            "isMainThread": True,
            "pid": str(self._number),
            "tid": self._number,
            "samples": {"weightType": "samples", **_table("stack", "time", "weight", "eventDelay")},
            "markers": {
                "data": [row[0] for row in rows],
                "name": [row[1] for row in rows],
                "startTime": [row[2] for row in rows],
                "endTime": [row[3] for row in rows],
                "category": [row[4] for row in rows],
                "phase": [_INTERVAL] * len(rows),
                "length": len(rows),
            },
            "stackTable": _table("frame", "prefix", "category", "subcategory"),
            "frameTable": _table(
                "address", "inlineDepth", "category", "subcategory", "func", "nativeSymbol", "innerWindowID",
                "implementation", "line", "column",
            ),
            "funcTable": _table(
                "isJS", "relevantForJS", "name", "resource", "fileName", "lineNumber", "columnNumber"
            ),
            "resourceTable": _table("lib", "name", "host", "type"),
            "nativeSymbols": _table("libIndex", "address", "name", "functionSize"),
            "stringArray": list(self._strings),
        }  # fmt: skip


def _table(*columns: str) -> dict[str, Any]:
    return {**{column: [] for column in columns}, "length": 0}


def _time(date: str | None, otherwise: int) -> int:
    return otherwise if date is None else milliseconds(from_wire(date))
