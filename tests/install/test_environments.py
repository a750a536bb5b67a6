"""Test fresh environments with core alone, one service, and everything, from wheels and from the checkout."""

from __future__ import annotations

import json

import pytest

from .conftest import FOLDERS
from .environments import Environment

SERVICES = sorted(name for name, folder in FOLDERS.items() if folder.parent.name == "services")
CLASSES = sorted("".join(part.capitalize() for part in name.split("-")) for name in SERVICES)

CALLS = """
    import asyncio, http.server, json, threading
    import taskcluster, taskcluster.aio

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"path": self.path, "signed": self.headers["Authorization"][:4]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {
            "rootUrl": f"http://127.0.0.1:{server.server_port}",
            "credentials": {"clientId": "a", "accessToken": "b"},
        }
        with taskcluster.Queue(options) as queue:
            print(json.dumps(queue.task("a/b")))
        print(json.dumps(asyncio.run(taskcluster.aio.Queue(options).task("a/b"))))
        server.shutdown()
    print(taskcluster.QueueEvents({"rootUrl": "https://tc.example.com"}).taskPending(taskId="a")["exchange"])
"""


def assert_queue_works(environment: Environment) -> None:
    expected = {"path": "/api/queue/v1/task/a%2Fb", "signed": "Hawk"}
    *responses, exchange = environment.run(CALLS, NO_PROXY="127.0.0.1").splitlines()
    assert [json.loads(line) for line in responses] == [expected, expected]
    assert exchange == "exchange/taskcluster-queue/v1/task-pending"


def test_core_works_without_services(core_alone: Environment) -> None:
    core_alone.run(
        """
        import taskcluster
        import taskcluster.aio
        from taskcluster import *

        assert len(taskcluster.slugId()) == len(slugId()) == 22
        assert fromNowJSON("2 days").endswith("Z")
        assert issubclass(TaskclusterRestFailure, taskcluster.exceptions.TaskclusterFailure)
        reference = {"serviceName": "widgets", "apiVersion": "v1", "entries": [
            {"type": "function", "name": "ping", "method": "get", "route": "/ping", "args": []}]}
        Widgets = taskcluster.createApiClient("Widgets", reference)
        url = Widgets({"rootUrl": "https://tc.example.com"}).buildUrl("ping")
        assert url == "https://tc.example.com/api/widgets/v1/ping"
        """
    )
    assert core_alone.pip("check").strip() == "No broken requirements found."


@pytest.mark.parametrize(
    ("expression", "distribution"),
    [
        ("taskcluster.Auth", "taskcluster-auth"),
        ("taskcluster.aio.PurgeCache", "taskcluster-purge-cache"),
        ("taskcluster.QueueEvents", "taskcluster-queue"),
        ("taskcluster.client.QueueEvents", "taskcluster-queue"),
        ("__import__('taskcluster.queue')", "taskcluster-queue"),
        ("taskcluster.upload", "taskcluster-objects"),
        ("taskcluster.aio.download", "taskcluster-objects"),
        ("taskcluster.helper", "taskcluster-helper"),
        ("taskcluster.aio.helper", "taskcluster-helper"),
        ("taskcluster.pulse", "taskcluster-pulse"),
        ("taskcluster.aio.pulse", "taskcluster-pulse"),
    ],
)
def test_missing_service_names_the_distribution(core_alone: Environment, expression: str, distribution: str) -> None:
    said = core_alone.failure(f"import taskcluster, taskcluster.aio; {expression}")
    assert said.startswith("ModuleNotFoundError: ")
    assert f"is not installed: install {distribution} (in a checkout: " in said


def test_missing_service_names_the_distribution_on_import(core_alone: Environment) -> None:
    said = core_alone.failure("from taskcluster import WorkerManager")
    how = "install taskcluster-worker-manager (in a checkout: python tools/family.py install worker-manager)"
    assert said == f"ModuleNotFoundError: WorkerManager is not installed: {how}"


def test_import_loads_no_library(core_alone: Environment) -> None:
    loaded = core_alone.run("import sys, taskcluster, taskcluster.aio; print(*sys.modules)").split()
    assert not {"requests", "aiohttp", "mohawk", "pluggy", "slugid", "yaml"} & set(loaded)


def test_subset_works_and_names_missing_distributions(subset: Environment) -> None:
    assert_queue_works(subset)
    assert "install taskcluster-auth " in subset.failure("import taskcluster; taskcluster.Auth")
    subset.run("from taskcluster import *; Queue; QueueEvents")


def test_meta_package_has_every_service(everything: Environment) -> None:
    assert_queue_works(everything)
    printed = everything.run(
        """
        import taskcluster, taskcluster.aio
        from taskcluster.client import BaseClient
        from taskcluster.aio.asyncclient import AsyncBaseClient

        names = [name for name in taskcluster.__all__ if isinstance(getattr(taskcluster, name), type)]
        sync = sorted(name for name in names if issubclass(getattr(taskcluster, name), BaseClient))
        print(*sync[1:] if sync[0] == "BaseClient" else sync)
        print(*(name for name in sync if issubclass(getattr(taskcluster.aio, name, object), AsyncBaseClient)))
        """
    )
    assert [sorted(set(line.split()) - {"BaseClient"}) for line in printed.splitlines()] == [CLASSES, CLASSES]
    assert everything.pip("check").strip() == "No broken requirements found."


def test_star_import_has_every_class(everything: Environment) -> None:
    everything.run(
        f"""
        from taskcluster import *

        assert {{{", ".join(CLASSES)}}}
        QueueEvents, TaskclusterRestFailure, fromNow, slugId, optionsFromEnvironment, createTemporaryCredentials
        assert exceptions.TaskclusterRestFailure is TaskclusterRestFailure
        """
    )


def test_meta_package_installs_undeclared_dependencies(everything: Environment) -> None:
    everything.run("import aiohttp, async_timeout, dateutil.parser, mohawk, requests, slugid, taskcluster_urls")


def test_meta_package_has_the_helper(everything: Environment) -> None:
    everything.run(
        """
        import taskcluster, taskcluster.aio
        from taskcluster.helper import TaskclusterConfig, load_secrets

        tc = TaskclusterConfig("https://tc.example.com")
        assert type(tc.get_service("hooks", use_async=True)) is taskcluster.aio.Hooks
        assert load_secrets(None, "", local_secrets={"a": 1}) == {"a": 1}
        assert taskcluster.helper.load_secrets is load_secrets is not taskcluster.aio.helper.load_secrets
        """
    )


def test_modules_of_the_published_client_exist(everything: Environment) -> None:
    everything.run(
        """
        import taskcluster
        import taskcluster.aio.queue, taskcluster.queue, taskcluster.queueevents, taskcluster.workermanager

        assert taskcluster.queue.Queue is taskcluster.Queue
        assert taskcluster.aio.queue.Queue is taskcluster.aio.Queue
        assert taskcluster.queueevents.QueueEvents is taskcluster.QueueEvents is taskcluster.client.QueueEvents
        """
    )
