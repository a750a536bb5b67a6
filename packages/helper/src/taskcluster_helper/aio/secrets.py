"""The async function that loads secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taskcluster.runner import run_async

from ..procedures import secrets
from .performer import AsyncHelperPerformer

if TYPE_CHECKING:
    from taskcluster_secrets.aio import Secrets

__all__ = ["load_secrets"]


async def load_secrets(
    secrets_service: Secrets | None,
    secret_name: str,
    prefixes: Iterable[str] = (),
    required: Iterable[str] = (),
    existing: Mapping[str, Any] | None = None,
    local_secrets: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a secret's value as a dict, whose repr shows only its keys; `dict(…)` returns one that shows everything.

    Arguments and exceptions are those of `taskcluster.helper.load_secrets`, with an async client.
    """
    loading = secrets.load(secrets_service, secret_name, prefixes, required, existing, local_secrets)
    return await run_async(loading, AsyncHelperPerformer(secrets_service))
