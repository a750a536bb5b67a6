"""Tests of evaluating templates, patterns and YAML from clients, which may take forever."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster, isolation, own_api, templates, yaml_core
from taskcluster_local.errors import ApiError
from taskcluster_local.isolation import isolated
from taskcluster_local.services.hooks.trigger import check_payload

PEOPLE = {"name": "n", "description": "d", "owner": "a@b.example"}
LAUGHS = "version: 1\ntasks: []\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)
SLOW = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}


@pytest.fixture(autouse=True)
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_SECONDS", 0.4)


def evaluate(function: Any, *arguments: Any) -> Any:
    return asyncio.run(isolated(function, *arguments))


def test_returns_json_values() -> None:
    template = {"a": {"$eval": "x"}, "b": "${9**9**9}", "c": {"$eval": "9**9**9"}, "d": "\ud800é"}
    assert evaluate(templates.render, template, {"x": [1, None]}) == {
        "a": [1, None], "b": "Infinity", "c": None, "d": "\ud800é",
    }  # fmt: skip


def test_raises_error_of_function() -> None:
    with pytest.raises(ApiError, match="data/a must be string") as caught:
        asyncio.run(check_payload(SLOW, {"a": 1}))
    assert caught.value.code == "InputError"
    with pytest.raises(RuntimeError, match="TemplateError"):
        evaluate(templates.render, {"$eval": "nothing"}, {})


LOOPS: Any = {
    "$map": {"$eval": "range(0, 30000)"},
    "each(x)": {"$map": {"$eval": "range(0, 30000)"}, "each(y)": "x"},
}
ENDLESS = {
    "a pattern": (check_payload, SLOW, {"a": "a" * 36 + "!"}),
    "a list that takes all memory": (isolated, templates.render, {"$eval": "range(0, 100000000)"}, {}),
    "a large result": (isolated, templates.render, {"$map": {"$eval": "range(0, 200000)"}, "each(x)": "x"}, {}),
    "nested loops": (isolated, templates.render, LOOPS, {}),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_endless_evaluation_raises_input_error(case: str) -> None:
    function, *arguments = ENDLESS[case]

    async def ticks() -> int:
        """Return how many steps the event loop made until the evaluation was aborted."""
        number = 0
        evaluation = asyncio.ensure_future(function(*arguments))
        while not evaluation.done():
            number += 1
            await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match=r"seconds of computing time|the result is larger") as caught:
            evaluation.result()
        assert caught.value.code == "InputError"
        return number

    assert asyncio.run(ticks()) > 3
    assert evaluate(yaml_core.load, "a: [1]") == {"a": [1]}


def test_works_without_main_module() -> None:
    code = (
        "import asyncio; from taskcluster_local import templates; from taskcluster_local.isolation import isolated; "
        "print(asyncio.run(isolated(templates.render, {'$eval': '1+1'}, {})))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code], capture_output=True, text=True, encoding="utf-8"
    )
    # asyncio's development mode reports callbacks that take long, as they do on a busy machine.
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.stdout, errors) == ("2\n", [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_program_starts_own_process() -> None:
    code = (
        "import asyncio, os; from taskcluster_local import templates; "
        "from taskcluster_local.isolation import isolated\n"
        "def two(): return asyncio.run(isolated(templates.render, {'$eval': '1+1'}, {}))\n"
        "two(); child = os.fork(); result = two()\n"
        "if not child: os._exit(0 if result == 2 else 1)\n"
        "print(result, two(), os.waitpid(child, 0)[1])\n"
    )
    # Python 3.12 warns of threads that asyncio has just joined: the system may still be ending them.
    ignoring = ["-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run([sys.executable, *ignoring, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert (done.stdout, done.stderr) == ("2 2 0\n", "")


def test_restarts_process_after_death() -> None:
    assert evaluate(templates.render, "a", {}) == "a"
    running = isolation._process._popen
    assert running is not None
    running.kill()
    running.wait()
    with pytest.raises(ApiError, match="InputError"):
        evaluate(templates.render, "a", {})
    assert evaluate(templates.render, "a", {}) == "a"


def test_rejects_too_many_waiting_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_MOST_WAITING", 3)

    async def many() -> list[Any]:
        calls = [isolated(templates.render, number, {}) for number in range(5)]
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(many())
    assert found[:3] == [0, 1, 2]
    assert [error.code for error in found[3:]] == ["TooManyRequests"] * 2


def test_canceled_call_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def give_up() -> None:
        waiting = asyncio.ensure_future(isolated(templates.render, {"$eval": "nothing"}, {}))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await isolated(templates.render, "b", {}) == "b"

    asyncio.run(give_up())
    assert caplog.records == []


def test_deep_nesting_raises_input_error() -> None:
    value: Any = "x"
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ApiError, match="nested too deeply"):
        evaluate(templates.render, value, {})
    while isinstance(value, list):
        value = value.pop()


# Through a deployment


@pytest.fixture(scope="module")
def local() -> Any:
    with LocalTaskcluster() as running:
        yield running


def hook(options: Any, name: str, task: Any, payload: Any, schema: Any = None) -> Any:
    hooks = taskcluster.Hooks(options)
    hooks.createHook("g", name, {"metadata": PEOPLE, "task": task, "triggerSchema": schema or {"type": "object"}})
    return hooks.triggerHook("g", name, payload)


def added(options: Any, text: str) -> Any:
    own = taskcluster.createApiClient("Local", own_api.REFERENCE)(options)
    return own.addRepository({"organization": "o", "repository": "r", "taskclusterYml": text})


def rendered(options: Any, text: str) -> Any:
    event = {"type": "github-push", "overrides": {}}
    return taskcluster.Github(options).renderTaskclusterYml({"body": text, "fakeEvent": event})


def changed(options: Any, schema: Any) -> Any:
    definition = {"metadata": PEOPLE, "task": {}, "triggerSchema": schema}
    return taskcluster.Hooks(options).createHook("g", "changed", definition)


DEEP = "[" * 5000 + "]" * 5000
CALLS = {
    "a hook's template": lambda options: hook(options, "template", LOOPS, {}),
    "a hook's pattern": lambda options: hook(options, "pattern", {}, {"a": "a" * 36 + "!"}, SLOW),
    "a hook's nested schema": lambda options: changed(options, {"pattern": "(" * 5000}),
    "an added file": lambda options: added(options, LAUGHS),
    "an added nested file": lambda options: added(options, f"version: 1\ntasks: {DEEP}"),
    "a rendered file": lambda options: rendered(options, LAUGHS),
    "a rendered template": lambda options: rendered(
        options, "version: 1\ntasks: {$map: {$eval: 'range(0, 100000000)'}, 'each(x)': {}}"
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_serves_other_requests_meanwhile(local: LocalTaskcluster, call: str) -> None:
    options = {**local.options(), "maxRetries": 0, "timeout": 60}
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        CALLS[call](options)
    assert (caught.value.status_code, caught.value.body["code"]) == (400, "InputError")
    assert taskcluster.Auth(options).ping()["alive"]


def test_expires_claims_while_evaluating_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_SECONDS", 600)
    with LocalTaskcluster(claim_timeout=0.1) as local:
        options = {**local.options(), "timeout": 60}
        hooks, queue, task_id = taskcluster.Hooks(options), taskcluster.Queue(options), taskcluster.slugId()
        definition = {"metadata": PEOPLE, "task": LOOPS, "schedule": ["* * * * * *"]}
        hooks.createHook("g", "endless", definition)
        while not isolation._turns[local._server._loop].waiting:
            time.sleep(0.01)
        task = {
            "taskQueueId": "p/w",
            "created": local.now(),
            "deadline": taskcluster.fromNow("1 hour", local.now()),
            "payload": {},
            "metadata": {**PEOPLE, "source": "https://x.example"},
        }
        queue.createTask(task_id, task)
        queue.claimTask(task_id, 0, {"workerGroup": "g", "workerId": "w"})
        while len(queue.status(task_id)["status"]["runs"]) < 2:
            time.sleep(0.01)
        assert isolation._turns[local._server._loop].waiting
        isolation._process.close()
