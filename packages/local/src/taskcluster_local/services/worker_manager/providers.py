"""The providers of workers. In a local deployment that is the user: there is no cloud to start machines in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from taskcluster.shapes import is_array

from ...encoding import dumps, is_object
from ...errors import ApiError

__all__ = [
    "IDENTIFIER",
    "NULL",
    "PROVIDERS",
    "STATIC",
    "launch_configs",
    "reregistration_seconds",
    "with_launch_config_ids",
]

NULL = "null-provider"
"""The provider of pools that are being deleted."""
STATIC = "static"
"""The provider of pools with workers that `createWorker` creates."""

IDENTIFIER = re.compile(r"[a-zA-Z0-9_-]{1,38}")
"""Matches workerGroups, workerIds and launchConfigIds."""

PROVIDERS = {NULL: "null", STATIC: "static"}
"""The types of providers, by providerId."""

_PROPERTIES = frozenset({"workerConfig", "lifecycle", "launchConfigs"})
"""The configuration of a static pool. In real deployments only other providers have launch configurations."""
_TIMEOUTS = frozenset({"registrationTimeout", "reregistrationTimeout", "queueInactivityTimeout"})
_LONGEST_REGISTRATION = 30 * 24 * 3600
_USUAL_REGISTRATION = 96 * 3600


def with_launch_config_ids(providerId: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a pool's configuration with an id for each launch configuration, derived from it if it has none.

    Raises:
        ApiError: The provider does not exist, or two ids are equal (InputError); or the configuration is invalid for
            the provider (InputValidationError).
    """
    if providerId not in PROVIDERS:
        known = " and ".join(PROVIDERS)
        raise ApiError(
            "InputError",
            f"Invalid Provider: {providerId} is not available in a local deployment, only {known}",
        )
    errors = list(_errors(providerId, config))
    if errors:
        raise ApiError("InputValidationError", "\n".join([f"Invalid config for the provider {providerId}:", *errors]))
    if "launchConfigs" not in config:
        return config
    found = [_with_id(each) for each in config["launchConfigs"]]
    ids = [each["workerManager"]["launchConfigId"] for each in found]
    if len(set(ids)) < len(ids):
        raise ApiError("InputError", "The launchConfigIds of a worker pool must be unique")
    return {**config, "launchConfigs": found}


def launch_configs(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the launch configurations in a pool's configuration, by id."""
    return {each["workerManager"]["launchConfigId"]: each for each in config.get("launchConfigs", ())}


def reregistration_seconds(config: dict[str, Any]) -> int:
    """Return how long the credentials of a pool's workers last."""
    seconds: int = config.get("lifecycle", {}).get("reregistrationTimeout", _USUAL_REGISTRATION)
    return seconds


def _errors(providerId: str, config: dict[str, Any]) -> Iterator[str]:
    """Yield the errors of a configuration."""
    if providerId == STATIC:
        yield from (f"  * config must NOT have the property {key!r}" for key in sorted(config.keys() - _PROPERTIES))
    if not is_object(config.get("workerConfig", {})):
        yield "  * config/workerConfig must be object"
    lifecycle = config.get("lifecycle", {})
    if not is_object(lifecycle):
        yield "  * config/lifecycle must be object"
    else:
        unknown = sorted(lifecycle.keys() - _TIMEOUTS)
        yield from (f"  * config/lifecycle must NOT have the property {key!r}" for key in unknown)
        for name in sorted(_TIMEOUTS & lifecycle.keys()):
            if not _is_timeout(lifecycle[name]):
                yield f"  * config/lifecycle/{name} must be integer from 0 to {_LONGEST_REGISTRATION}"
    launched = config.get("launchConfigs", [])
    if not is_array(launched) or not all(is_object(each) for each in launched):
        yield "  * config/launchConfigs must be array of objects"
    elif not all(_has_valid_id(each) for each in launched):
        yield "  * config/launchConfigs: workerManager/launchConfigId must match ^[a-zA-Z0-9-_]{1,38}$"


def _is_timeout(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LONGEST_REGISTRATION


def _has_valid_id(config: dict[str, Any]) -> bool:
    manager = config.get("workerManager", {})
    given = manager.get("launchConfigId", "-") if is_object(manager) else None
    return isinstance(given, str) and IDENTIFIER.fullmatch(given) is not None


def _with_id(config: dict[str, Any]) -> dict[str, Any]:
    manager = config.get("workerManager", {})
    if "launchConfigId" in manager:
        return config
    digest = hashlib.sha256(dumps(config).encode()).hexdigest()
    return {**config, "workerManager": {**manager, "launchConfigId": f"lc-{digest[:20]}"}}
