"""Tests of LocalTaskcluster while it runs: moving time, reset, clients, outbox."""

from __future__ import annotations

import asyncio
import hmac
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import requests
import yaml

import taskcluster
import taskcluster.aio
from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster_local import LocalTaskcluster, own_api
from taskcluster_local.authentication import Client
from taskcluster_local.errors import ApiError

WORKER = {"workerGroup": "g", "workerId": "i"}


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as made:
        yield made


@pytest.fixture
def local(running: LocalTaskcluster) -> LocalTaskcluster:
    running.reset()
    return running


def definition(local: LocalTaskcluster, **fields: Any) -> dict[str, Any]:
    now = local.now()
    return {
        "taskQueueId": "p/w",
        "created": now,
        "deadline": now + timedelta(hours=1),
        "payload": {},
        "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        **fields,
    }


# Time


def test_advance_runs_due_jobs(local: LocalTaskcluster) -> None:
    with taskcluster.Queue(local.options()) as queue:
        task_id = taskcluster.slugId()
        queue.createTask(task_id, definition(local))
        queue.claimWork("p/w", WORKER)
        local.advance(minutes=19)
        assert queue.status(task_id)["status"]["state"] == "running"
        local.advance(timedelta(minutes=2))
        [first, second] = queue.status(task_id)["status"]["runs"]
        assert (first["reasonResolved"], second["state"]) == ("claim-expired", "pending")
        local.advance(hours=1, minutes=5)
        status = queue.status(task_id)["status"]
        assert (status["state"], status["runs"][1]["reasonResolved"]) == ("exception", "deadline-exceeded")
        # Clients need not know: new tasks have the deployment's time.
        queue.createTask(taskcluster.slugId(), definition(local))


def test_now_returns_deployment_time(local: LocalTaskcluster) -> None:
    before = datetime.now(timezone.utc)
    assert before <= local.now() <= datetime.now(timezone.utc)
    local.advance(days=40)
    assert timedelta(days=40) <= local.now() - before < timedelta(days=41)
    local.reset()
    assert local.now() - before < timedelta(days=1)


def test_advance_rejects_negative_span(local: LocalTaskcluster) -> None:
    with pytest.raises(ValueError, match="forward"):
        local.advance(hours=-1)
    for arguments in ({}, {"span": timedelta(1), "hours": 1}):
        with pytest.raises(TypeError, match="pass either a timedelta"):
            local.advance(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "units", "match"),
    [
        ((20,), {}, r"^advance: 20 has no unit: pass seconds=20, minutes=20, or a timedelta$"),
        ((), {"minute": 20}, r"^advance: unknown unit 'minute'; did you mean 'minutes=20'\?$"),
        ((), {"hours": 1, "Secs": 1.5}, r"^advance: unknown unit 'Secs'; did you mean 'seconds=1.5'\?$"),
        ((), {"fortnights": 1}, r"^advance: unknown unit 'fortnights'; units are weeks, days, hours, .*$"),
        ((), {"minutes": "20"}, r"^advance: minutes must be a number, not str$"),
        ((), {"minutes": None}, r"^advance: minutes must be a number, not NoneType$"),
    ],
    ids=["number", "singular", "short", "unknown", "string", "none"],
)
def test_advance_error_names_unit(
    local: LocalTaskcluster, arguments: tuple[Any, ...], units: dict[str, float], match: str
) -> None:
    with pytest.raises(TypeError, match=match):
        local.advance(*arguments, **units)
    with pytest.raises(TypeError, match=match):
        asyncio.run(local.aio.advance(*arguments, **units))


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({}, "`created` cannot be in the past (max 15min drift)"),
        ({"deadline": timedelta()}, "`created` cannot be in the past (max 15min drift)"),
        ({"created": timedelta(hours=2)}, "`deadline` cannot be before `created`"),
    ],
    ids=["both", "created", "deadline"],
)
def test_error_about_real_date_names_now_after_advance(
    local: LocalTaskcluster, fields: dict[str, timedelta], first: str
) -> None:
    real = datetime.now(timezone.utc)
    dates = {"created": real, "deadline": real + timedelta(hours=1)}
    given = {**dates, **{name: real + span for name, span in fields.items()}}
    local.advance(hours=2)
    with taskcluster.Queue(local.options()) as queue, pytest.raises(TaskclusterRestFailure) as caught:
        queue.createTask(taskcluster.slugId(), definition(local, **given))
    lines = str(caught.value).splitlines()
    assert lines[0] == first
    assert lines[1].startswith("The time of this local deployment was moved forward, to 2")
    assert "`taskcluster_local.now()`" in lines[1]


