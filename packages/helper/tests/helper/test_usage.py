"""The helper's documentation, sentence by sentence, and undocumented behaviour that programs rely on."""

from __future__ import annotations

import copy
import datetime
import inspect
import json
import pickle
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from unittest import mock

import pytest
import yaml

import taskcluster
import taskcluster.aio
from taskcluster import helper
from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterFailure
from taskcluster.plugins import Service
from taskcluster.registry import registry
from taskcluster_local import LocalTaskcluster

from .conftest import HelperMode

ROOT = "https://tc.example.com"
SECRET = {
    "common": {"environment": "production", "remote_log": "L"},
    "backend": {"bugzilla_token": "X"},
    "task": {"backend_url": "U"},
}
Environment = Callable[..., None]


def with_secret(local: LocalTaskcluster, name: str = "project/bot") -> taskcluster.Secrets:
    secrets = taskcluster.Secrets(local.options())
    secrets.set(name, {"secret": SECRET, "expires": taskcluster.fromNow("1 hour")})
    return secrets


# TaskclusterConfig(url) is created once in a program and shared


def test_one_configuration_for_all_services() -> None:
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth("client", "no-secret")
    for name in ("queue", "hooks"):
        assert tc.get_service(name).options["credentials"]["clientId"] == b"client"
        assert tc.get_service(name, use_async=True).options["rootUrl"] == ROOT


def test_url_defaults_to_the_environment(environment: Environment) -> None:
    environment(TASKCLUSTER_ROOT_URL="https://environment.example.com")
    assert helper.TaskclusterConfig().default_url == "https://environment.example.com"
    assert helper.TaskclusterConfig(ROOT).default_url == ROOT
    assert helper.TaskclusterConfig(url=ROOT).get_service("queue").options["rootUrl"] == ROOT


def test_a_missing_url_raises() -> None:
    with pytest.raises(AssertionError, match=r"You must specify a Taskcluster deployment url.*TASKCLUSTER_ROOT_URL"):
        helper.TaskclusterConfig()


@pytest.mark.parametrize("url", ["", "tc.example.com", mock.Mock()])
def test_url_is_checked_by_the_first_client_or_call(url: Any) -> None:
    tc = helper.TaskclusterConfig(url)
    with pytest.raises(TaskclusterFailure, match="rootUrl"):
        tc.get_service("queue").ping()


# auth chooses, in this order


def test_auth_prefers_given_credentials(environment: Environment) -> None:
    environment(TASKCLUSTER_CLIENT_ID="e", TASKCLUSTER_ACCESS_TOKEN="et", TASKCLUSTER_CERTIFICATE="{}", TASK_ID="t")
    tc = helper.TaskclusterConfig(ROOT)
    assert tc.auth(client_id="given", access_token="gt") is None
    # The environment's certificate belongs to the environment's credentials.
    assert tc.options == {
        "rootUrl": ROOT,
        "maxRetries": 12,
        "credentials": {"clientId": "given", "accessToken": "gt"},
    }


def test_auth_uses_the_environment_second(environment: Environment) -> None:
    environment(TASKCLUSTER_CLIENT_ID="e", TASKCLUSTER_ACCESS_TOKEN="et", TASKCLUSTER_CERTIFICATE="{}", TASK_ID="t")
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth()
    assert tc.options is not None
    assert tc.options["rootUrl"] == ROOT
    assert tc.options["credentials"] == {"clientId": "e", "accessToken": "et", "certificate": "{}"}


@pytest.mark.parametrize("use_async", [False, True])
def test_temporary_credentials_of_the_environment_work(
    environment: Environment, local: LocalTaskcluster, use_async: bool, mode: Any
) -> None:
    issuer = local.credentials
    temporary = taskcluster.createTemporaryCredentials(
        issuer["clientId"],
        issuer["accessToken"],
        taskcluster.fromNow("-1 minute"),
        taskcluster.fromNow("1 hour"),
        ["secrets:get:project/bot"],
    )
    with_secret(local)
    environment(
        TASKCLUSTER_CLIENT_ID=temporary["clientId"],
        TASKCLUSTER_ACCESS_TOKEN=temporary["accessToken"].decode(),
        TASKCLUSTER_CERTIFICATE=temporary["certificate"],
    )
    tc = helper.TaskclusterConfig(local.root_url)
    tc.auth()
    if use_async is (mode.module is taskcluster.aio):
        response = mode.run(tc.get_service("secrets", use_async=use_async).get("project/bot"))
        assert response["secret"] == SECRET


