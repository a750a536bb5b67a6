"""Tests of the response and the messages of every method: one table with at least one row for each method.

The order of listings is tested in test_collation. A message that violates its schema makes the response a 500.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from taskcluster_local import own_api
from taskcluster_local.deployment import ROOT_CLIENT
from taskcluster_local.endpoints import references
from taskcluster_local.events import Binding, Message

# The clock of a site stands at 2030-03-01T12:00:00.123Z.
TOMORROW = "2030-03-02T12:00:00.123Z"
ROOT = Path(__file__).parents[3]
API = references()
METHODS = {(service, method["name"]): method for service, spec in API.items() for method in spec["methods"]}
OWN = {("local", method["name"]): method for method in own_api.REFERENCE["methods"]}
EXCHANGES = {
    spec["exchangePrefix"] + exchange["exchange"]: f"{service}.{exchange['name']}"
    for service, spec in API.items()
    for exchange in spec.get("exchanges", ())
}


@dataclass(frozen=True)
class Case:
    """A call and its expected results."""

    method: str
    """Such as `auth.client`."""
    params: str = ""
    """The URL parameters in order, separated by spaces; with a query after `?`."""
    payload: Any = None
    status: int = 200
    body: Any = None
    """For a success, its shape: objects have the shape of each property; arrays have one shape for all items (objects
    must have at least one item) or one for each; a type accepts any value of it; other values must be equal. A body
    that is not JSON is bytes. For an error, its code."""
    publishes: str = ""
    """The exchanges of the published messages in order, such as `auth.clientCreated`."""
    after: tuple[Case, ...] = ()
    """Calls to make before, which must succeed."""
    by: str | Mapping[str, str] | None = ROOT_CLIENT
    headers: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method}-{self.status}"


def call(site: Any, row: Case) -> Any:
    method = (METHODS | OWN)[tuple(row.method.split(".", 1))]
    params, _, query = row.params.partition("?")
    route = method["route"]
    for name, value in zip(method["args"], params.split(), strict=True):
        route = route.replace(f"<{name}>", quote(value, safe=""))
    target = f"/api/{row.method.partition('.')[0]}/v1{route}" + (f"?{query}" if query else "")
    return site.call(method["method"].upper(), target, row.payload, by=row.by, headers=row.headers)


def differences(found: Any, shape: Any, where: str = "body") -> list[str]:
    """Return how a body differs from a shape."""
    if isinstance(shape, type):
        return [] if type(found) is shape else [f"{where} is {found!r}, not {shape.__name__}"]
    if isinstance(shape, dict) and isinstance(found, dict):
        if found.keys() != shape.keys():
            return [f"{where} has the keys {sorted(found)}, not {sorted(shape)}"]
        return [text for key in shape for text in differences(found[key], shape[key], f"{where}.{key}")]
    if isinstance(shape, list) and isinstance(found, list):
        shapes = shape * len(found) if len(shape) == 1 and (found or isinstance(shape[0], type)) else shape
        if len(found) == len(shapes):
            pairs = enumerate(zip(found, shapes, strict=True))
            return [text for at, pair in pairs for text in differences(*pair, f"{where}[{at}]")]
    return [] if found == shape else [f"{where} is {found!r}, not {shape!r}"]


# auth

GIVEN_CLIENT = {"expires": TOMORROW, "description": "d", "scopes": ["a:1", "a:1*"]}
CLIENT = {
    "clientId": str, "description": str, "expires": str, "created": str, "lastModified": str, "lastDateUsed": str,
    "lastRotated": str, "deleteOnExpiration": bool, "scopes": [str], "expandedScopes": [str], "disabled": bool,
}  # fmt: skip
NEW_CLIENT = Case("auth.createClient", "c", GIVEN_CLIENT)
GIVEN_ROLE = {"scopes": ["a:1", "a:1*"], "description": "d"}
ROLE = {
    "roleId": str, "scopes": ["a:1*", "a:1"], "description": str, "created": str, "lastModified": str,
    "expandedScopes": ["a:1*", "a:1", "assume:r"],
}  # fmt: skip
ANY_ROLE = {**ROLE, "scopes": [str], "expandedScopes": [str]}
NEW_ROLE = Case("auth.createRole", "r", GIVEN_ROLE)
HISTORY = {"auditHistory": [{"clientId": str, "actionType": str, "created": str, "entityId": str, "entityType": str}]}
HAWK = {"method": "get", "resource": "/", "host": "h", "port": 80}
TESTER = {"clientId": "tester", "accessToken": "no-secret"}
NOT_HERE = {"status": 400, "body": "NotInLocalDeployment"}
AUTH = [
    Case("auth.listClients", body={"clients": [CLIENT]}, after=(NEW_CLIENT,)),
    Case("auth.client", "c", body={**CLIENT, "scopes": ["a:1*", "a:1"]}, after=(NEW_CLIENT,)),
    Case("auth.client", "c", status=404, body="ResourceNotFound"),
    Case("auth.createClient", "c", GIVEN_CLIENT, body={**CLIENT, "accessToken": str}, publishes="auth.clientCreated"),
    Case("auth.createClient", "c", {**GIVEN_CLIENT, "description": "e"}, 409, "RequestConflict", after=(NEW_CLIENT,)),
    Case("auth.createClient", "static/c", GIVEN_CLIENT, 400, "InputError"),
    Case("auth.createClient", "c", {**GIVEN_CLIENT, "expires": None}, 400, "InputValidationError"),
    Case("auth.createClient", "c", GIVEN_CLIENT, 403, "InsufficientScopes", by=None),
    Case("auth.updateClient", "c", GIVEN_CLIENT, body=CLIENT, publishes="auth.clientUpdated", after=(NEW_CLIENT,)),
    Case("auth.updateClient", "c", GIVEN_CLIENT, 404, "ResourceNotFound"),
    Case(
        "auth.resetAccessToken", "c", body={**CLIENT, "accessToken": str}, publishes="auth.clientUpdated",
        after=(NEW_CLIENT,),
    ),
    Case("auth.resetAccessToken", "c", status=404, body="ResourceNotFound"),
    Case("auth.enableClient", "c", body=CLIENT, publishes="auth.clientUpdated", after=(NEW_CLIENT,)),
    Case("auth.enableClient", "c", status=404, body="ResourceNotFound"),
    Case(
        "auth.disableClient", "c", body={**CLIENT, "disabled": True}, publishes="auth.clientUpdated",
        after=(NEW_CLIENT,),
    ),
    Case("auth.disableClient", "c", status=404, body="ResourceNotFound"),
    Case("auth.deleteClient", "c", status=204, publishes="auth.clientDeleted", after=(NEW_CLIENT,)),
    Case("auth.deleteClient", "c", status=204, publishes="auth.clientDeleted"),
    Case("auth.getEntityHistory", "client c", body=HISTORY, after=(NEW_CLIENT,)),
    Case("auth.getEntityHistory", "task c", status=400, body="InputError"),
    Case("auth.listAuditHistory", ROOT_CLIENT, body=HISTORY, after=(NEW_CLIENT,)),
    Case("auth.listAuditHistory", "c", body={"auditHistory": []}),
    Case("auth.listRoles", body=[ANY_ROLE]),
    Case("auth.listRoles2", "?limit=1", body={"roles": [ANY_ROLE], "continuationToken": str}, after=(NEW_ROLE,)),
    Case("auth.listRoles2", body={"roles": [ANY_ROLE]}),
    Case("auth.listRoleIds", body={"roleIds": ["anonymous", "r"]}, after=(NEW_ROLE,)),
    Case("auth.role", "r", body=ROLE, after=(NEW_ROLE,)),
    Case("auth.role", "r", status=404, body="ResourceNotFound"),
    Case("auth.createRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleCreated"),
    Case("auth.createRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleCreated", after=(NEW_ROLE,)),
    Case("auth.createRole", "r", {"scopes": [], "description": "d"}, 409, "RequestConflict", after=(NEW_ROLE,)),
    Case("auth.createRole", "r", {"scopes": ["a*"], "description": "d"}, 400, "InputError"),
    Case("auth.updateRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleUpdated", after=(NEW_ROLE,)),
    Case("auth.updateRole", "r", {"scopes": ["*"], "description": "d"}, 400, "InputError", after=(NEW_ROLE,)),
    Case("auth.updateRole", "r", GIVEN_ROLE, 404, "ResourceNotFound"),
    Case("auth.deleteRole", "r", status=204, publishes="auth.roleDeleted", after=(NEW_ROLE,)),
    Case("auth.deleteRole", "r", status=204, publishes="auth.roleDeleted"),
    Case("auth.expandScopes", "", {"scopes": ["b", "a:1", "a:1*"]}, body={"scopes": ["a:1*", "a:1", "b"]}),
    Case("auth.currentScopes", body={"scopes": ["*"]}),
    Case("auth.currentScopes", body={"scopes": [str]}, by=None),
    Case(
        "auth.authenticateHawk", "", HAWK,
        body={"status": "no-auth", "scheme": "none", "scopes": [str], "expires": str},
    ),
    Case("auth.authenticateHawk", "", {**HAWK, "authorization": "x"}, body={"status": "auth-failed", "message": str}),
    Case("auth.testAuthenticate", "", {"clientScopes": ["a"]}, body={"clientId": str, "scopes": [str]}, by=TESTER),
    Case("auth.testAuthenticate", "", {"requiredScopes": ["a"]}, 403, "InsufficientScopes", by=TESTER),
    Case("auth.testAuthenticateGet", body={"clientId": str, "scopes": [str]}, by=TESTER),
    Case("auth.awsS3Credentials", "read-only b p", **NOT_HERE),
    Case("auth.awsS3Credentials", "all b p", status=400, body="InvalidRequestArguments"),
    Case("auth.sentryDSN", "p", **NOT_HERE),
    Case("auth.websocktunnelToken", "a c", **NOT_HERE),
    Case("auth.gcpCredentials", "p a", **NOT_HERE),
    Case("auth.githubRepoToken", "a o", {"repositories": ["r"], "permissions": {"contents": "read"}}, **NOT_HERE),
    Case("auth.azureAccounts", **NOT_HERE),
    Case("auth.azureTables", "a", **NOT_HERE),
    Case("auth.azureTableSAS", "a t read-only", **NOT_HERE),
    Case("auth.azureContainers", "a", **NOT_HERE),
    Case("auth.azureContainerSAS", "a c read-only", **NOT_HERE),
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
NEW_HOOK = Case("hooks.createHook", "g h", GIVEN_HOOK)
HOOK_ROLE = Case("auth.createRole", "hook-id:g/h", {"scopes": ["queue:*"], "description": ""})
FIRED = {"taskId": str, "status": {"taskId": str}}
TASK_MESSAGES = "queue.taskDefined queue.taskPending"
FIRE = {
    "hookGroupId": "g", "hookId": "h", "taskId": str, "firedBy": "triggerHook", "taskCreateTime": str,
    "result": "success", "taskState": "pending", "error": "",
}  # fmt: skip
LAST_FIRE = {"result": "success", "taskId": str, "time": str}
TRIGGERED = (NEW_HOOK, HOOK_ROLE, Case("hooks.triggerHook", "g h", {}))
DENIED_BINDING = {"exchange": "exchange/taskcluster-queue/v1/task-created", "routingKeyPattern": "#"}
SCHEDULE = ["@daily", "0 5 * * *"]
HOOKS = [
    Case("hooks.listHookGroups", body={"groups": ["g"]}, after=(NEW_HOOK,)),
    Case("hooks.listHooks", "g", body={"hooks": [HOOK]}, after=(NEW_HOOK,)),
    Case("hooks.listHooks", "g", status=404, body="ResourceNotFound"),
    Case("hooks.hook", "g h", body=HOOK, after=(NEW_HOOK,)),
    Case("hooks.hook", "g h", status=404, body="ResourceNotFound"),
    Case("hooks.createHook", "g h", GIVEN_HOOK, body=HOOK, publishes="hooks.hookCreated"),
    Case("hooks.createHook", "g h", GIVEN_HOOK, 409, "RequestConflict", after=(NEW_HOOK,)),
    Case("hooks.createHook", "g h", {**GIVEN_HOOK, "bindings": []}, body=HOOK, after=(NEW_HOOK,)),
    Case("hooks.createHook", "g h", {**GIVEN_HOOK, "bindings": [DENIED_BINDING]}, 400, "InputError"),
    Case("hooks.createHook", "g h", {**GIVEN_HOOK, "schedule": ["soon"]}, 400, "InputError"),
    Case(
        "hooks.createHook", "g h", {**GIVEN_HOOK, "schedule": SCHEDULE}, body={**HOOK, "schedule": SCHEDULE},
        publishes="hooks.hookCreated",
    ),
    Case("hooks.updateHook", "g h", GIVEN_HOOK, body=HOOK, publishes="hooks.hookUpdated", after=(NEW_HOOK,)),
    Case("hooks.updateHook", "g h", {**GIVEN_HOOK, "bindings": [DENIED_BINDING]}, 400, "InputError", after=(NEW_HOOK,)),
    Case("hooks.updateHook", "g h", GIVEN_HOOK, 404, "ResourceNotFound"),
    Case("hooks.removeHook", "g h", body={}, publishes="hooks.hookDeleted", after=(NEW_HOOK,)),
    Case("hooks.removeHook", "g h", body={}),
    Case("hooks.triggerHook", "g h", {}, body=FIRED, publishes=TASK_MESSAGES, after=(NEW_HOOK, HOOK_ROLE)),
    Case("hooks.triggerHook", "g h", {"x": 1}, 400, "InputError", after=(NEW_HOOK, HOOK_ROLE)),
    Case("hooks.triggerHook", "g h", {}, 403, "InsufficientScopes", after=(NEW_HOOK,)),
    Case("hooks.triggerHook", "g h", {}, 404, "ResourceNotFound"),
    Case("hooks.triggerHookWithToken", "g h x", {}, 401, "AuthenticationFailed", after=(NEW_HOOK,), by=None),
    Case("hooks.triggerHookWithToken", "g h x", {}, 404, "ResourceNotFound", by=None),
    Case("hooks.getTriggerToken", "g h", body={"token": str}, after=(NEW_HOOK,)),
    Case("hooks.getTriggerToken", "g h", status=404, body="ResourceNotFound"),
    Case("hooks.resetTriggerToken", "g h", body={"token": str}, after=(NEW_HOOK,)),
    Case("hooks.resetTriggerToken", "g h", status=404, body="ResourceNotFound"),
    Case("hooks.listLastFires", "g h", body={"lastFires": [FIRE]}, after=TRIGGERED),
    Case("hooks.listLastFires", "g h", status=404, body="ResourceNotFound", after=(NEW_HOOK,)),
    Case("hooks.getHookStatus", "g h", body={"lastFire": {"result": "no-fire"}}, after=(NEW_HOOK,)),
    Case("hooks.getHookStatus", "g h", body={"lastFire": LAST_FIRE}, after=TRIGGERED),
    Case("hooks.getHookStatus", "g h", status=404, body="ResourceNotFound"),
]  # fmt: skip

# worker-manager

GIVEN_POOL = {
    "providerId": "static", "description": "d", "config": {"launchConfigs": [{}]}, "owner": "o@example.com",
    "emailOnError": False,
}  # fmt: skip
STATES = ("requested", "running", "stopping", "stopped")
COUNTS = {"currentCapacity": int, **{f"{state}{what}": int for state in STATES for what in ("Count", "Capacity")}}
POOL = {**GIVEN_POOL, **COUNTS, "workerPoolId": "p/w", "created": str, "lastModified": str, "config": dict}
NEW_POOL = Case("worker-manager.createWorkerPool", "p/w", GIVEN_POOL)
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
WITH_WORKER = (NEW_POOL, Case("worker-manager.createWorker", "p/w g i", GIVEN_WORKER))
REMOVED = (*WITH_WORKER, Case("worker-manager.removeWorker", "p/w g i"))
PROOF = {**IN_POOL, "providerId": "static", "workerIdentityProof": {"staticSecret": SECRET}}
REGISTERED = (*WITH_WORKER, Case("worker-manager.registerWorker", "", PROOF, by=None))
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
WITH_ERROR = (NEW_POOL, Case("worker-manager.reportWorkerError", "p/w", GIVEN_ERROR))
LAST_DAYS = {f"2030-02-{day}T00:00:00.000Z": 0 for day in range(23, 29)}
TOTALS = {
    "total": 1, "daily": {**LAST_DAYS, "2030-03-01T00:00:00.000Z": 1}, "hourly": dict, "title": {"t": 1},
    "code": {"other": 1}, "workerPool": {"p/w": 1}, "launchConfig": {"unknown": 1},
}  # fmt: skip
SEEN = (*WITH_WORKER, Case("queue.claimWork", "p/w", {"workerGroup": "g", "workerId": "i"}))
LISTED = {
    "workerGroup": "g", "workerId": "i", "firstClaim": str, "lastDateActive": str, "quarantineUntil": str,
    "workerPoolId": "p/w", "providerId": "static", "state": "running", "capacity": 2,
}  # fmt: skip
JOINED = {
    **LISTED, "provisionerId": "p", "workerType": "w", "recentTasks": [], "expires": str, "quarantineDetails": [],
}  # fmt: skip
WORKER_MANAGER = [
    Case("worker-manager.listProviders", body={"providers": [{"providerId": str, "providerType": str}]}),
    Case(
        "worker-manager.createWorkerPool", "p/w", GIVEN_POOL, body=POOL,
        publishes="worker-manager.launchConfigCreated worker-manager.workerPoolCreated",
    ),
    Case("worker-manager.createWorkerPool", "p/w", GIVEN_POOL, body=POOL, after=(NEW_POOL,)),
    Case("worker-manager.createWorkerPool", "p/w", NOT_A_CONFIG, 400, "InputValidationError"),
    Case("worker-manager.createWorkerPool", "p/w", {**GIVEN_POOL, "providerId": "x"}, 400, "InputError"),
    Case(
        "worker-manager.createWorkerPool", "p/w", {**GIVEN_POOL, "description": "e"}, 409, "RequestConflict",
        after=(NEW_POOL,),
    ),
    Case(
        "worker-manager.updateWorkerPool", "p/w", GIVEN_POOL, body=POOL, after=(NEW_POOL,),
        publishes="worker-manager.workerPoolUpdated",
    ),
    Case("worker-manager.updateWorkerPool", "p/w", NOT_A_CONFIG, 400, "InputValidationError", after=(NEW_POOL,)),
    Case("worker-manager.updateWorkerPool", "p/w", GIVEN_POOL, 404, "ResourceNotFound"),
    Case(
        "worker-manager.deleteWorkerPool", "p/w", body={**POOL, "providerId": "null-provider"}, after=(NEW_POOL,),
        publishes="worker-manager.workerPoolUpdated",
    ),
    Case("worker-manager.deleteWorkerPool", "p/w", status=404, body="ResourceNotFound"),
    Case("worker-manager.workerPool", "p/w", body=POOL, after=(NEW_POOL,)),
    Case("worker-manager.workerPool", "p/w", status=404, body="ResourceNotFound"),
    Case("worker-manager.listWorkerPools", body={"workerPools": [POOL]}, after=(NEW_POOL,)),
    Case(
        "worker-manager.listWorkerPoolsStats", body={"workerPoolsStats": [{**COUNTS, "workerPoolId": "p/w"}]},
        after=(NEW_POOL,),
    ),
    Case(
        "worker-manager.workerPoolStats", "p/w", after=(NEW_POOL,),
        body={"launchConfigStats": [{**COUNTS, "workerPoolId": "p/w", "launchConfigId": str}]},
    ),
    Case("worker-manager.workerPoolStats", "p/w", status=404, body="ResourceNotFound"),
    Case(
        "worker-manager.listWorkerPoolLaunchConfigs", "p/w", body={"workerPoolLaunchConfigs": [LAUNCH_CONFIG]},
        after=(NEW_POOL,),
    ),
    Case("worker-manager.listWorkerPoolLaunchConfigs", "p/w", status=404, body="ResourceNotFound"),
    Case(
        "worker-manager.reportWorkerError", "p/w", GIVEN_ERROR, body=ERROR, after=(NEW_POOL,),
        publishes="worker-manager.workerPoolError",
    ),
    Case("worker-manager.reportWorkerError", "p/w", GIVEN_ERROR, 404, "ResourceNotFound"),
    Case("worker-manager.listWorkerPoolErrors", "p/w", body={"workerPoolErrors": [ERROR]}, after=WITH_ERROR),
    Case(
        "worker-manager.workerPoolErrorStats", "?workerPoolId=p/w", body={"workerPoolId": "p/w", "totals": TOTALS},
        after=WITH_ERROR,
    ),
    Case("worker-manager.workerPoolErrorStats", body={"workerPoolId": "", "totals": TOTALS}, after=WITH_ERROR),
    Case("worker-manager.workerPoolErrorStats", status=403, body="InsufficientScopes", by=None),
    Case("worker-manager.listWorkersForWorkerPool", "p/w", body={"workers": [WORKER]}, after=WITH_WORKER),
    Case("worker-manager.listWorkersForWorkerPool", "p/w", status=404, body="ResourceNotFound"),
    Case("worker-manager.listWorkersForWorkerGroup", "p/w g", body={"workers": [WORKER]}, after=WITH_WORKER),
    Case("worker-manager.worker", "p/w g i", body=WORKER, after=WITH_WORKER),
    Case("worker-manager.worker", "p/w g i", status=404, body="ResourceNotFound", after=(NEW_POOL,)),
    Case("worker-manager.createWorker", "p/w g i", GIVEN_WORKER, body=WORKER, after=(NEW_POOL,)),
    Case("worker-manager.createWorker", "p/w g i", GIVEN_WORKER, body=WORKER, after=WITH_WORKER),
    Case("worker-manager.createWorker", "p/w g i", OTHER_WORKER, 409, "RequestConflict", after=WITH_WORKER),
    Case("worker-manager.createWorker", "p/w g i", GIVEN_WORKER, 404, "ResourceNotFound"),
    Case("worker-manager.updateWorker", "p/w g i", GIVEN_WORKER, body=WORKER, after=WITH_WORKER),
    Case("worker-manager.updateWorker", "p/w g i", GIVEN_WORKER, 404, "ResourceNotFound", after=(NEW_POOL,)),
    Case("worker-manager.removeWorker", "p/w g i", body={}, after=WITH_WORKER),
    Case("worker-manager.removeWorker", "p/w g i", body={}, after=REMOVED),
    Case("worker-manager.removeWorker", "p/w g i", status=404, body="ResourceNotFound", after=(NEW_POOL,)),
    Case("worker-manager.shouldWorkerTerminate", "p/w g i", body=STAY, after=WITH_WORKER),
    Case("worker-manager.shouldWorkerTerminate", "p/w g i", body=STAY, after=REMOVED),
    Case("worker-manager.shouldWorkerTerminate", "p/w g i", status=404, body="ResourceNotFound"),
    Case("worker-manager.registerWorker", "", PROOF, body=REGISTRATION, after=WITH_WORKER, by=None),
    Case("worker-manager.registerWorker", "", PROOF, body=REGISTRATION, after=REGISTERED, by=None),
    Case("worker-manager.registerWorker", "", {**PROOF, "workerId": "j"}, 404, "ResourceNotFound", after=WITH_WORKER),
    Case(
        "worker-manager.registerWorker", "", {**PROOF, "providerId": "null-provider"}, 400, "InputError",
        after=WITH_WORKER,
    ),
    Case("worker-manager.reregisterWorker", "", {**IN_POOL, "secret": SECRET}, 400, "InputError", after=WITH_WORKER),
    Case("worker-manager.reregisterWorker", "", {**IN_POOL, "secret": SECRET}, 400, "InputError"),
    Case("worker-manager.listWorkers", "p w", body={"workers": [LISTED]}, after=SEEN),
    Case("worker-manager.listWorkers", "p w", body={"workers": []}, after=WITH_WORKER),
    Case("worker-manager.getWorker", "p w g i", body=JOINED, after=SEEN),
    Case("worker-manager.getWorker", "p w g i", status=404, body="ResourceNotFound", after=WITH_WORKER),
]  # fmt: skip

# queue

T, U, G = "AAAAAAAAQ0C0000000000A", "BBBBBBBBQ0C0000000000A", "GGGGGGGGQ0C0000000000A"
NOW = "2030-03-01T12:00:00.123Z"
GIVEN_TASK = {**TEMPLATE, "taskGroupId": G, "created": NOW, "deadline": TOMORROW, "expires": "2030-03-09T00:00:00.000Z"}
TASK = {
    "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "-", "projectId": "none",
    "taskGroupId": G, "dependencies": [], "requires": "all-completed", "routes": [], "priority": "lowest", "retries": 5,
    "created": NOW, "deadline": TOMORROW, "expires": str, "scopes": [], "payload": {},
    "metadata": GIVEN_TASK["metadata"], "tags": {}, "extra": {},
}  # fmt: skip
PENDING = {"runId": 0, "state": "pending", "reasonCreated": "scheduled", "scheduled": NOW}
CLAIMED = {**PENDING, "state": "running", "workerGroup": "g", "workerId": "i", "takenUntil": str, "started": NOW}


def ended(state: str, reason: str, run: dict[str, Any] = CLAIMED) -> dict[str, Any]:
    return {**run, "state": state, "reasonResolved": reason, "resolved": NOW}


def status(state: str, *runs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "taskId": T, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "-",
        "projectId": "none", "taskGroupId": G, "priority": "lowest", "deadline": TOMORROW, "expires": str,
        "retriesLeft": 5, "state": state, "runs": list(runs), **fields,
    }  # fmt: skip


CANCELED = status("exception", ended("exception", "canceled", PENDING))
COMPLETED, FAILED = status("completed", ended("completed", "completed")), status("failed", ended("failed", "failed"))
RETRIED = status(
    "pending", ended("exception", "worker-shutdown"), {**PENDING, "runId": 1, "reasonCreated": "retry"}, retriesLeft=4
)
GROUP = {"taskGroupId": G, "schedulerId": "-", "expires": str}
NEW_TASK = (Case("queue.createTask", T, GIVEN_TASK),)
WAITING = (Case("queue.createTask", T, {**GIVEN_TASK, "dependencies": [T]}),)
WORKED = {"workerGroup": "g", "workerId": "i"}
RUNNING = (*NEW_TASK, Case("queue.claimTask", f"{T} 0", WORKED))
AT_WORK = (*NEW_TASK, Case("queue.claimWork", "p/w", WORKED))
DONE = (*RUNNING, Case("queue.reportCompleted", f"{T} 0"))
SEALED = (*NEW_TASK, Case("queue.sealTaskGroup", G))
CREDENTIALS = {"clientId": str, "accessToken": str, "certificate": str}
RECLAIM = {"status": status("running", CLAIMED), "runId": 0, **WORKED, "takenUntil": str, "credentials": CREDENTIALS}
CLAIM = {**RECLAIM, "task": TASK}
EXPIRES = {"expires": TOMORROW}
LINK = {"storageType": "link", **EXPIRES, "artifact": "ref", "contentType": "x/y"}
REFERENCE = {"storageType": "reference", **EXPIRES, "contentType": "x/y", "url": "https://example.com/x"}
WITH_ARTIFACTS = (
    *RUNNING,
    Case("queue.createArtifact", f"{T} 0 ref", REFERENCE),
    Case("queue.createArtifact", f"{T} 0 link", LINK),
    Case(
        "queue.createArtifact", f"{T} 0 bad",
        {"storageType": "error", **EXPIRES, "reason": "file-missing-on-worker", "message": "m"},
    ),
)  # fmt: skip
REDIRECT = {"storageType": "reference", "url": "https://example.com/x"}
ARTIFACT = {"storageType": str, "name": str, "expires": TOMORROW, "contentType": str}
MISSING = {"status": 404, "body": "ResourceNotFound"}
REASON = {"reason": "file-missing-on-worker", "message": "m"}
QUEUE_FIELDS = {"expires": str, "lastDateActive": str, "description": "", "stability": "experimental"}
PROVISIONER = {"provisionerId": "p", **QUEUE_FIELDS}
TASK_QUEUE = {"taskQueueId": "p/w", **QUEUE_FIELDS}
WORKER_TYPE = {**TASK_QUEUE, "provisionerId": "p", "workerType": "w"}
NAMED = {"provisionerId": "p", "workerType": "w", "taskQueueId": "p/w"}
RECORD = {
    **NAMED, **WORKED, "recentTasks": [{"taskId": T, "runId": 0}], "expires": str, "firstClaim": str,
    "lastDateActive": str, "quarantineUntil": str,
}  # fmt: skip
LISTED_WORKER = {**WORKED, "firstClaim": str, "lastDateActive": str, "latestTask": {"taskId": T, "runId": 0}}
QUEUE = [
    Case("queue.task", T, body=TASK, after=NEW_TASK),
    Case("queue.task", T, **MISSING),
    Case("queue.task", "x", status=400, body="InvalidRequestArguments"),
    Case("queue.tasks", "", {"taskIds": [U, T]}, body={"tasks": [{"taskId": T, "task": TASK}]}, after=NEW_TASK),
    Case(
        "queue.statuses", "", {"taskIds": [T, U]}, after=NEW_TASK,
        body={"statuses": [{"taskId": T, "status": status("pending", PENDING)}]},
    ),
    Case("queue.status", T, body={"status": status("pending", PENDING)}, after=NEW_TASK),
    Case("queue.status", T, **MISSING),
    Case(
        "queue.listTaskGroup", G, after=NEW_TASK,
        body={**GROUP, "tasks": [{"status": status("pending", PENDING), "task": TASK}]},
    ),
    Case("queue.listTaskGroup", G, **MISSING),
    Case(
        "queue.cancelTaskGroup", G, after=SEALED,
        body={"taskGroupId": G, "taskGroupSize": 1, "taskIds": [T], "cancelledCount": 1},
        publishes="queue.taskException queue.taskGroupResolved",
    ),
    Case("queue.cancelTaskGroup", G, status=409, body="RequestConflict", after=NEW_TASK),
    Case("queue.cancelTaskGroup", G, **MISSING),
    Case("queue.getTaskGroup", G, body=GROUP, after=NEW_TASK),
    Case("queue.getTaskGroup", G, body={**GROUP, "sealed": NOW}, after=SEALED),
    Case("queue.getTaskGroup", G, **MISSING),
    Case("queue.sealTaskGroup", G, body={**GROUP, "sealed": NOW}, publishes="queue.taskGroupSealed", after=NEW_TASK),
    Case("queue.sealTaskGroup", G, body={**GROUP, "sealed": NOW}, after=SEALED),
    Case("queue.sealTaskGroup", G, **MISSING),
    Case("queue.listDependentTasks", T, body={"taskId": T, "tasks": []}, after=NEW_TASK),
    Case("queue.listDependentTasks", T, **MISSING),
    Case("queue.createTask", T, GIVEN_TASK, body={"status": status("pending", PENDING)}, publishes=TASK_MESSAGES),
    Case(
        "queue.createTask", T, GIVEN_TASK, body={"status": status("pending", PENDING)}, publishes=TASK_MESSAGES,
        after=NEW_TASK,
    ),
    Case("queue.createTask", T, {**GIVEN_TASK, "retries": 1}, 409, "RequestConflict", after=NEW_TASK),
    Case("queue.createTask", T, {**GIVEN_TASK, "dependencies": [U]}, 400, "InputError"),
    Case("queue.createTask", T, {**GIVEN_TASK, "priority": "normal"}, 400, "InputValidationError"),
    Case(
        "queue.scheduleTask", T, body={"status": status("pending", PENDING)}, publishes="queue.taskPending",
        after=WAITING,
    ),
    Case("queue.scheduleTask", T, **MISSING),
    Case(
        "queue.rerunTask", T, after=DONE, publishes="queue.taskPending",
        body={
            "status": status(
                "pending", ended("completed", "completed"), {**PENDING, "runId": 1, "reasonCreated": "rerun"}
            )
        },
    ),
    Case("queue.rerunTask", T, **MISSING),
    Case(
        "queue.cancelTask", T, body={"status": CANCELED}, after=NEW_TASK,
        publishes="queue.taskException queue.taskGroupResolved",
    ),
    Case("queue.cancelTask", T, body={"status": COMPLETED}, after=DONE),
    Case("queue.cancelTask", T, **MISSING),
    Case("queue.cancelTask", T, status=403, body="InsufficientScopes", after=NEW_TASK, by=None),
    Case(
        "queue.changeTaskPriority", T, {"newPriority": "high"}, after=DONE, publishes="queue.taskPriorityChanged",
        body={"status": {**COMPLETED, "priority": "high"}},
    ),
    Case("queue.changeTaskPriority", T, {"newPriority": "high"}, 404, "ResourceNotFound"),
    Case(
        "queue.changeTaskGroupPriority", G, {"newPriority": "high"}, after=DONE,
        body={"taskGroupId": G, "schedulerId": "-", "newPriority": "high", "tasksAffected": 1, "taskIds": [T]},
        publishes="queue.taskPriorityChanged queue.taskGroupPriorityChanged",
    ),
    Case("queue.changeTaskGroupPriority", G, {"newPriority": "high"}, 404, "ResourceNotFound"),
    Case("queue.claimWork", "p/w", WORKED, body={"tasks": [CLAIM]}, publishes="queue.taskRunning", after=NEW_TASK),
    Case("queue.claimWork", "p/w", WORKED, body={"tasks": []}),
    Case("queue.claimTask", f"{T} 0", WORKED, body=CLAIM, publishes="queue.taskRunning", after=NEW_TASK),
    Case("queue.claimTask", f"{T} 0", WORKED, body=CLAIM, after=RUNNING),
    Case("queue.claimTask", f"{T} 0", WORKED, 409, "RequestConflict", after=AT_WORK),
    Case("queue.claimTask", f"{T} 0", WORKED, 404, "ResourceNotFound"),
    Case("queue.reclaimTask", f"{T} 0", body=RECLAIM, after=AT_WORK),
    Case("queue.reclaimTask", f"{T} 0", status=409, body="RequestConflict", after=NEW_TASK),
    Case("queue.reclaimTask", f"{T} 0", **MISSING),
    Case("queue.reclaimTask", f"{T} 0", status=403, body="InsufficientScopes", by=None),
    Case(
        "queue.reportCompleted", f"{T} 0", body={"status": COMPLETED}, after=AT_WORK,
        publishes="queue.taskCompleted queue.taskGroupResolved",
    ),
    Case("queue.reportCompleted", f"{T} 0", body={"status": COMPLETED}, after=DONE),
    Case("queue.reportCompleted", f"{T} 0", status=409, body="RequestConflict", after=NEW_TASK),
    Case(
        "queue.reportFailed", f"{T} 0", body={"status": FAILED}, after=AT_WORK,
        publishes="queue.taskFailed queue.taskGroupResolved",
    ),
    Case("queue.reportFailed", f"{T} 0", status=409, body="RequestConflict", after=DONE),
    Case(
        "queue.reportException", f"{T} 0", {"reason": "worker-shutdown"}, body={"status": RETRIED}, after=AT_WORK,
        publishes="queue.taskException queue.taskPending",
    ),
    Case(
        "queue.reportException", f"{T} 0", {"reason": "internal-error"}, after=AT_WORK,
        body={"status": status("exception", ended("exception", "internal-error"))},
        publishes="queue.taskException queue.taskGroupResolved",
    ),
    Case("queue.reportException", f"{T} 0", {"reason": "internal-error"}, 404, "ResourceNotFound"),
    Case(
        "queue.createArtifact", f"{T} 0 a", {"storageType": "s3", **EXPIRES, "contentType": "x/y"}, after=RUNNING,
        body={"storageType": "s3", "contentType": "x/y", "expires": str, "putUrl": str},
    ),
    Case(
        "queue.createArtifact", f"{T} 0 a", {"storageType": "object", **EXPIRES, "contentType": "x/y"}, after=RUNNING,
        body={
            "storageType": "object", "name": f"t/{T}/0/a", "projectId": "none", "uploadId": str, "expires": str,
            "credentials": CREDENTIALS,
        },
    ),
    Case(
        "queue.createArtifact", f"{T} 0 a", REFERENCE, body={"storageType": "reference"}, after=RUNNING,
        publishes="queue.artifactCreated",
    ),
    Case("queue.createArtifact", f"{T} 0 a", REFERENCE, 400, "InputError"),
    Case("queue.createArtifact", f"{T} 0 a", REFERENCE, 409, "RequestConflict", after=DONE),
    Case("queue.finishArtifact", f"{T} 0 a", {"uploadId": U}, 404, "ResourceNotFound", after=RUNNING),
    Case("queue.finishArtifact", f"{T} 0 ref", {"uploadId": U}, 400, "InputError", after=WITH_ARTIFACTS),
    Case("queue.getArtifact", f"{T} 0 ref", status=303, body=REDIRECT, after=WITH_ARTIFACTS),
    Case("queue.getArtifact", f"{T} 0 bad", status=424, body=REASON, after=WITH_ARTIFACTS),
    Case("queue.getArtifact", f"{T} 0 ref", **MISSING),
    Case("queue.getLatestArtifact", f"{T} link", status=303, body=REDIRECT, after=WITH_ARTIFACTS),
    Case("queue.getLatestArtifact", f"{T} ref", **MISSING),
    Case("queue.listArtifacts", f"{T} 0", body={"artifacts": [ARTIFACT]}, after=WITH_ARTIFACTS),
    Case("queue.listArtifacts", f"{T} 0", **MISSING),
    Case("queue.listLatestArtifacts", T, body={"artifacts": [ARTIFACT]}, after=WITH_ARTIFACTS),
    Case("queue.listLatestArtifacts", T, **MISSING),
    Case("queue.artifactInfo", f"{T} 0 link", body={**ARTIFACT, "storageType": "link"}, after=WITH_ARTIFACTS),
    Case("queue.artifactInfo", f"{T} 0 link", **MISSING),
    Case("queue.latestArtifactInfo", f"{T} bad", body={**ARTIFACT, "storageType": "error"}, after=WITH_ARTIFACTS),
    Case("queue.latestArtifactInfo", f"{T} bad", **MISSING),
    Case("queue.artifact", f"{T} 0 bad", body={"storageType": "error", **REASON}, after=WITH_ARTIFACTS),
    Case("queue.artifact", f"{T} 0 bad", **MISSING),
    Case("queue.latestArtifact", f"{T} ref", body=REDIRECT, after=WITH_ARTIFACTS),
    Case("queue.latestArtifact", f"{T} ref", **MISSING),
    Case("queue.listProvisioners", body={"provisioners": [PROVISIONER]}, after=AT_WORK),
    Case("queue.getProvisioner", "p", body=PROVISIONER, after=AT_WORK),
    Case("queue.getProvisioner", "p", **MISSING),
    Case("queue.pendingTasks", "p/w", body={**NAMED, "pendingTasks": 1}, after=NEW_TASK),
    Case("queue.pendingTasks", "p/w", body={**NAMED, "pendingTasks": 0}),
    Case("queue.taskQueueCountsBatch", "", {}, **NOT_HERE),
    Case("queue.taskQueueCounts", "p/w", body={**NAMED, "pendingTasks": 0, "claimedTasks": 1}, after=AT_WORK),
    Case(
        "queue.listPendingTasks", "p/w", after=NEW_TASK,
        body={"tasks": [{"taskId": T, "runId": 0, "task": TASK, "inserted": NOW}]},
    ),
    Case(
        "queue.listClaimedTasks", "p/w", after=AT_WORK,
        body={"tasks": [{"taskId": T, "runId": 0, **WORKED, "claimed": NOW, "task": TASK}]},
    ),
    Case("queue.listWorkerTypes", "p", body={"workerTypes": [WORKER_TYPE]}, after=AT_WORK),
    Case("queue.getWorkerType", "p w", body=WORKER_TYPE, after=AT_WORK),
    Case("queue.getWorkerType", "p w", **MISSING),
    Case("queue.listTaskQueues", body={"taskQueues": [TASK_QUEUE]}, after=AT_WORK),
    Case("queue.getTaskQueue", "p/w", body=TASK_QUEUE, after=AT_WORK),
    Case("queue.getTaskQueue", "p/w", **MISSING),
    Case("queue.listWorkers", "p w", body={"workers": [LISTED_WORKER]}, after=AT_WORK),
    Case("queue.listWorkers", "p w?quarantined=maybe", status=400, body="InvalidRequestArguments"),
    Case("queue.getWorker", "p w g i", body=RECORD, after=AT_WORK),
    Case("queue.getWorker", "p w g i", **MISSING),
    Case(
        "queue.quarantineWorker", "p w g i", {"quarantineUntil": TOMORROW}, after=AT_WORK,
        body={**RECORD, "quarantineUntil": TOMORROW},
    ),
    Case("queue.quarantineWorker", "p w g i", {"quarantineUntil": TOMORROW}, 404, "ResourceNotFound"),
    Case("queue.declareWorker", "p w g i", EXPIRES, body={**RECORD, **EXPIRES, "recentTasks": []}),
    Case("queue.declareProvisioner", "p", {}, **NOT_HERE),
    Case("queue.declareWorkerType", "p w", {}, **NOT_HERE),
]  # fmt: skip

# index

ENTRY = {"taskId": T, "rank": 0, "data": {}, "expires": TOMORROW}
INDEXED = (Case("index.insertTask", "a.b", ENTRY), Case("index.insertTask", "a.a.c", ENTRY))
PUBLIC = (*RUNNING, Case("queue.createArtifact", f"{T} 0 public/ref", REFERENCE))
NAMESPACE = {"namespace": "a.a", "name": "a", "expires": "2030-03-03T00:00:00.000Z"}
FOUND = {**ENTRY, "namespace": str}
INDEX = [
    Case("index.findTask", "a.b", body={**FOUND, "namespace": "a.b"}, after=INDEXED),
    Case("index.findTask", "a.b", **MISSING),
    Case(
        "index.findTasksAtIndex", "", {"indexes": ["a.b", "a.x", "a.a.c"]}, after=INDEXED,
        body={"tasks": [{**FOUND, "namespace": "a.b"}, {**FOUND, "namespace": "a.a.c"}]},
    ),
    Case("index.findTasksAtIndex", "", {}, body={"tasks": []}),
    Case("index.listNamespaces", "a", body={"namespaces": [NAMESPACE]}, after=INDEXED),
    Case("index.listTasks", "a", body={"tasks": [FOUND]}, after=INDEXED),
    Case("index.listTasks", "a?limit=x", status=400, body="InvalidRequestArguments"),
    Case("index.insertTask", "a.b", ENTRY, body={**FOUND, "namespace": "a.b"}),
    Case("index.insertTask", "a.b", {**ENTRY, "rank": 0.5}, 400, "InputError"),
    Case("index.deleteTask", "a.b", body={}, after=INDEXED),
    Case("index.deleteTask", "a.b", body={}),
    Case(
        "index.findArtifactFromTask", "a.b public/ref", status=303, after=(*INDEXED, *PUBLIC),
        body=b"See Other. Redirecting to https://example.com/x",
    ),
    Case("index.findArtifactFromTask", "a.b ref", **MISSING),
]  # fmt: skip

# notify

EMAIL = {"address": "a@example.com", "subject": "s", "content": "c"}
PULSE = {"routingKey": "a.b", "message": {"x": 1}}
ADDRESS = {"notificationType": "email", "notificationAddress": "a@example.com"}
DENIED = (Case("notify.addDenylistAddress", "", ADDRESS),)
NOTIFY = [
    Case("notify.email", "", EMAIL, body=b"OK"),
    Case("notify.email", "", EMAIL, 204, after=(Case("notify.email", "", EMAIL),)),
    Case("notify.email", "", EMAIL, 400, "DenylistedAddress", after=DENIED),
    Case("notify.email", "", EMAIL, 403, "InsufficientScopes", by=None),
    Case("notify.pulse", "", PULSE, body=b"OK", publishes="notify.notify"),
    Case("notify.matrix", "", {"roomId": "r", "body": "b"}, body=b"OK"),
    Case("notify.slack", "", {"channelId": "c", "text": "t"}, body=b"OK"),
    Case("notify.addDenylistAddress", "", ADDRESS, body=b"OK"),
    Case("notify.deleteDenylistAddress", "", ADDRESS, body=b"OK", after=DENIED),
    Case("notify.deleteDenylistAddress", "", ADDRESS, body=b"OK"),
    Case("notify.listDenylist", body={"addresses": [ADDRESS]}, after=DENIED),
]

# purge-cache

PURGE = Case("purge-cache.purgeCache", "p/w", {"cacheName": "c"}, status=204)
PURGED = {"requests": [{"provisionerId": "p", "workerType": "w", "cacheName": "c", "before": NOW}]}
PURGE_CACHE = [
    PURGE,
    Case("purge-cache.purgeCache", "p/w", {"cacheName": "c"}, 403, "InsufficientScopes", by=None),
    Case("purge-cache.allPurgeRequests", body=PURGED, after=(PURGE,)),
    Case("purge-cache.purgeRequests", "p/w", body=PURGED, after=(PURGE,)),
    Case("purge-cache.purgeRequests", f"p/w?since={TOMORROW}", body={"requests": []}, after=(PURGE,)),
    Case("purge-cache.purgeRequests", "p/w?since=x", status=400, body="InvalidRequestArguments"),
]

# secrets

GIVEN_SECRET = {"secret": {"b": 1, "a": 2}, "expires": TOMORROW}
KEPT = (Case("secrets.set", "b", GIVEN_SECRET), Case("secrets.set", "A", GIVEN_SECRET))
SECRETS = [
    Case("secrets.set", "n", GIVEN_SECRET, body={}),
    Case("secrets.set", "n", {"secret": 1, "expires": TOMORROW}, 400, "InputValidationError"),
    Case("secrets.remove", "b", body={}, after=KEPT),
    Case("secrets.remove", "b", body={}),
    Case("secrets.get", "b", body=GIVEN_SECRET, after=KEPT),
    Case("secrets.get", "b", **MISSING),
    Case("secrets.get", "b", status=403, body="InsufficientScopes", by=None),
    Case("secrets.list", body={"secrets": ["A", "b"]}, after=KEPT),
]

# object

UPLOAD = {"projectId": "p", "uploadId": U, "expires": TOMORROW}
INLINE = {"proposedUploadMethods": {"dataInline": {"contentType": "x/y", "objectData": "YWJj"}}}
PUT_URL = {"proposedUploadMethods": {"putUrl": {"contentType": "x/y", "contentLength": 3}}}
FINISH = {"projectId": "p", "uploadId": U, "hashes": {"sha256": "a" * 64}}
BEGUN = (Case("object.createUpload", "o", {**UPLOAD, **INLINE}),)
FINISHED = (*BEGUN, Case("object.finishUpload", "o", FINISH))
OBJECT = [
    Case("object.createUpload", "o", {**UPLOAD, **INLINE}, body={**UPLOAD, "uploadMethod": {"dataInline": True}}),
    Case(
        "object.createUpload", "o", {**UPLOAD, **PUT_URL},
        body={**UPLOAD, "uploadMethod": {"putUrl": {"url": str, "expires": str, "headers": dict}}},
    ),
    Case("object.createUpload", "o", {**UPLOAD, **INLINE}, 409, "RequestConflict", after=FINISHED),
    Case("object.finishUpload", "o", FINISH, body={}, after=BEGUN),
    Case("object.finishUpload", "o", FINISH, body={}, after=FINISHED),
    Case("object.finishUpload", "o", {**FINISH, "projectId": "q"}, 400, "InputError", after=BEGUN),
    Case("object.finishUpload", "o", FINISH, 404, "ResourceNotFound"),
    Case(
        "object.startDownload", "o", {"acceptDownloadMethods": {"getUrl": True}}, after=FINISHED,
        body={"method": "getUrl", "url": str, "expires": str, "hashes": FINISH["hashes"]},
    ),
    Case(
        "object.startDownload", "o", {"acceptDownloadMethods": {"simple": True}}, after=FINISHED,
        body={"method": "simple", "url": str},
    ),
    Case("object.startDownload", "o", {"acceptDownloadMethods": {}}, 406, "NoMatchingMethod", after=FINISHED),
    Case(
        "object.startDownload", "o", {"acceptDownloadMethods": {"simple": True}}, 404, "ResourceNotFound", after=BEGUN
    ),
    Case(
        "object.object", "o", body={"projectId": "p", "expires": TOMORROW, "hashes": FINISH["hashes"]}, after=FINISHED
    ),
    Case("object.object", "o", **MISSING),
    Case("object.download", "o", status=303, body=bytes, after=FINISHED),
    Case("object.download", "o", **MISSING),
]  # fmt: skip

# github

YML = """
version: 1
policy: {pullRequests: public}
tasks:
  - {provisionerId: p, workerType: w, created: {$fromNow: ''}, deadline: {$fromNow: 1 day}, payload: {},
     metadata: {name: n, description: d, owner: o@example.com, source: "https://example.com"}}
