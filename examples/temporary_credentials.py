"""Create temporary credentials for some scopes, without a request."""

from __future__ import annotations

import asyncio
import os

import taskcluster
import taskcluster.aio


def main() -> None:
    """Create unnamed and named credentials, and use them."""
    root_url = os.environ["TASKCLUSTER_ROOT_URL"]
    client_id = os.environ["TASKCLUSTER_CLIENT_ID"]
    access_token = os.environ["TASKCLUSTER_ACCESS_TOKEN"]
    start, expiry = taskcluster.fromNow("0 seconds"), taskcluster.fromNow("15 minutes")
    scopes = ["queue:get-artifact:private/examples/*"]

    unnamed = taskcluster.createTemporaryCredentials(client_id, access_token, start, expiry, scopes)
    current = taskcluster.Auth({"rootUrl": root_url, "credentials": unnamed}).currentScopes()
    print("unnamed:", unnamed["clientId"], "may", *scopes)
    assert set(scopes) <= set(current["scopes"])

    # A name needs the scope auth:create-client:<name>.
    named = taskcluster.createTemporaryCredentials(
        client_id, access_token, start, expiry, scopes, name="examples/borrower"
    )

    async def in_async_code() -> None:
        async with taskcluster.aio.Auth({"rootUrl": root_url, "credentials": named}) as auth:
            assert set(scopes) <= set((await auth.currentScopes())["scopes"])
            try:
                await auth.deleteClient("examples/nobody")
            except taskcluster.TaskclusterRestFailure as failure:
                print("named:", named["clientId"], "may not", *failure.missing_scopes)

    asyncio.run(in_async_code())

    try:
        taskcluster.createTemporaryCredentials(client_id, access_token, start, taskcluster.fromNow("32 days"), scopes)
    except taskcluster.TaskclusterFailure as failure:
        print("too long:", failure)


if __name__ == "__main__":
    main()
