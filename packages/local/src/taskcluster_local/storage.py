"""Files that clients put and get by URLs, as they do with S3: what the storage of artifacts and objects stands on."""

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
"""Where the paths of all files begin."""

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, content TEXT NOT NULL, etag TEXT NOT NULL,
    contentType TEXT NOT NULL, contentEncoding TEXT
) WITHOUT ROWID;
"""
_PUBLIC_LENGTH = 32
_OURS = re.compile(r"[0-9a-f]{32}(\.part)?", re.ASCII)
"""The names of the files that a storage makes."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Refusal(Exception):
    """A file may not be put or got by this URL."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that can be got."""

    path: Path
    """What is there never changes; when the file is replaced, it is removed."""
    etag: str
    """Tells contents apart, without the quotes that it has in a header."""
    content_type: str
    content_encoding: str | None


class Storage:
    """All files of a deployment.

    Args:
        directory: Where their contents are.
        store: Where the rest is kept.
        root_url: Of the deployment.
        key: Signs the URLs.
        clock: Tells when they expire.
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
        """Remove the files that a killed process received without recording them, or replaced without removing them."""
        known = {row["content"] for row in self._store.all("SELECT content FROM files")}
        for path in self._directory.iterdir():
            if path.name not in known and _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def put_url(self, name: str, expires: datetime, headers: Mapping[str, str] | None = None) -> str:
        """Return the URL by which a file can be put, until `expires`.

        Args:
            name: Of the file; it may hold anything.
            expires: When the URL ends.
            headers: Those that the request must have, exactly so.
        """
        return self._url("PUT", name, expires, headers or {})

    def get_url(self, name: str, expires: datetime | None) -> str:
        """Return the URL by which a file can be got, until `expires`; None for one that is always the same.

        Whoever has such a URL of a file cannot tell that of another.
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
        # As JSON, so that no part can be taken for another.
        return hmac.new(self._key, dumps(parts).encode(), hashlib.sha256).hexdigest()

    def _public(self, name: str) -> str:
        return self._signature("public", name)[:_PUBLIC_LENGTH]

    def allowed(self, verb: str, target: str, headers: Mapping[str, str]) -> str:
        """Return the name of the file that a request may put or get.

        Args:
            verb: `PUT`, `GET` or `HEAD`.
            target: Path and query, not decoded.
            headers: Of the request, found by names in any case.

        Raises:
            Refusal: It may not.
        """
        if "authorization" in headers:
            raise Refusal(400, "a signed URL is all the authentication there may be: send no Authorization header")
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
                raise Refusal(403, f"the URL was signed for a request with another {header}")
        return name

    async def receive(self, name: str, content: AsyncIterator[bytes], size: int, headers: Mapping[str, str]) -> str:
        """Keep a file in place of any of that name; return its entity tag.

        Args:
            name: Of the file.
            content: Its bytes.
            size: How many there must be.
            headers: Of the request.

        Raises:
            Refusal: There are fewer bytes, or more, or a header that is kept with the file is not UTF-8.
            StoreFull: There is no room for it.
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
                raise Refusal(400, f"{size} bytes were announced and {'more' if received > size else received} came")
            self._keep(name, part, digest.hexdigest(), content_type, encoding)
        return digest.hexdigest()

    def write(self, name: str, content: bytes, content_type: str) -> None:
        """Keep a file in place of any of that name.

        Raises:
            StoreFull: There is no room for it.
        """
        with self._part() as part:
            part.write_bytes(content)
            self._keep(name, part, hashlib.md5(content, usedforsecurity=False).hexdigest(), content_type, None)

    @contextlib.contextmanager
    def _part(self) -> Generator[Path, None, None]:
        """Lend a path to write to; what is there in the end is removed, unless it has been moved."""
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
        # Another path each time: what was kept before stays whole until this is written for good.
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
        """Return a file, or None where there is none of that name."""
        row = self._store.one("SELECT * FROM files WHERE name = ?", name)
        if row is None:
            return None
        path = self._directory / row["content"]
        return StoredFile(path, row["etag"], row["contentType"], row["contentEncoding"])

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        found = self.find(name)
        if found is not None:
            self._store.run("DELETE FROM files WHERE name = ?", name)
            self._store.after_commit(lambda: found.path.unlink(missing_ok=True))


def _utf8(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header to keep, or None; raise Refusal if it cannot be sent back as it came."""
    value = headers.get(name)
    try:
        # Bytes that are not UTF-8 arrive as lone surrogates.
        (value or "").encode()
    except UnicodeEncodeError:
        raise Refusal(400, f"the header {name} must be UTF-8") from None
    return value


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
