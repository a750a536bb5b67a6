"""Who owns a name: decided by the names of the entry points alone, before any plugin is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

__all__ = ["Conflict", "NameClaim", "Ownership", "is_disabled", "normalized", "owners_of", "unowned"]


class NameClaim(Protocol):
    """An entry point, which claims its name."""

    @property
    def name(self) -> str:
        """The entry point's name."""
        ...

    @property
    def distribution(self) -> str:
        """The name of the distribution that registers it; slow to read, so only read when needed."""
        ...


C = TypeVar("C", bound=NameClaim)


class Ownership(Generic[C]):
    """The outcome for each claimed name, normalized; a name is in exactly one of the three mappings."""

    def __init__(self) -> None:
        self.owners: dict[str, C] = {}
        self.conflicts: dict[str, Conflict] = {}
        self.disabled: dict[str, str] = {}
        """The names as they were registered."""


class Conflict(NamedTuple):
    """A name that no plugin owns, because several claim it."""

    name: str
    reason: str
    """Names the distributions and says how to fix it."""


def normalized(name: str) -> str:
    """Return the form that all spellings of a name share: `purge_cache`, `PurgeCache` → `purgecache`."""
    return re.sub(r"[-_]", "", name).lower()


def owners_of(claims: Iterable[C], disabled: Collection[str]) -> Ownership[C]:
    """Return the owner of each claimed name.

    Args:
        claims: The installed entry points.
        disabled: Names of entry points to ignore, or `distribution:name` to ignore that of one distribution.
    """
    by_name: dict[str, list[C]] = {}
    for claim in claims:
        by_name.setdefault(normalized(claim.name), []).append(claim)
    found: Ownership[C] = Ownership()
    for name, group in by_name.items():
        enabled = [
            claim for claim in group if not is_disabled(claim.name, partial(getattr, claim, "distribution"), disabled)
        ]
        if len(enabled) == 1:
            found.owners[name] = enabled[0]
        elif enabled:
            found.conflicts[name] = Conflict(enabled[0].name, _reason(enabled))
        else:
            found.disabled[name] = group[0].name
    return found


def unowned(entry_point: str, names: Iterable[str]) -> list[str]:
    """Return those of the names that an entry point does not own, because they are not its own name."""
    return [name for name in names if normalized(name) != normalized(entry_point)]


def is_disabled(name: str, distribution: Callable[[], str], disabled: Collection[str]) -> bool:
    """Return whether an entry point is disabled.

    Args:
        name: The entry point's name.
        distribution: Returns its distribution's name; called only if one of that entry point is disabled.
        disabled: As for `owners_of`.
    """
    return name in disabled or any(
        disabled_name == name and disabled_distribution == distribution()
        for disabled_distribution, _, disabled_name in (each.rpartition(":") for each in disabled)
    )


def _reason(claims: Sequence[NameClaim]) -> str:
    first, *others = claims
    listed = [first.distribution]
    listed += [
        each.distribution if each.name == first.name else f"{each.distribution} (as {each.name!r})" for each in others
    ]
    example = ",".join(f"{each.distribution}:{each.name}" for each in others)
    return (
        f"comes from more than one distribution: {' and '.join(listed)}; uninstall one of them, or disable one, for "
        f"example by TASKCLUSTER_DISABLE_PLUGINS={example}"
    )
