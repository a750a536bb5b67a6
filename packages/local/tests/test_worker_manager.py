"""Tests of the worker-manager service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from taskcluster_local.endpoints import references
from taskcluster_local.errors import ApiError
from taskcluster_local.events import Binding, Message
from taskcluster_local.pages import Listing, Page
from taskcluster_local.services.worker_manager.pools import Pools
from taskcluster_local.services.worker_manager.workers import PoolWorkers

API = "/api/worker-manager/v1"
POOL = f"{API}/worker-pool/p/w"
WORKER = f"{API}/workers/p%2Fw/g/i"
SECRET = "s" * 44
IN_POOL = {"workerPoolId": "p/w", "workerGroup": "g", "workerId": "i"}
ZERO = {
    f"{state}{number}": 0
    for state in ("requested", "running", "stopping", "stopped")
    for number in ("Count", "Capacity")
}
EXCHANGES = (
    "worker-pool-created", "worker-pool-updated", "worker-pool-error", "worker-requested", "worker-running",
    "worker-stopped", "worker-removed", "launch-config-created", "launch-config-updated", "launch-config-archived",
)  # fmt: skip


def pool(**fields: Any) -> dict[str, Any]:
    given = {"providerId": "static", "description": "d", "config": {}, "owner": "o@example.com", "emailOnError": False}
    return {**given, **fields}


def worker(site: Any, **fields: Any) -> dict[str, Any]:
    return {"expires": site.clock.at(days=9), "providerInfo": {"staticSecret": SECRET}, **fields}


def registration(**fields: Any) -> dict[str, Any]:
    return {**IN_POOL, "providerId": "static", "workerIdentityProof": {"staticSecret": SECRET}, **fields}


def error(**fields: Any) -> dict[str, Any]:
    given = {"kind": "k", "title": "t", "description": "d", "extra": {"code": "c"}}
    return {"workerGroup": "g", "workerId": "i", **given, **fields}


def refused(response: Any) -> tuple[int, str]:
    return response.status, response.code


def register(site: Any, **fields: Any) -> Any:
    return site.call("POST", f"{API}/worker/register", registration(**fields), by=None)


def pass_time(site: Any, **span: float) -> None:
    site.clock.advance(**span)
    asyncio.run(site.deployment.pass_time())


@pytest.fixture
def messages(site: Any) -> Iterator[list[Message]]:
    """The published messages of the service, checked against their schemas."""
    found: list[Message] = []
    exchanges = references()["worker-manager"]["exchanges"]
    schemas = {each["exchange"]: site.deployment.api.schemas.schema(each["schema"]) for each in exchanges}
    assert set(schemas) == set(EXCHANGES)
    bindings = [Binding(f"exchange/taskcluster-worker-manager/v1/{name}", "#") for name in EXCHANGES]
    subscription = site.deployment.events.subscribe(bindings, found.append)
    yield found
    subscription.close()
    for message in found:
        assert not schemas[message.exchange.rpartition("/")[2]].errors(message.payload)


def names(messages: list[Message]) -> list[str]:
    return [message.exchange.rpartition("/")[2] for message in messages]


def test_lists_providers(site: Any) -> None:
    assert site.ok("GET", f"{API}/providers")["providers"] == [
        {"providerId": "null-provider", "providerType": "null"},
        {"providerId": "static", "providerType": "static"},
    ]


def test_create_pool_can_be_repeated(site: Any, messages: list[Message]) -> None:
    made = site.ok("PUT", POOL, pool())
    dates = {"created": site.clock.at(), "lastModified": site.clock.at()}
    assert made == {**pool(), **dates, **ZERO, "workerPoolId": "p/w", "currentCapacity": 0}
    site.clock.advance(hours=1)
    assert site.ok("PUT", POOL, pool()) == made == site.ok("GET", POOL)
    assert refused(site.call("PUT", POOL, pool(description="e"))) == (409, "RequestConflict")
    assert [(message.routingKey, message.payload) for message in messages] == [
        ("primary._._._._._._._", {"workerPoolId": "p/w", "providerId": "static"})
    ]


def test_updates_pool(site: Any, messages: list[Message]) -> None:
    assert refused(site.call("POST", POOL, pool())) == (404, "ResourceNotFound")
    site.ok("PUT", POOL, pool())
    site.clock.advance(hours=1)
    changed = site.ok("POST", POOL, {**pool(description="e", providerId="null-provider"), "workerPoolId": "p/w"})
    assert (changed["description"], changed["lastModified"]) == ("e", site.clock.at())
    assert changed["created"] == site.clock.at(hours=-1)
    assert refused(site.call("POST", POOL, {**pool(), "workerPoolId": "p/x"})) == (400, "InputError")
    assert names(messages) == ["worker-pool-created", "worker-pool-updated"]
    assert messages[1].payload["previousProviderId"] == "static"


@pytest.mark.parametrize("verb", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"providerId": "aws"}, "InputError"),
        ({"config": {"workerConfig": 1}}, "InputValidationError"),
        ({"config": {"minCapacity": 1}}, "InputValidationError"),
        ({"config": {"lifecycle": {"timeout": 1}}}, "InputValidationError"),
        ({"config": {"lifecycle": {"registrationTimeout": "1"}}}, "InputValidationError"),
        ({"config": {"lifecycle": []}}, "InputValidationError"),
        ({"config": {"lifecycle": {"reregistrationTimeout": -1}}}, "InputValidationError"),
        ({"config": {"lifecycle": {"reregistrationTimeout": True}}}, "InputValidationError"),
        ({"config": {"lifecycle": {"reregistrationTimeout": 32 * 86400}}}, "InputValidationError"),
        ({"config": {"launchConfigs": {}}}, "InputValidationError"),
        ({"config": {"launchConfigs": [1]}}, "InputValidationError"),
        ({"config": {"launchConfigs": [{"workerManager": 1}]}}, "InputValidationError"),
        ({"config": {"launchConfigs": [{"workerManager": {"launchConfigId": "a b"}}]}}, "InputValidationError"),
        ({"config": {"launchConfigs": [{}, {}]}}, "InputError"),
        ({"owner": "nobody"}, "InputValidationError"),
    ],
)
def test_rejects_invalid_pool(site: Any, verb: str, fields: dict[str, Any], code: str) -> None:
    if verb == "POST":
        site.ok("PUT", POOL, pool())
    assert refused(site.call(verb, POOL, pool(**fields))) == (400, code)


def test_rejects_cloud_provider(site: Any) -> None:
    message = site.call("PUT", POOL, pool(providerId="gcp")).message
    assert message.startswith("Invalid Provider")
    assert "not available in a local deployment" in message


def test_deletes_pool_after_last_worker(site: Any) -> None:
    site.ok("PUT", POOL, pool())
    site.ok("PUT", WORKER, worker(site))
    assert site.ok("DELETE", POOL)["providerId"] == "null-provider"
    pass_time(site)
    assert site.ok("GET", POOL)["runningCount"] == 1
    assert site.ok("DELETE", WORKER) == {}
    pass_time(site)
    for verb in ("GET", "DELETE"):
        assert refused(site.call(verb, POOL)) == (404, "ResourceNotFound")
    assert site.call("GET", WORKER).status == 404


def test_lists_pools(site: Any) -> None:
    for name in ("p/b", "p/a", "o/z"):
        site.ok("PUT", f"{API}/worker-pool/{name}", pool())
    page = site.ok("GET", f"{API}/worker-pools?limit=2")
    rest = site.ok("GET", f"{API}/worker-pools?limit=2&continuationToken={page['continuationToken']}")
    found = [each["workerPoolId"] for each in page["workerPools"] + rest["workerPools"]]
    assert found == ["o/z", "p/a", "p/b"]
    assert "continuationToken" not in rest
    stats = site.ok("GET", f"{API}/worker-pools/stats")
    assert stats == {
        "workerPoolsStats": [{"workerPoolId": name, "currentCapacity": 0, **ZERO} for name in ("o/z", "p/a", "p/b")]
    }


def test_lists_launch_configs(site: Any, messages: list[Message]) -> None:
    own = {"size": 2, "workerManager": {"launchConfigId": "own"}}
    made = site.ok("PUT", POOL, pool(config={"launchConfigs": [{"size": 1}, own]}))
    derived = made["config"]["launchConfigs"][0]["workerManager"]["launchConfigId"]
    assert derived.startswith("lc-")
    # The shown definition can be sent back.
    assert site.ok("PUT", POOL, pool(config=made["config"])) == made
    listed = site.ok("GET", f"{API}/worker-pool/p%2Fw/launch-configs")["workerPoolLaunchConfigs"]
    assert [(each["launchConfigId"], each["isArchived"]) for each in listed] == [(derived, False), ("own", False)]
    assert listed[1]["configuration"] == own
    stats = site.ok("GET", f"{POOL}/stats")["launchConfigStats"]
    assert stats == [
        {"workerPoolId": "p/w", "launchConfigId": name, "currentCapacity": 0, **ZERO} for name in (derived, "own")
    ]
    del messages[:]
    site.ok("POST", POOL, pool(config={"launchConfigs": [{**own, "size": 3}]}))
    assert names(messages) == ["launch-config-updated", "launch-config-archived", "worker-pool-updated"]
    assert messages[0].routingKey == "primary.static.p.w._._.own._"
    assert messages[1].payload == {"launchConfigId": derived, "workerPoolId": "p/w", "providerId": "static"}
    path = f"{API}/worker-pool/p%2Fw/launch-configs"
    assert [each["launchConfigId"] for each in site.ok("GET", path)["workerPoolLaunchConfigs"]] == ["own"]
    both = site.ok("GET", f"{path}?includeArchived=true")["workerPoolLaunchConfigs"]
    assert [(each["launchConfigId"], each["isArchived"]) for each in both] == [(derived, True), ("own", False)]
    site.ok("POST", POOL, pool(config=made["config"]))
    assert names(messages)[3:5] == ["launch-config-updated", "launch-config-updated"]
    for path in (f"{API}/worker-pool/p%2Fx/launch-configs", f"{API}/worker-pool/p/x/stats"):
        assert refused(site.call("GET", path)) == (404, "ResourceNotFound")


def test_creates_and_removes_worker(site: Any, messages: list[Message]) -> None:
    site.ok("PUT", POOL, pool(config={"workerConfig": {"a": 1}}))
    made = site.ok("PUT", WORKER, worker(site, capacity=3))
    assert (made["state"], made["capacity"], made["providerId"]) == ("running", 3, "static")
    assert site.ok("PUT", WORKER, worker(site, capacity=3)) == made == site.ok("GET", WORKER)
    got = register(site).json
    assert got["workerConfig"] == {"a": 1}
    assert got["expires"] == site.clock.at(hours=96)
    counts = site.ok("GET", POOL)
    assert (counts["currentCapacity"], counts["runningCount"], counts["runningCapacity"]) == (3, 1, 3)
    none = {"terminate": False, "reason": "none"}
    assert site.ok("GET", f"{WORKER}/should-terminate", by=got["credentials"]) == none
    assert site.ok("DELETE", WORKER, by=got["credentials"]) == {}
    assert site.ok("DELETE", WORKER) == {}
    assert site.ok("GET", WORKER)["state"] == "stopped"
    assert site.ok("GET", f"{WORKER}/should-terminate") == none
    assert site.ok("GET", POOL)["currentCapacity"] == 0
    assert names(messages) == ["worker-pool-created"]


def test_registers_worker(site: Any) -> None:
    site.ok("PUT", POOL, pool())
    site.ok("PUT", WORKER, worker(site))
    credentials = register(site).json["credentials"]
    assert credentials["clientId"] == "worker/static/p/w/g/i"
    certificate = json.loads(credentials["certificate"])
    now = site.clock.now.timestamp() * 1000
    assert certificate["start"] == pytest.approx(now - 15 * 60e3)
    assert certificate["expiry"] == pytest.approx(now + 96 * 3600e3)
    assert certificate["issuer"] == "static/taskcluster/worker-manager"
    assert certificate["scopes"] == [
        "assume:worker-type:p/w",
        "assume:worker-pool:p/w",
        "assume:worker-id:g/i",
        "queue:worker-id:g/i",
        "secrets:get:worker-type:p/w",
        "secrets:get:worker-pool:p/w",
        "queue:claim-work:p/w",
        "worker-manager:remove-worker:p/w/g/i",
        "worker-manager:reregister-worker:p/w/g/i",
        "worker-manager:should-worker-terminate:p/w/g/i",
    ]


def test_registers_again(site: Any) -> None:
    site.ok("PUT", POOL, pool(config={"lifecycle": {"reregistrationTimeout": 3600}}))
    site.ok("PUT", WORKER, worker(site))
    first = register(site).json
    assert first["expires"] == site.clock.at(hours=1)
    path = f"{API}/worker/reregister"

    def again(secret: str, **options: Any) -> Any:
        return site.call("POST", path, {**IN_POOL, "secret": secret}, **options)

    assert refused(again("x" * 44)) == (400, "InputError")
    second = again(first["secret"], by=first["credentials"]).json
    assert set(second) == {"expires", "credentials", "secret"}
    old = again(first["secret"])
    assert refused(old) == (400, "InputError")
    assert old.message == "Could not generate credentials for this secret"
    assert old.json["requestInfo"]["payload"] == "(OMITTED)"
    assert again(second["secret"], by="nobody").status == 403
    for other in ({"workerId": "j"}, {"workerPoolId": "p/x"}):
        assert refused(site.call("POST", path, {**IN_POOL, **other, "secret": "x" * 44})) == (400, "InputError")
    site.ok("DELETE", WORKER)
    assert refused(again(second["secret"])) == (400, "InputError")


def test_rejects_invalid_registration(site: Any) -> None:
    assert refused(register(site)) == (404, "ResourceNotFound")
    site.ok("PUT", POOL, pool())
    assert refused(register(site, providerId="aws")) == (404, "ResourceNotFound")
    assert refused(register(site)) == (404, "ResourceNotFound")
    site.ok("PUT", WORKER, worker(site))
    assert refused(register(site, providerId="null-provider")) == (400, "InputError")
    for proof in ({"staticSecret": "x" * 44}, {"token": "x"}, {"document": "d", "signature": "s"}):
        response = register(site, workerIdentityProof=proof)
        assert refused(response) == (400, "InputError")
        assert response.message == "bad staticSecret in workerIdentityProof"
        assert response.json["requestInfo"]["payload"] == "(OMITTED)"
    for _ in range(2):
        assert register(site, systemBootTime=site.clock.at()).status == 200
    site.ok("DELETE", WORKER)
    assert refused(register(site)) == (400, "InputError")


def test_rejects_invalid_worker(site: Any) -> None:
    assert refused(site.call("PUT", WORKER, worker(site))) == (404, "ResourceNotFound")
    site.ok("PUT", POOL, pool())
    for given in (
        worker(site, expires=site.clock.at()),
        worker(site, capacity=2**31),
        {"expires": site.clock.at(days=1)},
    ):
        response = site.call("PUT", WORKER, given)
        assert refused(response) == (400, "InputError")
        assert SECRET not in response.content.decode()
    assert refused(site.call("PUT", f"{API}/workers/p%2Fw/a%20b/i", worker(site))) == (400, "InputError")
    site.ok("PUT", WORKER, worker(site))
    for change in ({"capacity": 2}, {"expires": site.clock.at(days=2)}, {"providerInfo": {"staticSecret": "x" * 44}}):
        assert refused(site.call("PUT", WORKER, worker(site, **change))) == (409, "RequestConflict")
    site.ok("DELETE", POOL)
    assert refused(site.call("PUT", f"{API}/workers/p%2Fw/g/j", worker(site))) == (400, "InputError")


def test_updates_worker(site: Any) -> None:
    site.ok("PUT", POOL, pool())
    assert refused(site.call("POST", WORKER, worker(site))) == (404, "ResourceNotFound")
    site.ok("PUT", WORKER, worker(site, capacity=2))
    new = "n" * 44
    site.clock.advance(hours=1)
    changed = site.ok("POST", WORKER, worker(site, expires=site.clock.at(days=1), providerInfo={"staticSecret": new}))
    assert (changed["expires"], changed["capacity"]) == (site.clock.at(days=1), 2)
    assert changed["lastModified"] == site.clock.at()
    assert register(site).status == 400
    assert register(site, workerIdentityProof={"staticSecret": new}).status == 200


def test_lists_workers(site: Any) -> None:
    site.ok("PUT", POOL, pool())
    for group, each in (("b", "1"), ("a", "2"), ("a", "1")):
        site.ok("PUT", f"{API}/workers/p%2Fw/{group}/{each}", worker(site))
    site.ok("DELETE", f"{API}/workers/p%2Fw/a/2")

    def listed(path: str) -> list[tuple[str, str]]:
        found = site.ok("GET", f"{API}/workers/p%2Fw{path}")["workers"]
        return [(each["workerGroup"], each["workerId"]) for each in found]

    assert listed("") == [("a", "1"), ("a", "2"), ("b", "1")]
    assert listed("/a") == [("a", "1"), ("a", "2")]
    assert listed("?state=stopped") == [("a", "2")]
    assert listed("?launchConfigId=x") == []
    page = site.ok("GET", f"{API}/workers/p%2Fw?limit=2")
    assert listed(f"?limit=2&continuationToken={page['continuationToken']}") == [("b", "1")]
    assert refused(site.call("GET", f"{API}/workers/p%2Fw?state=asleep")) == (400, "InvalidRequestArguments")
    for verb, path in (("GET", "p%2Fw/a/3"), ("DELETE", "p%2Fw/a/3"), ("DELETE", "p%2Fx/a/1"), ("GET", "p%2Fx")):
        assert refused(site.call(verb, f"{API}/workers/{path}")) == (404, "ResourceNotFound")


def test_reports_errors(site: Any, messages: list[Message]) -> None:
    path = f"{API}/worker-pool-errors/p/w"
    assert refused(site.call("POST", path, error())) == (404, "ResourceNotFound")
    site.ok("PUT", POOL, pool())
    first = site.ok("POST", path, error())
    assert first["extra"] == {"code": "c", "workerGroup": "g", "workerId": "i"}
    site.clock.advance(hours=25)
    second = site.ok("POST", path, error(title="other", extra={}))
    assert site.ok("GET", path) == {"workerPoolErrors": [second, first]}
    assert site.ok("GET", f"{path}?errorId={first['errorId']}") == {"workerPoolErrors": [first]}
    assert site.ok("GET", f"{path}?launchConfigId=x") == {"workerPoolErrors": []}
    page = site.ok("GET", f"{path}?limit=1")
    rest = site.ok("GET", f"{path}?limit=1&continuationToken={page['continuationToken']}")
    assert (page["workerPoolErrors"], rest) == ([second], {"workerPoolErrors": [first]})
    assert messages[-1].payload == {
        **IN_POOL,
        "providerId": "static",
        "errorId": second["errorId"],
        "kind": "k",
        "title": "other",
        "timestamp": site.clock.at(),
    }
    assert messages[-1].routingKey == "primary.static.p.w.g.i._._"


@pytest.mark.parametrize("wanted", [True, False])
def test_emails_owner_about_errors(site: Any, wanted: bool) -> None:
    site.ok("PUT", POOL, pool(emailOnError=wanted))
    reported = site.ok("POST", f"{API}/worker-pool-errors/p/w", error(title="no disk"))
    mails = site.deployment.shared.outbox.messages()
    assert [each.notificationAddress for each in mails] == (["o@example.com"] if wanted else [])
    for mail in mails:
        assert "no disk" in mail.payload["subject"]
        assert reported["errorId"] in mail.payload["content"]
        schema = site.deployment.api.table.named["notify", "email"].input
        assert not site.deployment.api.schemas.schema(schema).errors(mail.payload)


def test_reports_error_if_email_is_rejected(site: Any) -> None:
    site.ok("PUT", POOL, pool(emailOnError=True))
    denied = {"notificationType": "email", "notificationAddress": "o@example.com"}
    assert site.call("POST", "/api/notify/v1/denylist/add", denied).status == 200
    assert site.ok("POST", f"{API}/worker-pool-errors/p/w", error())["title"] == "t"
    assert site.deployment.shared.outbox.messages() == []


def test_counts_errors(site: Any) -> None:
    path = f"{API}/worker-pool-errors"
    site.ok("PUT", POOL, pool())
    site.ok("PUT", f"{API}/worker-pool/p/x", pool())
    site.ok("POST", f"{path}/p/w", error())
    site.clock.advance(hours=25)
    site.ok("POST", f"{path}/p/x", error(title="other", extra={}))
    every = site.ok("GET", f"{path}/stats")
    assert every["workerPoolId"] == ""
    totals = every["totals"]
    assert (totals["total"], totals["title"], totals["code"]) == (2, {"t": 1, "other": 1}, {"c": 1, "other": 1})
    assert (totals["workerPool"], totals["launchConfig"]) == ({"p/w": 1, "p/x": 1}, {"unknown": 2})
    assert (sum(totals["daily"].values()), len(totals["daily"])) == (2, 7)
    assert totals["daily"]["2030-03-01T00:00:00.000Z"] == totals["hourly"]["2030-03-02T13:00:00.000Z"] == 1
    assert (sum(totals["hourly"].values()), len(totals["hourly"])) == (1, 24)
    one = site.ok("GET", f"{path}/stats?workerPoolId=p/w")
    assert (one["workerPoolId"], one["totals"]["total"]) == ("p/w", 1)
    assert refused(site.call("GET", f"{path}/stats?workerPoolId=x")) == (400, "InvalidRequestArguments")
    pass_time(site, days=6)
    assert site.ok("GET", f"{path}/p/w") == {"workerPoolErrors": []}
    assert site.ok("GET", f"{path}/stats")["totals"]["total"] == 1


def test_removes_expired_workers(site: Any, messages: list[Message]) -> None:
    site.ok("PUT", POOL, pool())
    site.ok("PUT", WORKER, worker(site, expires=site.clock.at(hours=1)))
    site.ok("PUT", f"{API}/workers/p%2Fw/g/j", worker(site))
    pass_time(site, minutes=59)
    assert site.call("GET", WORKER).status == 200
    pass_time(site, minutes=1)
    assert site.call("GET", WORKER).status == 404
    assert site.call("GET", f"{API}/workers/p%2Fw/g/j").status == 200
    assert names(messages) == ["worker-pool-created"]


def test_claim_expires_before_its_worker_is_removed(site: Any, slug: Any, task: Any) -> None:
    site.ok("PUT", POOL, pool())
    site.ok("PUT", WORKER, worker(site, expires=site.clock.at(hours=1)))
    path = f"/api/queue/v1/task/{slug(1)}"
    site.ok("PUT", path, task())
    site.ok("POST", "/api/queue/v1/claim-work/p/w", {"workerGroup": "g", "workerId": "i"})
    pass_time(site, hours=1)
    first, second = site.ok("GET", f"{path}/status")["status"]["runs"]
    assert (first["reasonResolved"], second["reasonCreated"], second["state"]) == ("claim-expired", "retry", "pending")


class KnownWorkers:
    """A queue that knows two workers."""

    def __init__(self, date: str) -> None:
        self.removed: list[tuple[str, ...]] = []
        self.listed = [
            {"workerGroup": "g", "workerId": name, "firstClaim": date, "lastDateActive": date} for name in ("i", "j")
        ]
        self._details = {"recentTasks": [], "expires": date}

    def worker(self, taskQueueId: str, workerGroup: str, workerId: str) -> dict[str, Any] | None:
        found = next((each for each in self.listed if each["workerId"] == workerId), None)
        return None if found is None else {"taskQueueId": taskQueueId, **found, **self._details}

    def workers(self, taskQueueId: str, page: Page, now: datetime, *, quarantined: bool | None) -> Listing:
        return Listing([] if quarantined else self.listed[: page.limit], "more" if page.limit == 1 else None)

    def worker_removed(self, workerPoolId: str, workerGroup: str, workerId: str, now: datetime) -> None:
        self.removed.append((workerPoolId, workerGroup, workerId))


@pytest.fixture
def queue(site: Any) -> KnownWorkers:
    return KnownWorkers(site.clock.at())


@pytest.fixture
def workers(site: Any, queue: KnownWorkers) -> PoolWorkers:
    """The workers of the site, one of them created, with such a queue."""
    site.ok("PUT", POOL, pool())
    site.ok("PUT", WORKER, worker(site))
    events = site.deployment.events
    return PoolWorkers(site.store, Pools(site.store, events), queue)


def test_joins_workers_with_queue_records(site: Any, workers: PoolWorkers, queue: KnownWorkers) -> None:
    def joined(size: int = 9, **wanted: Any) -> Listing:
        every = {"quarantined": None, "state": None, "launchConfigId": None, **wanted}
        return workers.all_joined("p/w", Page(size), site.clock.now, **every)

    known = {"workerPoolId": "p/w", "providerId": "static", "state": "running", "capacity": 1}
    first, second = joined().rows
    assert first == {**queue.listed[0], **known}
    assert second == {**queue.listed[1], "state": "standalone"}
    assert joined(state="standalone").rows == [second]
    assert joined(state="running").rows == [first]
    assert joined(launchConfigId="x").rows == []
    assert joined(quarantined=True).rows == []
    assert joined(1) == Listing([first], "more")
    schema = site.deployment.api.schemas.schema("worker-manager/v1/list-workers-response.json")
    assert not schema.errors({"workers": [first, second]})
    one = workers.joined("p/w", "g", "i")
    assert one == {**first, "recentTasks": [], "expires": site.clock.at()}
    with pytest.raises(ApiError, match="ResourceNotFound"):
        workers.joined("p/w", "g", "k")


def test_ends_runs_of_removed_worker_once(site: Any, workers: PoolWorkers, queue: KnownWorkers) -> None:
    key = ("p/w", "g", "i")
    workers.remove(key, site.clock.now)
    workers.remove(key, site.clock.now)
    with pytest.raises(ApiError, match="ResourceNotFound"):
        workers.remove(("p/w", "g", "k"), site.clock.now)
    site.clock.advance(days=9)
    workers.expire(site.clock.now)
    assert queue.removed == [key]


def test_lists_workers_known_to_queue(site: Any) -> None:
    site.ok("POST", "/api/queue/v1/claim-work/p/w", {"workerGroup": "g", "workerId": "i"})
    path = f"{API}/provisioners/p/worker-types/w/workers"
    never = site.clock.at(days=-3650)
    [listed] = site.ok("GET", path)["workers"]
    assert listed["quarantineUntil"] == never
    found = site.ok("GET", f"{path}/g/i")
    assert (found["quarantineUntil"], found["quarantineDetails"]) == (never, [])
    until = site.clock.at(days=1)
    site.ok("PUT", "/api/queue/v1/provisioners/p/worker-types/w/workers/g/i", {"quarantineUntil": until})
    assert site.ok("GET", path)["workers"][0]["quarantineUntil"] == until
    [detail] = site.ok("GET", f"{path}/g/i")["quarantineDetails"]
    assert detail["quarantineUntil"] == until


def test_returns_404_for_unknown_worker(site: Any) -> None:
    path = f"{API}/provisioners/p/worker-types/w/workers"
    assert site.ok("GET", path) == {"workers": []}
    assert refused(site.call("GET", f"{path}/g/i")) == (404, "ResourceNotFound")
    assert refused(site.call("GET", f"{path}?workerState=asleep")) == (400, "InvalidRequestArguments")
    assert refused(site.call("GET", f"{path}?quarantined=maybe")) == (400, "InvalidRequestArguments")


def test_requires_scopes(new_site: Any) -> None:
    may = {"clientId": "may", "accessToken": "m" * 44, "scopes": ["worker-manager:manage-worker-pool:p/w"]}
    with new_site(clients=[may]) as site:
        assert site.call("PUT", POOL, {}, by="may").status == 400
        assert site.call("PUT", POOL, pool(), by="may").status == 403
        assert site.call("POST", POOL, pool(), by="may").status == 404
        site.ok("PUT", POOL, pool())
        assert site.call("POST", POOL, pool(), by="may").status == 403
        assert site.call("POST", f"{API}/worker-pool-errors/p/w", error(), by="may").status == 403
        response = site.call("GET", f"{API}/worker-pool-errors/stats", by="may")
        assert response.status == 403
        assert "worker-manager:list-worker-pool-errors:*\n" in response.message
        assert site.call("PUT", WORKER, {}, by="may").status == 403
        assert site.call("DELETE", POOL, by="may").status == 200


def test_replaces_unpaired_surrogate(site: Any) -> None:
    assert site.ok("PUT", POOL, pool(description="a\ud800b"))["description"] == "a\ufffdb"
