"""Create clients, sync and async, with and without credentials."""

from __future__ import annotations

import asyncio
import os

import taskcluster
import taskcluster.aio


def anonymous() -> None:
    """Some methods need no credentials, only the root URL."""
    auth = taskcluster.Auth({"rootUrl": os.environ["TASKCLUSTER_ROOT_URL"]})
    print("auth.ping:", auth.ping()["alive"])


def with_credentials() -> None:
    """Most methods need credentials, which can be passed explicitly."""
    auth = taskcluster.Auth(
        {
            "rootUrl": os.environ["TASKCLUSTER_ROOT_URL"],
            "credentials": {
                "clientId": os.environ["TASKCLUSTER_CLIENT_ID"],
                "accessToken": os.environ["TASKCLUSTER_ACCESS_TOKEN"],
            },
            "maxRetries": 3,
        }
    )
    print("auth.currentScopes:", auth.currentScopes()["scopes"])


def from_the_environment() -> None:
    """`optionsFromEnvironment` reads root URL and credentials; `with` closes the connections."""
    with taskcluster.Secrets(taskcluster.optionsFromEnvironment({"maxRetries": 3})) as secrets:
        print("secrets.options:", secrets.options["rootUrl"], secrets.options["maxRetries"])


def inside_a_task() -> None:
    """In a task, the proxy adds credentials, so its URL is the only option."""
    proxy = os.environ.get("TASKCLUSTER_PROXY_URL")
    if proxy is None:
        print("TASKCLUSTER_PROXY_URL is not set: not in a task with a proxy")
    else:
        print("through the proxy:", taskcluster.Auth({"rootUrl": proxy}).currentScopes()["scopes"])


async def in_async_code() -> None:
    """`taskcluster.aio` has the same classes with coroutine methods. Several clients can share a session."""
    options = taskcluster.optionsFromEnvironment()
    async with taskcluster.aio.createSession() as session:
        auth = taskcluster.aio.Auth(options, session=session)
        queue = taskcluster.aio.Queue(options, session=session)
        pings = await asyncio.gather(auth.ping(), queue.ping())
    print("auth.ping and queue.ping, gathered:", [ping["alive"] for ping in pings])


if __name__ == "__main__":
    anonymous()
    with_credentials()
    from_the_environment()
    inside_a_task()
    asyncio.run(in_async_code())
