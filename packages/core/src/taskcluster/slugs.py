"""SlugIds: the identifiers of tasks, task groups and uploads."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["slugId", "stableSlugId"]


def __dir__() -> list[str]:
    return __all__


def slugId() -> str:
    """Return a new slugId: 22 URL-safe characters, the first not `-`."""
    import slugid  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    return str(slugid.nice())


def stableSlugId() -> Callable[[str], str]:
    """Return a function that returns the same slugId for the same name. Each such function has its own slugIds."""
    known: dict[str, str] = {}

    def slug_of(name: str) -> str:
        # setdefault, so that two threads get the same slugId for a name.
        return known.get(name) or known.setdefault(name, slugId())

    return slug_of
