"""Dates of a task's definition, moved to now."""

from __future__ import annotations

import copy
import datetime
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.helper import resubmittable
from taskcluster_local import LocalTaskcluster

NOW = datetime.datetime(2030, 1, 1, 0, 0, 0, 500000, datetime.timezone.utc)
DEFINITION: dict[str, Any] = {
    "taskQueueId": "proj/ci",
    "created": "2020-01-01T00:00:00.000Z",
    "deadline": "2020-01-02T00:00:00.000Z",
    "expires": "2020-02-01T00:00:00Z",
    "dependencies": ["fN1SbArXTPSVFNUvaOlinQ"],
    "payload": {"env": {"expires": "2020-01-05T00:00:00.000Z"}},
}


def test_moves_dates_and_keeps_everything_else() -> None:
    before = copy.deepcopy(DEFINITION)
    moved = resubmittable(DEFINITION, NOW)
    assert moved == {
        **before,
        "created": "2030-01-01T00:00:00.500Z",
        "deadline": "2030-01-02T00:00:00.500Z",
        "expires": "2030-02-01T00:00:00.500Z",
    }
    assert before == DEFINITION


@pytest.mark.parametrize(
    ("artifacts", "moved"),
    [
        ({"public/a": {"expires": "2020-01-11T00:00:00.000Z"}}, {"public/a": {"expires": "2030-01-11T00:00:00.500Z"}}),
        ([{"name": "a", "expires": "2020-01-11T00:00:00Z"}], [{"name": "a", "expires": "2030-01-11T00:00:00.500Z"}]),
        ([{"expires": {"$fromNow": "1 day"}}, "x"], [{"expires": {"$fromNow": "1 day"}}, "x"]),
    ],
)
def test_moves_expires_of_artifacts(artifacts: Any, moved: Any) -> None:
    definition = {**DEFINITION, "payload": {"artifacts": artifacts}}
    before = copy.deepcopy(definition)
    assert resubmittable(definition, NOW)["payload"]["artifacts"] == moved
    assert definition == before


def test_accepts_datetimes_in_any_zone() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    definition = {"created": datetime.datetime(2020, 1, 1, 2, tzinfo=zone), "deadline": "2020-01-02T02:00:00.5+02:00"}
    assert resubmittable(definition, NOW) == {
        "created": "2030-01-01T00:00:00.500Z",
        "deadline": "2030-01-02T00:00:01.000Z",
    }


@pytest.mark.parametrize("wrong", [None, "soon", 7])
def test_an_invalid_date_raises(wrong: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="deadline must be a date"):
        resubmittable({**DEFINITION, "deadline": wrong}, NOW)
    with pytest.raises(TaskclusterFailure, match="created must be a date"):
        resubmittable({}, NOW)
    with pytest.raises(TaskclusterFailure, match="aware"):
        resubmittable(DEFINITION, NOW.replace(tzinfo=None))


def test_a_returned_definition_can_be_created_again(local: LocalTaskcluster) -> None:
    queue = taskcluster.Queue(local.options())
    first, second = taskcluster.slugId(), taskcluster.slugId()
    metadata = dict.fromkeys(("description", "source"), "https://example.com/")
    definition = {
        "taskQueueId": "proj/ci",
        "created": taskcluster.fromNow("0 seconds"),
        "deadline": taskcluster.fromNow("1 hour"),
        "payload": {},
        "metadata": {"name": "n", "owner": "a@example.com", **metadata},
    }
    queue.createTask(first, definition)
    queue.createTask(second, {**resubmittable(queue.task(first)), "taskGroupId": second})
    assert queue.task(second)["deadline"] > queue.task(first)["deadline"]
