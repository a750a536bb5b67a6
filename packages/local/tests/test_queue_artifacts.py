"""Tests of the queue service: artifacts of every storage type."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from taskcluster import Queue
from taskcluster_local.events import Binding
from taskcluster_local.services.queue import artifacts as module

ROOT = "/api/queue/v1"
WORKER = {"workerGroup": "g", "workerId": "i"}
Make = Callable[..., Any]


class FakeObjects:
    """The object service with the objects that a test names."""

    def __init__(self) -> None:
        self.finished: set[str] = set()

    def is_finished(self, name: str) -> bool:
        return name in self.finished

    def download_url(self, name: str, expires: datetime) -> str | None:
        return f"https://objects.example.com/{name}?{expires:%H:%M}" if name in self.finished else None


@pytest.fixture(autouse=True)
def objects(monkeypatch: pytest.MonkeyPatch) -> FakeObjects:
    """Replaces the object service in sites created later."""
    found = FakeObjects()
    init = module.Artifacts.__init__

    def with_objects(self: Any, store: Any, storage: Any, _: Any, queue: Any, messages: Any) -> None:
        init(self, store, storage, found, queue, messages)

    monkeypatch.setattr(module.Artifacts, "__init__", with_objects)
    return found


@pytest.fixture
def running(site: Any, slug: Make, task: Make) -> str:
    """The path of a running run."""
    site.ok("PUT", f"{ROOT}/task/{slug(1)}", task(expires=site.clock.at(days=2), projectId="proj"))
    site.ok("POST", f"{ROOT}/claim-work/p/w", WORKER)
    return f"{ROOT}/task/{slug(1)}/runs/0"


@pytest.fixture
def latest(slug: Make) -> str:
    """The path of the latest run of that task."""
    return f"{ROOT}/task/{slug(1)}"


@pytest.fixture
def create(site: Any, running: str) -> Make:
    """Creates an artifact of the running run."""

    def call(name: str, storageType: str = "s3", **fields: Any) -> Any:
        defaults = {
            "s3": {"contentType": "text/plain"},
            "object": {"contentType": "text/plain"},
            "reference": {"contentType": "text/plain", "url": "https://example.com/x"},
            "link": {"artifact": "public/target"},
            "error": {"reason": "file-missing-on-worker", "message": "m"},
        }[storageType]
        payload = {"storageType": storageType, "expires": site.clock.at(days=1), **defaults, **fields}
        return site.call("POST", f"{running}/artifacts/{quote(name, safe='')}", payload)

    return call


@pytest.fixture
def published(site: Any) -> Iterator[list[Any]]:
    """The published messages about artifacts."""
    found: list[Any] = []
    bindings = [Binding("exchange/taskcluster-queue/v1/artifact-created", "#")]
    subscription = site.deployment.events.subscribe(bindings, found.append)
    yield found
    subscription.close()


# Creating


def test_creates_s3_artifact(site: Any, create: Make, running: str) -> None:
    response = create("public/a.txt", contentLength=3).json
    assert (response["storageType"], response["contentType"]) == ("s3", "text/plain")
    assert response["expires"] == site.clock.at(minutes=45)
    storage = site.deployment.shared.storage
    target = response["putUrl"].removeprefix("http://tc.example.com:8080")
    name = storage.allowed("PUT", target, {})
    storage.write(name, b"abc", "text/plain")
    # It is present at once.
    found = site.call("GET", f"{running}/artifacts/public/a.txt", by=None)
    assert found.status == 303
    assert found.headers["x-taskcluster-artifact-storage-type"] == "s3"
    assert found.json == {"storageType": "s3", "url": found.headers["location"]}
    url = urlsplit(found.json["url"])
    assert url.query == ""
    kept = storage.find(storage.allowed("GET", url.path, {}))
    assert kept.path.read_bytes() == b"abc"
    info = site.ok("GET", f"{running}/artifact-info/public/a.txt")
    assert info == {
        "storageType": "s3",
        "name": "public/a.txt",
        "expires": site.clock.at(days=1),
        "contentType": "text/plain",
        "contentLength": 3,
    }


def test_private_artifact_requires_signed_url(site: Any, create: Make, running: str) -> None:
    storage = site.deployment.shared.storage
    put = create("private/a").json["putUrl"].removeprefix("http://tc.example.com:8080")
    storage.write(storage.allowed("PUT", put, {}), b"abc", "text/plain")
    path = f"{running}/artifacts/private/a"
    assert site.call("GET", path, by=None).status == 403
    url = site.call("GET", path).json["url"].removeprefix("http://tc.example.com:8080")
    name = storage.allowed("GET", url, {})
    with pytest.raises(Exception, match="there is no such file"):
        storage.allowed("GET", f"/storage/public/{quote(name, safe='')}", {})
    site.clock.advance(minutes=31)
    with pytest.raises(Exception, match="has expired"):
        storage.allowed("GET", url, {})


def test_rejects_finishing_object_with_length(
    site: Any, slug: Make, objects: FakeObjects, create: Make, running: str, published: list[Any]
) -> None:
    # The message would contain the length, which its schema forbids.
    created = create("o", "object", contentLength=3).json
    objects.finished.add(created["name"])
    response = site.call("PUT", f"{running}/artifacts/o", {"uploadId": created["uploadId"]})
    assert (response.status, response.code) == (500, "InternalServerError")
    assert published == []


def test_creates_object_artifact(
    site: Any, slug: Make, objects: FakeObjects, create: Make, running: str, published: list[Any]
) -> None:
    response = create("public/o", "object").json
    name = f"t/{slug(1)}/0/public/o"
    assert {key: response[key] for key in ("storageType", "name", "projectId", "expires")} == {
        "storageType": "object",
        "name": name,
        "projectId": "proj",
        "expires": site.clock.at(days=1),
    }
    credentials = response["credentials"]
    assert credentials["clientId"] == f"artifact-upload/{slug(1)}/0/on/g/i"
    assert json.loads(credentials["certificate"])["scopes"] == [f"object:upload:proj:{name}"]
    assert site.ok("GET", "/api/auth/v1/scopes/current", by=credentials)["scopes"]

    path, content = f"{running}/artifacts/public/o", f"{running}/artifact-content/public/o"

    def finish(uploadId: str = response["uploadId"], path: str = path) -> Any:
        return site.call("PUT", path, {"uploadId": uploadId})

    # It can be listed before it is finished, but not read.
    for each in (path, content, f"{running}/artifact-info/public/o"):
        assert site.call("GET", each).status == 404
    assert [each["name"] for each in site.ok("GET", f"{running}/artifacts")["artifacts"]] == ["public/o"]
    assert "does not match" in finish(slug(5)).message
    assert (finish().status, "does not exist" in finish().message) == (400, True)
    assert published == []
    objects.finished.add(name)
    assert (finish().status, finish().content) == (204, b"")
    # Once finished, any uploadId is accepted.
    assert finish(slug(5)).status == 204
    assert [message.payload["artifact"]["storageType"] for message in published] == ["object"]
    found = site.call("GET", path, by=None)
    assert (found.status, found.headers["location"]) == (303, f"https://objects.example.com/{name}?12:30")
    body = site.ok("GET", content, by=None)
    assert (body["storageType"], body["name"]) == ("object", name)
    assert body["credentials"]["clientId"] == f"artifact-download/{slug(1)}/0/public/o"
    certificate = json.loads(body["credentials"]["certificate"])
    assert certificate["scopes"] == [f"object:download:{name}"]
    assert certificate["expiry"] - certificate["start"] == 3600_000


def test_rejects_finishing_other_artifacts(site: Any, slug: Make, create: Make, running: str) -> None:
    def finish(name: str) -> Any:
        return site.call("PUT", f"{running}/artifacts/{name}", {"uploadId": slug(5)})

    assert (finish("x").status, finish("x").code) == (404, "ResourceNotFound")
    create("x")
    assert finish("x").message == "Only object artifacts can be finished"
    path = f"{running.removesuffix('0')}99999999999999999999/artifacts/x"
    assert site.call("PUT", path, {"uploadId": slug(5)}).status == 404


def test_creates_other_storage_types(site: Any, slug: Make, create: Make, running: str, published: list[Any]) -> None:
    assert create("public/r", "reference").json == {"storageType": "reference"}
    assert create("public/l", "link", artifact="public/r").json == {"storageType": "link"}
    assert create("public/e", "error").json == {"storageType": "error"}
    kinds = [message.payload["artifact"]["storageType"] for message in published]
    assert kinds == ["reference", "link", "error"]
    found = site.call("GET", f"{running}/artifacts/public/r")
    assert (found.status, found.json["url"]) == (303, "https://example.com/x")
    # The response is about the target of the link.
    assert site.call("GET", f"{running}/artifacts/public/l").json == found.json
    assert site.ok("GET", f"{running}/artifact-content/public/l") == found.json
    assert site.ok("GET", f"{running}/artifact-info/public/l")["storageType"] == "link"
    assert site.ok("GET", f"{running}/artifact-info/public/l")["contentType"] == "application/binary"
    error = site.call("GET", f"{running}/artifacts/public/e")
    assert (error.status, error.json) == (424, {"reason": "file-missing-on-worker", "message": "m"})
    assert error.headers["x-taskcluster-artifact-storage-type"] == "error"
    assert site.ok("GET", f"{running}/artifact-content/public/e") == {"storageType": "error", **error.json}


def test_create_requires_running_run(site: Any, slug: Make, task: Make, running: str, create: Make) -> None:
    def tell(response: Any) -> tuple[int, str, str]:
        return response.status, response.code, response.message.partition(" (")[0]

    payload = {"storageType": "error", "reason": "file-missing-on-worker", "message": ""}
    payload["expires"] = site.clock.at(minutes=-16)
    path = f"{ROOT}/task/{slug(8)}/runs/0/artifacts/x"
    assert tell(site.call("POST", path, payload)) == (400, "InputError", "Expires must be in the future")
    payload["expires"] = site.clock.at(minutes=-14)
    assert tell(site.call("POST", path, payload)) == (400, "InputError", "Task not found")
    path = f"{ROOT}/task/{slug(1)}/runs/7/artifacts/x"
    assert tell(site.call("POST", path, payload)) == (400, "InputError", "Run not found")
    site.ok("PUT", f"{ROOT}/task/{slug(2)}", task())
    path = f"{ROOT}/task/{slug(2)}/runs/0/artifacts/x"
    assert "not claimed" in site.call("POST", path, payload).message
    assert create("x", expires=site.clock.at(days=2, seconds=1)).code == "InputError"
    assert create("x", expires=site.clock.at(days=2)).status == 200
    assert create("x" * 1024).status == 200
    assert create("x" * 1025).code == "InputError"
    assert create("x", by="nobody", storageType="s3").code == "InputValidationError"
    # An upload that is finished at once.
    assert create("late", "object", expires=site.clock.at(minutes=-10)).status == 200


@pytest.mark.parametrize("last", ["completed", "exception"])
def test_creates_artifact_shortly_after_exception(site: Any, create: Make, running: str, last: str) -> None:
    payload = {"reason": "internal-error"} if last == "exception" else None
    site.ok("POST", f"{running}/{last}", payload)
    site.clock.advance(minutes=24)
    # A log may be uploaded shortly after an exception.
    assert create("public/log").status == (200 if last == "exception" else 409)
    site.clock.advance(minutes=2)
    response = create("public/other")
    assert (response.status, response.code) == (409, "RequestConflict")


def test_create_requires_scopes(site: Any, slug: Make, running: str) -> None:
    payload = {"storageType": "s3", "expires": site.clock.at(hours=1), "contentType": "a"}
    assert site.call("POST", f"{running}/artifacts/x", payload, by="nobody").status == 403
    assert site.call("PUT", f"{running}/artifacts/x", {"uploadId": slug(1)}, by="nobody").status == 403


# Creating again

LATER = {"days": 1, "hours": 1}
EARLIER = {"hours": 23}


@pytest.mark.parametrize("kind", ["s3", "object", "reference", "link", "error"])
def test_create_can_be_repeated(site: Any, create: Make, running: str, kind: str) -> None:
    first = create("a", kind)
    again = create("a", kind)
    assert (first.status, again.status) == (200, 200)
    if kind == "object":
        assert again.json["uploadId"] == first.json["uploadId"]
    assert create("a", kind, expires=site.clock.at(**LATER)).status == 200
    [listed] = site.ok("GET", f"{running}/artifacts")["artifacts"]
    assert listed["expires"] == site.clock.at(**LATER)
    response = create("a", kind)
    assert (response.status, response.code) == (409, "RequestConflict")


@pytest.mark.parametrize(
    ("before", "fields", "after", "changed", "status"),
    [
        ("s3", {}, "s3", {"contentType": "text/html"}, 409),
        ("s3", {}, "s3", {"contentLength": 1}, 409),
        ("s3", {}, "reference", {}, 409),
        ("s3", {}, "object", {}, 409),
        ("object", {}, "s3", {}, 409),
        ("reference", {}, "reference", {"url": "https://example.com/y"}, 200),
        ("reference", {}, "reference", {"contentType": "text/html"}, 409),
        ("reference", {}, "link", {}, 200),
        ("reference", {}, "link", {"contentType": "text/html"}, 200),
        ("reference", {}, "error", {}, 409),
        ("link", {}, "link", {"artifact": "public/other"}, 409),
        ("link", {}, "link", {"contentType": "text/html"}, 200),
        ("link", {}, "reference", {}, 409),
        ("error", {}, "error", {"message": "other"}, 409),
    ],
)
def test_conflicts_with_other_properties(
    create: Make, before: str, fields: Any, after: str, changed: dict[str, Any], status: int
) -> None:
    assert create("a", before, **fields).status == 200
    assert create("a", after, **changed).status == status


def test_reference_keeps_content_type_as_link(site: Any, create: Make, running: str) -> None:
    create("a", "reference")
    create("a", "link")
    info = site.ok("GET", f"{running}/artifact-info/a")
    assert (info["storageType"], info["contentType"]) == ("link", "text/plain")


# Reading


def test_link_requires_scopes_of_all_names(new_site: Make, slug: Make, task: Make) -> None:
    clients = [
        {"clientId": "one", "accessToken": "c" * 44, "scopes": ["queue:get-artifact:a"]},
        {"clientId": "both", "accessToken": "c" * 44, "scopes": ["queue:get-artifact:a", "queue:get-artifact:b"]},
    ]
    with new_site(clients) as site:
        site.ok("PUT", f"{ROOT}/task/{slug(1)}", task())
        site.ok("POST", f"{ROOT}/claim-work/p/w", WORKER)
        run = f"{ROOT}/task/{slug(1)}/runs/0"
        expires = site.clock.at(hours=1)
        for name, kind, fields in (("a", "link", {"artifact": "b"}), ("b", "reference", {"url": "https://x.org/"})):
            payload = {"storageType": kind, "expires": expires, "contentType": "a", **fields}
            site.ok("POST", f"{run}/artifacts/{name}", payload)
        for path in (
            f"{run}/artifacts/a",
            f"{run}/artifact-content/a",
            f"{ROOT}/task/{slug(1)}/artifacts/a",
            f"{ROOT}/task/{slug(1)}/artifact-content/a",
        ):
            assert site.call("GET", path, by="one").status == 403
            assert "queue:get-artifact:b" in site.call("GET", path, by="one").message
            assert site.call("GET", path, by="both").status in (200, 303)


def test_reports_broken_links(site: Any, create: Make, running: str, latest: str) -> None:
    create("dangling", "link", artifact="nothing")
    create("round", "link", artifact="about")
    create("about", "link", artifact="round")
    for root in (running, latest):
        for way in ("artifacts", "artifact-content"):
            assert site.call("GET", f"{root}/{way}/dangling").message == "Artifact not found"
            response = site.call("GET", f"{root}/{way}/round")
            assert (response.status, response.code) == (400, "InputError")
            # Whether it exists must not be revealed without the scope.
            assert site.call("GET", f"{root}/{way}/round", by="nobody").status == 403
            assert site.call("GET", f"{root}/{way}/nothing", by="nobody").status == 403


def test_returns_404_without_task_or_run(site: Any, slug: Make, task: Make, running: str) -> None:
    site.ok("PUT", f"{ROOT}/task/{slug(2)}", task(dependencies=[slug(2)]))
    missing, bare = f"{ROOT}/task/{slug(9)}", f"{ROOT}/task/{slug(2)}"

    def tell(path: str, by: Any = "static/taskcluster/root") -> tuple[int, str]:
        response = site.call("GET", path, by=by)
        return response.status, "" if response.status == 403 else response.message

    for way in ("artifacts", "artifact-content"):
        assert tell(f"{missing}/runs/0/{way}/x") == (404, "Artifact not found")
        assert tell(f"{running.removesuffix('0')}99999999999999999999/{way}/x") == (404, "Artifact not found")
        assert tell(f"{missing}/{way}/x") == (404, "Task not found")
        assert tell(f"{bare}/{way}/x") == (404, "Task doesn't have any runs")
    # The older method checks the scope first.
    assert tell(f"{missing}/artifacts/x", "nobody")[0] == 403
    assert tell(f"{missing}/artifact-content/x", "nobody")[0] == 404
    assert tell(f"{missing}/artifact-info/x") == (404, "Task not found")
    assert tell(f"{missing}/runs/0/artifact-info/x") == (404, "Artifact not found")
    assert tell(f"{missing}/artifacts") == tell(f"{missing}/runs/0/artifacts") == (404, "Task not found")
    assert tell(f"{running.removesuffix('0')}1/artifacts")[0] == 404


def test_latest_ignores_earlier_runs(site: Any, create: Make, running: str, latest: str) -> None:
    create("a", "reference")
    assert site.call("GET", f"{latest}/artifacts/a").status == 303
    assert site.ok("GET", f"{latest}/artifact-info/a") == site.ok("GET", f"{running}/artifact-info/a")
    assert len(site.ok("GET", f"{latest}/artifacts")["artifacts"]) == 1
    site.ok("POST", f"{running}/exception", {"reason": "worker-shutdown"})
    assert site.call("GET", f"{latest}/artifacts/a").message == "Artifact not found"
    assert site.ok("GET", f"{latest}/artifacts")["artifacts"] == []
    assert site.call("GET", f"{running}/artifacts/a").status == 303


def test_lists_in_pages(site: Any, create: Make, running: str) -> None:
    for name in ("c", "a", "b/x", "b"):
        create(name, "reference")
    page = site.ok("GET", f"{running}/artifacts?limit=3")
    rest = site.ok("GET", f"{running}/artifacts?limit=3&continuationToken={page['continuationToken']}")
    assert [each["name"] for each in (*page["artifacts"], *rest["artifacts"])] == ["a", "b", "b/x", "c"]
    assert "continuationToken" not in rest
    assert site.call("GET", f"{running}/artifacts/").code == "InvalidRequestArguments"


def test_reads_private_artifact_by_bewit(site: Any, create: Make, latest: str) -> None:
    create("private/a", "reference")
    options = {
        "rootUrl": "http://tc.example.com:8080",
        "credentials": {"clientId": "static/taskcluster/root", "accessToken": site.tokens["static/taskcluster/root"]},
    }
    task_id = latest.rpartition("/")[2]
    url = Queue(options).buildSignedUrl("getLatestArtifact", task_id, "private/a", expiration=10**9)
    target = url.removeprefix("http://tc.example.com:8080")
    assert site.call("GET", target, by=None).status == 303
    assert site.call("GET", target.replace("bewit=", "bewit=x"), by=None).status == 401


# Time passing


def test_expired_artifacts_are_deleted(site: Any, create: Make, running: str) -> None:
    storage = site.deployment.shared.storage
    put = create("a", expires=site.clock.at(hours=1)).json["putUrl"].removeprefix("http://tc.example.com:8080")
    name = storage.allowed("PUT", put, {})
    storage.write(name, b"abc", "text/plain")
    create("l", "link", artifact="a")
    site.clock.advance(hours=1, seconds=1)
    asyncio.run(site.deployment.pass_time())
    for path in ("artifacts/a", "artifact-content/a", "artifacts/l"):
        response = site.call("GET", f"{running}/{path}")
        assert (response.status, response.code) == (410, "ResourceExpired")
    # It is listed and its data is kept for another day.
    assert site.ok("GET", f"{running}/artifact-info/a")["name"] == "a"
    assert [each["name"] for each in site.ok("GET", f"{running}/artifacts")["artifacts"]] == ["a", "l"]
    path = storage.find(name).path
    site.clock.advance(days=1)
    asyncio.run(site.deployment.pass_time())
    assert site.call("GET", f"{running}/artifacts/a").message == "Artifact not found"
    assert [each["name"] for each in site.ok("GET", f"{running}/artifacts")["artifacts"]] == ["l"]
    assert storage.find(name) is None
    assert not path.exists()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("error", {"message": "\ud800"}),
        ("link", {"artifact": "\ud800", "contentType": "\ud800"}),
        ("s3", {"contentType": "\ud800", "contentLength": 10**20}),
    ],
)
def test_stores_surrogates_and_large_integers(site: Any, create: Make, running: str, kind: str, fields: Any) -> None:
    assert create("a", kind, **fields).status == 200
    assert site.call("GET", f"{running}/artifact-info/a").status == 200
    assert site.call("GET", f"{running}/artifact-content/a").status in (200, 404)