def test_auth_uses_the_task_proxy_third(environment: Environment) -> None:
    environment(TASK_ID="fN1SbArXTPSVFNUvaOlinQ")
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth()
    assert tc.options == {"rootUrl": "http://taskcluster", "maxRetries": 12}
    assert tc.default_url == ROOT


def test_the_environment_sets_the_proxy_url(environment: Environment) -> None:
    environment(TASKCLUSTER_PROXY_URL="http://proxy.example.com")
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth()
    assert tc.options == {"rootUrl": "http://proxy.example.com", "maxRetries": 12}


def test_auth_uses_no_credentials_last(environment: Environment) -> None:
    environment(TASKCLUSTER_CLIENT_ID="", TASKCLUSTER_ACCESS_TOKEN="")
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth(max_retries=3)
    assert tc.options == {"rootUrl": ROOT, "maxRetries": 3}
    assert tc.get_service("queue").options["maxRetries"] == 3


def test_incomplete_credentials_raise_in_a_call(environment: Environment) -> None:
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth("client")
    with pytest.raises(TaskclusterAuthFailure, match="clientId given, accessToken missing"):
        tc.get_service("queue").ping()
    environment(TASKCLUSTER_ACCESS_TOKEN="no-secret")
    tc.auth()
    with pytest.raises(TaskclusterAuthFailure, match="accessToken given, clientId missing") as caught:
        tc.get_service("queue").ping()
    assert "no-secret" not in str(caught.value)


def test_given_credentials_may_be_temporary() -> None:
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth("client", "no-secret", certificate="{}")
    assert tc.get_service("queue").options["credentials"]["certificate"] == b"{}"


# get_service gives clients so configured


@pytest.mark.parametrize(
    "name",
    ["purge-cache", "purgecache", "purge_cache", "purgeCache", "PurgeCache"],
)
def test_get_service_accepts_any_spelling(name: str) -> None:
    tc = helper.TaskclusterConfig(ROOT)
    assert type(tc.get_service(name)) is taskcluster.PurgeCache
    assert type(tc.get_service(name, use_async=True)) is taskcluster.aio.PurgeCache


def test_get_service_returns_every_service() -> None:
    tc = helper.TaskclusterConfig(ROOT)
    for name, service in registry.services().items():
        assert type(tc.get_service(name)) is getattr(taskcluster, service.class_name)
        assert type(tc.get_service(name, True)) is getattr(taskcluster.aio, service.class_name)
    assert type(tc.get_service("worker_manager")) is type(tc.get_service("workermanager"))


def test_get_service_returns_services_of_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    widgets = Service("widget-store", "v1", "widgets:WidgetStore", "widgets.aio:WidgetStore")
    found = {"widgetStore": widgets}
    monkeypatch.setattr(registry, "service", found.__getitem__)
    monkeypatch.setitem(vars(taskcluster), "WidgetStore", lambda options: ("made", options))
    made, options = helper.TaskclusterConfig(ROOT).get_service("widgetStore")
    assert made == "made"
    assert options["rootUrl"] == ROOT


@pytest.mark.parametrize("use_async", [False, True])
def test_an_unknown_service_raises(use_async: bool) -> None:
    tc = helper.TaskclusterConfig(ROOT)
    with pytest.raises(AssertionError, match=r"^Invalid Taskcluster service nope$"):
        tc.get_service("nope", use_async)
    with pytest.raises(helper.ConfigurationError, match="Invalid Taskcluster service queu; did you mean 'queue'"):
        tc.get_service("queu", use_async)
    nothing: Any = None
    with pytest.raises(helper.ConfigurationError, match=r"^Invalid Taskcluster service None$"):
        tc.get_service(nothing, use_async)


def test_get_service_uses_patched_classes() -> None:
    tc = helper.TaskclusterConfig(ROOT)
    with mock.patch("taskcluster.Queue") as sync, mock.patch("taskcluster.aio.Queue") as twin:
        assert tc.get_service("queue") is sync.return_value
        assert tc.get_service("queue", use_async=True) is twin.return_value
    sync.assert_called_once_with({"rootUrl": ROOT, "maxRetries": 12})


