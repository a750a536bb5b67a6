"""Store files that clients upload to and download from signed URLs, like S3; artifacts and objects use it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import re
import uuid
from collections.abc import AsyncIterator, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode

from .encoding import dumps
from .store import Store, StoreFull
from .timestamps import Clock, milliseconds

__all__ = ["PREFIX", "Refusal", "Storage", "StoredFile"]

PREFIX = "/storage/"
"""The prefix of the paths of all files."""

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, content TEXT NOT NULL, etag TEXT NOT NULL,
    contentType TEXT NOT NULL, contentEncoding TEXT
) WITHOUT ROWID;
"""
_PUBLIC_LENGTH = 32
_FILE_NAME = re.compile(r"[0-9a-f]{32}(\.part)?", re.ASCII)
"""The names of stored files."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Refusal(Exception):
    """The request for a file is rejected."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file."""

    path: Path
    """Its contents never change; if the file is replaced, this path is removed."""
    etag: str
    """Identifies the contents; without the quotes of the header."""
    content_type: str
    content_encoding: str | None


class Storage:
    """All files of a deployment.

    Args:
        directory: The directory of the files' contents.
        store: The database, for everything else.
        root_url: The root URL of the deployment.
        key: The key that signs the URLs.
        clock: The time that decides whether a URL has expired.
    """

    def __init__(self, directory: Path, store: Store, root_url: str, key: bytes, clock: Clock) -> None:
        self._directory = directory
        self._store = store
        self._root_url = root_url
        self._key = key
        self._clock = clock
        directory.mkdir(parents=True, exist_ok=True)
        store.create(_TABLES)
        self._remove_unknown()

    def _remove_unknown(self) -> None:
        """Remove files that a killed process received but did not record, or replaced but did not remove."""
        known = {row["content"] for row in self._store.all("SELECT content FROM files")}
        for path in self._directory.iterdir():
            if path.name not in known and _FILE_NAME.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def put_url(self, name: str, expires: datetime, headers: Mapping[str, str] | None = None) -> str:
        """Return a URL for uploading a file, valid until `expires`.

        Args:
            name: The name of the file, any string.
            expires: When the URL expires.
            headers: Headers that the request must have, with exactly these values.
        """
        return self._url("PUT", name, expires, headers or {})

    def get_url(self, name: str, expires: datetime | None) -> str:
        """Return a URL for downloading a file, valid until `expires`; None for a URL that never expires.

        The URL of one file reveals nothing about those of others.
        """
        if expires is None:
            return f"{self._root_url}{PREFIX}public/{self._public(name)}/{quote(name, safe='')}"
        return self._url("GET", name, expires, {})

    def _url(self, verb: str, name: str, expires: datetime, headers: Mapping[str, str]) -> str:
        until = str(milliseconds(expires))
        signed = "".join(f"{key.lower()}:{headers[key]}\n" for key in sorted(headers))
        query = {"expires": until, "signature": self._signature(verb, name, until, signed)}
        if signed:
            query["headers"] = signed
        return f"{self._root_url}{PREFIX}signed/{quote(name, safe='')}?{urlencode(query)}"

    def _signature(self, *parts: str) -> str:
        # As JSON, so that the parts cannot be confused.
        return hmac.new(self._key, dumps(parts).encode(), hashlib.sha256).hexdigest()

    def _public(self, name: str) -> str:
        return self._signature("public", name)[:_PUBLIC_LENGTH]

    def allowed(self, verb: str, target: str, headers: Mapping[str, str]) -> str:
        """Return the name of the file that a request may upload or download.

        Args:
            verb: `PUT`, `GET` or `HEAD`.
            target: Path and query, percent-encoded.
            headers: The headers of the request, looked up case-insensitively.

        Raises:
            Refusal: The request is rejected.
        """
        if "authorization" in headers:
            raise Refusal(400, "do not send an Authorization header with a signed URL")
        path, _, query = target.partition("?")
        kind, _, rest = path.removeprefix(PREFIX).partition("/")
        verb = "GET" if verb == "HEAD" else verb
        if kind == "public" and verb == "GET":
            token, _, quoted = rest.partition("/")
            name = unquote(quoted)
            if not _same(self._public(name), token):
                raise Refusal(404, "there is no such file")
            return name
        if kind != "signed":
            raise Refusal(404, "there is nothing at this path")
        name = unquote(rest)
        given = {key: values[-1] for key, values in parse_qs(query).items()}
        until, needed = given.get("expires", ""), given.get("headers", "")
        if not _same(self._signature(verb, name, until, needed), given.get("signature", "")):
            raise Refusal(403, "the signature of the URL does not match the request")
        if int(until) <= milliseconds(self._clock()):
            raise Refusal(403, "the URL has expired")
        for line in needed.split("\n")[:-1]:
            header, _, value = line.partition(":")
            if headers.get(header) != value:
                raise Refusal(403, f"the URL was signed for a request with a different {header} header")
        return name

    async def receive(self, name: str, content: AsyncIterator[bytes], size: int, headers: Mapping[str, str]) -> str:
        """Store a file, replacing any of that name, and return its entity tag.

        Args:
            name: The name of the file.
            content: Its contents, in chunks.
            size: Its size in bytes.
            headers: The headers of the request.

        Raises:
            Refusal: The size is wrong, or a header to store is not UTF-8.
            StoreFull: The disk is full.
        """
        content_type, encoding = (_utf8(headers, name) for name in ("Content-Type", "Content-Encoding"))
        digest = hashlib.md5(usedforsecurity=False)
        with self._part() as part:
            received = 0
            with part.open("wb") as file:
                async for chunk in content:
                    received += len(chunk)
                    if received > size:
                        break
                    file.write(chunk)
                    digest.update(chunk)
            if received != size:
                raise Refusal(400, f"expected {size} bytes but received {'more' if received > size else received}")
            self._keep(name, part, digest.hexdigest(), content_type, encoding)
        return digest.hexdigest()

    def write(self, name: str, content: bytes, content_type: str) -> None:
        """Store a file, replacing any of that name.

        Raises:
            StoreFull: The disk is full.
        """
        with self._part() as part:
            part.write_bytes(content)
            self._keep(name, part, hashlib.md5(content, usedforsecurity=False).hexdigest(), content_type, None)

    @contextlib.contextmanager
    def _part(self) -> Generator[Path, None, None]:
        """Provide a temporary path; it is removed at the end, unless the file was moved."""
        path = self._directory / f"{uuid.uuid4().hex}.part"
        try:
            yield path
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise StoreFull(f"cannot write to {self._directory}: {error.strerror}") from error
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, name: str, part: Path, etag: str, content_type: str | None, encoding: str | None) -> None:
        kept = part.with_suffix("")
        encoding = None if encoding in (None, "", "identity") else encoding
        # A new path each time: the previous contents stay intact until these are written completely.
        with self._store.transaction():
            self._store.after_rollback(lambda: kept.unlink(missing_ok=True))
            part.replace(kept)
            self.delete(name)
            self._store.run(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?)",
                name,
                kept.name,
                etag,
                content_type or "application/octet-stream",
                encoding,
            )

    def find(self, name: str) -> StoredFile | None:
        """Return a file, or None."""
        row = self._store.one("SELECT * FROM files WHERE name = ?", name)
        if row is None:
            return None
        path = self._directory / row["content"]
        return StoredFile(path, row["etag"], row["contentType"], row["contentEncoding"])

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        found = self.find(name)
        if found is not None:
            self._store.run("DELETE FROM files WHERE name = ?", name)
            self._store.after_commit(lambda: found.path.unlink(missing_ok=True))


def _utf8(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header to store, or None; raise Refusal if it is not UTF-8."""
    value = headers.get(name)
    try:
        # Bytes that are not UTF-8 are received as lone surrogates.
        (value or "").encode()
    except UnicodeEncodeError:
        raise Refusal(400, f"the header {name} must be UTF-8") from None
    return value


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
