"""Tests of the served references, schemas and health documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urldefrag, urljoin

import pytest
import requests
from jsonschema import Draft6Validator
from referencing import Registry
from referencing.jsonschema import DRAFT6

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_local.endpoints import references

ROOT_URL = "http://tc.example.com:8080"
DRAFT = "http://json-schema.org/draft-06/schema#"


@pytest.fixture
def documents(site: Any) -> dict[str, Any]:
    """All documents by path."""
    listed = site.ok("GET", "/references/references.json", by=None)
    return {f"/{each['filename']}": site.ok("GET", f"/{each['filename']}", by=None) for each in listed}


def of_kind(documents: dict[str, Any], start: str) -> dict[str, Any]:
    return {path: content for path, content in documents.items() if path.startswith(start)}


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from refs(member)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


def test_schemas_are_at_their_ids(documents: dict[str, Any]) -> None:
    schemas = of_kind(documents, "/schemas/")
    assert len(schemas) > 150
    for path, schema in schemas.items():
        assert schema["$id"] == f"{ROOT_URL}{path}#"


def test_every_document_has_served_schema(documents: dict[str, Any]) -> None:
    for path, content in documents.items():
        described_by = content["$schema"].rstrip("#").removeprefix(ROOT_URL)
        # The schemas of schemas refer to the JSON schema standard.
        assert described_by in documents or (path.startswith("/schemas/common/") and content["$schema"] == DRAFT)


def test_schemas_refer_to_existing_schemas(documents: dict[str, Any]) -> None:
    schemas = of_kind(documents, "/schemas/")
    registry: Registry[Any] = Registry().with_resources(
        [(f"{ROOT_URL}{path}", DRAFT6.create_resource(schema)) for path, schema in schemas.items()]
    )
    found = [
        (ref, urljoin(f"{ROOT_URL}{path}", ref))
        for path, schema in schemas.items()
        for ref in refs(schema)
        if ref != DRAFT
    ]
    assert found
    for ref, url in found:
        assert not ref.startswith(("http:", "/"))
        assert urldefrag(url).url.removeprefix(ROOT_URL) in schemas
        assert registry.resolver().lookup(url).contents


def test_documents_match_their_schemas(documents: dict[str, Any]) -> None:
    for path, content in documents.items():
        if content["$schema"] == DRAFT:
            Draft6Validator.check_schema(content)
            continue
        schema = documents[content["$schema"].rstrip("#").removeprefix(ROOT_URL)]
        Draft6Validator.check_schema(schema)
        errors = [error.message for error in Draft6Validator(schema).iter_errors(content)]
        assert not errors, (path, errors)


def test_detects_reference_that_violates_schema(documents: dict[str, Any]) -> None:
    for path in ("/references/queue/v1/api.json", "/references/queue/v1/exchanges.json"):
        content = documents[path]
        schema = documents[content["$schema"].rstrip("#").removeprefix(ROOT_URL)]
        assert not Draft6Validator(schema).is_valid({**content, "more": 1})
        assert not Draft6Validator(schema).is_valid({**content, "entries": [{"type": "function"}]})


def test_manifest_lists_every_reference(documents: dict[str, Any]) -> None:
    listed = documents["/references/manifest.json"]["references"]
    assert listed == sorted(listed)
    assert {url.removeprefix(ROOT_URL) for url in listed} == set(of_kind(documents, "/references/")) - {
        "/references/manifest.json"
    }
    for service, reference in references().items():
        assert f"{ROOT_URL}/references/{service}/v1/api.json" in listed
        assert (f"{ROOT_URL}/references/{service}/v1/exchanges.json" in listed) is bool(reference.get("exchanges"))


def test_all_documents_use_root_url(site: Any, documents: dict[str, Any]) -> None:
    response = site.call("GET", "/references/references.json", by=None)
    assert ROOT_URL.encode() not in response.content
    found = {f"/{each['filename']}": each["content"] for each in response.json}
    for path, content in found.items():
        assert content["$schema"].startswith("/schemas/") or content["$schema"] == DRAFT
        if path.startswith("/schemas/"):
            assert content["$id"] == f"{path}#"
    schemas = {f"/schemas/{key}" for reference in references().values() for key in reference["types"]}
    assert schemas <= set(found)


def test_references_match_apis(documents: dict[str, Any]) -> None:
    for service, reference in references().items():
        api = documents[f"/references/{service}/v1/api.json"]
        assert [entry["name"] for entry in api["entries"]] == [method["name"] for method in reference["methods"]]
        for entry in api["entries"]:
            for kind in ("input", "output"):
                if kind in entry:
                    assert f"/schemas/{service}/{entry[kind].rstrip('#')}" in documents
        for entry in documents.get(f"/references/{service}/v1/exchanges.json", {"entries": ()})["entries"]:
            if "schema" in entry:
                assert f"/schemas/{service}/{entry['schema'].rstrip('#')}" in documents


@pytest.mark.parametrize("path", ["/references/x/v1/api.json", "/schemas/queue/v1/x.json", "/references/"])
def test_returns_404_for_unknown_document(site: Any, path: str) -> None:
    assert site.call("GET", path, by=None).status == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_rejects_writing_documents(site: Any, method: str) -> None:
    assert site.call(method, "/references/manifest.json", by=None).status == 404


def test_deployment_is_healthy(site: Any) -> None:
    assert site.ok("GET", "/__lbheartbeat__", by=None) == {}
    assert site.ok("GET", "/__heartbeat__", by=None) == {}
    assert site.ok("GET", "/__version__", by=None) == site.ok("GET", "/api/queue/v1/__version__", by=None)
    robots = site.call("GET", "/robots.txt", by=None)
    assert (robots.status, robots.content) == (200, b"User-Agent: *\nDisallow: /\n")
    assert robots.headers["content-type"].startswith("text/plain")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


def test_creates_client_from_served_reference(local: LocalTaskcluster) -> None:
    reference = requests.get(f"{local.root_url}/references/queue/v1/api.json").json()
    queue: Any = taskcluster.createApiClient("Queue", reference)(local.options())
    assert queue.ping()["alive"] is True
    assert queue.listTaskQueues.__name__ == "listTaskQueues"
    events = requests.get(f"{local.root_url}/references/queue/v1/exchanges.json").json()
    bindings: Any = taskcluster.createApiClient("QueueEvents", events)(local.options())
    assert bindings.taskPending({"taskId": "x"})["exchange"] == "exchange/taskcluster-queue/v1/task-pending"


def test_supports_head_and_etag(local: LocalTaskcluster) -> None:
    url = f"{local.root_url}/references/queue/v1/api.json"
    with requests.Session() as session:
        whole = session.get(url)
        head = session.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["ETag"] == whole.headers["ETag"]
        fresh = session.get(url, headers={"If-None-Match": whole.headers["ETag"]})
        assert (fresh.status_code, fresh.content) == (304, b"")
        assert session.get(url, headers={"If-None-Match": 'W/"x"'}).json() == whole.json()