def test_error_about_date_has_no_hint_without_advance(local: LocalTaskcluster) -> None:
    with taskcluster.Queue(local.options()) as queue, pytest.raises(TaskclusterRestFailure) as caught:
        queue.createTask(taskcluster.slugId(), definition(local, created=local.now() - timedelta(hours=1)))
    assert "local.now" not in str(caught.value)


@pytest.mark.parametrize("days", [float("nan"), float("inf")])
def test_advance_error_names_number_that_is_not_finite(local: LocalTaskcluster, days: float) -> None:
    with pytest.raises(ValueError, match=f"^advance: days must be finite, not {days}$"):
        local.advance(days=days)
    with pytest.raises(ValueError, match=f"^advance: days must be finite, not {days}$"):
        asyncio.run(local.aio.advance(days=days))


@pytest.mark.parametrize("source", [5, None, ["roles.yml"]], ids=["number", "none", "list"])
def test_load_error_names_source_of_wrong_type(local: LocalTaskcluster, source: Any) -> None:
    message = f"^load: source must be the path of a YAML file, or a mapping, not {type(source).__name__}$"
    with pytest.raises(TypeError, match=message):
        local.load(source)
    with pytest.raises(TypeError, match=message):
        asyncio.run(local.aio.load(source))


@pytest.mark.parametrize("span", [{"days": 4_000_000}, {"weeks": 10**9}, {"span": timedelta.max}])
def test_advance_too_far_changes_nothing(local: LocalTaskcluster, span: dict[str, Any]) -> None:
    before = local.now()
    with pytest.raises(ValueError, match="cannot advance"):
        local.advance(**span)
    assert local.now() - before < timedelta(hours=1)
    assert taskcluster.Auth({**local.options(), "maxRetries": 0}).ping()["alive"]


def test_works_at_end_of_time(tmp_path: Path) -> None:
    with LocalTaskcluster() as far:
        far.advance(datetime(2899, 12, 31, tzinfo=timezone.utc) - far.now())
        queue, task_id = taskcluster.Queue({**far.options(), "maxRetries": 0}), taskcluster.slugId()
        queue.createTask(task_id, definition(far))
        [claim] = queue.claimWork("p/w", {"workerGroup": "g", "workerId": "i"})["tasks"]
        assert claim["status"]["taskId"] == task_id


