"""Payloads are read without I/O, and rejected with the key that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from taskcluster_worker.payloads import read_task
from taskcluster_worker.resolution import MalformedPayload
from taskcluster_worker.task import ArtifactContent, IndexedContent, NamedImage, Task

TASK = "fN1SbArXTPSVFNUvaOlinQ"
OTHER = "JzTGxwxhQ76_Tt1dxkaG5g"
GENERIC: dict[str, Any] = {"command": [["true"]], "maxRunTime": 60}
DOCKER: dict[str, Any] = {"image": "debian:12", "maxRunTime": 60}


def read(payload: Any, **more: Any) -> Task:
    definition = {
        "taskGroupId": TASK,
        "deadline": "2030-01-01T12:00:00.000Z",
        "expires": "2030-02-01T12:00:00.000Z",
        "scopes": [],
        "dependencies": [],
        "payload": payload,
        **more,
    }
    return read_task(TASK, 0, definition)


def problems(payload: Any, **more: Any) -> str:
    with pytest.raises(MalformedPayload) as caught:
        read(payload, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"maxRuntime": 5}, "maxRuntime is not known; did you mean 'maxRunTime'?"),
        ({"command": []}, "command must have 1 items or more"),
        ({"command": ["true"]}, "command[0] must be array"),
        ({"maxRunTime": 0}, "maxRunTime must be 1 or more"),
        ({"maxRunTime": 86401}, "maxRunTime must be 86400 or less"),
        ({"env": {"A": 1}}, "env.A must be string"),
        ({"features": {"liveLogs": True}}, "features.liveLogs is not known"),
        ({"osGroups": ["docker"]}, "osGroups must be empty"),
        ({"artifacts": [{"type": "file", "path": "public/logs/live.log"}]}, "has the name of a log"),
        ({"artifacts": [{"type": "file"}]}, "artifacts[0].path is missing"),
        ({"artifacts": [{"type": "file", "path": "a\0b"}]}, "has a null byte"),
        ({"mounts": [{"file": "a", "content": {"raw": ""}, "format": "tar"}]}, "mounts[0].format must be one of"),
        ({"mounts": [{"file": "../a", "content": {"raw": ""}}]}, "inside the task's directory"),
        ({"mounts": [{"file": "/a", "content": {"raw": ""}}]}, "inside the task's directory"),
        ({"mounts": [{"directory": "a", "cacheName": "c"}]}, "needs the scope generic-worker:cache:c"),
        ({"mounts": [{"file": "a", "content": {"taskId": OTHER, "artifact": "x"}}]}, "must be in dependencies"),
        (
            {"artifacts": [{"type": "file", "path": "a", "expires": "2030-01-01T11:00:00Z"}]},
            "before the task's deadline",
        ),
        ({"artifacts": [{"type": "file", "path": "a", "expires": "2031-01-01T11:00:00Z"}]}, "expires after the task"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_rejects_generic_worker_payload(change, said):
    assert said in problems({**GENERIC, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": {"type": "docker-image"}}, "image.name is missing"),
        ({"command": [["true"]]}, "command[0] must be string"),
        ({"features": {"dind": True}}, "features.dind is not known"),
        ({"cache": {"c": "relative"}}, "cache.c must match"),
        ({"cache": {"c": "/cache"}}, "needs the scope docker-worker:cache:c"),
        ({"image": {"type": "task-image", "taskId": OTHER, "path": "x"}}, "must be in dependencies"),
    ],
    ids=["image", "command", "features", "cache path", "cache scope", "task image"],
)
def test_rejects_docker_worker_payload(change, said):
    assert said in problems({**DOCKER, **change})


def test_problems_do_not_show_values():
    assert "hunter2" not in problems({**GENERIC, "env": {"TOKEN": ["hunter2"]}})


def test_reads_images():
    images = [
        "a",
        {"type": "docker-image", "name": "a"},
        {"type": "indexed-image", "namespace": "n", "path": "p"},
        {"type": "task-image", "taskId": OTHER, "path": "p"},
    ]
    assert [read({**DOCKER, "image": image}, dependencies=[OTHER]).image for image in images] == [
        NamedImage("a"),
        NamedImage("a"),
        IndexedContent("n", "p"),
        ArtifactContent(OTHER, "p"),
    ]


def test_artifacts_of_docker_worker_are_optional():
    task = read({**DOCKER, "artifacts": {"public/x": {"type": "volume", "path": "/x"}}})
    assert [(each.name, each.optional, each.is_file) for each in task.artifacts] == [("public/x", True, False)]


def test_slack_of_artifact_expiry_is_a_second():
    artifacts = [{"type": "file", "path": "a", "expires": "2030-01-01T11:59:59.500Z"}]
    assert read({**GENERIC, "artifacts": artifacts}).artifacts[0].name == "a"
