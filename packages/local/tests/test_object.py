"""Tests of the object service, with data over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_local.timestamps import from_wire, system_clock

UPLOAD = "aaaaaaaaQ0C0000000000A"
OTHER = "bbbbbbbbQ0C0000000000A"
SHA = hashlib.sha256(b"abc").hexdigest()


def inline(data: bytes = b"abc") -> dict[str, Any]:
    return {"dataInline": {"contentType": "text/x", "objectData": b64encode(data).decode()}}


PUT = {"putUrl": {"contentType": "text/x", "contentLength": 3}}


def upload(site: Any, name: str = "a", methods: Any = None, **fields: Any) -> Any:
    payload = {
        "projectId": "p",
        "uploadId": UPLOAD,
        "expires": site.clock.at(days=2),
        "proposedUploadMethods": methods or {},
        **fields,
    }
    return site.call("PUT", f"/api/object/v1/upload/{name}", payload)


def finish(site: Any, name: str = "a", **fields: Any) -> Any:
    payload = {"projectId": "p", "uploadId": UPLOAD, **fields}
    return site.call("POST", f"/api/object/v1/finish-upload/{name}", payload)


def download(site: Any, name: str = "a", **methods: bool) -> Any:
    return site.call("PUT", f"/api/object/v1/start-download/{name}", {"acceptDownloadMethods": methods})


def content(site: Any, name: str = "a") -> bytes:
    found = site.deployment.shared.storage.find(f"objects/{name}")
    return found.path.read_bytes() if found else b""


def refused(response: Any) -> tuple[int, str]:
    return response.status, response.code


def test_uploads_data_inline(site: Any) -> None:
    assert upload(site, methods={**PUT, **inline()}).json["uploadMethod"] == {"dataInline": True}
    assert content(site) == b"abc"
    assert refused(download(site, getUrl=True)) == (404, "ResourceNotFound")
    assert finish(site, hashes={"sha256": SHA}).json == {}
    got = download(site, simple=True, getUrl=True).json
    assert (got["method"], got["hashes"], got["expires"]) == ("getUrl", {"sha256": SHA}, site.clock.at(seconds=60))
    assert site.ok("GET", "/api/object/v1/metadata/a") == {
        "projectId": "p",
        "expires": site.clock.at(days=2),
        "hashes": {"sha256": SHA},
    }


def test_uploads_to_put_url(site: Any) -> None:
    method = upload(site, methods=PUT).json["uploadMethod"]["putUrl"]
    assert method["headers"] == {"Content-Type": "text/x", "Content-Length": "3", "Content-Encoding": "identity"}
    assert method["expires"] == site.clock.at(minutes=45)
    site.clock.advance(minutes=10)
    again = upload(site, methods=PUT, expires=site.clock.at(days=2, minutes=-10)).json["uploadMethod"]["putUrl"]
    assert again["url"] != method["url"]
    assert again["expires"] == site.clock.at(minutes=45)


def test_upload_without_method_succeeds(site: Any) -> None:
    response = upload(site, expires="2031-01-01 00:00:00.123456+01:00").json
    assert response == {
        "projectId": "p",
        "uploadId": UPLOAD,
        "expires": "2031-01-01 00:00:00.123456+01:00",
        "uploadMethod": {},
    }
    assert upload(site, methods=PUT, expires="2030-12-31T23:00:00.123Z").status == 200


@pytest.mark.parametrize(
    ("text", "data"), [("YW Jj!", b"abc"), ("YWJj=garbage", b"abc"), ("_-8", b"\xff\xef"), ("Y", b""), ("", b"")]
)
def test_decodes_base64_like_javascript(site: Any, text: str, data: bytes) -> None:
    upload(site, methods={"dataInline": {"contentType": "text/x", "objectData": text}})
    assert content(site) == data


@pytest.mark.parametrize("change", [{"projectId": "q"}, {"uploadId": OTHER}, {"expires": "2031-01-01T00:00:00Z"}])
def test_conflicts_with_other_upload_of_name(site: Any, change: dict[str, str]) -> None:
    upload(site, methods=inline())
    assert refused(upload(site, methods=inline(b"new"), **change)) == (409, "RequestConflict")
    assert content(site) == b"abc"


def test_conflicts_if_upload_id_is_reused(site: Any) -> None:
    upload(site)
    assert refused(upload(site, "b")) == (409, "RequestConflict")
    upload(site, "b", uploadId=OTHER)
    assert refused(upload(site, uploadId=OTHER)) == (409, "RequestConflict")


def test_conflicts_with_finished_object(site: Any) -> None:
    upload(site, methods=inline())
    finish(site)
    assert refused(upload(site, methods=inline(b"new"))) == (409, "RequestConflict")
    assert content(site) == b"abc"


def test_merges_hashes(site: Any) -> None:
    upload(site, hashes={"sha256": SHA})
    assert refused(upload(site, hashes={"sha256": "0" * 64})) == (409, "RequestConflict")
    assert upload(site, hashes={"md5": "x"}).status == 200
    assert refused(finish(site, hashes={"md5": "y"})) == (409, "RequestConflict")
    assert refused(download(site, getUrl=True)) == (404, "ResourceNotFound")
    assert finish(site, hashes={"crc": 1}).status == 200
    assert download(site, getUrl=True).json["hashes"] == {"sha256": SHA, "md5": "x", "crc": 1}


@pytest.mark.parametrize("hashes", [{"sha256": SHA.upper()}, {"sha512": SHA}])
def test_rejects_invalid_hashes(site: Any, hashes: dict[str, str]) -> None:
    assert refused(upload(site, hashes=hashes)) == (400, "InputValidationError")


def test_rejects_finishing_other_upload(site: Any) -> None:
    assert refused(finish(site)) == (404, "ResourceNotFound")
    upload(site)
    assert refused(finish(site, projectId="q")) == (400, "InputError")
    assert refused(finish(site, uploadId=OTHER)) == (409, "RequestConflict")
    assert refused(download(site, getUrl=True)) == (404, "ResourceNotFound")


def test_finish_can_be_repeated(site: Any) -> None:
    upload(site)
    finish(site, hashes={"sha256": SHA})
    assert finish(site, uploadId=OTHER, hashes={"sha256": SHA}).status == 200
    assert finish(site).status == 200
    assert refused(finish(site, projectId="q")) == (400, "InputError")
    other = finish(site, hashes={"sha256": "0" * 64})
    assert refused(other) == (409, "RequestConflict")
    assert "different hash for algorithm sha256" in other.message
    new = finish(site, hashes={"md5": "x"})
    assert refused(new) == (409, "RequestConflict")
    assert "without hash algorithm md5" in new.message


def test_selects_download_method(site: Any) -> None:
    upload(site)
    finish(site)
    assert set(download(site, simple=True).json) == {"method", "url"}
    assert refused(download(site)) == (406, "NoMatchingMethod")
    assert refused(download(site, getUrl=False)) == (400, "InputValidationError")
    assert refused(download(site, ftp=True)) == (400, "InputValidationError")


def test_accepts_any_name_in_path(site: Any) -> None:
    assert upload(site, "x%2Fy", methods=inline()).status == 200
    assert upload(site, "x/y").json == {"error": "Not found"}
    finish(site, "x%2Fy")
    for name in ("x%2Fy", "x/y"):
        assert download(site, name, getUrl=True).status == 200
        assert site.call("GET", f"/api/object/v1/metadata/{name}").status == 200
    response = site.call("GET", "/api/object/v1/download/x/y")
    assert response.status == 303
    assert response.headers["content-type"].startswith("text/plain")
    assert response.headers["location"].startswith("http://tc.example.com:8080/storage/signed/objects%2Fx%2Fy?")


@pytest.mark.parametrize("contentType", ["", "text", "text/x\r\nX: y", "text/é", "text/x; y", "a/b/c"])
def test_rejects_invalid_content_type(site: Any, contentType: str) -> None:
    for methods in (
        {"putUrl": {"contentType": contentType, "contentLength": 1}},
        {"dataInline": {"contentType": contentType, "objectData": ""}},
    ):
        assert refused(upload(site, methods=methods)) == (400, "InputError")
    assert upload(site, methods={"putUrl": {"contentType": 'text/x; a=b;c="d e"', "contentLength": 1}}).status == 200


def test_rejects_negative_length(site: Any) -> None:
    methods = {"putUrl": {"contentType": "text/x", "contentLength": -1}}
    assert refused(upload(site, methods=methods)) == (400, "InputError")


def pass_time(site: Any, **span: float) -> None:
    site.clock.advance(**span)
    asyncio.run(site.deployment.pass_time())


def test_deletes_expired_object_with_data(site: Any) -> None:
    upload(site, methods=inline())
    finish(site)
    pass_time(site, days=1.9)
    assert site.call("GET", "/api/object/v1/metadata/a").status == 200
    pass_time(site, days=0.1)
    assert site.call("GET", "/api/object/v1/metadata/a").status == 404
    assert content(site) == b""


def test_deletes_unfinished_upload_after_a_day(site: Any) -> None:
    expires = site.clock.at(days=9)
    upload(site, methods=inline(), expires=expires)
    upload(site, "b", uploadId=OTHER, methods=PUT, expires=expires)
    pass_time(site, hours=23.9)
    assert upload(site, "b", uploadId=OTHER, methods=PUT, expires=expires).status == 200
    assert content(site) == b"abc"
    pass_time(site, hours=0.1)
    assert content(site) == b""
    assert refused(finish(site)) == (404, "ResourceNotFound")
    # The upload URL has been renewed.
    assert finish(site, "b", uploadId=OTHER).status == 200


def test_requires_scopes(new_site: Any) -> None:
    may = {"clientId": "up", "accessToken": "u" * 44, "scopes": ["object:upload:p:a"]}
    with new_site(clients=[may]) as site:
        payload = {"projectId": "p", "uploadId": UPLOAD, "expires": site.clock.at(days=1), "proposedUploadMethods": {}}
        path = "/api/object/v1/upload"
        assert site.call("PUT", f"{path}/a", payload, by="up").status == 200
        assert site.call("PUT", f"{path}/b", payload, by="up").status == 403
        assert site.call("PUT", f"{path}/a", {**payload, "projectId": "q"}, by="up").status == 403
        assert site.call("PUT", f"{path}/a", {}, by="up").status == 400
        done = {"projectId": "p", "uploadId": UPLOAD}
        assert site.call("POST", "/api/object/v1/finish-upload/a", {**done, "projectId": "q"}, by="up").status == 403
        assert site.call("POST", "/api/object/v1/finish-upload/a", done, by="up").status == 200
        assert site.call("GET", "/api/object/v1/metadata/none", by="up").status == 403


class Ahead:
    """The system's clock, moved forward."""

    span = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.span


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def local(clock: Ahead) -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster(clock=clock) as running:
        yield running


