"""Read what `--secret` and `--load` provide, and decide the scopes of the repository's tasks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from .. import loading
from ..encoding import is_object
from ..loading import Contents, LoadError

__all__ = ["read", "roles"]


def read(secrets: Iterable[Path], files: Iterable[Path], now: datetime) -> list[Contents]:
    """Read and check files.

    Args:
        secrets: Mappings of the names of secrets to their values.
        files: Files as `taskcluster-local load` reads them.
        now: The time, which relative dates are added to.

    Raises:
        LoadError: A file is invalid.
    """
    return [*(_secrets(path, now) for path in secrets), *(loading.read(path, now) for path in files)]


def _secrets(path: Path, now: datetime) -> Contents:
    values = loading.parsed(path)
    if not is_object(values):
        raise LoadError(f"{path}: must be a mapping of the names of secrets to their values")
    try:
        return loading.read({"secrets": {name: {"secret": value} for name, value in values.items()}}, now)
    except LoadError as error:
        raise LoadError(f"{path}: {error}") from None


def roles(organization: str, repository: str, contents: Iterable[Contents]) -> dict[str, list[str]]:
    """Return the role that gives the tasks of a repository all scopes, unless a file has roles for it.

    Args:
        organization: The owner's name.
        repository: The repository's name.
        contents: What files provide.
    """
    prefix = f"repo:github.com/{organization}/{repository}:"
    provided = [role for each in contents for role in each.keys("roles")]
    if any(role.startswith(prefix) or (role.endswith("*") and prefix.startswith(role[:-1])) for role in provided):
        return {}
    return {f"{prefix}*": ["*"]}
