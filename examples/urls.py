"""Build URLs of methods, plain ones and signed ones."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import taskcluster
import taskcluster.aio

NAME = "project/examples/urls"


def fetch(url: str) -> Any:
    """GET a URL with the standard library."""
    with urllib.request.urlopen(url) as response:
        return json.load(response)


def plain(options: dict[str, Any]) -> None:
    """Build URLs with positional or keyword arguments, without calling the method."""
    index = taskcluster.Index(options)
    print("buildUrl:", index.buildUrl("findTask", "builds.v1.latest"))
    print("by name:", index.buildUrl("findTask", indexPath="builds.v1.latest"))
    print("a public URL:", fetch(taskcluster.Auth(options).buildUrl("ping"))["alive"])


def signed(options: dict[str, Any]) -> None:
    """Build URLs that grant access to one method for `expiration` seconds."""
    secrets = taskcluster.Secrets({**options, "signedUrlExpiration": 60})
    for url in (secrets.buildSignedUrl("get", NAME), secrets.buildSignedUrl("get", NAME, expiration=10)):
        # Anyone who has the URL can use it, so do not print its query.
        print("buildSignedUrl:", url.partition("?")[0], "gives", fetch(url)["secret"])


async def signed_async(options: dict[str, Any]) -> None:
    """Build a URL with an async client, without `await`, because no request is sent."""
    async with taskcluster.aio.Secrets(options) as secrets:
        url = secrets.buildSignedUrl("get", NAME, expiration=10)
    body = await asyncio.to_thread(fetch, url)
    print("from an async client:", body["secret"])


def main() -> None:
    """Run all with a temporary secret."""
    options = taskcluster.optionsFromEnvironment()
    secrets = taskcluster.Secrets(options)
    secrets.set(NAME, {"secret": {"colour": "green"}, "expires": taskcluster.fromNow("1 hour")})
    plain(options)
    signed(options)
    asyncio.run(signed_async(options))
    secrets.remove(NAME)


if __name__ == "__main__":
    main()