def test_uploads_and_downloads_over_sockets(local: LocalTaskcluster, clock: Ahead) -> None:
    service = taskcluster.Object(local.options())
    given = {"projectId": "p", "uploadId": UPLOAD, "expires": "2090-01-01T00:00:00.000Z"}
    method = service.createUpload("x/y", {**given, "proposedUploadMethods": PUT})["uploadMethod"]["putUrl"]
    headers = dict(method["headers"])
    assert requests.put(method["url"], b"abc", headers={**headers, "Content-Encoding": "gzip"}).status_code == 403
    assert requests.put(method["url"], b"abc", headers=headers).status_code == 200
    service.finishUpload("x/y", {"projectId": "p", "uploadId": UPLOAD, "hashes": {"sha256": SHA}})
    found = service.startDownload("x/y", {"acceptDownloadMethods": {"getUrl": True}})
    got = requests.get(found["url"])
    assert (got.content, got.headers["Content-Type"]) == (b"abc", "text/x")
    assert "Content-Encoding" not in got.headers
    signed = service.buildSignedUrl("download", "x/y")
    assert requests.get(signed).content == b"abc"
    assert from_wire(found["expires"]) - clock() <= timedelta(seconds=60)
    clock.span = timedelta(seconds=121)
    assert requests.get(found["url"]).status_code == 403
    clock.span = timedelta(minutes=46)
    assert requests.put(method["url"], b"abd", headers=headers).status_code == 403
