"""Tests that no request to any method makes the deployment fail."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcluster_local.endpoints import references
from taskcluster_local.timestamps import to_wire

pytestmark = pytest.mark.once

ROOT = "static/taskcluster/root"
SLUG = "aaaaaaaaQ0C0000000000A"
START = datetime(2030, 3, 1, 12, 0, 0, 123000)
TYPES = {key: schema for reference in references().values() for key, schema in reference["types"].items()}
SAME_EVERYWHERE = {"ping", "lbheartbeat", "heartbeat", "version"}
# With this value a claim waits for twenty seconds.
SLOW = {"claimWork"}
METHODS = {
    service: [method for method in reference["methods"] if method["name"] not in SAME_EVERYWHERE | SLOW]
    for service, reference in references().items()
}


def one_in(number: int) -> st.SearchStrategy[bool]:
    """Return a strategy that is rarely true, because hypothesis prefers the ends of a range."""
    return st.integers(0, number).map(lambda drawn: drawn == number // 2)


TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", " ", "*", "**", "a", "a/b", "a.b", "x" * 300, "../..", "%2F", "\0", "'", '"', "\ud800", "é☃", "null", SLUG]
)
NUMBERS = st.integers(-2, 3) | st.sampled_from([0.5, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 1e20, 1e300])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = {
    "taskId": SLUG, "taskGroupId": SLUG, "uploadId": SLUG, "runId": "0", "workerPoolId": "p/w", "taskQueueId": "p/w",
    "provisionerId": "p", "workerType": "w", "workerGroup": "g", "workerId": "i", "providerId": "static",
    "clientId": "c", "roleId": "r", "name": "n", "hookGroupId": "g", "hookId": "h", "namespace": "a.b",
    "indexPath": "a.b", "projectId": "p", "schedulerId": "s", "limit": "2", "since": to_wire(START), "owner": "o@x.org",
    "created": to_wire(START), "deadline": to_wire(START + timedelta(days=1)), "source": "https://x.org",
    "expires": to_wire(START + timedelta(days=30)), "scopes": ["a"], "routes": ["a"], "dependencies": [],
    "quarantined": "true", "staticSecret": "s" * 44, "level": "read-only", "schedule": ["0 0 0 * * *"],
}  # fmt: skip
"""Values that requests are likely to share."""


@st.composite
def dates(draw: st.DrawFn) -> str:
    span = draw(st.sampled_from([0, 1, -1, 60, 3600, 86400, -86400, 400 * 86400]))
    usual = to_wire(START + timedelta(seconds=span)).removesuffix("Z") + "Z"
    return draw(
        st.just(usual) | st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2030-03-01 00:00"])
    )


def resolve(ref: str, base: str) -> tuple[Any, str]:
    """Return the target of a `$ref` in the schema of a key, and the target's key."""
    file, _, pointer = ref.partition("#")
    key = base if not file else f"{base.rpartition('/')[0]}/{file}"
    found = TYPES[key]
    for step in filter(None, pointer.split("/")):
        found = found[step]
    return found, key


def valid(schema: Any, base: str, name: str = "") -> st.SearchStrategy[Any]:
    """Return a strategy for values that mostly match a schema."""
    if not isinstance(schema, dict) or not schema:
        return VALUES
    if "$ref" in schema:
        return valid(*resolve(schema["$ref"], base), name)
    for key in ("oneOf", "anyOf"):
        if key in schema and "properties" not in schema:
            rest = {name: value for name, value in schema.items() if name != key}
            return st.one_of([valid({**rest, **each}, base, name) for each in schema[key]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    return _of_type(schema, base, name)


def _of_type(schema: dict[str, Any], base: str, name: str) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if kind == "object":
        properties = {key: fuzzy(value, base, key) for key, value in schema.get("properties", {}).items()}
        if not properties:
            return st.dictionaries(TEXTS, VALUES, max_size=2)
        required = set(schema.get("required", ()))
        fixed = {key: value for key, value in properties.items() if key in required}
        optional = {key: value for key, value in properties.items() if key not in required}
        return st.fixed_dictionaries(fixed, optional=optional)
    if kind == "array":
        return st.lists(fuzzy(schema.get("items"), base, name), min_size=schema.get("minItems", 0), max_size=2)
    if kind == "string":
        if schema.get("format") == "date-time":
            return dates()
        if schema.get("format") == "uri":
            return st.just("https://example.com/")
        likely = NAMES.get(name)
        texts = (
            st.from_regex(schema["pattern"], alphabet=st.characters(max_codepoint=126))
            if "pattern" in schema
            else TEXTS
        )
        texts = texts.map(lambda text: text[: schema.get("maxLength", 1000)])
        return st.one_of(*[st.just(likely)] * 9, texts) if isinstance(likely, str) else texts
    if kind in ("integer", "number"):
        return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**64)) | st.just(schema.get("minimum", 1))
    return st.booleans() if kind == "boolean" else VALUES


