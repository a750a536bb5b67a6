"""Share one configuration among all clients of a program with `TaskclusterConfig`."""

from __future__ import annotations

import asyncio
import os

from taskcluster.helper import ConfigurationError, TaskclusterConfig

# Create it once, in a module that the program imports. The URL defaults to TASKCLUSTER_ROOT_URL.
tc = TaskclusterConfig(os.environ["TASKCLUSTER_ROOT_URL"])


def main() -> None:
    """Choose credentials, and create clients of several services, sync and async."""
    # Credentials are the arguments, those of the environment, those of the task's proxy, or none.
    tc.auth(client_id=os.environ["TASKCLUSTER_CLIENT_ID"], access_token=os.environ["TASKCLUSTER_ACCESS_TOKEN"])
    print("as given:", tc.get_service("auth").currentScopes()["scopes"])
    tc.auth()
    print("from the environment:", tc.get_service("auth").currentScopes()["scopes"])

    for name in ("queue", "purge-cache", "purgeCache", "worker_manager"):
        service = tc.get_service(name)
        print(f"{name}:", type(service).__name__, service.ping()["alive"])

    async def in_async_code() -> None:
        async with tc.get_service("hooks", use_async=True) as hooks:
            print("hooks, async:", (await hooks.ping())["alive"])

    asyncio.run(in_async_code())
    try:
        tc.get_service("queu")
    except ConfigurationError as error:
        print("unknown service:", error)


if __name__ == "__main__":
    main()
