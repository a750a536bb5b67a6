"""Objects: named data, with the hashes that its uploader sent. Finished objects do not change."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...storage import Storage
from ...store import Row, Store
from ...timestamps import normal, to_wire

__all__ = ["Objects"]

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    name TEXT PRIMARY KEY, projectId TEXT NOT NULL, uploadId TEXT NOT NULL UNIQUE, hashes TEXT NOT NULL,
    expires TEXT NOT NULL, finished INTEGER NOT NULL, purge TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_purge ON objects (purge);
"""

_UNFINISHED = timedelta(days=1)
_PUT_URL = timedelta(minutes=45)
_GET_URL = timedelta(seconds=120)
_GET_URL_STATED = timedelta(seconds=60)
_SIMPLE_URL = timedelta(minutes=30)

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CONTENT_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[\x20-\x21\x23-\x7e]*"))*')
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


class Objects:
    """All objects of a deployment."""

    def __init__(self, store: Store, storage: Storage) -> None:
        self._store = store
        self._storage = storage
        store.create(_TABLES)

    def create(self, name: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Start or continue an upload, and return its method. Repeating the call renews its URL.

        Raises:
            ApiError: The name or uploadId is in use, or a hash has changed (RequestConflict); a proposed method is
                invalid (InputError).
        """
        proposed: dict[str, Any] = payload["proposedUploadMethods"]
        for proposal in proposed.values():
            _check_proposal(proposal)
        wanted = (name, payload["projectId"], payload["uploadId"], normal(payload["expires"]))
        until = now + _PUT_URL
        with self._store.transaction():
            rows = self._store.all("SELECT * FROM objects WHERE name = ? OR uploadId = ?", name, payload["uploadId"])
            if not rows:
                purge = to_wire(now + _UNFINISHED)
                self._store.run("INSERT INTO objects VALUES (?, ?, ?, '{}', ?, FALSE, ?)", *wanted, purge)
            elif len(rows) > 1 or rows[0]["finished"] or wanted != _identity(rows[0]):
                raise ApiError("RequestConflict", f'Object already exists: "{name}", or an upload of the same uploadId')
            self._merge_hashes(name, payload.get("hashes", {}))
            # Not before its URL expires.
            self._store.run("UPDATE objects SET purge = max(purge, ?) WHERE name = ?", to_wire(until), name)
            if "dataInline" in proposed:
                data = proposed["dataInline"]
                self._storage.write(_file(name), _from_base64(data["objectData"]), data["contentType"])
        if "dataInline" in proposed:
            return {"dataInline": True}
        if "putUrl" in proposed:
            headers = {
                "Content-Type": proposed["putUrl"]["contentType"],
                "Content-Length": str(proposed["putUrl"]["contentLength"]),
                "Content-Encoding": "identity",
            }
            url = self._storage.put_url(_file(name), until, headers)
            return {"putUrl": {"url": url, "expires": to_wire(until), "headers": headers}}
        return {}

    def _merge_hashes(self, name: str, hashes: dict[str, Any]) -> None:
        known = _hashes(self._read(name))
        if any(known.get(algorithm, value) != value for algorithm, value in hashes.items()):
            raise ApiError("RequestConflict", f'Content hash already exists with a different value for "{name}"')
        self._store.run("UPDATE objects SET hashes = ? WHERE name = ?", dumps({**known, **hashes}), name)

    def finish(self, name: str, payload: dict[str, Any]) -> None:
        """Finish an upload, so that the object can be downloaded. The hashes are not verified.

        Raises:
            ApiError: The upload does not exist (ResourceNotFound), belongs to another project (InputError), or has
                another uploadId or other hashes (RequestConflict).
        """
        hashes: dict[str, Any] = payload.get("hashes", {})
        with self._store.transaction():
            row = self._read(name)
            if row["projectId"] != payload["projectId"]:
                raise ApiError("InputError", f'Object "{name}" does not have projectId {payload["projectId"]}')
            if row["finished"]:
                _check_finished(name, _hashes(row), hashes)
                return
            if row["uploadId"] != payload["uploadId"]:
                raise ApiError("RequestConflict", f'Object "{name}" does not have uploadId {payload["uploadId"]}')
            self._merge_hashes(name, hashes)
            self._store.run("UPDATE objects SET finished = TRUE, purge = expires WHERE name = ?", name)

    def is_finished(self, name: str) -> bool:
        """Return whether an object exists and is finished."""
        return self._finished(name) is not None

    def download_url(self, name: str, expires: datetime) -> str | None:
        """Return a URL to download an object, valid until `expires`, or None if it cannot be downloaded."""
        return None if self._finished(name) is None else self._storage.get_url(_file(name), expires)

    def metadata(self, name: str) -> dict[str, Any]:
        """Return an object's projectId, expires and hashes."""
        row = self._finished(name)
        if row is None:
            raise _not_found(name)
        return {"projectId": row["projectId"], "expires": row["expires"], "hashes": _hashes(row)}

    def start_download(self, name: str, accepted: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Return how to download an object, by the best of the accepted methods.

        Raises:
            ApiError: It cannot be downloaded (ResourceNotFound), or by none of these methods (NoMatchingMethod).
        """
        hashes = self.metadata(name)["hashes"]
        if "getUrl" in accepted:
            url = self._storage.get_url(_file(name), now + _GET_URL)
            return {"method": "getUrl", "url": url, "expires": to_wire(now + _GET_URL_STATED), "hashes": hashes}
        if "simple" in accepted:
            return {"method": "simple", "url": self.simple_url(name, now)}
        raise ApiError("NoMatchingMethod", "Object supports methods simple, getUrl")

    def simple_url(self, name: str, now: datetime) -> str:
        """Return a URL to download an object, valid for half an hour."""
        url = self.download_url(name, now + _SIMPLE_URL)
        if url is None:
            raise _not_found(name)
        return url

    def purge(self, now: datetime) -> None:
        """Delete expired objects and abandoned uploads, with their data."""
        with self._store.transaction():
            for row in self._store.all("SELECT name FROM objects WHERE purge <= ? LIMIT 1000", to_wire(now)):
                self._storage.delete(_file(row["name"]))
                self._store.run("DELETE FROM objects WHERE name = ?", row["name"])

    def _read(self, name: str) -> Row:
        row = self._store.one("SELECT * FROM objects WHERE name = ?", name)
        if row is None:
            raise _not_found(name)
        return row

    def _finished(self, name: str) -> Row | None:
        return self._store.one("SELECT * FROM objects WHERE name = ? AND finished", name)


def _file(name: str) -> str:
    return f"objects/{name}"


def _identity(row: Row) -> tuple[str, ...]:
    return row["name"], row["projectId"], row["uploadId"], row["expires"]


def _hashes(row: Row) -> dict[str, Any]:
    hashes: dict[str, Any] = json.loads(row["hashes"])
    return hashes


def _not_found(name: str) -> ApiError:
    return ApiError("ResourceNotFound", f'Object "{name}" not found')


def _check_proposal(proposal: dict[str, Any]) -> None:
    if not _CONTENT_TYPE.fullmatch(proposal["contentType"]):
        raise ApiError("InputError", f"{proposal['contentType']!r} is not a content type such as text/plain")
    if proposal.get("contentLength", 0) < 0:
        raise ApiError("InputError", "contentLength must not be negative")


def _check_finished(name: str, known: dict[str, Any], hashes: dict[str, Any]) -> None:
    for algorithm, value in hashes.items():
        if algorithm not in known:
            raise ApiError(
                "RequestConflict", f'Object "{name}" is already finished, but without hash algorithm {algorithm}'
            )
        if known[algorithm] != value:
            raise ApiError(
                "RequestConflict",
                f'Object "{name}" is already finished, but with a different hash for algorithm {algorithm}',
            )


def _from_base64(text: str) -> bytes:
    """Decode base64 as JavaScript does, which ignores invalid characters."""
    digits = _NOT_BASE64.sub("", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return b64decode(digits + "=" * (-len(digits) % 4))
