"""Tests of finding the method of a path, and of the patterns of query parameters."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from taskcluster_local.endpoints import Table, references

TABLE = Table(references())
T = "AAAAAAAAQ0C0000000000A"


def found(verb: str, path: str) -> tuple[str, dict[str, str]] | None:
    match = TABLE.find(verb, f"/api/{path}")
    return None if match is None else (match[0].name, match[0].decode(match[1]))


def test_has_all_methods() -> None:
    assert len({endpoint.service for endpoint in TABLE.endpoints}) == 11
    assert len(TABLE.endpoints) == sum(len(reference["methods"]) for reference in references().values())


def test_finds_route_with_encoded_parameters() -> None:
    for reference in references().values():
        for entry in reference["methods"]:
            route = entry["route"]
            for arg in entry["args"]:
                route = route.replace(f"<{arg}>", f"x%2F{arg}")
            match = found(entry["method"].upper(), f"{reference['serviceName']}/v1{route}")
            assert match == (entry["name"], {arg: f"x/{arg}" for arg in entry["args"]})


@pytest.mark.parametrize(
    ("verb", "path", "expected"),
    [
        ("GET", f"queue/v1/task/{T}", ("task", {"taskId": T})),
        ("GET", f"queue/v1/task/{T}/", ("task", {"taskId": T})),
        ("GET", f"queue/v1/task/{T}//", None),
        ("GET", f"queue/v1//task/{T}", None),
        ("GET", f"queue/v1/Task/{T}", None),
        ("GET", f"queue/v1/t%61sk/{T}", None),
        ("GET", f"queue/v2/task/{T}", None),
        ("GET", f"unknown/v1/task/{T}", None),
        ("PATCH", f"queue/v1/task/{T}", None),
        ("DELETE", f"queue/v1/task/{T}", None),
        ("GET", "queue/v1/task/", None),
        ("GET", "queue/v1/", None),
        ("GET", "queue/v1", None),
        # A trailing slash is optional.
        ("GET", "auth/v1/clients/", ("listClients", {})),
        ("GET", "auth/v1/clients", ("listClients", {})),
        # Parameters of one segment.
        ("GET", "auth/v1/clients/a%2Fb", ("client", {"clientId": "a/b"})),
        ("GET", "auth/v1/clients/a/b", None),
        ("GET", "queue/v1/task-queues/p%2Fw", ("getTaskQueue", {"taskQueueId": "p/w"})),
        ("GET", "queue/v1/task-queues/p/w", None),
        ("PUT", "object/v1/upload/a/b", None),
        ("POST", "object/v1/finish-upload/a/b", None),
        # Wildcards match the rest of the path.
        ("GET", "secrets/v1/secret/a/b%2Fc", ("get", {"name": "a/b/c"})),
        ("GET", "secrets/v1/secret/a//b/", ("get", {"name": "a//b/"})),
        ("GET", "secrets/v1/secret/a/../b", ("get", {"name": "a/../b"})),
        ("GET", "object/v1/metadata/a/b", ("object", {"name": "a/b"})),
        ("PUT", "object/v1/start-download/a/b", ("startDownload", {"name": "a/b"})),
        ("POST", "queue/v1/claim-work/p/w", ("claimWork", {"taskQueueId": "p/w"})),
        ("GET", "queue/v1/task-queues/p/w/counts", ("taskQueueCounts", {"taskQueueId": "p/w"})),
        ("GET", "queue/v1/pending/p%2Fw", ("pendingTasks", {"taskQueueId": "p/w"})),
        ("GET", "purge-cache/v1/purge-cache/p/w", ("purgeRequests", {"workerPoolId": "p/w"})),
        ("GET", "purge-cache/v1/purge-cache/list", ("allPurgeRequests", {})),
        ("GET", "worker-manager/v1/worker-pool/p/w", ("workerPool", {"workerPoolId": "p/w"})),
        ("GET", "worker-manager/v1/worker-pool/p/w/stats", ("workerPoolStats", {"workerPoolId": "p/w"})),
        ("GET", "worker-manager/v1/workers/p%2Fw", ("listWorkersForWorkerPool", {"workerPoolId": "p/w"})),
        (
            "GET",
            "worker-manager/v1/workers/p%2Fw/g/i",
            ("worker", {"workerPoolId": "p/w", "workerGroup": "g", "workerId": "i"}),
        ),
        ("GET", f"queue/v1/task/{T}/artifacts/a/b", ("getLatestArtifact", {"taskId": T, "name": "a/b"})),
        ("GET", f"queue/v1/task/{T}/runs/0/artifacts/a", ("getArtifact", {"taskId": T, "runId": "0", "name": "a"})),
        ("GET", "index/v1/task/a.b/artifacts/x/y", ("findArtifactFromTask", {"indexPath": "a.b", "name": "x/y"})),
        # Here a trailing slash is part of the name.
        ("GET", f"queue/v1/task/{T}/artifacts", ("listLatestArtifacts", {"taskId": T})),
        ("GET", f"queue/v1/task/{T}/artifacts/", ("getLatestArtifact", {"taskId": T, "name": ""})),
        # The root of the index.
        ("GET", "index/v1/namespaces", ("listNamespaces", {"namespace": ""})),
        ("GET", "index/v1/namespaces/", ("listNamespaces", {"namespace": ""})),
        ("GET", "index/v1/tasks/a.b", ("listTasks", {"namespace": "a.b"})),
    ],
)  # fmt: skip
def test_finds_method_of_path(verb: str, path: str, expected: tuple[str, dict[str, str]] | None) -> None:
    assert found(verb, path) == expected


@pytest.mark.parametrize("name", ["%zz", "%", "%c3", "%ff", "\udcff"])
def test_rejects_bad_escape(name: str) -> None:
    with pytest.raises(ValueError):
        found("GET", f"secrets/v1/secret/{name}")


def test_decodes_escapes_as_utf_8() -> None:
    assert found("GET", "secrets/v1/secret/%C3%a9+") == ("get", {"name": "é+"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("secrets/v1/secret/x", ["DELETE", "GET", "HEAD", "PUT"]),
        (f"queue/v1/task/{T}", ["GET", "HEAD", "PUT"]),
        ("queue/v1/claim-work/p/w", ["POST"]),
        ("queue/v1/unknown", []),
    ],
)
def test_lists_verbs_of_path(path: str, expected: list[str]) -> None:
    assert TABLE.verbs(f"/api/{path}") == expected


AUTOMATIC = {
    "auth": "client role resetAccessToken enableClient disableClient deleteClient deleteRole expandScopes"
    " currentScopes",
    "queue": "task status listTaskGroup getTaskGroup listDependentTasks reclaimTask reportCompleted reportFailed"
    " reportException createArtifact finishArtifact listArtifacts artifactInfo quarantineWorker getWorker",
    "secrets": "set get remove list",
    "index": "findTask listTasks listNamespaces insertTask deleteTask findArtifactFromTask",
    "object": "startDownload object download",
    "hooks": "createHook updateHook triggerHook removeHook hook",
    "purge-cache": "purgeRequests allPurgeRequests",
    "worker-manager": "workerPool listWorkerPools deleteWorkerPool createWorker updateWorker",
}
DEFERRED = {
    "auth": "createClient updateClient createRole updateRole",
    "queue": "createTask claimWork claimTask scheduleTask rerunTask cancelTask changeTaskPriority cancelTaskGroup"
    " sealTaskGroup changeTaskGroupPriority tasks statuses getArtifact artifact declareWorker",
    "object": "createUpload finishUpload",
    "index": "findTasksAtIndex",
    "purge-cache": "purgeCache",
    "notify": "email pulse matrix slack",
    "worker-manager": "createWorkerPool updateWorkerPool reportWorkerError reregisterWorker",
}


@pytest.mark.parametrize(("expected", "names"), [(True, AUTOMATIC), (False, DEFERRED)])
def test_checks_scopes_early_if_url_suffices(expected: bool, names: dict[str, str]) -> None:
    kinds = {(endpoint.service, endpoint.name): endpoint.automatic for endpoint in TABLE.endpoints}
    for service, methods in names.items():
        for name in methods.split():
            assert kinds[service, name] is expected, name


REJECTED = {
    "continuationToken": [""],
    "errorId": ["x"],
    "format": ["json"],
    "includeArchived": ["yes"],
    "launchConfigId": ["a/b", "a" * 39],
    "limit": ["", "x", "-1", "1.5", "1e3", " 1"],
    "organization": ["a b"],
    "prefix": ["a b"],
    "pullRequest": ["x", "-1"],
    "quarantined": ["yes", "True"],
    "repository": ["a/b"],
    "sha": [""],
    "since": ["", "yesterday", "2030-02-30T00:00:00Z"],
    "state": ["gone", "standalone"],
    "workerPoolId": ["x"],
    "workerState": ["gone"],
}
QUERIES = [
    (endpoint, parameter, value)
    for endpoint in TABLE.endpoints
    for parameter in endpoint.query
    for value in REJECTED[parameter]
]


@pytest.mark.parametrize("service", sorted({endpoint.service for endpoint, _, _ in QUERIES}))
def test_checks_patterns_of_query_parameters(site: Any, slug: Any, service: str) -> None:
    """The names of all query parameters."""
    examples = {
        "taskId": slug(1),
        "taskGroupId": slug(1),
        "runId": "0",
        "taskQueueId": "p%2Fw",
        "workerPoolId": "p%2Fw",
        "level": "read-only",
        "entityType": "role",
    }
    for endpoint, parameter, value in QUERIES:
        if endpoint.service != service:
            continue
        entry = next(each for each in references()[service]["methods"] if each["name"] == endpoint.name)
        route = re.sub("<(.+?)>", lambda match: examples.get(match[1], "x"), entry["route"])
        target = f"/api/{service}/v1{route}?{urlencode({parameter: value})}"
        payload = None if endpoint.verb == "GET" else {}
        response = site.call(endpoint.verb, target, payload)
        assert (response.status, response.code) == (400, "InvalidRequestArguments"), target
        assert f"Query-string parameter: {parameter}=" in response.message
