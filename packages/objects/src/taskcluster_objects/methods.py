"""The transfer methods of the object service, and their negotiation. Plugins may add methods."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, cast

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.plugins import DownloadMethod, Location, UploadMethod, UploadOffer

__all__ = [
    "DATA_INLINE_MAX_SIZE",
    "DataInline",
    "GetUrl",
    "PutUrl",
    "Simple",
    "accepted",
    "destination",
    "download_methods",
    "proposals",
    "source",
    "upload_methods",
]

DATA_INLINE_MAX_SIZE = 8192
"""Bytes. Data of at most this size may be sent to the object service itself."""


class DataInline:
    """The data in the call of createUpload itself."""

    name = "dataInline"

    def propose(self, offer: UploadOffer) -> Any:
        """Return the data if it is small enough."""
        if offer.data is None:
            return None
        return {"contentType": offer.contentType, "objectData": base64.b64encode(offer.data).decode("ascii")}

    def destination(self, response: Any) -> Location | None:
        """Return None, because the data is already stored."""
        return None


class PutUrl:
    """One PUT to a URL."""

    name = "putUrl"

    def propose(self, offer: UploadOffer) -> Any:
        """Return the content type and length for the URL."""
        return {"contentType": offer.contentType, "contentLength": offer.contentLength}

    def destination(self, response: Any) -> Location | None:
        """Return the URL with its headers."""
        return Location(response["url"], "PUT", response["headers"], response["expires"])


class GetUrl:
    """One GET from a URL, verified."""

    name = "getUrl"

    def accept(self) -> Any:
        """Return true."""
        return True

    def source(self, response: Mapping[str, Any]) -> Location:
        """Return the URL with the hashes."""
        return Location(response["url"], expires=response["expires"], hashes=response["hashes"])


class Simple:
    """One GET from a URL, without hashes."""

    name = "simple"

    def accept(self) -> Any:
        """Return true."""
        return True

    def source(self, response: Mapping[str, Any]) -> Location:
        """Return the URL."""
        return Location(response["url"])


def upload_methods(added: Iterable[UploadMethod | DownloadMethod]) -> dict[str, UploadMethod]:
    """Return the methods for uploads by name. Those of plugins take precedence."""
    named: list[UploadMethod] = [DataInline(), PutUrl()]
    named += [cast("UploadMethod", each) for each in added if hasattr(each, "propose")]
    return {method.name: method for method in named}


def download_methods(added: Iterable[UploadMethod | DownloadMethod]) -> dict[str, DownloadMethod]:
    """Return the methods for downloads by name. Those of plugins take precedence."""
    named: list[DownloadMethod] = [GetUrl(), Simple()]
    named += [cast("DownloadMethod", each) for each in added if hasattr(each, "accept")]
    return {method.name: method for method in named}


def proposals(methods: Mapping[str, UploadMethod], offer: UploadOffer) -> dict[str, Any]:
    """Return the proposedUploadMethods."""
    proposed = {name: method.propose(offer) for name, method in methods.items()}
    return {name: proposal for name, proposal in proposed.items() if proposal is not None}


def destination(methods: Mapping[str, UploadMethod], object_name: str, response: Mapping[str, Any]) -> Location | None:
    """Return the location to upload to by the response of createUpload, or None if the data is already stored.

    Raises:
        TaskclusterFailure: The object service chose none of the methods.
    """
    for name, details in response["uploadMethod"].items():
        if name in methods:
            return methods[name].destination(details)
    raise TaskclusterFailure(
        f"the object service accepts {object_name} by none of the methods {', '.join(methods)}; "
        "a plugin can add others (taskcluster_transfer_methods)"
    )


def accepted(methods: Mapping[str, DownloadMethod]) -> dict[str, Any]:
    """Return the acceptDownloadMethods."""
    return {name: method.accept() for name, method in methods.items()}


def source(methods: Mapping[str, DownloadMethod], object_name: str, response: Mapping[str, Any]) -> Location:
    """Return the location to download from by the response of startDownload.

    Raises:
        TaskclusterFailure: The object service chose none of the methods.
    """
    method = methods.get(response["method"])
    if method is None:
        raise TaskclusterFailure(
            f"the object service offers {object_name} by the unsupported method {response['method']!r}"
        )
    return method.source(response)