def test_advance_from_several_threads(local: LocalTaskcluster) -> None:
    before = local.now()
    threads = [threading.Thread(target=local.advance, kwargs={"hours": 1}) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert local.now() - before >= timedelta(hours=10)


def test_advance_in_async_code(local: LocalTaskcluster) -> None:
    async def scenario() -> None:
        before = local.now()
        await local.aio.advance(hours=1)
        await local.aio.advance(timedelta(hours=1))
        assert local.now() - before >= timedelta(hours=2)

    asyncio.run(scenario())


# Polls


async def one_waiting_worker(local: LocalTaskcluster) -> Any:
    """Return the status of the deployment once a worker waits for a task."""
    async with taskcluster.aio.createApiClient("Local", own_api.REFERENCE)(local.options()) as own:
        while (status := await own.status())["waitingWorkers"] != 1:
            pass
        return status


def test_advance_ends_waiting_claims() -> None:
    async def scenario() -> None:
        async with LocalTaskcluster(poll=3600) as local, taskcluster.aio.Queue(local.options()) as queue:
            waiting = asyncio.create_task(queue.claimWork("p/w", WORKER))
            await one_waiting_worker(local)
            await local.aio.advance(hours=1)
            assert await asyncio.wait_for(waiting, 60) == {"tasks": []}

    asyncio.run(scenario())


def test_waiting_claim_gets_task_that_advance_made_pending(local: LocalTaskcluster) -> None:
    async def scenario() -> None:
        async with taskcluster.aio.Queue(local.options()) as queue:
            task_id = taskcluster.slugId()
            await queue.createTask(task_id, definition(local))
            await queue.claimWork("p/w", WORKER)
            waiting = asyncio.create_task(queue.claimWork("p/w", {**WORKER, "workerId": "other"}))
            await one_waiting_worker(local)
            await local.aio.advance(minutes=21)
            [claim] = (await asyncio.wait_for(waiting, 60))["tasks"]
            assert (claim["status"]["taskId"], claim["runId"]) == (task_id, 1)

    asyncio.run(scenario())


def test_empty_claim_returns_immediately_without_poll() -> None:
    with LocalTaskcluster(poll=0) as local, taskcluster.Queue(local.options()) as queue:
        queue.createTask(taskcluster.slugId(), definition(local))
        assert len(queue.claimWork("p/w", WORKER)["tasks"]) == 1
        assert queue.claimWork("p/w", WORKER) == {"tasks": []}


@pytest.mark.parametrize(
    ("poll", "error", "match"),
    [
        ("5", TypeError, "poll must be a number of seconds, not str"),
        (True, TypeError, "not bool"),
        (-1, ValueError, "at least 0 and finite: -1"),
        (float("nan"), ValueError, "nan"),
        (float("inf"), ValueError, "inf"),
        (10**15, ValueError, "finite: 1000000000000000"),
    ],
)
def test_rejects_invalid_poll(poll: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        LocalTaskcluster(poll=poll)


CLIENT = {"clientId": "c", "accessToken": "t", "scopes": []}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": 5}, TypeError, "data must be the path of a directory, not int"),
        ({"host": 5}, TypeError, "host must be a string, such as '127.0.0.1', not int"),
        ({"port": -1}, ValueError, "port must be between 0 and 65535, not -1"),
        ({"port": 65536}, ValueError, "port must be between 0 and 65535, not 65536"),
        ({"port": "http"}, TypeError, "port must be an integer, not str"),
        ({"port": 80.5}, TypeError, "port must be an integer, not float"),
        ({"allow_hosts": "build"}, TypeError, "allow_hosts must be a list of host names, not the string 'build'"),
        ({"allow_hosts": [5]}, TypeError, "allow_hosts must be a list of host names, but one of them is of type int"),
        ({"accessToken": 12345678}, TypeError, "accessToken must be a string or None, not int"),
        ({"clients": {"a": 1}}, TypeError, "clients must be a list of mappings with .*, not dict: put it in brackets"),
        ({"clients": ["a"]}, TypeError, "clients must be a list of mappings with .*, but one of them is of type str"),
        ({"clients": 5}, TypeError, "clients must be a list of mappings with .*, not int"),
        ({"clients": [{**CLIENT, "clientId": 5}]}, TypeError, "clientId of a client must be a string, not int"),
        ({"clients": [{**CLIENT, "accessToken": 12345678}]}, TypeError, "accessToken of c must be a string, not int"),
        ({"clients": [{**CLIENT, "accessToken": ""}]}, ApiError, "InputError: the accessToken of c is empty"),
        ({"clients": [{**CLIENT, "scopes": "a:*"}]}, TypeError, "scopes of c must be a list of .* the string 'a:.'"),
        ({"clients": [{**CLIENT, "expires": "soon"}]}, ApiError, "InputError: expires: 'soon' is not a date-time"),
        ({"clients": [{**CLIENT, "expires": 5}]}, TypeError, "expires of c must be a date, not int"),
        ({"roles": {"a": "b"}}, TypeError, r"roles\['a'\] must be a list of scopes, not the string 'b'"),
        ({"roles": {"a": [1]}}, TypeError, r"roles\['a'\] must be a list of scopes, but one of them is of type int"),
        ({"roles": {1: []}}, TypeError, "a roleId in roles must be a string, not int"),
        ({"roles": ["a"]}, TypeError, "roles must be a mapping of roleIds to lists of scopes, .*, not list"),
        (
            {"clock": datetime.now},
            ValueError,
            r"clock must return an aware datetime in UTC, .*, not datetime\.datetime\(",
        ),
        ({"clock": datetime.now()}, TypeError, "clock must be a function that returns the time, not datetime"),
        ({"clock": lambda: 5}, TypeError, "the result of clock must be a datetime, not int"),
        ({"claim_timeout": -5}, ValueError, "claim_timeout must be a number of seconds, at least 0 and finite: -5"),
        ({"claim_timeout": "20"}, TypeError, "claim_timeout must be a number of seconds, not str"),
        ({"claim_timeout": timedelta(1)}, TypeError, "claim_timeout must be a number of seconds, not timedelta"),
        ({"github_webhook_secret": 5}, TypeError, "github_webhook_secret must be a string or None, not int"),
        ({"notification_limit": "a"}, TypeError, "notification_limit must be an integer or None, not str"),
        ({"notification_limit": -1}, ValueError, "notification_limit must be at least 0, not -1"),
    ],
    ids=[
        *("data", "host", "negative-port", "large-port", "port-name", "fractional-port", "host-string", "host-type"),
        *("token", "client-mapping", "client-string", "clients", "client-id", "client-token", "empty-token"),
        *("client-scopes", "client-expires", "client-date", "role-string", "role-item", "role-id", "role-list"),
        *("naive-clock", "date", "number-clock", "negative-claim", "claim-string", "claim-span", "secret"),
        *("limit-string", "negative-limit"),
    ],
)
def test_rejects_invalid_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}") as caught:
        LocalTaskcluster(**arguments)
    assert "12345678" not in str(caught.value)


