"""Requests to storage, and transfer methods of plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskcluster.plugins import Location, PluginError
from taskcluster.registry import registry
from taskcluster.transfer_methods import checked
from taskcluster.version import VERSION

from .conftest import TransferMode
from .deployment import Blob, StorageServer, breaks, responds
from .test_usage import DATA, artifacts


def test_sends_user_agent_to_storage(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    options = {"userAgentSuffix": "my-program/1"}
    mode.get_artifact("public/object", options=options)
    mode.put(data=DATA, options=options)
    assert {each.headers["user-agent"] for each in deployment.received} == {
        f"taskcluster-client-py/{VERSION} my-program/1"
    }


def test_content_type_defaults_to_octet_stream(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    deployment.faults.extend([responds(200, body=b"x")] * 2)
    assert mode.get_artifact("a")[1] == "application/octet-stream"
    content = mode.run(mode.download.getArtifactContent, "T", "a", queueService=mode.client("Queue"))
    assert content.content_type == "application/octet-stream"


def test_offers_and_uses_methods_of_plugins(
    mode: TransferMode, deployment: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Post:
        name = "postUrl"

        def propose(self, offer: Any) -> Any:
            return {"size": offer.contentLength}

        def destination(self, response: Any) -> Location | None:
            return Location(response, "PUT", {"Content-Type": "made/up"})

    class Torrent:
        name = "torrent"

        def accept(self) -> Any:
            return {"peers": 1}

        def source(self, response: Any) -> Location:
            return Location(response["url"], hashes=response["hashes"])

    monkeypatch.setattr(registry, "transfer_methods", lambda: [Post(), Torrent()])
    deployment.upload_methods = lambda proposed: {"postUrl": deployment.url("some/name")}
    mode.put(data=DATA)
    assert deployment.called("createUpload")[0]["proposedUploadMethods"]["postUrl"] == {"size": len(DATA)}
    assert deployment.stored_requests[-1].headers["content-type"] == "made/up"
    deployment.blobs["x"] = Blob(DATA, method="torrent")
    assert mode.get("x")[0] == DATA
    assert deployment.called("startDownload")[0]["acceptDownloadMethods"]["torrent"] == {"peers": 1}


def test_errors_name_the_plugin_of_a_method(
    mode: TransferMode, deployment: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Torrent:
        name = "torrent"

        def propose(self, offer: Any) -> Any:
            return True

        def destination(self, response: Any) -> Any:
            return response["url"]

        def accept(self) -> Any:
            return True

        def source(self, response: Any) -> Any:
            return response["adress"]

    methods = checked("torrents", Torrent())
    monkeypatch.setattr(registry, "transfer_methods", lambda: methods)
    deployment.upload_methods = lambda proposed: {"torrent": {"url": deployment.url("some/name")}}
    with pytest.raises(PluginError, match=r"^the plugin 'torrents': destination of its .* must return a .*Location"):
        mode.put(data=DATA)
    deployment.blobs["x"] = Blob(DATA, method="torrent")
    with pytest.raises(PluginError, match=r"^the plugin 'torrents': source of .* raised KeyError: 'adress' "):
        mode.get("x")


def test_sends_no_netrc_credentials_to_storage(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hidden\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    artifacts(deployment)
    mode.get_artifact("public/s3")
    mode.put(data=DATA)
    assert len(deployment.stored_requests) == 2
    assert all("authorization" not in each.headers for each in deployment.stored_requests)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_sends_headers_of_plugins_to_their_server_only(
    mode: TransferMode, deployment: StorageServer, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    class Bearer:
        name = "bearer"

        def accept(self) -> Any:
            return True

        def source(self, response: Any) -> Location:
            return Location(response["url"], headers={"Authorization": "Bearer x", "Cookie": "c=1"})

    other = StorageServer() if elsewhere else deployment
    try:
        monkeypatch.setattr(registry, "transfer_methods", lambda: [Bearer()])
        deployment.blobs["x"] = other.blobs["y"] = Blob(DATA, method="bearer")
        again = responds(302, {"Location": other.url("y")})
        deployment.faults.extend([again])
        other.faults.extend([breaks(1_000_000)])
        if elsewhere:
            deployment.faults.extend([again])
        assert mode.get("x")[0] == DATA
    finally:
        if elsewhere:
            other.close()
    kept = {"authorization", "cookie"}
    assert kept <= deployment.stored_requests[0].headers.keys()
    for each in other.stored_requests[0 if elsewhere else 1 :]:
        assert (kept <= each.headers.keys()) is not elsewhere
        assert (not kept & each.headers.keys()) is elsewhere
    assert other.stored_requests[-1].headers["range"].startswith("bytes=")
    assert "if-match" in other.stored_requests[-1].headers
