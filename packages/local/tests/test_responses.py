"""What every method of every service responds with and publishes: one table with at least one row for each method.

Whatever is published, by set-ups too, must be what its exchange's schema says. (Order has its table in test_collation.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from taskcluster_local.deployment import ROOT_CLIENT
from taskcluster_local.endpoints import references
from taskcluster_local.events import Binding, Message

# The clock of a site stands at 2030-03-01T12:00:00.123Z.
TOMORROW = "2030-03-02T12:00:00.123Z"
API = references()
METHODS = {(service, method["name"]): method for service, spec in API.items() for method in spec["methods"]}
EXCHANGES = {
    spec["exchangePrefix"] + exchange["exchange"]: (f"{service}.{exchange['name']}", exchange["schema"])
    for service, spec in API.items()
    for exchange in spec.get("exchanges", ())
}

WITHOUT_ROWS = {
    "github",
    "index",
    "notify",
    "object",
    "purge-cache",
    "queue",
    "secrets",
    "web-server",
}
"""The services whose methods, apart from HOUSEKEEPING, have no rows yet."""
HOUSEKEEPING = {"ping", "lbheartbeat", "heartbeat", "version"}


@dataclass(frozen=True)
class Row:
    """One call and what comes of it."""

    method: str
    """Such as `auth.client`."""
    params: str = ""
    """Of the URL, in their order, with a space between them; with a query after `?`."""
    payload: Any = None
    status: int = 200
    body: Any = None
    """Of a success, its shape: for objects their keys, each with a shape; for arrays the shape of all items (there must
    be one if that is an object); a type, also of objects and arrays whose content is free; a value that must be equal.
    Of an error its code."""
    publishes: str = ""
    """The exchanges that messages go to, in their order, such as `auth.clientCreated`."""
    after: tuple[Row, ...] = ()
    """What is called before; it must succeed."""
    by: str | Mapping[str, str] | None = ROOT_CLIENT

    def __str__(self) -> str:
        return f"{self.method}-{self.status}"


def call(site: Any, row: Row) -> Any:
    method = METHODS[tuple(row.method.split(".", 1))]
    params, _, query = row.params.partition("?")
    route = method["route"]
    for name, value in zip(method["args"], params.split(), strict=True):
        route = route.replace(f"<{name}>", quote(value, safe=""))
    target = f"/api/{row.method.partition('.')[0]}/v1{route}" + (f"?{query}" if query else "")
    return site.call(method["method"].upper(), target, row.payload, by=row.by)


def differences(found: Any, shape: Any, where: str = "body") -> list[str]:
    """Return how a body differs from a shape."""
    if isinstance(shape, type):
        return [] if type(found) is shape else [f"{where} is {found!r}, not {shape.__name__}"]
    if isinstance(shape, dict) and isinstance(found, dict):
        if found.keys() != shape.keys():
            return [f"{where} has the keys {sorted(found)}, not {sorted(shape)}"]
        return [text for key in shape for text in differences(found[key], shape[key], f"{where}.{key}")]
    if (
        isinstance(shape, list)
        and isinstance(found, list)
        and len(shape) == 1
        and (found or isinstance(shape[0], type))
    ):
        return [text for at, item in enumerate(found) for text in differences(item, shape[0], f"{where}[{at}]")]
    return [] if found == shape else [f"{where} is {found!r}, not {shape!r}"]


# auth

GIVEN_CLIENT = {"expires": TOMORROW, "description": "d", "scopes": ["a:1", "a:1*"]}
CLIENT = {
    "clientId": str, "description": str, "expires": str, "created": str, "lastModified": str, "lastDateUsed": str,
    "lastRotated": str, "deleteOnExpiration": bool, "scopes": [str], "expandedScopes": [str], "disabled": bool,
}  # fmt: skip
NEW_CLIENT = Row("auth.createClient", "c", GIVEN_CLIENT)
GIVEN_ROLE = {"scopes": ["a:1", "a:1*"], "description": "d"}
ROLE = {
    "roleId": str, "scopes": ["a:1*", "a:1"], "description": str, "created": str, "lastModified": str,
    "expandedScopes": ["a:1*", "a:1", "assume:r"],
}  # fmt: skip
ANY_ROLE = {**ROLE, "scopes": [str], "expandedScopes": [str]}
NEW_ROLE = Row("auth.createRole", "r", GIVEN_ROLE)
HISTORY = {"auditHistory": [{"clientId": str, "actionType": str, "created": str, "entityId": str, "entityType": str}]}
HAWK = {"method": "get", "resource": "/", "host": "h", "port": 80}
TESTER = {"clientId": "tester", "accessToken": "no-secret"}
NOT_HERE = {"status": 400, "body": "NotInLocalDeployment"}
AUTH = [
    Row("auth.listClients", body={"clients": [CLIENT]}, after=(NEW_CLIENT,)),
    Row("auth.client", "c", body={**CLIENT, "scopes": ["a:1*", "a:1"]}, after=(NEW_CLIENT,)),
    Row("auth.client", "c", status=404, body="ResourceNotFound"),
    Row("auth.createClient", "c", GIVEN_CLIENT, body={**CLIENT, "accessToken": str}, publishes="auth.clientCreated"),
    Row("auth.createClient", "c", {**GIVEN_CLIENT, "description": "e"}, 409, "RequestConflict", after=(NEW_CLIENT,)),
    Row("auth.createClient", "static/c", GIVEN_CLIENT, 400, "InputError"),
    Row("auth.createClient", "c", {**GIVEN_CLIENT, "expires": None}, 400, "InputValidationError"),
    Row("auth.createClient", "c", GIVEN_CLIENT, 403, "InsufficientScopes", by=None),
    Row("auth.updateClient", "c", GIVEN_CLIENT, body=CLIENT, publishes="auth.clientUpdated", after=(NEW_CLIENT,)),
    Row("auth.updateClient", "c", GIVEN_CLIENT, 404, "ResourceNotFound"),
    Row(
        "auth.resetAccessToken", "c", body={**CLIENT, "accessToken": str}, publishes="auth.clientUpdated",
        after=(NEW_CLIENT,),
    ),
    Row("auth.resetAccessToken", "c", status=404, body="ResourceNotFound"),
    Row("auth.enableClient", "c", body=CLIENT, publishes="auth.clientUpdated", after=(NEW_CLIENT,)),
    Row("auth.enableClient", "c", status=404, body="ResourceNotFound"),
    Row(
        "auth.disableClient", "c", body={**CLIENT, "disabled": True}, publishes="auth.clientUpdated",
        after=(NEW_CLIENT,),
    ),
    Row("auth.disableClient", "c", status=404, body="ResourceNotFound"),
    Row("auth.deleteClient", "c", status=204, publishes="auth.clientDeleted", after=(NEW_CLIENT,)),
    Row("auth.deleteClient", "c", status=204, publishes="auth.clientDeleted"),
    Row("auth.getEntityHistory", "client c", body=HISTORY, after=(NEW_CLIENT,)),
    Row("auth.getEntityHistory", "task c", status=400, body="InputError"),
    Row("auth.listAuditHistory", ROOT_CLIENT, body=HISTORY, after=(NEW_CLIENT,)),
    Row("auth.listAuditHistory", "c", body={"auditHistory": []}),
    Row("auth.listRoles", body=[ANY_ROLE]),
    Row("auth.listRoles2", "?limit=1", body={"roles": [ANY_ROLE], "continuationToken": str}, after=(NEW_ROLE,)),
    Row("auth.listRoles2", body={"roles": [ANY_ROLE]}),
    Row("auth.listRoleIds", body={"roleIds": ["anonymous", "r"]}, after=(NEW_ROLE,)),
    Row("auth.role", "r", body=ROLE, after=(NEW_ROLE,)),
    Row("auth.role", "r", status=404, body="ResourceNotFound"),
    Row("auth.createRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleCreated"),
    Row("auth.createRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleCreated", after=(NEW_ROLE,)),
    Row("auth.createRole", "r", {"scopes": [], "description": "d"}, 409, "RequestConflict", after=(NEW_ROLE,)),
    Row("auth.createRole", "r", {"scopes": ["a*"], "description": "d"}, 400, "InputError"),
    Row("auth.updateRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleUpdated", after=(NEW_ROLE,)),
    Row("auth.updateRole", "r", {"scopes": ["*"], "description": "d"}, 400, "InputError", after=(NEW_ROLE,)),
    Row("auth.updateRole", "r", GIVEN_ROLE, 404, "ResourceNotFound"),
    Row("auth.deleteRole", "r", status=204, publishes="auth.roleDeleted", after=(NEW_ROLE,)),
    Row("auth.deleteRole", "r", status=204, publishes="auth.roleDeleted"),
    Row("auth.expandScopes", "", {"scopes": ["b", "a:1", "a:1*"]}, body={"scopes": ["a:1*", "a:1", "b"]}),
    Row("auth.currentScopes", body={"scopes": ["*"]}),
    Row("auth.currentScopes", body={"scopes": [str]}, by=None),
    Row(
        "auth.authenticateHawk", "", HAWK,
        body={"status": "no-auth", "scheme": "none", "scopes": [str], "expires": str},
    ),
    Row("auth.authenticateHawk", "", {**HAWK, "authorization": "x"}, body={"status": "auth-failed", "message": str}),
    Row("auth.testAuthenticate", "", {"clientScopes": ["a"]}, body={"clientId": str, "scopes": [str]}, by=TESTER),
    Row("auth.testAuthenticate", "", {"requiredScopes": ["a"]}, 403, "InsufficientScopes", by=TESTER),
    Row("auth.testAuthenticateGet", body={"clientId": str, "scopes": [str]}, by=TESTER),
    Row("auth.awsS3Credentials", "read-only b p", **NOT_HERE),
    Row("auth.awsS3Credentials", "all b p", status=400, body="InvalidRequestArguments"),
    Row("auth.sentryDSN", "p", **NOT_HERE),
    Row("auth.websocktunnelToken", "a c", **NOT_HERE),
    Row("auth.gcpCredentials", "p a", **NOT_HERE),
    Row("auth.githubRepoToken", "a o", {"repositories": ["r"], "permissions": {"contents": "read"}}, **NOT_HERE),
    Row("auth.azureAccounts", **NOT_HERE),
    Row("auth.azureTables", "a", **NOT_HERE),
    Row("auth.azureTableSAS", "a t read-only", **NOT_HERE),
    Row("auth.azureContainers", "a", **NOT_HERE),
    Row("auth.azureContainerSAS", "a c read-only", **NOT_HERE),
]  # fmt: skip

# hooks

METADATA = {"name": "n", "description": "d", "owner": "o@example.com", "emailOnError": False}
TEMPLATE = {
    "taskQueueId": "p/w", "payload": {},
    "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
}  # fmt: skip
GIVEN_HOOK = {"metadata": METADATA, "task": TEMPLATE}
HOOK = {
    "hookGroupId": "g", "hookId": "h", "metadata": METADATA, "task": dict, "schedule": [], "bindings": [],
    "triggerSchema": {"type": "object", "additionalProperties": False},
}  # fmt: skip
NEW_HOOK = Row("hooks.createHook", "g h", GIVEN_HOOK)
HOOK_ROLE = Row("auth.createRole", "hook-id:g/h", {"scopes": ["queue:*"], "description": ""})
FIRED = {"taskId": str, "status": {"taskId": str}}
TASK_MESSAGES = "queue.taskDefined queue.taskPending"
FIRE = {
    "hookGroupId": "g", "hookId": "h", "taskId": str, "firedBy": "triggerHook", "taskCreateTime": str,
    "result": "success", "taskState": "pending", "error": "",
}  # fmt: skip
LAST_FIRE = {"result": "success", "taskId": str, "time": str}
TRIGGERED = (NEW_HOOK, HOOK_ROLE, Row("hooks.triggerHook", "g h", {}))
DENIED_BINDING = {"exchange": "exchange/taskcluster-queue/v1/task-created", "routingKeyPattern": "#"}
SCHEDULE = ["@daily", "0 5 * * *"]
HOOKS = [
    Row("hooks.listHookGroups", body={"groups": ["g"]}, after=(NEW_HOOK,)),
    Row("hooks.listHooks", "g", body={"hooks": [HOOK]}, after=(NEW_HOOK,)),
    Row("hooks.listHooks", "g", status=404, body="ResourceNotFound"),
    Row("hooks.hook", "g h", body=HOOK, after=(NEW_HOOK,)),
    Row("hooks.hook", "g h", status=404, body="ResourceNotFound"),
    Row("hooks.createHook", "g h", GIVEN_HOOK, body=HOOK, publishes="hooks.hookCreated"),
    Row("hooks.createHook", "g h", GIVEN_HOOK, 409, "RequestConflict", after=(NEW_HOOK,)),
    Row("hooks.createHook", "g h", {**GIVEN_HOOK, "bindings": []}, body=HOOK, after=(NEW_HOOK,)),
    Row("hooks.createHook", "g h", {**GIVEN_HOOK, "bindings": [DENIED_BINDING]}, 400, "InputError"),
    Row("hooks.createHook", "g h", {**GIVEN_HOOK, "schedule": ["soon"]}, 400, "InputError"),
    Row(
        "hooks.createHook", "g h", {**GIVEN_HOOK, "schedule": SCHEDULE}, body={**HOOK, "schedule": SCHEDULE},
        publishes="hooks.hookCreated",
    ),
    Row("hooks.updateHook", "g h", GIVEN_HOOK, body=HOOK, publishes="hooks.hookUpdated", after=(NEW_HOOK,)),
    Row("hooks.updateHook", "g h", {**GIVEN_HOOK, "bindings": [DENIED_BINDING]}, 400, "InputError", after=(NEW_HOOK,)),
    Row("hooks.updateHook", "g h", GIVEN_HOOK, 404, "ResourceNotFound"),
    Row("hooks.removeHook", "g h", body={}, publishes="hooks.hookDeleted", after=(NEW_HOOK,)),
    Row("hooks.removeHook", "g h", body={}),
    Row("hooks.triggerHook", "g h", {}, body=FIRED, publishes=TASK_MESSAGES, after=(NEW_HOOK, HOOK_ROLE)),
    Row("hooks.triggerHook", "g h", {"x": 1}, 400, "InputError", after=(NEW_HOOK, HOOK_ROLE)),
    Row("hooks.triggerHook", "g h", {}, 403, "InsufficientScopes", after=(NEW_HOOK,)),
    Row("hooks.triggerHook", "g h", {}, 404, "ResourceNotFound"),
    Row("hooks.triggerHookWithToken", "g h x", {}, 401, "AuthenticationFailed", after=(NEW_HOOK,), by=None),
    Row("hooks.triggerHookWithToken", "g h x", {}, 404, "ResourceNotFound", by=None),
    Row("hooks.getTriggerToken", "g h", body={"token": str}, after=(NEW_HOOK,)),
    Row("hooks.getTriggerToken", "g h", status=404, body="ResourceNotFound"),
    Row("hooks.resetTriggerToken", "g h", body={"token": str}, after=(NEW_HOOK,)),
    Row("hooks.resetTriggerToken", "g h", status=404, body="ResourceNotFound"),
    Row("hooks.listLastFires", "g h", body={"lastFires": [FIRE]}, after=TRIGGERED),
    Row("hooks.listLastFires", "g h", status=404, body="ResourceNotFound", after=(NEW_HOOK,)),
    Row("hooks.getHookStatus", "g h", body={"lastFire": {"result": "no-fire"}}, after=(NEW_HOOK,)),
    Row("hooks.getHookStatus", "g h", body={"lastFire": LAST_FIRE}, after=TRIGGERED),
    Row("hooks.getHookStatus", "g h", status=404, body="ResourceNotFound"),
]  # fmt: skip

# worker-manager

GIVEN_POOL = {
    "providerId": "static", "description": "d", "config": {"launchConfigs": [{}]}, "owner": "o@example.com",
    "emailOnError": False,
}  # fmt: skip
STATES = ("requested", "running", "stopping", "stopped")
COUNTS = {"currentCapacity": int, **{f"{state}{what}": int for state in STATES for what in ("Count", "Capacity")}}
POOL = {**GIVEN_POOL, **COUNTS, "workerPoolId": "p/w", "created": str, "lastModified": str, "config": dict}
NEW_POOL = Row("worker-manager.createWorkerPool", "p/w", GIVEN_POOL)
NOT_A_CONFIG = {**GIVEN_POOL, "config": {"minCapacity": 1}}
LAUNCH_CONFIG = {
    "launchConfigId": str, "workerPoolId": "p/w", "isArchived": False, "created": str, "lastModified": str,
    "configuration": dict,
}  # fmt: skip
SECRET = "s" * 44
IN_POOL = {"workerPoolId": "p/w", "workerGroup": "g", "workerId": "i"}
GIVEN_WORKER = {"expires": TOMORROW, "capacity": 2, "providerInfo": {"staticSecret": SECRET}}
OTHER_WORKER = {**GIVEN_WORKER, "capacity": 3}
WORKER = {
    **IN_POOL, "providerId": "static", "created": str, "expires": TOMORROW, "state": "running", "capacity": 2,
    "lastModified": str, "lastChecked": str,
}  # fmt: skip
WITH_WORKER = (NEW_POOL, Row("worker-manager.createWorker", "p/w g i", GIVEN_WORKER))
REMOVED = (*WITH_WORKER, Row("worker-manager.removeWorker", "p/w g i"))
PROOF = {**IN_POOL, "providerId": "static", "workerIdentityProof": {"staticSecret": SECRET}}
REGISTERED = (*WITH_WORKER, Row("worker-manager.registerWorker", "", PROOF, by=None))
REGISTRATION = {
    "expires": str, "credentials": {"clientId": str, "accessToken": str, "certificate": str}, "secret": str,
    "workerConfig": {},
}  # fmt: skip
STAY = {"terminate": False, "reason": "none"}
GIVEN_ERROR = {"workerGroup": "g", "workerId": "i", "kind": "k", "title": "t", "description": "d", "extra": {}}
ERROR = {
    "workerPoolId": "p/w", "errorId": str, "reported": str, "kind": "k", "title": "t", "description": "d",
    "extra": {"workerGroup": "g", "workerId": "i"},
}  # fmt: skip
WITH_ERROR = (NEW_POOL, Row("worker-manager.reportWorkerError", "p/w", GIVEN_ERROR))
LAST_DAYS = {f"2030-02-{day}T00:00:00.000Z": 0 for day in range(23, 29)}
TOTALS = {
    "total": 1, "daily": {**LAST_DAYS, "2030-03-01T00:00:00.000Z": 1}, "hourly": dict, "title": {"t": 1},
    "code": {"other": 1}, "workerPool": {"p/w": 1}, "launchConfig": {"unknown": 1},
}  # fmt: skip
SEEN = (*WITH_WORKER, Row("queue.claimWork", "p/w", {"workerGroup": "g", "workerId": "i"}))
LISTED = {
    "workerGroup": "g", "workerId": "i", "firstClaim": str, "lastDateActive": str, "quarantineUntil": str,
    "workerPoolId": "p/w", "providerId": "static", "state": "running", "capacity": 2,
}  # fmt: skip
JOINED = {
    **LISTED, "provisionerId": "p", "workerType": "w", "recentTasks": [], "expires": str, "quarantineDetails": [],
}  # fmt: skip
WORKER_MANAGER = [
    Row("worker-manager.listProviders", body={"providers": [{"providerId": str, "providerType": str}]}),
    Row(
        "worker-manager.createWorkerPool", "p/w", GIVEN_POOL, body=POOL,
        publishes="worker-manager.launchConfigCreated worker-manager.workerPoolCreated",
    ),
    Row("worker-manager.createWorkerPool", "p/w", GIVEN_POOL, body=POOL, after=(NEW_POOL,)),
    Row("worker-manager.createWorkerPool", "p/w", NOT_A_CONFIG, 400, "InputValidationError"),
    Row("worker-manager.createWorkerPool", "p/w", {**GIVEN_POOL, "providerId": "x"}, 400, "InputError"),
    Row(
        "worker-manager.createWorkerPool", "p/w", {**GIVEN_POOL, "description": "e"}, 409, "RequestConflict",
        after=(NEW_POOL,),
    ),
    Row(
        "worker-manager.updateWorkerPool", "p/w", GIVEN_POOL, body=POOL, after=(NEW_POOL,),
        publishes="worker-manager.workerPoolUpdated",
    ),
    Row("worker-manager.updateWorkerPool", "p/w", NOT_A_CONFIG, 400, "InputValidationError", after=(NEW_POOL,)),
    Row("worker-manager.updateWorkerPool", "p/w", GIVEN_POOL, 404, "ResourceNotFound"),
    Row(
        "worker-manager.deleteWorkerPool", "p/w", body={**POOL, "providerId": "null-provider"}, after=(NEW_POOL,),
        publishes="worker-manager.workerPoolUpdated",
    ),
    Row("worker-manager.deleteWorkerPool", "p/w", status=404, body="ResourceNotFound"),
    Row("worker-manager.workerPool", "p/w", body=POOL, after=(NEW_POOL,)),
    Row("worker-manager.workerPool", "p/w", status=404, body="ResourceNotFound"),
    Row("worker-manager.listWorkerPools", body={"workerPools": [POOL]}, after=(NEW_POOL,)),
    Row(
        "worker-manager.listWorkerPoolsStats", body={"workerPoolsStats": [{**COUNTS, "workerPoolId": "p/w"}]},
        after=(NEW_POOL,),
    ),
    Row(
        "worker-manager.workerPoolStats", "p/w", after=(NEW_POOL,),
        body={"launchConfigStats": [{**COUNTS, "workerPoolId": "p/w", "launchConfigId": str}]},
    ),
    Row("worker-manager.workerPoolStats", "p/w", status=404, body="ResourceNotFound"),
    Row(
        "worker-manager.listWorkerPoolLaunchConfigs", "p/w", body={"workerPoolLaunchConfigs": [LAUNCH_CONFIG]},
        after=(NEW_POOL,),
    ),
    Row("worker-manager.listWorkerPoolLaunchConfigs", "p/w", status=404, body="ResourceNotFound"),
    Row(
        "worker-manager.reportWorkerError", "p/w", GIVEN_ERROR, body=ERROR, after=(NEW_POOL,),
        publishes="worker-manager.workerPoolError",
    ),
    Row("worker-manager.reportWorkerError", "p/w", GIVEN_ERROR, 404, "ResourceNotFound"),
    Row("worker-manager.listWorkerPoolErrors", "p/w", body={"workerPoolErrors": [ERROR]}, after=WITH_ERROR),
    Row(
        "worker-manager.workerPoolErrorStats", "?workerPoolId=p/w", body={"workerPoolId": "p/w", "totals": TOTALS},
        after=WITH_ERROR,
    ),
    Row("worker-manager.workerPoolErrorStats", body={"workerPoolId": "", "totals": TOTALS}, after=WITH_ERROR),
    Row("worker-manager.workerPoolErrorStats", status=403, body="InsufficientScopes", by=None),
    Row("worker-manager.listWorkersForWorkerPool", "p/w", body={"workers": [WORKER]}, after=WITH_WORKER),
    Row("worker-manager.listWorkersForWorkerPool", "p/w", status=404, body="ResourceNotFound"),
    Row("worker-manager.listWorkersForWorkerGroup", "p/w g", body={"workers": [WORKER]}, after=WITH_WORKER),
    Row("worker-manager.worker", "p/w g i", body=WORKER, after=WITH_WORKER),
    Row("worker-manager.worker", "p/w g i", status=404, body="ResourceNotFound", after=(NEW_POOL,)),
    Row("worker-manager.createWorker", "p/w g i", GIVEN_WORKER, body=WORKER, after=(NEW_POOL,)),
    Row("worker-manager.createWorker", "p/w g i", GIVEN_WORKER, body=WORKER, after=WITH_WORKER),
    Row("worker-manager.createWorker", "p/w g i", OTHER_WORKER, 409, "RequestConflict", after=WITH_WORKER),
    Row("worker-manager.createWorker", "p/w g i", GIVEN_WORKER, 404, "ResourceNotFound"),
    Row("worker-manager.updateWorker", "p/w g i", GIVEN_WORKER, body=WORKER, after=WITH_WORKER),
    Row("worker-manager.updateWorker", "p/w g i", GIVEN_WORKER, 404, "ResourceNotFound", after=(NEW_POOL,)),
    Row("worker-manager.removeWorker", "p/w g i", body={}, after=WITH_WORKER),
    Row("worker-manager.removeWorker", "p/w g i", body={}, after=REMOVED),
    Row("worker-manager.removeWorker", "p/w g i", status=404, body="ResourceNotFound", after=(NEW_POOL,)),
    Row("worker-manager.shouldWorkerTerminate", "p/w g i", body=STAY, after=WITH_WORKER),
    Row("worker-manager.shouldWorkerTerminate", "p/w g i", body=STAY, after=REMOVED),
    Row("worker-manager.shouldWorkerTerminate", "p/w g i", status=404, body="ResourceNotFound"),
    Row("worker-manager.registerWorker", "", PROOF, body=REGISTRATION, after=WITH_WORKER, by=None),
    Row("worker-manager.registerWorker", "", PROOF, body=REGISTRATION, after=REGISTERED, by=None),
    Row("worker-manager.registerWorker", "", {**PROOF, "workerId": "j"}, 404, "ResourceNotFound", after=WITH_WORKER),
    Row(
        "worker-manager.registerWorker", "", {**PROOF, "providerId": "null-provider"}, 400, "InputError",
        after=WITH_WORKER,
    ),
    Row("worker-manager.reregisterWorker", "", {**IN_POOL, "secret": SECRET}, 400, "InputError", after=WITH_WORKER),
    Row("worker-manager.reregisterWorker", "", {**IN_POOL, "secret": SECRET}, 400, "InputError"),
    Row("worker-manager.listWorkers", "p w", body={"workers": [LISTED]}, after=SEEN),
    Row("worker-manager.listWorkers", "p w", body={"workers": []}, after=WITH_WORKER),
    Row("worker-manager.getWorker", "p w g i", body=JOINED, after=SEEN),
    Row("worker-manager.getWorker", "p w g i", status=404, body="ResourceNotFound", after=WITH_WORKER),
]  # fmt: skip

OF_ALL = [
    Row(f"{service}.{method}", body=body, by=None)
    for service in API
    for method, body in (
        ("ping", {"alive": True, "uptime": float}),
        ("lbheartbeat", {}),
        ("heartbeat", {}),
        ("version", {"version": str, "commit": str, "source": str, "build": str}),
    )
    if (service, method) in METHODS
]
ROWS = [*OF_ALL, *AUTH, *HOOKS, *WORKER_MANAGER]


def test_every_method_has_a_row() -> None:
    expected = {
        f"{service}.{method}" for service, method in METHODS if service not in WITHOUT_ROWS or method in HOUSEKEEPING
    }
    assert {row.method for row in ROWS} == expected


@pytest.mark.once
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_response_and_what_is_published(site: Any, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcluster_local.services.queue.routes._POLL_SECONDS", 0.0)
    published: list[Message] = []
    subscription = site.deployment.events.subscribe([Binding(name, "#") for name in EXCHANGES], published.append)
    for before in row.after:
        assert call(site, before).status < 300, before
    asyncio.run(site.deployment.pass_time())
    earlier = len(published)
    answer = call(site, row)
    subscription.close()
    assert answer.status == row.status, answer.content
    if row.status >= 400:
        assert answer.json.keys() == {"code", "message", "requestInfo"}
        assert answer.code == row.body
    elif row.status == 204:
        assert answer.content == b""
    else:
        assert not differences(answer.json, row.body)
    assert [EXCHANGES[message.exchange][0] for message in published[earlier:]] == row.publishes.split()
    for message in published:
        assert not site.deployment.api.schemas.schema(EXCHANGES[message.exchange][1]).errors(message.payload)
