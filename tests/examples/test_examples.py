"""Test the output and the effects of each example."""

from __future__ import annotations

import ast
import re

import pytest

import taskcluster
import taskcluster.download
from taskcluster_local import LocalTaskcluster

from .conftest import EXAMPLES, PROGRAMS, Run

SLUG_ID = r"[A-Za-z0-9_-]{22}"


def ids_in(line: str) -> list[str]:
    return re.findall(rf"(?<![\w-]){SLUG_ID}(?![\w-])", line)


@pytest.fixture
def queue(deployment: LocalTaskcluster) -> taskcluster.Queue:
    return taskcluster.Queue(deployment.options())


def test_readme_lists_every_example() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    assert sorted(set(re.findall(r"\]\((\w+)\.py\)", readme))) == sorted([*PROGRAMS, "demo", "worker"])
    for name in PROGRAMS:
        assert ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8"))), name
        assert globals().get(f"test_{name}"), f"no test for {name}"


def test_clients(output_of: Run, deployment: LocalTaskcluster) -> None:
    assert output_of("clients") == [
        "auth.ping: True",
        "auth.currentScopes: ['*']",
        f"secrets.options: {deployment.root_url} 3",
        "TASKCLUSTER_PROXY_URL is not set: not in a task with a proxy",
        "auth.ping and queue.ping, gathered: [True, True]",
    ]


def test_authorized_scopes(output_of: Run, deployment: LocalTaskcluster) -> None:
    limited = [
        "may read: {'colour': 'green'}",
        "may not remove: 403 ['secrets:set:project/examples/authorized-scopes']",
    ]
    assert output_of("authorized_scopes") == [*limited, *limited, "with all scopes: removed"]
    with pytest.raises(taskcluster.TaskclusterRestFailure, match="not found"):
        taskcluster.Secrets(deployment.options()).get("project/examples/authorized-scopes")


def test_calling(output_of: Run, queue: taskcluster.Queue) -> None:
    *ways, query, unknown, gathered = output_of("calling")
    names = ["positions", "names", "apart", "mixed"]
    assert [line.partition(":")[0] for line in ways] == names
    for task_ids in ([task_id for line in ways for task_id in ids_in(line)], ids_in(gathered)):
        assert [queue.task(task_id)["metadata"]["name"] for task_id in task_ids] == names
    assert query == "query: 1 task and then 1"
    assert unknown.startswith("unknown argument: listTaskGroup takes no argument 'limitt'; did you mean 'limit'?")


def test_urls(output_of: Run, deployment: LocalTaskcluster) -> None:
    url = f"{deployment.root_url}/api/secrets/v1/secret/project%2Fexamples%2Furls"
    assert output_of("urls") == [
        f"buildUrl: {deployment.root_url}/api/index/v1/task/builds.v1.latest",
        f"by name: {deployment.root_url}/api/index/v1/task/builds.v1.latest",
        "a public URL: True",
        *[f"buildSignedUrl: {url} gives {{'colour': 'green'}}"] * 2,
        "from an async client: {'colour': 'green'}",
    ]


def test_temporary_credentials(output_of: Run, deployment: LocalTaskcluster) -> None:
    unnamed, named, too_long = output_of("temporary_credentials")
    assert unnamed == f"unnamed: {deployment.credentials['clientId']} may queue:get-artifact:private/examples/*"
    assert named == "named: examples/borrower may not auth:delete-client:examples/nobody"
    assert "31 days" in too_long


def test_timestamps(output_of: Run) -> None:
    assert output_of("timestamps") == [
        "'2 days 3 hours 1 minute': 2030-01-03T03:01:00Z",
        "'-1 hour': 2029-12-31T23:00:00Z",
        "'+1 week': 2030-01-08T00:00:00Z",
        "'1y2mo3w4d5h6m7s': 2031-03-27T05:06:07Z",
        "'3 DAYS': 2030-01-04T00:00:00Z",
        "'': 2030-01-01T00:00:00Z",
        "fromNow returns a datetime in UTC: datetime UTC",
        "formatted for the API: 2030-01-01T00:00:00Z",
        "invalid: offset string 'a fortnight' does not parse: write units from years to seconds, "
        "for example '2 days 3 hours'",
    ]


def test_slugids(output_of: Run) -> None:
    first, *rest = output_of("slugids")
    assert len(set(ids_in(first))) == 2
    assert rest == [
        "same name, same slugId: True",
        "another mapping, other slugIds: True",
        "test waits for build: unscheduled",
    ]


def test_scopes(output_of: Run) -> None:
    assert output_of("scopes") == [
        "by the second way: True",
        "by none: False",
        "as scopesMatch: True",
        "with these credentials: True",
    ]


