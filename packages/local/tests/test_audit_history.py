"""Tests of the audit history of other services."""

from __future__ import annotations

from typing import Any

HISTORY = "/api/auth/v1/audit"


def actions(site: Any, kind: str, name: str) -> list[str]:
    found = site.ok("GET", f"{HISTORY}/{kind}/{name}")["auditHistory"]
    assert {each["clientId"] for each in found} <= {"static/taskcluster/root"}
    return [each["actionType"] for each in found]


def test_records_changes_of_secrets(site: Any) -> None:
    path = "/api/secrets/v1/secret/a"
    for _ in range(2):
        site.ok("PUT", path, {"secret": {}, "expires": site.clock.at(hours=1)})
    site.ok("DELETE", path)
    assert site.call("DELETE", path, by="nobody").status == 403
    assert actions(site, "secret", "a") == ["created", "updated", "deleted"]


def test_records_changes_of_hooks(site: Any) -> None:
    metadata = {"name": "n", "description": "d", "owner": "o@example.com", "emailOnError": False}
    site.ok("PUT", "/api/hooks/v1/hooks/g/h", {"metadata": metadata, "task": {}})
    site.ok("POST", "/api/hooks/v1/hooks/g/h", {"metadata": metadata, "task": {}})
    site.ok("DELETE", "/api/hooks/v1/hooks/g/h")
    assert actions(site, "hook", "g%2Fh") == ["created", "updated", "deleted"]


def test_records_changes_of_worker_pools(site: Any) -> None:
    pool = {"providerId": "static", "description": "", "config": {}, "owner": "o@example.com", "emailOnError": False}
    site.ok("PUT", "/api/worker-manager/v1/worker-pool/p%2Fw", pool)
    site.ok("POST", "/api/worker-manager/v1/worker-pool/p%2Fw", {**pool, "description": "d"})
    assert actions(site, "worker-pool", "p%2Fw") == ["created", "updated"]
