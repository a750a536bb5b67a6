"""Tests of the order in which a request is checked, and of the form of all responses."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from taskcluster.hawk import Signer
from taskcluster_local.api import LARGEST_BODY
from taskcluster_local.deployment import ROOT_CLIENT
from taskcluster_local.endpoints import references

GET_SECRET = "/api/secrets/v1/secret/a/b"
BAD_TASK = "/api/queue/v1/task/xx"


def secret(site: Any) -> dict[str, Any]:
    return {"secret": {"key": "value"}, "expires": site.clock.at(hours=1)}


# Order


def test_route_is_checked_first(site: Any) -> None:
    response = site.call("DELETE", BAD_TASK, body=b"{", by=None)
    assert (response.status, response.json) == (404, {"error": "Not found"})


def test_json_is_checked_before_credentials(site: Any) -> None:
    for method in ("GET", "PUT"):
        response = site.call(method, BAD_TASK, body=b"{", by={"clientId": "absent", "accessToken": "x"})
        assert (response.status, response.code) == (400, "MalformedPayload")
        assert response.json["requestInfo"]["payload"] == "{"


def test_credentials_are_checked_before_scopes(site: Any) -> None:
    response = site.call("GET", GET_SECRET, by={"clientId": "absent", "accessToken": "x"})
    assert (response.status, response.code) == (401, "AuthenticationFailed")
    assert response.headers["www-authenticate"] == "hawk"


def test_scopes_are_checked_before_parameters(site: Any) -> None:
    for method, target in (
        ("GET", "/api/queue/v1/provisioners/!!"),
        ("GET", "/api/secrets/v1/secrets?x=1"),
        ("PUT", "/api/secrets/v1/secret/x"),
        ("GET", "/api/secrets/v1/secret/x"),
    ):
        for by, status in ((None, 403), ("nobody", 403)):
            response = site.call(method, target, {}, by=by)
            assert (response.status, response.code) == (status, "InsufficientScopes")
            assert "www-authenticate" not in response.headers


def test_parameters_are_checked_before_query(site: Any) -> None:
    response = site.call("GET", f"{BAD_TASK}?x=1")
    assert (response.status, response.code) == (400, "InvalidRequestArguments")
    assert response.message.startswith("Invalid URL patterns:\nURL parameter 'taskId' given as 'xx' must match regular")


def test_query_is_checked_before_payload(site: Any) -> None:
    response = site.call("PUT", "/api/secrets/v1/secret/x?a=1", {})
    assert (response.code, response.message) == (
        "InvalidRequestArguments",
        "Query-string parameter: a is not supported!",
    )


def test_payload_is_checked_before_deferred_scopes(site: Any, slug: Callable[[int], str]) -> None:
    target = f"/api/queue/v1/task/{slug(1)}"
    response = site.call("PUT", target, {}, by=None)
    assert (response.status, response.code) == (400, "InputValidationError")
    response = site.call("POST", f"{target}/cancel", by=None)
    assert response.status == 404
    response = site.call("POST", f"{target}/priority", {}, by=None)
    assert response.code == "InputValidationError"


def test_no_scopes_required_for_empty_list(site: Any) -> None:
    assert site.ok("POST", "/api/index/v1/tasks/indexes", {}, by=None) == {"tasks": []}
    response = site.call(
        "POST", "/api/index/v1/tasks/indexes", {"indexes": ["a.b"]}, by={"clientId": "x", "accessToken": ""}
    )
    assert response.status == 401


def test_ignores_credentials_if_no_scopes_required(site: Any) -> None:
    for target in ("/api/auth/v1/ping", "/api/queue/v1/__heartbeat__"):
        assert site.call("GET", target, by={"clientId": "absent", "accessToken": "x"}).status == 200


def test_rejects_bad_credentials_of_public_method(site: Any, slug: Callable[[int], str]) -> None:
    target = f"/api/queue/v1/task/{slug(1)}"
    assert site.call("GET", target, by=None).status == 404
    assert site.call("GET", target, by={"clientId": "absent", "accessToken": "x"}).status == 401


# Credentials in requests


def test_rejects_payload_with_other_hash(site: Any) -> None:
    request = site.request("PUT", GET_SECRET, secret(site))
    changed = type(request)(request.method, request.target, request.headers, request.body + b" ")
    assert asyncio.run(site.send(request)).status == 200
    assert asyncio.run(site.send(changed)).code == "AuthenticationFailed"
    unhashed = site.request("PUT", GET_SECRET, secret(site), hashed=False)
    assert asyncio.run(site.send(unhashed)).status == 200


def test_hashes_other_content_types_as_empty(site: Any) -> None:
    headers = {"Content-Type": "text/plain"}
    assert site.call("GET", "/api/secrets/v1/secrets", headers=headers).status == 200
    response = site.call("GET", "/api/secrets/v1/secrets", body=b"x", headers=headers)
    assert response.code == "AuthenticationFailed"


def test_accepts_signed_url(site: Any) -> None:
    site.ok("PUT", GET_SECRET, secret(site))
    signer = Signer(ROOT_CLIENT, site.tokens[ROOT_CLIENT].encode(), "")
    expires = int(site.clock.now.timestamp()) + 60
    target = f"{GET_SECRET}?bewit={signer.bewit(GET_SECRET, 'tc.example.com', '8080', expires)}"
    assert site.call("GET", target, by=None).status == 200
    assert site.call("GET", target).status == 401
    assert site.call("PUT", target, secret(site), by=None).message == "Unauthorized: Invalid method"
    site.clock.advance(seconds=61)
    assert site.call("GET", target, by=None).message == "Unauthorized: Access expired"


# Missing scopes


def test_error_lists_missing_scopes(site: Any) -> None:
    response = site.call("PUT", GET_SECRET, secret(site), by="reader")
    assert response.status == 403
    assert response.message == (
        "Client ID reader does not have sufficient scopes and is missing the following scopes:\n\n"
        "```\nsecrets:set:a/b\n```\n\n"
        "This request requires the client to satisfy the following scope expression:\n\n"
        "```\nsecrets:set:a/b\n```"
    )


def test_error_lists_scopes_required_of_anonymous(site: Any) -> None:
    assert site.call("GET", GET_SECRET, by=None).message == (
        "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n"
        "```\nsecrets:get:a/b\n```"
    )


def test_error_shows_scope_expression_as_json(site: Any) -> None:
    payload = {"workerGroup": "g", "workerId": "i"}
    response = site.call("POST", "/api/queue/v1/claim-work/p/w", payload, by="nobody")
    expression = {"AllOf": ["queue:claim-work:p/w", "queue:worker-id:g/i"]}
    assert response.message.count(f"```\n{json.dumps(expression, indent=2)}\n```") == 2


# Payloads


@pytest.mark.parametrize(
    ("body", "headers", "code", "text"),
    [
        (b"{", {}, "MalformedPayload", "Failed to parse JSON"),
        (b'"text"', {}, "MalformedPayload", "Must be an object or array"),
        (b"null", {}, "MalformedPayload", "Must be an object or array"),
        (b"[]", {}, "InputValidationError", "data must be object"),
        (b"", {}, "InputValidationError", "data must have required property 'scopes'"),
        (b"{}", {"Content-Type": "text/plain"}, "MalformedPayload", "got content-type: text/plain"),
        (b"{}", {"Content-Type": "application/json; charset=utf-7"}, "MalformedPayload", "utf_7; use utf-8"),
        (b"{}", {"Content-Type": "application/json; charset=base64"}, "MalformedPayload", "base64"),
        (b"{}", {"Content-Type": "application/json; charset=no-such"}, "MalformedPayload", "no_such"),
        (b'{"scopes": ["\xe9"]}', {"Content-Type": "application/json; charset=latin1"}, "InputValidationError", "/0"),
        (
            b'{"scopes": ["\x80"]}',
            {"Content-Type": 'application/json; charset="Windows-1252"'},
            "InputValidationError",
            "/0",
        ),
        (b"{}", {"Content-Encoding": "zip"}, "InternalServerError", "zip"),
        (b"{}", {"Content-Type": "APPLICATION/JSON; charset=UTF-8"}, "InputValidationError", "scopes"),
        ("{}".encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, "InputValidationError", "scopes"),
    ],
)
def test_parses_payload(site: Any, body: bytes, headers: dict[str, str], code: str, text: str) -> None:
    response = site.call("POST", "/api/auth/v1/scopes/expand", body=body, headers=headers, hashed=False)
    assert response.code == code
    assert text in response.json["message"]


def test_rejects_payload_without_json_content_type(site: Any) -> None:
    target = "/api/auth/v1/scopes/expand"
    response = site.call("POST", target)
    assert (response.status, response.code) == (400, "MalformedPayload")
    assert response.message.endswith("got content-type: null")


def test_rejects_body_over_limit(site: Any) -> None:
    request = site.request("POST", "/api/auth/v1/scopes/expand", {"scopes": []})
    too_large = type(request)(request.method, request.target, request.headers, None)
    response = asyncio.run(site.send(too_large))
    assert (response.status, response.code) == (500, "InternalServerError")


def packed(body: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", packed(b'{"scopes": []}', 31), 200),
        ("GZIP", packed(b'{"scopes": []}', 31), 200),
        ("deflate", packed(b'{"scopes": []}', 15), 200),
        ("identity", b'{"scopes": []}', 200),
        ("gzip", packed(b'{"scopes": []}', 31)[:-5], 400),
        ("gzip", b'{"scopes": []}', 400),
        ("gzip", b"", 400),
        ("gzip", packed(b" " * (LARGEST_BODY - 14) + b'{"scopes": []}', 31), 200),
        ("gzip", packed(b" " * (LARGEST_BODY - 13) + b'{"scopes": []}', 31), 500),
        ("zip", b'{"scopes": []}', 500),
    ],
)
def test_decompresses_payload(site: Any, encoding: str, body: bytes, status: int) -> None:
    headers = {"Content-Encoding": encoding}
    response = site.call("POST", "/api/auth/v1/scopes/expand", body=body, headers=headers, hashed=False)
    assert response.status == status


def test_lists_all_errors_of_payload(site: Any, slug: Callable[[int], str]) -> None:
    response = site.call("PUT", f"/api/queue/v1/task/{slug(1)}", {"retries": 50, "priority": "normal", "x": None})
    lines = response.json["message"].splitlines()
    assert lines[:4] == [
        "",
        "Schema Validation Failed!",
        "Rejecting Schema: http://tc.example.com:8080/schemas/queue/v1/create-task-request.json#",
        "Errors:",
    ]
    assert {line for line in lines if line.startswith("  * ")} >= {
        "  * data must have required property 'created'",
        '  * data must NOT have additional properties: "x"',
        "  * data/retries must be <= 49",
        "  * data/priority must be equal to one of the allowed values",
    }
    # The defaults have been added already.
    assert response.json["requestInfo"]["payload"]["schedulerId"] == "-"


# Errors


def test_error_response_body(site: Any) -> None:
    response = site.call("GET", "/api/secrets/v1/secret/a%2Fb")
    time = site.clock.at()
    assert response.json == {
        "code": "ResourceNotFound",
        "message": "Secret not found\n\n---\n\n* method:     get\n* errorCode:  ResourceNotFound\n"
        f"* statusCode: 404\n* time:       {time}",
        "requestInfo": {"method": "get", "params": {"name": "a/b"}, "payload": {}, "time": time},
    }


@pytest.mark.parametrize(
    ("method", "target", "payload", "shown"),
    [
        ("PUT", "/api/secrets/v1/secret/x", {"secret": {"a": 1}}, {"secret": "(OMITTED)"}),
        ("PUT", "/api/secrets/v1/secret/x", {"other": 1}, {"other": 1}),
        ("POST", "/api/worker-manager/v1/worker/register", {"workerIdentityProof": {"x": 1}}, "(OMITTED)"),
        (
            "PUT",
            "/api/worker-manager/v1/workers/p%2Fw/g/i",
            {"providerInfo": {"staticSecret": "s", "other": 1}},
            {"providerInfo": {"staticSecret": "(OMITTED)", "other": 1}},
        ),
    ],
)
def test_error_hides_secrets(site: Any, method: str, target: str, payload: Any, shown: Any) -> None:
    response = site.call(method, target, payload)
    assert response.code == "InputValidationError"
    assert response.json["requestInfo"]["payload"] == shown


def test_error_hides_secret_that_is_not_json(site: Any) -> None:
    response = site.call("PUT", "/api/secrets/v1/secret/x", body=b'{"secret": hunter2')
    assert response.status == 500
    assert b"hunter2" not in response.content
    assert response.headers["content-type"].startswith("text/html")


def test_returns_500_when_handler_fails(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    site.store.close()
    response = site.call("GET", GET_SECRET)
    assert (response.status, response.code) == (500, "InternalServerError")
    incident = re.fullmatch(r"Internal Server Error, incidentId ([0-9a-f-]{36})\.", response.message)
    assert incident is not None
    assert incident[1] in caplog.text


# Query


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("x=1", "Query-string parameter: x is not supported!"),
        ("limit=abc", 'Query-string parameter: limit="abc" does not match expression: /^[0-9]+$/'),
        ("limit=", 'Query-string parameter: limit="" does not match expression: /^[0-9]+$/'),
        ("limit=1&limit=2", "Query-string parameter: limit must be a string!"),
        ("x=1&y=2", "Query-string parameter: x is not supported!\nQuery-string parameter: y is not supported!"),
    ],
)
def test_checks_query(site: Any, query: str, message: str) -> None:
    response = site.call("GET", f"/api/secrets/v1/secrets?{query}")
    assert (response.status, response.code, response.message) == (400, "InvalidRequestArguments", message)


def test_health_methods_reject_query(site: Any) -> None:
    assert site.call("GET", "/api/auth/v1/ping?x=1", by=None).code == "InvalidRequestArguments"
    assert site.call("GET", "/api/auth/v1/ping?bewit=x", by=None).status == 200


# Responses


def test_response_headers(site: Any) -> None:
    for target in ("/api/auth/v1/ping", GET_SECRET, "/api/auth/v1/unknown"):
        headers = site.call("GET", target, headers={"x-taskcluster-trace-id": "trace"}).headers
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert headers["cache-control"] == "no-store no-cache must-revalidate"
        assert headers["access-control-allow-origin"] == "*"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-for-trace-id"] == "trace"
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-for-request-id"])
        assert re.fullmatch(r'W/"[0-9a-f]+-[A-Za-z0-9+/]{27}"', headers["etag"])


def test_returns_304_if_client_has_response(site: Any) -> None:
    first = site.call("GET", "/api/auth/v1/__version__", by=None)
    for known in (
        first.headers["etag"],
        first.headers["etag"].removeprefix("W/"),
        f'"x", {first.headers["etag"]}',
        "*",
    ):
        again = site.call("GET", "/api/auth/v1/__version__", by=None, headers={"If-None-Match": known})
        assert (again.status, again.content) == (304, b"")
    headers = {"If-None-Match": first.headers["etag"], "Cache-Control": "no-cache"}
    assert site.call("GET", "/api/auth/v1/__version__", by=None, headers=headers).status == 200


def test_compresses_large_response_if_accepted(site: Any) -> None:
    site.ok("PUT", GET_SECRET, {**secret(site), "secret": {"long": "x" * 2000}})
    plain = site.call("GET", GET_SECRET)
    packed = site.call("GET", GET_SECRET, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert packed.headers["etag"] == plain.headers["etag"]
    small = site.call("GET", "/api/auth/v1/ping", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


def test_options_lists_verbs(site: Any) -> None:
    response = site.call("OPTIONS", "/api/secrets/v1/secret/x", by=None)
    assert (response.status, response.content) == (200, b"DELETE, GET, HEAD, PUT")
    assert response.headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert response.headers["content-type"].startswith("text/plain")
    assert site.call("OPTIONS", "/api/secrets/v1/unknown", by=None).json == {"error": "Not found"}


def test_head_is_allowed_wherever_get_is(site: Any) -> None:
    assert site.call("HEAD", "/api/auth/v1/ping", by=None).status == 200
    assert site.call("HEAD", GET_SECRET).status == 404
    assert site.call("HEAD", "/api/queue/v1/claim-work/p/w").json == {"error": "Not found"}


@pytest.mark.parametrize("path", ["/api/queue/v9/ping", "/api/auth/v2/clients/", "/api/github/", "/api/index/v1"])
@pytest.mark.parametrize("verb", ["GET", "POST", "OPTIONS"])
def test_returns_json_404_for_unknown_version(site: Any, verb: str, path: str) -> None:
    response = site.call(verb, path, by=None)
    assert (response.status, response.json) == (404, {"error": "Not found"})


@pytest.mark.parametrize("path", ["/", "/api", "/api/queue", "/api/unknown/v1/ping", "/docs/x"])
def test_returns_html_outside_services(site: Any, path: str) -> None:
    response = site.call("GET", path, by=None)
    assert response.status == (404 if path.startswith("/api") else 200)
    assert response.headers["content-type"].startswith("text/html")


def test_returns_html_400_for_bad_escape(site: Any) -> None:
    response = site.call("GET", "/api/secrets/v1/secret/%zz", by=None)
    assert response.status == 400
    assert response.headers["content-type"].startswith("text/html")


# Methods without a handler


def test_unsupported_method_returns_400(site: Any) -> None:
    response = site.call("GET", "/api/auth/v1/sentry/project/dsn")
    assert (response.status, response.code) == (400, "NotInLocalDeployment")
    assert response.message.startswith("This is a local deployment: ")


def test_unsupported_method_still_checks_request(site: Any) -> None:
    # Scopes that depend on the URL only.
    assert site.call("GET", "/api/auth/v1/sentry/project/dsn", by="nobody").status == 403
    # Credentials only, because the scopes depend on the payload.
    target = "/api/auth/v1/aws/s3/read-only/bucket/prefix"
    assert site.call("GET", target, by={"clientId": "absent", "accessToken": "x"}).status == 401
    assert site.call("GET", target).code == "NotInLocalDeployment"


def test_no_method_returns_500(site: Any) -> None:
    for service, reference in references().items():
        for entry in reference["methods"]:
            path = re.sub("<[^>]*>", "x", entry["route"])
            response = site.call(entry["method"].upper(), f"/api/{service}/v1{path}", {})
            assert response.status < 500, path
            assert b'"error": "Not found"' not in response.content, path
