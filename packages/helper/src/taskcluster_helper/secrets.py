"""The sync function that loads secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taskcluster.runner import run

from .performer import HelperPerformer
from .procedures import secrets

if TYPE_CHECKING:
    from taskcluster_secrets import Secrets

__all__ = ["load_secrets"]


def load_secrets(
    secrets_service: Secrets | None,
    secret_name: str,
    prefixes: Iterable[str] = (),
    required: Iterable[str] = (),
    existing: Mapping[str, Any] | None = None,
    local_secrets: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a secret's value as a dict, whose repr shows only its keys; `dict(…)` returns one that shows everything.

    Args:
        secrets_service: A `taskcluster.Secrets`. May be None if `local_secrets` are given.
        secret_name: The secret's name.
        prefixes: Top-level keys whose values to merge, later ones overriding earlier ones. Defaults to the complete
            secret.
        required: Keys that the result must have.
        existing: Defaults, which the secret's values override; not changed.
        local_secrets: The secret's value to use, instead of calling the service.

    Raises:
        ConfigurationError: There is no secret's name, or an argument is of a wrong type.
        SecretError: A required key is missing, or the secret is not a JSON object.
        TaskclusterFailure: The call failed.
    """
    loading = secrets.load(secrets_service, secret_name, prefixes, required, existing, local_secrets)
    return run(loading, HelperPerformer(secrets_service))