def test_accepts_other_forms_of_arguments() -> None:
    roles = {"anonymous": (scope for scope in ["auth:current-scopes"])}
    with (
        LocalTaskcluster(port="0", clients=(dict(CLIENT),), roles=roles, claim_timeout=10**9) as local,  # type: ignore[arg-type]
        taskcluster.Queue(local.options()) as queue,
    ):
        assert taskcluster.Auth({"rootUrl": local.root_url}).currentScopes()["scopes"] == [
            "assume:anonymous",
            "auth:current-scopes",
        ]
        queue.createTask(taskcluster.slugId(), definition(local))
        assert len(queue.claimWork("p/w", WORKER)["tasks"]) == 1


@pytest.mark.parametrize("host", ["203.0.113.1", "a..b", "x" * 70], ids=["address", "empty-label", "long-label"])
def test_error_names_host_that_cannot_be_used(host: str) -> None:
    local = LocalTaskcluster(host=host)
    with pytest.raises((OSError, ValueError), match=f"cannot listen at .?{re.escape(host)}"):
        local.__enter__()


# Reset


def test_reset_deletes_everything(local: LocalTaskcluster) -> None:
    with taskcluster.Secrets(local.options()) as secrets:
        root_url = local.root_url
        for _ in range(3):
            assert secrets.list() == {"secrets": []}
            secrets.set("a", {"secret": {}, "expires": taskcluster.fromNowJSON("1 hour")})
            local.reset()
        assert local.root_url == root_url


def test_reset_ends_waiting_claims(local: LocalTaskcluster) -> None:
    async def scenario() -> None:
        async with taskcluster.aio.Queue(local.options()) as queue:
            waiting = asyncio.create_task(queue.claimWork("p/w", WORKER))
            while not (await queue.listWorkers("p", "w"))["workers"]:
                pass
            await local.aio.reset()
            assert await asyncio.wait_for(waiting, 60) == {"tasks": []}
            # The new state has its own waiting claims.
            waiting = asyncio.create_task(queue.claimWork("p/w", WORKER))
            await queue.ping()
            await queue.createTask(taskcluster.slugId(), definition(local))
            assert len((await asyncio.wait_for(waiting, 60))["tasks"]) == 1

    asyncio.run(scenario())


def test_api_has_status_and_reset(local: LocalTaskcluster) -> None:
    create_client = taskcluster.aio.createApiClient("Local", own_api.REFERENCE)

    async def scenario() -> None:
        async with taskcluster.aio.Queue(local.options()) as queue, create_client(local.options()) as own:
            await queue.createTask(taskcluster.slugId(), definition(local, taskQueueId="p/other"))
            waiting = asyncio.create_task(queue.claimWork("p/w", WORKER))
            before = await one_waiting_worker(local)
            counts = {name: before[name] for name in ("tasks", "pending", "running", "waitingWorkers")}
            assert counts == {"tasks": 1, "pending": 1, "running": 0, "waitingWorkers": 1}
            assert (before["secondsAhead"], before["storage"]) == (0, "memory")
            await local.aio.advance(seconds=5)
            assert await own.reset() == {**before, "time": ANY, "secondsAhead": 5}
            assert await asyncio.wait_for(waiting, 60) == {"tasks": []}
            after = await own.status()
            assert (after["tasks"], after["waitingWorkers"], after["secondsAhead"]) == (0, 0, 0)

    asyncio.run(scenario())


def test_reset_rejects_data_directory(tmp_path: Path) -> None:
    with LocalTaskcluster(tmp_path / "data") as local, pytest.raises(RuntimeError, match="would delete"):
        local.reset()


