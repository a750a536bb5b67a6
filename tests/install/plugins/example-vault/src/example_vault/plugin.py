"""A source of credentials."""

from example_vault import ASKED
from taskcluster.plugins import hookimpl


@hookimpl
def taskcluster_credentials(rootUrl: str) -> dict[str, str] | None:
    """Return credentials for the deployment that the vault knows."""
    ASKED.append(rootUrl)
    if rootUrl != "https://vaulted.example.com":
        return None
    return {"clientId": "from-the-vault", "accessToken": "vaulted-secret"}