def test_pagination(output_of: Run) -> None:
    assert output_of("pagination") == [
        "paginate_items: a b c d e",
        "paginate: [2, 2, 1]",
        "paginationHandler: [2, 2, 1]",
        "by hand: [2, 2, 1]",
        "async paginate: [2, 2, 1]",
        "async paginationHandler: [2, 2, 1]",
        "async by hand: [2, 3]",
    ]


def test_pulse(output_of: Run) -> None:
    lines = output_of("pulse")
    (task_id,) = set(ids_in(" ".join(lines).replace(".", " ")))
    assert lines == [
        "exchange: exchange/taskcluster-queue/v1/task-completed",
        f"a dict: primary.{task_id}.*.*.*.*.linux.*.*.#",
        f"keywords: primary.{task_id}.*.*.*.*.*.*.*.#",
        "a pattern: route.index.builds.#",
        "everything: primary.*.*.*.*.*.*.*.*.#",
        "of another service: exchange/taskcluster-hooks/v1/hook-created",
    ]


def test_uploads(output_of: Run, deployment: LocalTaskcluster, queue: taskcluster.Queue) -> None:
    *uploaded, first, second = output_of("uploads")
    names = [re.sub(r".*(examples/\S+) sha256 sha512$", r"\1", line) for line in uploaded]
    service = taskcluster.Object(deployment.options())
    found = [taskcluster.download.downloadToBuf(name=name, objectService=service) for name in names]
    kinds = ["text/plain", "application/zip", "application/octet-stream", "text/plain", "application/zip", "text/plain"]
    assert [kind for _, kind in found] == kinds
    assert [bytes(data) for data, _ in found[::3]] == [b"hello"] * 2
    assert len(found[1][0]) == 1 << 20
    assert found[1][0] == found[4][0]
    assert found[2][0] == bytes(100_000)
    assert found[5][0] == b"3\n2\n1\n"

    (task_id,) = ids_in(first)
    assert [first, second] == [
        f"artifact: {task_id} public/hello.txt as object",
        f"artifact: {task_id} private/build.zip as object",
    ]
    get = taskcluster.download.getArtifactContent
    assert get(task_id, "public/hello.txt", queueService=queue).bytes() == b"hello"
    assert get(task_id, "private/build.zip", queueService=queue).bytes() == found[1][0]


def test_downloads(output_of: Run) -> None:
    assert output_of("downloads") == [
        "downloadToBuf: 105000 text/plain",
        "downloadToFile: 105000 text/plain",
        "download: text/plain",
        "downloadToPath: 105000",
        "downloadArtifactToBuf: 105000 text/plain",
        "downloadArtifactToFile: 105000",
        r"downloadArtifact: b'behind a scope\n'",
        "downloadArtifactToPath: 105000",
        "downloadTaskArtifacts: public/build/log.txt public/build/manifest.json",
        "getArtifactContent: {'files': ['public/build/log.txt']}",
        "by its index path: all work and no play",
        "async: 105000 text/plain 3 {'files': ['public/build/log.txt']}",
        "progress: 105000",
        "async downloadArtifactToFile: 105000",
    ]


def test_shared_configuration(output_of: Run) -> None:
    assert output_of("shared_configuration") == [
        "as given: ['*']",
        "from the environment: ['*']",
        "queue: Queue True",
        "purge-cache: PurgeCache True",
        "purgeCache: PurgeCache True",
        "worker_manager: WorkerManager True",
        "hooks, async: True",
        "unknown service: Invalid Taskcluster service queu; did you mean 'queue'?",
    ]


def test_program_secrets(output_of: Run) -> None:
    loaded, environment, shown, *rest, missing = output_of("program_secrets")
    assert loaded == "loaded: cache database_password environment log_level"
    assert environment == "environment: production"
    assert "database_password" in shown
    assert "horse" not in shown
    assert rest == ["by TaskclusterConfig: True", "async: True", "local: development"]
    assert missing.startswith("missing: Missing value database_password in secrets")


def test_waiting(output_of: Run) -> None:
    assert output_of("waiting") == [
        "timeout: pending",
        "wait_for_task: completed from pending",
        "wait_for_task_group: {'completed': 1}",
        "wait_for_indexed_task: True",
        "wait_for_artifact: text/plain",
        "async: completed {'completed': 1} public/result.txt",
    ]


def test_task_logs(output_of: Run) -> None:
    lines = ["checking out", "building", "done"]
    assert output_of("task_logs") == [f"{how}: {line}" for how in ("followed", "finished", "async") for line in lines]