def test_reset_leaves_no_files(local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(5):
        local.reset()
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    local.reset()
    assert list(tmp_path.iterdir()) == []


# Clients


def test_options_with_scopes_create_client(local: LocalTaskcluster) -> None:
    options = local.options(scopes=["secrets:get:a"])
    assert options["credentials"]["clientId"] != local.options([])["credentials"]["clientId"]
    with taskcluster.Secrets(local.options()) as root, taskcluster.Secrets(options) as some:
        root.set("a", {"secret": {"b": "c"}, "expires": taskcluster.fromNowJSON("1 hour")})
        assert some.get("a")["secret"] == {"b": "c"}
        with pytest.raises(TaskclusterRestFailure) as caught:
            some.remove("a")
        assert caught.value.status_code == 403
        # They do not expire during a test that moves the time.
        local.advance(days=365)
        assert some.ping()["alive"] is True
        assert taskcluster.Auth(options).currentScopes()["scopes"]


def test_options_reject_invalid_scopes(local: LocalTaskcluster) -> None:
    with pytest.raises(TypeError, match="list of scopes"):
        local.options("queue:*")
    with pytest.raises(TypeError, match=r"^scopes must be a list of scopes, not int$"):
        local.options(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^scopes must be a list of scopes, not dict$"):
        local.options({"queue:*": True})
    with pytest.raises(ApiError, match="is not a scope"):
        local.options(["ä"])


# Data directory


def test_data_directory_keeps_state_and_token(tmp_path: Path) -> None:
    local = LocalTaskcluster(tmp_path / "data")
    with pytest.raises(RuntimeError, match="not running"):
        _ = local.credentials
    with local:
        credentials = local.credentials
        with taskcluster.Secrets(local.options()) as secrets:
            secrets.set("a", {"secret": {"b": "c"}, "expires": taskcluster.fromNowJSON("1 hour")})
    with LocalTaskcluster(str(tmp_path / "data")) as again, taskcluster.Secrets(again.options()) as secrets:
        assert again.credentials == credentials
        assert secrets.get("a")["secret"] == {"b": "c"}
    with LocalTaskcluster(tmp_path / "data", accessToken="given" * 9) as other:
        assert other.credentials["accessToken"] == "given" * 9
    assert {path.name.partition("-")[0] for path in (tmp_path / "data").iterdir()} == {"taskcluster.sqlite", "files"}


def test_raises_when_not_running() -> None:
    local = LocalTaskcluster()
    for use in (local.now, local.reset, local.options, lambda: local.advance(hours=1), lambda: local.load({})):
        with pytest.raises(RuntimeError, match="not running"):
            use()


def test_repr_names_root_url_while_running() -> None:
    local = LocalTaskcluster()
    assert repr(local) == "<LocalTaskcluster not running>"
    with local:
        assert repr(local) == f"<LocalTaskcluster at {local.root_url}>"
    assert repr(local) == "<LocalTaskcluster not running>"


# Notifications and GitHub


def test_outbox_has_notifications(local: LocalTaskcluster) -> None:
    with taskcluster.Notify(local.options()) as notify:
        notify.email({"address": "a@example.com", "subject": "s", "content": "c"})
    [mail] = local.outbox()
    assert (mail.notificationType, mail.notificationAddress, mail.payload["subject"]) == ("email", "a@example.com", "s")
    assert asyncio.run(local.aio.outbox()) == [mail]


def test_options_repr_hides_access_token(local: LocalTaskcluster) -> None:
    for options in (local.options(), local.options(["a"])):
        assert options["credentials"]["accessToken"] not in f"{options} {options['credentials']} {local.credentials}"
        assert yaml.safe_load(yaml.safe_dump(options)) == options
    client = Client("c", "hush", (), datetime.now(timezone.utc))
    assert "hush" not in repr(client)


def test_rejects_unsigned_webhook_if_secret_set() -> None:
    body = b'{"zen": "x"}'
    headers = {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1", "Content-Type": "application/json"}
    with LocalTaskcluster(github_webhook_secret="hush") as local:
        url = f"{local.root_url}/api/github/v1/github"
        right = hmac.new(b"hush", body, "sha256").hexdigest()
        for signature, status in ((right, 204), ("0" * 64, 400)):
            sent = {**headers, "X-Hub-Signature-256": f"sha256={signature}"}
            assert requests.post(url, data=body, headers=sent, timeout=30).status_code == status
    assert "hush" not in repr(local._configuration)


def test_rejects_empty_webhook_secret() -> None:
    with pytest.raises(ApiError, match="empty"):
        LocalTaskcluster(github_webhook_secret="")