# The surface that programs rely on


def test_documented_attributes_can_be_assigned() -> None:
    tc = helper.TaskclusterConfig(ROOT)
    assert vars(tc) == {"options": None, "secrets": None, "default_url": ROOT}
    tc.options = {"rootUrl": "https://other.example.com", "maxRetries": 2}
    assert tc.get_service("queue").options["rootUrl"] == "https://other.example.com"
    assert tc.get_service("queue").options["maxRetries"] == 2


def test_a_configuration_can_be_autospecced() -> None:
    fake = mock.create_autospec(helper.TaskclusterConfig, spec_set=True, instance=True)
    fake.get_service("queue", use_async=True)
    fake.load_secrets("name", prefixes=["a"])
    fake.auth("a", "b")
    faked: Any = mock.create_autospec(helper.TaskclusterConfig(ROOT))
    faked.upload_artifact("public/x", b"", "text/plain", datetime.timedelta(days=1))
    assert {"options", "secrets", "default_url"} <= set(dir(faked))


def test_load_secrets_accepts_keyword_arguments() -> None:
    names = ["secrets_service", "secret_name", "prefixes", "required", "existing", "local_secrets"]
    for each in (helper.load_secrets, taskcluster.aio.helper.load_secrets):
        assert list(inspect.signature(each).parameters) == names
    assert list(inspect.signature(helper.TaskclusterConfig.load_secrets).parameters) == ["self", *names[1:]]
    assert list(inspect.signature(helper.TaskclusterConfig.auth).parameters)[:4] == [
        "self",
        "client_id",
        "access_token",
        "max_retries",
    ]


# load_secrets


def test_load_secrets_returns_a_dict(mode: Any, local: LocalTaskcluster) -> None:
    with_secret(local)
    service = mode.client("Secrets", local.options())
    found = mode.run(mode.helper.load_secrets(secrets_service=service, secret_name="project/bot"))
    assert found == SECRET
    assert isinstance(found, dict)


def test_load_secrets_with_a_client_of_the_other_mode_raises(mode: Any, local: LocalTaskcluster) -> None:
    with_secret(local)
    other = taskcluster.aio if mode.module is taskcluster else taskcluster
    with pytest.raises(TaskclusterFailure, match=r"needs an? (a?)sync client"):
        mode.run(mode.helper.load_secrets(other.Secrets(local.options()), "project/bot"))


def test_load_secrets_documented_example(mode: Any, local: LocalTaskcluster) -> None:
    with_secret(local)
    existing = {"environment": "dev"}
    found = mode.helper.load_secrets(
        mode.client("Secrets", local.options()),
        "project/bot",
        prefixes=["common", "backend"],
        required=["bugzilla_token"],
        existing=existing,
    )
    assert mode.run(found) == {"environment": "production", "remote_log": "L", "bugzilla_token": "X"}
    assert existing == {"environment": "dev"}


def test_merges_prefixes_in_order() -> None:
    secret = {"a": {"x": 1}, "b": {"x": 2}}
    assert helper.load_secrets(None, "", ["a", "b"], local_secrets=secret) == {"x": 2}
    assert helper.load_secrets(None, "", ["b", "none", "a"], local_secrets=secret) == {"x": 1}


def test_fetched_values_override_existing_ones() -> None:
    found = helper.load_secrets(None, "", existing={"a": 0, "b": 0}, required=["b"], local_secrets={"a": 1})
    assert found == {"a": 1, "b": 0}


def test_a_missing_required_key_raises(mode: Any, local: LocalTaskcluster) -> None:
    with_secret(local)
    service = mode.client("Secrets", local.options())
    with pytest.raises(mode.helper.SecretError, match="Missing value a, b in secrets") as caught:
        mode.run(mode.helper.load_secrets(service, "project/bot", ["backend"], ["bugzilla_token", "a", "b"]))
    assert "'project/bot' under backend" in str(caught.value)


@pytest.mark.parametrize("local_secrets", [{}, {"a": 1}])
def test_local_secrets_replace_the_service(mode: Any, local_secrets: dict[str, int]) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("asked")

    service: Any = mock.Mock(get=refuse)
    found = mode.helper.load_secrets(service, "n", local_secrets=local_secrets)
    assert mode.run(found) == local_secrets


