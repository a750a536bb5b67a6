"""The variables that tasks get in addition to those of CI. Pure functions."""

from __future__ import annotations

import string
from collections.abc import Iterable

__all__ = ["clone_variables", "other_repositories"]

_NAME = f"{string.ascii_letters}{string.digits}-_."


def clone_variables(addresses: Iterable[str], url: str, others: str) -> dict[str, str]:
    """Return variables with which git reads a repository elsewhere.

    Args:
        addresses: The addresses of the repository, without `.git`.
        url: The address to read it from instead.
        others: The path of a file with `other_repositories(addresses)`.
    """
    settings = [("include.path", others)]
    for address in addresses:
        settings += [(f"url.{url}.insteadOf", address), (f"url.{url}.git.insteadOf", f"{address}.git")]
    numbered = {
        name: value
        for number, (key, address) in enumerate(settings)
        for name, value in ((f"GIT_CONFIG_KEY_{number}", key), (f"GIT_CONFIG_VALUE_{number}", address))
    }
    return {"GIT_CONFIG_COUNT": str(len(settings)), **numbered}


def other_repositories(addresses: Iterable[str]) -> str:
    """Return a configuration of git for repositories with addresses that begin like those of this one.

    git compares the beginnings of addresses only, and prefers the longest one.

    Args:
        addresses: The addresses of the repository, without `.git`.
    """
    known = [f"{address}{suffix}" for address in addresses for suffix in ("", ".git")]
    longer = [f"{each}{character}" for each in known for character in _NAME]
    quoted = [address.replace("\\", "\\\\").replace('"', '\\"') for address in longer]
    return "".join(f'[url "{each}"]\n\tinsteadOf = "{each}"\n' for each in quoted)
