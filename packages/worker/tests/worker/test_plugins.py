"""Executors of third parties, found by their entry points."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from taskcluster_worker import WorkerError, registry
from taskcluster_worker.plugins import Execution, Executor, Exit, RunContext, Task, hookimpl
from taskcluster_worker.registry import executor_named, executor_names


class EchoExecution(Execution):
    """Writes commands instead of running them."""

    proxy_host = "proxy.example"

    def __init__(self, context: RunContext) -> None:
        self.directory = context.directory
        self.ends: list[float] = []
        self.closed = 0

    async def run(self, command: Sequence[str], env: Mapping[str, str], write: Callable[[bytes], None]) -> Exit:
        write(f"{' '.join(command)} with {env['TASKCLUSTER_PROXY_URL'].rpartition(':')[0]}\n".encode())
        return Exit(0)

    async def kill(self) -> None:
        pass

    def kill_at(self, end: float) -> None:
        self.ends.append(end)

    async def artifact(self, path: str) -> Path:
        return self.directory / path

    async def close(self) -> None:
        self.closed += 1


class EchoExecutor(Executor):
    """The executor of a plugin."""

    name = "echo"
    isolation = "not at all"

    def __init__(self, reject: bool = False) -> None:
        self.reject = reject
        self.opened: list[EchoExecution] = []
        self.calls: list[str] = []

    def check(self, task: Task) -> Sequence[str]:
        return ["payload: command is not to be run"] if self.reject else []

    async def open(self, context: RunContext) -> Execution:
        self.opened.append(EchoExecution(context))
        return self.opened[-1]

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")


@pytest.mark.once
def test_an_executor_runs_commands_as_it_likes(site):
    executor = EchoExecutor()
    begun = time.monotonic()
    with site.worker(executor=executor):
        resolved, log = site.run("anything", payload={"features": {"taskclusterProxy": True}})
    assert resolved == ("completed", "completed")
    assert "\nsh -c anything with http://proxy.example\n" in log
    assert "User Time" not in log
    assert executor.calls == ["start", "stop"]
    [execution] = executor.opened
    assert execution.closed == 1
    # Claims are given for 20 minutes.
    assert [end - begun > 1000 for end in execution.ends] == [True]


@pytest.mark.once
def test_an_executor_rejects_payloads(site):
    with site.worker(executor=EchoExecutor(reject=True)):
        resolved, log = site.run("anything")
    assert resolved == ("exception", "malformed-payload")
    assert "command is not to be run" in log


@pytest.mark.once
def test_an_executor_that_fails_is_an_internal_error(site):
    class Broken(EchoExecutor):
        async def open(self, context: RunContext) -> Execution:
            raise RuntimeError("broken executor")

    with site.worker(executor=Broken()):
        resolved, log = site.run("anything")
    assert resolved == ("exception", "internal-error")
    assert "The worker failed: RuntimeError: broken executor" in log


@pytest.fixture
def install(monkeypatch) -> Callable[..., None]:
    """Register a module as the plugin of a name."""

    def install(name: str, function: Callable[..., Any] | None, *, twice: bool = False) -> None:
        module = types.ModuleType(f"plugin_{name}")
        if function is not None:
            function.__name__ = "taskcluster_worker_executor"
            module.taskcluster_worker_executor = hookimpl(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        point = EntryPoint(name, module.__name__, "taskcluster_worker")
        found = registry.entry_points
        monkeypatch.setattr(registry, "entry_points", lambda group: {**found(group), name: [point] * (1 + twice)})

    return install


def test_finds_the_executors_of_plugins(install):
    install("echo", lambda options: EchoExecutor(**options))
    assert executor_names() == ["container", "echo", "host"]
    made = executor_named("echo", {"reject": True})
    assert isinstance(made, EchoExecutor)
    assert made.reject


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda options: EchoExecutor(**options), "does not accept its options"),
        (lambda options: object(), "returned no executor but object"),
        (None, "returned no executor but NoneType"),
        (lambda options: 1 / 0, "cannot be loaded: ZeroDivisionError"),
    ],
    ids=["options", "another type", "no hook", "fails"],
)
def test_names_a_plugin_that_cannot_be_used(install, function, said):
    install("echo", function)
    with pytest.raises(WorkerError, match=f"'echo' {said}"):
        executor_named("echo", {"unknown": 1})


def test_names_the_owners_of_one_name(install):
    install("echo", lambda options: EchoExecutor(), twice=True)
    with pytest.raises(WorkerError, match="'echo' is registered by"):
        executor_named("echo", {})


def test_plugins_can_be_disabled(monkeypatch):
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "host")
    with pytest.raises(WorkerError, match="there is no executor 'host'"):
        executor_named("host", {})
