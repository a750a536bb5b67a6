"""Test third-party plugins: distributions built from the folders in `plugins` and installed with core."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Workshop
from .environments import Environment, clean

TREES = Path(__file__).parent / "plugins"

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def plugin_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of all example plugins."""
    folder = tmp_path_factory.mktemp("plugins")
    for tree in sorted(TREES.iterdir()):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(tree)]
        subprocess.run(command, env=clean(), check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def environment(workshop: Workshop) -> Environment:
    """A fresh environment that the tests share, one after the other."""
    return workshop.environment("plugins", "taskcluster-secrets")


@pytest.fixture
def with_plugins(request: pytest.FixtureRequest, environment: Environment, plugin_wheels: Path) -> Iterator[Run]:
    """Runs programs with the plugins that the test's mark `plugins` names, and no others."""
    names = [name.replace("-", "_") for name in request.node.get_closest_marker("plugins").args]
    wheels = [next(plugin_wheels.glob(f"{name}-*.whl")) for name in names]
    environment.pip("install", "--quiet", "--no-index", "--no-deps", *wheels)

    def run(source: str, *args: str, **more: str) -> Any:
        printed = environment.run(_PRELUDE + source, *args, NO_PROXY="127.0.0.1", **more)
        return json.loads(printed)

    yield run
    environment.pip("uninstall", "--quiet", "-y", *names)


_PRELUDE = """
import asyncio, json, logging, sys, warnings
import taskcluster, taskcluster.aio
from taskcluster.plugins import PluginError, PluginWarning

def said(function):
    try:
        function()
    except Exception as exc:
        return [type(exc).__name__, str(exc)]

def warned(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [[warning.category.__name__, str(warning.message)] for warning in caught]

OPTIONS = {"rootUrl": sys.argv[1] if sys.argv[1:] else "https://tc.example.com"}
SIGNED = {**OPTIONS, "credentials": {"clientId": "tester", "accessToken": "hidden-token"}}
"""


@pytest.fixture(scope="module")
def root_url() -> Iterator[str]:
    """A server that responds with the request's path."""

    class PathHandler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"path": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), PathHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.plugins("example-widgets")
def test_calls_a_third_partys_service(with_plugins: Run, root_url: str) -> None:
    found = with_plugins(
        """
from taskcluster import Widgets

sync = taskcluster.Widgets(OPTIONS).widget("a/b", color="red")
awaited = asyncio.run(taskcluster.aio.Widgets(OPTIONS).widget(widgetId="a/b", query={"color": "red"}))
events = taskcluster.WidgetsEvents(OPTIONS).widgetMade(widgetId="w")
assert Widgets is taskcluster.Widgets is not taskcluster.aio.Widgets
print(json.dumps([sync, awaited, events]))
        """,
        root_url,
    )
    path = {"path": "/api/widgets/v1/widget/a%2Fb?color=red"}
    expected = {"exchange": "exchange/widgets/v1/widget-made", "routingKeyPattern": "primary.w.#"}
    assert found == [path, path, expected]


@pytest.mark.plugins("example-widgets")
def test_lists_a_third_partys_service(with_plugins: Run) -> None:
    names, spec, described = with_plugins(
        """
from taskcluster.registry import services

print(json.dumps([
    [name in listing for listing in (taskcluster.__all__, dir(taskcluster)) for name in ("Widgets", "WidgetsEvents")],
    services()["widgets"].reference()["title"],
    sorted(services()),
]))
        """
    )
    assert names == [True] * 4
    assert spec == "Widgets"
    assert described == ["secrets", "widgets"]


@pytest.mark.plugins("example-widgets", "example-broken")
def test_warns_when_a_plugin_fails_to_load(with_plugins: Run, root_url: str) -> None:
    warned, responses = with_plugins(
        """
responses = []
first = warned(lambda: responses.append(taskcluster.Widgets(OPTIONS).widget("a")))
again = warned(lambda: responses.append(taskcluster.Secrets(OPTIONS).ping()))
assert again == []
print(json.dumps([first, responses]))
        """,
        root_url,
    )
    ((category, text),) = warned
    assert category == "PluginWarning"
    for part in ("'gadgets'", "example-broken", "a_module_that_is_not_there"):
        assert part in text
    assert responses == [{"path": "/api/widgets/v1/widget/a"}, {"path": "/api/secrets/v1/ping"}]


@pytest.mark.plugins("example-broken")
def test_raises_with_the_cause_when_the_named_plugin_fails(with_plugins: Run) -> None:
    category, text = with_plugins("print(json.dumps(said(lambda: taskcluster.Gadgets)))")
    assert category == "PluginError"
    for part in ("Gadgets", "example-broken", "a_module_that_is_not_there"):
        assert part in text


@pytest.mark.plugins("example-broken")
def test_loads_only_the_named_plugin(with_plugins: Run) -> None:
    assert with_plugins("print(json.dumps(warned(lambda: taskcluster.Secrets)))") == []


@pytest.mark.plugins("example-widgets", "example-other-widgets")
def test_raises_when_two_distributions_claim_one_name(with_plugins: Run, root_url: str) -> None:
    error, warned = with_plugins(
        """
warned_of = warned(lambda: taskcluster.Secrets(OPTIONS).ping())
print(json.dumps([said(lambda: taskcluster.Widgets), warned_of]))
        """,
        root_url,
    )
    assert error[0] == "PluginError"
    assert [category for category, _ in warned] == ["PluginWarning"]
    for text in (error[1], warned[0][1]):
        assert "example-widgets" in text
        assert "example-other-widgets" in text