"""
SHA = "a" * 40
WEBHOOK = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "12345678-1234-1234-1234-123456789abc"}
PUSH = {
    "ref": "refs/heads/main", "before": "0" * 40, "after": SHA, "repository": {"name": "r", "owner": {"login": "O"}},
    "installation": {"id": 5}, "sender": {"login": "someone"},
}  # fmt: skip
REPOSITORY = (
    Case("local.addRepository", "", {"organization": "O", "repository": "r", "taskclusterYml": YML}),
    Case("auth.createRole", "repo:github.com/O/r:*", {"scopes": ["queue:*"], "description": ""}),
)
BUILT = (*REPOSITORY, Case("github.githubWebHookConsumer", "", PUSH, by=None, headers=WEBHOOK))
BUILD = {
    "organization": "O", "repository": "r", "sha": SHA, "state": "pending", "taskGroupId": str, "eventType": "push",
    "eventId": WEBHOOK["X-GitHub-Delivery"], "created": NOW, "updated": NOW,
}  # fmt: skip
FAKE = {"type": "github-push"}
GITHUB = [
    Case("github.builds", body={"builds": [BUILD]}, after=BUILT),
    Case("github.builds", "?pullRequest=x", status=400, body="InvalidRequestArguments"),
    Case("github.builds", "?repository=r", status=400, body="InputError"),
    Case(
        "github.cancelBuilds", "O r", body={"builds": [{**BUILD, "state": "cancelled"}]}, after=BUILT,
        publishes="queue.taskGroupSealed queue.taskException queue.taskGroupResolved",
    ),
    Case("github.cancelBuilds", "O r", **MISSING),
    Case("github.badge", "O r main", body=bytes, after=BUILT),
    Case("github.badge", "O r main", body=bytes),
    Case("github.repository", "O r", body={"installed": True}, after=REPOSITORY),
    Case("github.repository", "O r", body={"installed": False}),
    Case("github.latest", "O r main", status=302, body=b"", after=BUILT),
    Case("github.latest", "O r main", **MISSING),
    Case("github.createStatus", f"O r {SHA}", {"state": "success"}, body={}, after=REPOSITORY),
    Case("github.createStatus", f"O r {SHA}", {"state": "success"}, 404, "ResourceNotFound"),
    Case("github.createComment", "O r 1", {"body": "b"}, body={}, after=REPOSITORY),
    Case("github.createComment", "O r x", {"body": "b"}, 400, "InvalidRequestArguments", after=REPOSITORY),
    Case("github.renderTaskclusterYml", "", {"body": YML, "fakeEvent": FAKE}, body={"tasks": [dict], "scopes": [str]}),
    Case("github.renderTaskclusterYml", "", {"body": "[", "fakeEvent": FAKE}, 400, "InputError"),
    Case(
        "github.githubWebHookConsumer", "", PUSH, 204, after=REPOSITORY, by=None, headers=WEBHOOK,
        publishes=f"github.push {TASK_MESSAGES} github.taskGroupCreationRequested",
    ),
    Case("github.githubWebHookConsumer", "", PUSH, 400, "MalformedPayload", by=None),
]  # fmt: skip

# web-server

PROFILE = {"meta": dict, "libs": [], "pages": [], "threads": [dict]}
WEB_SERVER = [
    Case(
        "web-server.taskProfile",
        T,
        body=PROFILE,
        after=NEW_TASK,
        by=None,
    ),
    Case("web-server.taskProfile", T, **MISSING, by=None),
    Case(
        "web-server.taskGroupProfile",
        G,
        body=PROFILE,
        after=NEW_TASK,
        by=None,
    ),
    Case("web-server.taskGroupProfile", G, **MISSING, by=None),
]

OF_ALL = [
    Case(f"{service}.{method}", body=body, by=None)
    for service in API
    for method, body in (
        ("ping", {"alive": True, "uptime": float}),
        ("lbheartbeat", {}),
        ("heartbeat", {}),
        ("version", {"version": str, "commit": str, "source": str, "build": str}),
    )
    if (service, method) in METHODS
]
ROWS = [
    *OF_ALL, *AUTH, *GITHUB, *HOOKS, *INDEX, *NOTIFY, *OBJECT, *PURGE_CACHE, *QUEUE, *SECRETS, *WEB_SERVER,
    *WORKER_MANAGER,
]  # fmt: skip


def test_every_method_has_a_case() -> None:
    without = {f"{service}.{method}" for service, method in METHODS} - {row.method for row in ROWS}
    assert not without, f"add rows for {', '.join(sorted(without))} to a table in {Path(__file__).relative_to(ROOT)}"


@pytest.mark.once
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_response_and_messages_match_case(site: Any, row: Case) -> None:
    published: list[Message] = []
    subscription = site.deployment.events.subscribe([Binding(name, "#") for name in EXCHANGES], published.append)
    for before in row.after:
        assert call(site, before).status < 300, before
    asyncio.run(site.deployment.pass_time())
    earlier = len(published)
    response = call(site, row)
    subscription.close()
    assert response.status == row.status, response.content
    if isinstance(row.body, bytes) or row.body is bytes:
        assert row.body in (bytes, response.content)
    elif isinstance(row.body, str):
        assert response.json.keys() == {"code", "message", "requestInfo"}
        assert response.code == row.body
    elif row.body is None:
        assert response.content == b""
    else:
        assert not differences(response.json, row.body)
    assert [EXCHANGES[message.exchange] for message in published[earlier:]] == row.publishes.split()
