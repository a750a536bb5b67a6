"""Read references and schemas from a folder or a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from .spec import SpecError

__all__ = ["DeploymentSource", "FolderSource"]

_MAX_SIZE = 10 * 1024 * 1024
_TIMEOUT_SECONDS = (10.0, 30.0)
_CHUNK = 64 * 1024


class FolderSource:
    """Reads documents from the folders `references` and `schemas` in `root`."""

    def __init__(self, root: Path) -> None:
        if not (root / "references").is_dir():
            raise SpecError(f"{root}: must contain a folder `references` with the documents of a deployment")
        self._root = root

    def __call__(self, path: str) -> Any:
        """Return the document at `path`, or None if there is none.

        Raises:
            SpecError: The document cannot be read or is not JSON.
        """
        file = self._root / path.lstrip("/")
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise SpecError(f"{file}: cannot be read: {exc.strerror}") from exc
        return _parsed(content, str(file))


class DeploymentSource:
    """Reads documents from a deployment. They are public, so no credentials are sent."""

    def __init__(self, root_url: str) -> None:
        parts = urlsplit(root_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise SpecError("the root URL must be like https://taskcluster.example.com, without a user name")
        self._root_url = root_url.rstrip("/")
        self._session = requests.Session()
        # Ignore ~/.netrc, but not proxies.
        self._session.auth = lambda request: request

    def __enter__(self) -> DeploymentSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def __call__(self, path: str) -> Any:
        """Return the document at `path`, or None if the status is 404.

        Raises:
            SpecError: The request failed, or the response is too large or not JSON.
        """
        url = f"{self._root_url}{path}"
        content = bytearray()
        try:
            with self._session.get(url, timeout=_TIMEOUT_SECONDS, stream=True) as response:
                if response.status_code == 404:
                    return None
                if response.status_code != 200:
                    raise SpecError(f"{url}: status {response.status_code} {response.reason}")
                for chunk in response.iter_content(_CHUNK):
                    content += chunk
                    if len(content) > _MAX_SIZE:
                        raise SpecError(f"{url}: larger than {_MAX_SIZE} bytes")
        except requests.RequestException as exc:
            raise SpecError(f"{url}: cannot be fetched: {exc}") from exc
        return _parsed(bytes(content), url)


def _parsed(content: bytes, where: str) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise SpecError(f"{where}: not JSON: {exc}") from exc
