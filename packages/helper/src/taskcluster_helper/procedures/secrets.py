"""Load configuration from the secrets service: select keys of a secret, and check that none is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from taskcluster.arguments import api_method
from taskcluster.effects import Invoke
from taskcluster.redacted import Redacted
from taskcluster.shapes import is_mapping

from ..effects import Procedure
from ..exceptions import ConfigurationError, SecretError

__all__ = ["load"]


def load(
    secrets_service: Any,
    secret_name: str,
    prefixes: Iterable[str],
    required: Iterable[str],
    existing: Mapping[str, Any] | None,
    local_secrets: Mapping[str, Any] | None,
) -> Procedure[Redacted]:
    """Return a secret's value, with arguments as for `load_secrets`; they are checked before any request is sent."""
    if local_secrets is None and not secret_name:
        raise ConfigurationError("Missing Taskcluster secret secret_name: give the name of the secret to load")
    prefixes, required = _names("prefixes", prefixes), _names("required", required)
    values = Redacted(_mapping("existing", {} if existing is None else existing))
    if local_secrets is not None:
        source, secret = "the local secrets", _mapping("local_secrets", local_secrets)
    elif secrets_service is None:
        raise ConfigurationError(
            "secrets_service must be a taskcluster.Secrets or taskcluster.aio.Secrets, unless local_secrets are given"
        )
    else:
        response = yield Invoke(api_method(secrets_service, "get", "secrets_service", "Secrets"), (secret_name,))
        source, secret = f"the Taskcluster secret {secret_name!r}", response["secret"]
    values.update(_selected(source, secret, prefixes))
    missing = [name for name in required if name not in values]
    if missing:
        where = f" under {', '.join(prefixes)}" if prefixes else ""
        raise SecretError(f"Missing value {', '.join(missing)} in secrets. Looked in {source}{where}")
    return values


def _selected(source: str, secret: Any, prefixes: list[str]) -> Redacted:
    if not is_mapping(secret):
        raise SecretError(f"{source} must hold a JSON object, not {type(secret).__name__}")
    if not prefixes:
        return Redacted(secret)
    selected = Redacted({})
    for prefix in prefixes:
        values = secret.get(prefix, {})
        if not is_mapping(values):
            raise SecretError(f"{source} must hold a JSON object at {prefix!r}, not {type(values).__name__}")
        selected.update(values)
    return selected


def _names(argument: str, given: Iterable[str]) -> list[str]:
    # A string is iterable too, but its characters are not meant as keys.
    names: list[Any] = [] if isinstance(given, str | bytes) else list(given)
    if isinstance(given, str | bytes) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{argument} must be a list of top-level keys, each a string")
    return names


def _mapping(argument: str, given: Any) -> Mapping[str, Any]:
    if not is_mapping(given):
        raise ConfigurationError(f"{argument} must be a dict, not {type(given).__name__}")
    return given