def test_a_configuration_loads_secrets_with_its_credentials(local: LocalTaskcluster) -> None:
    with_secret(local)
    tc = helper.TaskclusterConfig(local.root_url)
    tc.auth(local.credentials["clientId"], local.credentials["accessToken"])
    assert tc.load_secrets("project/bot", prefixes=["task"]) == {"backend_url": "U"}
    assert tc.secrets == {"backend_url": "U"}
    assert tc.load_secrets("project/bot", local_secrets={"a": 1}, required=["a"]) == {"a": 1}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"secret_name": None}, "Missing Taskcluster secret secret_name"),
        ({"secret_name": ""}, "Missing Taskcluster secret secret_name"),
        ({"prefixes": "common"}, "prefixes must be a list"),
        ({"required": [1]}, "required must be a list"),
        ({"existing": ["a"]}, "existing must be a dict"),
        ({"local_secrets": "a"}, "local_secrets must be a dict"),
        ({}, "secrets_service must be a taskcluster"),
    ],
)
def test_invalid_arguments_of_load_secrets_raise(mode: Any, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        mode.run(mode.helper.load_secrets(**{"secrets_service": None, "secret_name": "n", **arguments}))


def test_a_secret_that_is_not_an_object_raises() -> None:
    with pytest.raises(helper.SecretError, match="'n' must hold a JSON object, not str") as caught:
        helper.load_secrets(mock.Mock(get=lambda name: {"secret": "hidden"}), "n")
    assert "hidden" not in str(caught.value)
    with pytest.raises(helper.SecretError, match="at 'a', not list"):
        helper.load_secrets(None, "n", ["a"], local_secrets={"a": ["hidden"]})


def test_no_secret_is_in_a_log_or_repr(local: LocalTaskcluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with_secret(local)
    tc = helper.TaskclusterConfig(local.root_url)
    tc.auth(local.credentials["clientId"], local.credentials["accessToken"])
    found = tc.load_secrets("project/bot", prefixes=["backend"])
    shown = f"{tc!r} {tc.options} {tc.secrets} {found} {vars(tc)} {caplog.text}"
    assert "accessToken" in shown
    assert "bugzilla_token" in shown
    assert "'X'" not in shown
    assert local.credentials["accessToken"] not in shown
    assert json.loads(json.dumps(found)) == {"bugzilla_token": "X"}


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.copy(),
        copy.copy,
        copy.deepcopy,
        lambda found: pickle.loads(pickle.dumps(found)),
        lambda found: found | {"debug": True},
        lambda found: {"debug": True} | found,
        lambda found: found | found,
    ],
)
def test_copies_of_secrets_have_a_repr_without_values(change: Callable[[Any], Any]) -> None:
    found = helper.load_secrets(None, "n", local_secrets={"password": "hidden"})
    tc = helper.TaskclusterConfig(ROOT)
    tc.auth("client", "hidden")
    for given in (found, tc.options):
        made = change(given)
        assert type(made) is type(given)
        assert {**made, **dict(given)} == made
        assert "hidden" not in f"{made} {made!r}"
    assert tc.options is not None
    assert change(tc.options)["credentials"]["accessToken"] == "hidden"


def test_secrets_behave_as_a_dict() -> None:
    secret = {"a": {"b": [1]}, "c": None}
    found = helper.load_secrets(None, "n", local_secrets=secret)
    assert isinstance(found, dict)
    assert found == secret
    assert secret | {"c": 1} == found | {"c": 1}
    assert json.loads(json.dumps(found)) == secret
    assert yaml.safe_dump(found) == yaml.safe_dump(secret)
    found |= {"d": 1}
    assert found == {**secret, "d": 1}
    with pytest.raises(TypeError):
        found | [("a", 1)]  # type: ignore[operator]


# upload_artifact is deprecated (s3 artifacts only)


