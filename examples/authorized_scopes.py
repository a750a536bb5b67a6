"""Limit a client to some of its scopes with `authorizedScopes`."""

from __future__ import annotations

import asyncio
from typing import Any

import taskcluster
import taskcluster.aio

NAME = "project/examples/authorized-scopes"


def limited(options: dict[str, Any]) -> None:
    """Read a secret, and fail to remove it."""
    secrets = taskcluster.Secrets({**options, "authorizedScopes": [f"secrets:get:{NAME}"]})
    print("may read:", secrets.get(NAME)["secret"])
    try:
        secrets.remove(NAME)
    except taskcluster.TaskclusterRestFailure as failure:
        print("may not remove:", failure.status_code, failure.missing_scopes)


async def limited_async(options: dict[str, Any]) -> None:
    """Do the same in async code."""
    async with taskcluster.aio.Secrets({**options, "authorizedScopes": [f"secrets:get:{NAME}"]}) as secrets:
        print("may read:", (await secrets.get(NAME))["secret"])
        try:
            await secrets.remove(NAME)
        except taskcluster.TaskclusterRestFailure as failure:
            print("may not remove:", failure.status_code, failure.missing_scopes)


def main() -> None:
    """Run both with a temporary secret."""
    options = taskcluster.optionsFromEnvironment()
    everything = taskcluster.Secrets(options)
    everything.set(NAME, {"secret": {"colour": "green"}, "expires": taskcluster.fromNow("1 hour")})
    limited(options)
    asyncio.run(limited_async(options))
    everything.remove(NAME)
    print("with all scopes: removed")


if __name__ == "__main__":
    main()
