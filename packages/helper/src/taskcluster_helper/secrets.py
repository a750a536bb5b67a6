"""Configuration out of the secrets service: which of a secret's keys are wanted, and whether they are all there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taskcluster.awaitables import plain
from taskcluster.redacted import Redacted
from taskcluster.shapes import is_mapping

from .exceptions import ConfigurationError, SecretError

if TYPE_CHECKING:
    from taskcluster_secrets import Secrets

__all__ = ["Wanted", "load_secrets"]


class Wanted:
    """What is wanted of a secret, checked before the service is asked.

    Args:
        secret_name: The secret's name; not needed where local secrets stand in for it.
        prefixes: As for `load_secrets`.
        required: As for `load_secrets`.
        existing: As for `load_secrets`.
        local_secrets: As for `load_secrets`.

    Raises:
        ConfigurationError: One of them is not what it must be.
    """

    def __init__(
        self,
        secret_name: str,
        prefixes: Iterable[str],
        required: Iterable[str],
        existing: Mapping[str, Any] | None,
        local_secrets: Mapping[str, Any] | None,
    ) -> None:
        if local_secrets is None and not secret_name:
            raise ConfigurationError("Missing Taskcluster secret secret_name: give the name of the secret to load")
        self.secret_name = secret_name
        self._prefixes = _names("prefixes", prefixes)
        self._required = _names("required", required)
        self._existing = _mapping("existing", {} if existing is None else existing)
        self.local = None if local_secrets is None else _mapping("local_secrets", local_secrets)

    def of(self, secret: Any) -> Redacted:
        """Return what is wanted of a secret's value.

        Raises:
            SecretError: A required key is missing, or the value is of another shape.
        """
        source = f"the Taskcluster secret {self.secret_name!r}" if self.local is None else "the local secrets"
        found = Redacted(self._existing)
        if not is_mapping(secret):
            raise SecretError(f"{source} must hold a JSON object, not {type(secret).__name__}")
        if self._prefixes:
            for prefix in self._prefixes:
                part = secret.get(prefix, {})
                if not is_mapping(part):
                    raise SecretError(f"{source} must hold a JSON object at {prefix!r}, not {type(part).__name__}")
                found.update(part)
        else:
            found.update(secret)
        missing = [name for name in self._required if name not in found]
        if missing:
            where = f" under {', '.join(self._prefixes)}" if self._prefixes else ""
            raise SecretError(f"Missing value {', '.join(missing)} in secrets. Looked in {source}{where}")
        return found


def _names(argument: str, given: Iterable[str]) -> list[str]:
    # A text is iterable too, and its letters are nobody's keys.
    names: list[Any] = [] if isinstance(given, str | bytes) else list(given)
    if isinstance(given, str | bytes) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{argument} must be a list of top-level keys, each a text")
    return names


def _mapping(argument: str, given: Any) -> Mapping[str, Any]:
    if not is_mapping(given):
        raise ConfigurationError(f"{argument} must be a dict, not {type(given).__name__}")
    return given


def load_secrets(
    secrets_service: Secrets | None,
    secret_name: str,
    prefixes: Iterable[str] = (),
    required: Iterable[str] = (),
    existing: Mapping[str, Any] | None = None,
    local_secrets: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a secret's value as a dict, whose repr shows the keys only; `dict(…)` makes it one that shows them.

    Args:
        secrets_service: A `taskcluster.Secrets`; None will do where `local_secrets` are given.
        secret_name: The secret's name.
        prefixes: Top-level keys: only what is under them is taken, merged in their order, a later one going over an
            earlier. Without any, the whole secret is taken.
        required: Keys that the result must have.
        existing: Defaults, which the secret's values go over; not changed.
        local_secrets: Used as the secret's value, instead of asking the service.

    Raises:
        ConfigurationError: There is no secret's name, or an argument is of a wrong type.
        SecretError: A required key is missing, or the secret is no JSON object.
        TaskclusterFailure: The call failed.
    """
    wanted = Wanted(secret_name, prefixes, required, existing, local_secrets)
    if wanted.local is not None:
        return wanted.of(wanted.local)
    if secrets_service is None:
        raise ConfigurationError("secrets_service must be a taskcluster.Secrets, unless local_secrets are given")
    needs = (
        "a sync function needs a sync client, such as taskcluster.Secrets; taskcluster.aio.helper has the async twin"
    )
    return wanted.of(plain(secrets_service.get(secret_name), needs)["secret"])