class ScriptedStorage:
    """A proxy's queue and the storage behind it, on one socket."""

    def __init__(self, statuses: list[int]) -> None:
        self.seen: list[tuple[str, str, str, bytes]] = []
        storage = self

        class UploadHandler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                storage.seen.append((self.command, self.path, self.headers["Content-Type"], body))
                is_put = self.command == "PUT"
                response = (
                    b"" if is_put else json.dumps({"storageType": "s3", "putUrl": f"{storage.url}/?sig=s"}).encode()
                )
                self.send_response(statuses.pop(0) if is_put else 200)
                self.send_header("Content-Length", str(len(response)))
                self.end_headers()
                self.wfile.write(response)

            do_POST = do_PUT = handle_any

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), UploadHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> ScriptedStorage:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.mark.parametrize("content", ["text", b"text"])
def test_upload_artifact_works_without_a_warning(environment: Environment, content: str | bytes) -> None:
    with ScriptedStorage([503, 200]) as storage:
        environment(TASK_ID="fN1SbArXTPSVFNUvaOlinQ", RUN_ID="2", TASKCLUSTER_PROXY_URL=storage.url)
        tc = helper.TaskclusterConfig(ROOT)
        tc.auth()
        address = tc.upload_artifact("public/x", content, "text/plain", datetime.timedelta(days=1))
    path = "/api/queue/v1/task/fN1SbArXTPSVFNUvaOlinQ/runs/2/artifacts/public"
    assert address == f"{ROOT}{path}/x"
    created, *puts = storage.seen
    assert created[:2] == ("POST", f"{path}%2Fx")
    assert json.loads(created[3]).keys() == {"storageType", "expires", "contentType"}
    assert puts == [("PUT", "/?sig=s", "text/plain", b"text")] * 2


def test_upload_artifact_hides_the_storage_url(environment: Environment) -> None:
    with ScriptedStorage([200, 403, 307]) as storage:
        environment(TASK_ID="t", RUN_ID="0", TASKCLUSTER_PROXY_URL=storage.url)
        queue: Any = mock.Mock(createArtifact=lambda *args: {"putUrl": f"{storage.url}/?sig=s"})
        path = helper.upload_artifact(queue, "public/x", b"", "text/plain", datetime.timedelta(days=1))
        assert path == "/api/queue/v1/task/t/runs/0/artifacts/public/x"
        for status in (403, 307):
            with pytest.raises(TaskclusterFailure, match=f"status {status}") as caught:
                helper.upload_artifact(queue, "public/x", b"", "text/plain", datetime.timedelta(days=1))
            assert "sig" not in str(caught.value)


def test_upload_artifact_outside_a_task_raises(environment: Environment) -> None:
    with pytest.raises(AssertionError, match="Can only run in Taskcluster tasks with proxy"):
        helper.TaskclusterConfig(ROOT).upload_artifact("public/x", b"", "text/plain", datetime.timedelta(days=1))
    environment(TASK_ID="t", RUN_ID="0", TASKCLUSTER_PROXY_URL="http://proxy.example.com")
    wrong: Any = 3
    with pytest.raises(AssertionError, match="ttl must be timedelta"):
        helper.upload_artifact(mock.Mock(), "public/x", b"", "text/plain", wrong)


# Exceptions cross processes


def test_exceptions_of_the_helper_are_picklable() -> None:
    for kind in (helper.ArtifactMissingError, helper.ConfigurationError, helper.SecretError, helper.WaitTimeoutError):
        copied = pickle.loads(pickle.dumps(kind("why")))
        assert (type(copied), str(copied)) == (kind, "why")
    assert pickle.loads(pickle.dumps(helper.WaitTimeoutError("why", {"pending": 1}))).last == {"pending": 1}


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("load_secrets", ("project/bot",), "secrets_service must be a client with the method get, .*Secrets"),
        ("wait_for_task", ("T",), "queue must be a client with the method status, .*Queue"),
        ("wait_for_task_group", ("T",), "queue must be a client with the method listTaskGroup, .*Queue"),
        ("wait_for_artifact", ("T", "public/x"), "queue must be a client with the method status, .*Queue"),
        ("wait_for_indexed_task", ("a.b",), "index must be a client with the method findTask, .*Index"),
    ],
    ids=["secrets", "task", "group", "artifact", "index"],
)
def test_options_instead_of_a_client_raise(
    mode: HelperMode, function: str, arguments: tuple[str, ...], message: str
) -> None:
    options = {"rootUrl": ROOT, "credentials": {"clientId": "c", "accessToken": "no-secret"}}
    with pytest.raises(TaskclusterFailure, match=f"^{message}.*, not dict$"):
        mode.run(getattr(mode.helper, function)(options, *arguments))
