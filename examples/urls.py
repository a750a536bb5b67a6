"""URLs of methods for those who have no client: plain ones, and signed ones that hold for a limited time."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import taskcluster
import taskcluster.aio

NAME = "project/examples/urls"


def fetch(url: str) -> Any:
    """GET a URL with nothing but the standard library."""
    with urllib.request.urlopen(url) as response:
        return json.load(response)


def plain(options: dict[str, Any]) -> None:
    """A URL is built without calling the method, by position or by name."""
    index = taskcluster.Index(options)
    print("buildUrl:", index.buildUrl("findTask", "builds.v1.latest"))
    print("the same by name:", index.buildUrl("findTask", indexPath="builds.v1.latest"))
    print("one that is open to all:", fetch(taskcluster.Auth(options).buildUrl("ping"))["alive"])


def signed(options: dict[str, Any]) -> None:
    """A signed URL carries the right to call one method; `expiration`, in seconds, says for how long."""
    secrets = taskcluster.Secrets({**options, "signedUrlExpiration": 60})
    for url in (secrets.buildSignedUrl("get", NAME), secrets.buildSignedUrl("get", NAME, expiration=10)):
        # Whoever has it may use it, so it is kept out of logs.
        print("buildSignedUrl:", url.partition("?")[0], "gives", fetch(url)["secret"])


async def signed_async(options: dict[str, Any]) -> None:
    """Nothing is sent to build a URL, so async clients build theirs without `await`."""
    async with taskcluster.aio.Secrets(options) as secrets:
        url = secrets.buildSignedUrl("get", NAME, expiration=10)
    answer = await asyncio.to_thread(fetch, url)
    print("an async client's:", answer["secret"])


def main() -> None:
    """Run it all with a secret of its own."""
    options = taskcluster.optionsFromEnvironment()
    secrets = taskcluster.Secrets(options)
    secrets.set(NAME, {"secret": {"colour": "green"}, "expires": taskcluster.fromNow("1 hour")})
    plain(options)
    signed(options)
    asyncio.run(signed_async(options))
    secrets.remove(NAME)


if __name__ == "__main__":
    main()
