"""The methods for credentials of other systems. A local deployment has none and suggests an alternative."""

from __future__ import annotations

from ...api import Handler, HandlerCall, Refused, Result
from ...errors import ApiError

__all__ = ["handlers"]

_LEVELS = ("read-only", "read-write")


class _Checked(Refused):
    """Checks the scopes that depend on more than the URL, then refuses."""

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
    "it has no AWS account to create credentials of; give your program credentials for your own bucket, or keep files "
    "as artifacts or objects"
)
_AZURE_REASON = "it has no Azure account; give your program a shared access signature of your own account"
_AZURE = Refused(_AZURE_REASON)
_AZURE_BY_LEVEL = _Checked(_AZURE_REASON)
_GCP = Refused("it has no Google Cloud project; let your program use your own application default credentials")
_SENTRY = Refused("it has no Sentry; give your program the DSN of your own project")
_WEBSOCKTUNNEL = Refused(
    "it shares no secret with a websocktunnel, which would reject its tokens; sign one with your tunnel's secret"
)
_GITHUB = _Checked("it is not a GitHub app; give your program your own personal access token")


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
