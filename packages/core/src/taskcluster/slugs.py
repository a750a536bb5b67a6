"""SlugIds: the identifiers of tasks, task groups and uploads."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["slugId", "stableSlugId"]


def __dir__() -> list[str]:
    return __all__


def slugId() -> str:
    """Return a new slugId: 22 URL-safe characters that never begin with `-`."""
    import slugid  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    return str(slugid.nice())


def stableSlugId() -> Callable[[str], str]:
    """Return a callable that gives one slugId for one name, each time, and others than any other such callable."""
    known: dict[str, str] = {}

    def slug_of(name: str) -> str:
        # setdefault, so that two threads that ask for one name at once are told the same.
        return known.get(name) or known.setdefault(name, slugId())

    return slug_of