@pytest.mark.plugins("example-widgets", "example-other-widgets")
def test_disabling_one_distribution_resolves_a_conflict(with_plugins: Run, root_url: str) -> None:
    warned, response = with_plugins(
        """
responses = []
warned_of = warned(lambda: responses.append(taskcluster.Widgets(OPTIONS).widget("a")))
print(json.dumps([warned_of, *responses]))
        """,
        root_url,
        TASKCLUSTER_DISABLE_PLUGINS="example-other-widgets:widgets",
    )
    assert warned == []
    assert response == {"path": "/api/widgets/v1/widget/a"}


@pytest.mark.plugins("example-widgets", "example-broken", "example-raising")
def test_environment_variable_disables_plugins(with_plugins: Run, root_url: str) -> None:
    error, warned, responses = with_plugins(
        """
responses = []
warned_of = warned(lambda: responses.append(taskcluster.Secrets(OPTIONS).ping()))
print(json.dumps([said(lambda: taskcluster.Widgets), warned_of, responses]))
        """,
        root_url,
        TASKCLUSTER_DISABLE_PLUGINS="widgets, gadgets,raising",
    )
    assert error[0] == "PluginError"
    assert "TASKCLUSTER_DISABLE_PLUGINS" in error[1]
    assert warned == []
    assert responses == [{"path": "/api/secrets/v1/ping"}]


@pytest.mark.plugins("example-raising", "example-recorder")
def test_logs_an_observer_that_raises(with_plugins: Run, root_url: str) -> None:
    responses, logged, recorded = with_plugins(
        """
import example_recorder

records = []
handler = logging.Handler()
handler.emit = lambda record: records.append([record.name, record.getMessage(), str(record.exc_info[1])])
logging.getLogger("taskcluster").addHandler(handler)
responses = [taskcluster.Secrets(OPTIONS).ping(), asyncio.run(taskcluster.aio.Secrets(OPTIONS).ping())]
print(json.dumps([responses, records, len(example_recorder.EVENTS)]))
        """,
        root_url,
    )
    assert responses == [{"path": "/api/secrets/v1/ping"}] * 2
    assert recorded == 2
    assert len(logged) == 2
    for name, message, reason in logged:
        assert name.startswith("taskcluster")
        assert "'raising'" in message
        assert reason == "no room for attempt 1"


@pytest.mark.plugins("example-recorder")
def test_observer_gets_each_attempt_without_secrets(with_plugins: Run, root_url: str) -> None:
    events, shown = with_plugins(
        """
import dataclasses, example_recorder

taskcluster.Secrets(SIGNED).get("name")
asyncio.run(taskcluster.aio.Secrets(SIGNED).get("name"))
refused = {**SIGNED, "rootUrl": "http://127.0.0.1:1", "maxRetries": 1, "delayFactor": 0}
said(lambda: taskcluster.Secrets(refused).get("name"))
print(json.dumps([list(map(dataclasses.asdict, example_recorder.EVENTS)), repr(example_recorder.EVENTS)]))
        """,
        root_url,
    )
    assert [(event["service"], event["method"], event["attempt"], event["status"]) for event in events] == [
        ("secrets", "get", 1, 200),
        ("secrets", "get", 1, 200),
        ("secrets", "get", 1, None),
        ("secrets", "get", 2, None),
    ]
    assert {event["failure"] for event in events[2:]} == {"TaskclusterConnectionError"}
    assert "hidden-token" not in shown
    assert "Hawk" not in shown


@pytest.mark.plugins("example-vault")
def test_credentials_come_from_a_plugin_as_a_last_resort(with_plugins: Run, tmp_path: Path) -> None:
    found, asked = with_plugins(
        """
import example_vault

def resolve(**options):
    resolved = taskcluster.resolve_options(options, config_file=sys.argv[1])
    return [resolved.credentials_source, (resolved.options["credentials"]["clientId"] or b"").decode()]

found = [
    resolve(rootUrl="https://vaulted.example.com/", credentials={"clientId": "given", "accessToken": "x"}),
    resolve(rootUrl="https://vaulted.example.com/"),
    resolve(rootUrl="https://other.example.com"),
]
print(json.dumps([found, example_vault.ASKED]))
        """,
        str(tmp_path / "no-such-file.yml"),
    )
    assert found == [["given", "given"], ["plugin vault", "from-the-vault"], ["none", ""]]
    assert asked == ["https://vaulted.example.com", "https://other.example.com"]


@pytest.mark.plugins("example-vault")
def test_credentials_of_the_environment_come_first(with_plugins: Run, tmp_path: Path) -> None:
    source, asked = with_plugins(
        """
import example_vault

resolved = taskcluster.resolve_options(config_file=sys.argv[1])
print(json.dumps([resolved.credentials_source, example_vault.ASKED]))
        """,
        str(tmp_path / "no-such-file.yml"),
        TASKCLUSTER_ROOT_URL="https://vaulted.example.com",
        TASKCLUSTER_CLIENT_ID="a",
        TASKCLUSTER_ACCESS_TOKEN="b",
    )
    assert (source, asked) == ("environment", [])


@pytest.mark.plugins("example-unknown-hook", "example-widgets")
def test_warns_about_and_skips_a_plugin_with_an_unknown_hook(with_plugins: Run, root_url: str) -> None:
    warned, responses = with_plugins(
        """
responses = []
print(json.dumps([warned(lambda: responses.append(taskcluster.Widgets(OPTIONS).widget("a"))), responses]))
        """,
        root_url,
    )
    ((category, text),) = warned
    assert category == "PluginWarning"
    assert "'weather'" in text
    assert "taskcluster_weather" in text
    assert responses == [{"path": "/api/widgets/v1/widget/a"}]
