"""Load a program's configuration from the secrets service with `load_secrets`."""

from __future__ import annotations

import asyncio
from typing import Any

import taskcluster
import taskcluster.aio
from taskcluster.aio.helper import load_secrets as load_secrets_async
from taskcluster.helper import SecretError, TaskclusterConfig, load_secrets

NAME = "project/examples/production"
# One secret for several programs: each selects some top-level keys.
SECRET = {
    "common": {"environment": "production", "log_level": "info"},
    "backend": {"database_password": "correct horse"},
    "frontend": {"colour": "green"},
}
# The backend's keys, its required keys, and its defaults.
BACKEND: dict[str, Any] = {
    "prefixes": ["common", "backend"],
    "required": ["database_password"],
    "existing": {"environment": "development", "cache": "memory"},
}


def main() -> None:
    """Load it with a client, with `TaskclusterConfig`, in async code, and from a local dict."""
    options = taskcluster.optionsFromEnvironment()
    secrets = taskcluster.Secrets(options)
    secrets.set(NAME, {"secret": SECRET, "expires": taskcluster.fromNow("1 hour")})

    found = load_secrets(secrets_service=secrets, secret_name=NAME, **BACKEND)
    print("loaded:", *sorted(found))
    print("environment:", found["environment"])
    print("the repr has keys only:", found)

    shared = TaskclusterConfig().load_secrets(NAME, **BACKEND)
    print("by TaskclusterConfig:", shared == found)

    async def in_async_code() -> dict[str, Any]:
        async with taskcluster.aio.Secrets(options) as service:
            return await load_secrets_async(service, NAME, **BACKEND)

    print("async:", asyncio.run(in_async_code()) == found)

    # During development, a dict can replace the service.
    local = load_secrets(None, NAME, **BACKEND, local_secrets={"backend": {"database_password": "local"}})
    print("local:", local["environment"])
    try:
        load_secrets(secrets, NAME, prefixes=["common"], required=["database_password"])
    except SecretError as error:
        print("missing:", error)
    secrets.remove(NAME)


if __name__ == "__main__":
    main()
