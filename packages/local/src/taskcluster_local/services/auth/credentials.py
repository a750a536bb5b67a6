"""Credentials of other systems. A local deployment has none to give, and says what to do instead."""

from __future__ import annotations

from ...api import Handler, HandlerCall, Refused, Result
from ...errors import ApiError

__all__ = ["handlers"]

_LEVELS = ("read-only", "read-write")


class _Checked(Refused):
    """Refuses once the scopes have been checked that only the service's own code can tell."""

    __slots__ = ()

    async def __call__(self, call: HandlerCall) -> Result:
        if "level" in call.params:
            if call.params["level"] not in _LEVELS:
                raise ApiError("InvalidRequestArguments", f"level must be one of {', '.join(_LEVELS)}")
            call.authorize(levelIsReadOnly=call.params["level"] == "read-only")
        else:
            given = call.payload
            call.authorize(
                repoPerms=[
                    f"{repository}:{permission}:{level}"
                    for repository in given["repositories"]
                    for permission, level in given["permissions"].items()
                ]
            )
        return await Refused.__call__(self, call)


_S3 = _Checked(
    "there is no AWS account behind it to make credentials of; give your program credentials of a bucket of your own, "
    "or keep files as artifacts or objects"
)
_AZURE_REASON = (
    "there is no Azure account behind it; give your program a shared access signature of an account of your own"
)
_AZURE = Refused(_AZURE_REASON)
_AZURE_BY_LEVEL = _Checked(_AZURE_REASON)
_GCP = Refused(
    "there is no Google Cloud project behind it; let your program use application default credentials of your own"
)
_SENTRY = Refused("there is no Sentry behind it; give your program the DSN of a project of your own")
_WEBSOCKTUNNEL = Refused(
    "it shares no secret with a websocktunnel, so no token of its would be accepted; sign one with your tunnel's secret"
)
_GITHUB = _Checked("it is no GitHub app; give your program a personal access token of your own")


def handlers() -> dict[str, Handler]:
    """Return the handlers, by method."""
    return {
        "awsS3Credentials": _S3,
        "azureAccounts": _AZURE,
        "azureTables": _AZURE,
        "azureTableSAS": _AZURE_BY_LEVEL,
        "azureContainers": _AZURE,
        "azureContainerSAS": _AZURE_BY_LEVEL,
        "gcpCredentials": _GCP,
        "sentryDSN": _SENTRY,
        "websocktunnelToken": _WEBSOCKTUNNEL,
        "githubRepoToken": _GITHUB,
    }