def fuzzy(schema: Any, base: str, name: str) -> st.SearchStrategy[Any]:
    """Return a strategy for values that usually match a schema."""
    likely = NAMES.get(name)
    fits = valid(schema, base, name) if likely is None else st.one_of(*[st.just(likely)] * 9, valid(schema, base, name))
    return one_in(40).flatmap(lambda is_wrong: VALUES if is_wrong else fits)


PAYLOADS = {
    key: valid(TYPES[key], key)
    for methods in METHODS.values()
    for method in methods
    if (key := method.get("input")) is not None
}


@st.composite
def requests(draw: st.DrawFn, service: str) -> tuple[str, str, str, Any]:
    """A call: service, method, verb, target and payload."""
    method = draw(st.sampled_from(METHODS[service]))

    def parameter(match: re.Match[str]) -> str:
        # Responses have a narrower pattern for worker types than URLs.
        wrong = match[1] != "workerType" and draw(one_in(20))
        chosen = draw(TEXTS.filter(bool)) if wrong else str(NAMES.get(match[1], "x"))
        return quote(chosen, safe="", errors="replace")

    path = re.sub(r"<([^>]+)>", parameter, method["route"])
    query = [
        f"{name}={quote(draw(TEXTS) if draw(one_in(4)) else str(NAMES.get(name, 'x')), errors='replace')}"
        for name in [*method.get("query", ()), "bewit"]
        if draw(one_in(40 if name == "bewit" else 3))
    ]
    payload = draw(PAYLOADS[method["input"]]) if method.get("input") else None
    target = f"/api/{service}/v1{path}" + (f"?{'&'.join(query)}" if query else "")
    return f"{service}.{method['name']}", method["method"].upper(), target, payload


TASK = {
    "taskQueueId": "p/w", "created": to_wire(START), "deadline": to_wire(START + timedelta(days=1)), "payload": {},
    "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://x.org"},
}  # fmt: skip
EXPIRES = to_wire(START + timedelta(days=1))
CLIENT = {"expires": EXPIRES, "description": "", "scopes": ["a"]}
UPLOAD = {"projectId": "p", "uploadId": SLUG}
POOL = {"providerId": "static", "description": "", "config": {}, "owner": "o@x.org", "emailOnError": False}
METADATA = {"name": "n", "description": "d", "owner": "o@x.org", "emailOnError": False}
BEFORE: dict[str, list[tuple[str, str, Any]]] = {
    "auth": [("PUT", "clients/c", CLIENT), ("PUT", "roles/r", {"description": "", "scopes": ["a"]})],
    "hooks": [("PUT", "hooks/g/h", {"metadata": METADATA, "task": TASK})],
    "index": [("PUT", "task/a.b", {"taskId": SLUG, "rank": 0, "data": {}, "expires": EXPIRES})],
    "object": [
        ("PUT", "upload/n", {**UPLOAD, "expires": EXPIRES, "proposedUploadMethods": {}}),
        ("POST", "finish-upload/n", UPLOAD),
    ],
    "purge-cache": [("POST", "purge-cache/p/w", {"cacheName": "c"})],
    "queue": [
        ("PUT", f"task/{SLUG}", TASK),
        ("POST", "claim-work/p/w", {"workerGroup": "g", "workerId": "i"}),
        (
            "POST",
            f"task/{SLUG}/runs/0/artifacts/n",
            {"storageType": "error", "expires": EXPIRES, "reason": "file-missing-on-worker", "message": ""},
        ),
    ],
    "secrets": [("PUT", "secret/n", {"secret": {}, "expires": EXPIRES})],
    "worker-manager": [
        ("PUT", "worker-pool/p/w", POOL),
        ("PUT", "workers/p%2Fw/g/i", {"expires": EXPIRES, "providerInfo": {"staticSecret": "s" * 44}}),
    ],
}
"""By service, functions that create what calls can refer to."""


def check(site: Any, call: Any, caller: str | None) -> None:
    _, verb, target, payload = call
    response = site.call(verb, target, payload, by=caller)
    if response.status >= 500:
        pytest.fail(f"{verb} {target} {json.dumps(payload)} -> {response.status}\n{response.content.decode()}")
    if response.status < 400 or "json" not in response.headers["content-type"]:
        return
    body = response.json
    if body == {"error": "Not found"} or set(body) == {"reason", "message"}:
        return
    assert set(body) == {"code", "message", "requestInfo"}
    assert body["requestInfo"]["method"]
    assert f"* statusCode: {response.status}" in body["message"]


@pytest.mark.parametrize("service", [service for service, methods in METHODS.items() if methods])
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), anonymous=one_in(8))
def test_random_requests_never_fail_server(new_site: Any, service: str, data: st.DataObject, anonymous: bool) -> None:
    with new_site() as site:
        for verb, path, payload in data.draw(st.sampled_from([BEFORE.get(service, []), []])):
            check(site, (f"{service}.{path}", verb, f"/api/{service}/v1/{path}", payload), ROOT)
        for call in data.draw(st.lists(requests(service), min_size=3, max_size=15)):
            check(site, call, None if anonymous else ROOT)
        asyncio.run(site.deployment.pass_time())
