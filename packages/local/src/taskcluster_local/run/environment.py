"""The variables that tasks get in addition to those of CI. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["clone_variables"]


def clone_variables(addresses: Iterable[str], url: str) -> dict[str, str]:
    """Return variables with which git reads a repository elsewhere.

    Args:
        addresses: The addresses of the repository, without `.git`.
        url: The address to read it from instead.
    """
    settings = [(f"url.{url}.insteadOf", address) for address in addresses]
    numbered = {
        name: value
        for number, (key, address) in enumerate(settings)
        for name, value in ((f"GIT_CONFIG_KEY_{number}", key), (f"GIT_CONFIG_VALUE_{number}", address))
    }
    return {"GIT_CONFIG_COUNT": str(len(settings)), **numbered}
