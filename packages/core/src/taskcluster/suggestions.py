"""Suggestions of known names, for errors and warnings about unknown ones."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "near_misses"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest of `known`, or an empty string if none is near."""
    near = _nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def near_misses(names: Iterable[object], known: Iterable[str]) -> str:
    """Return `; did you mean 'x' instead of 'y', …?` for those of `names` that are near one of `known`."""
    candidates = list(known)
    pairs = [(name, near) for name in names if (near := _nearest(str(name), candidates))]
    suggestions = ", ".join(f"{near!r} instead of {name!r}" for name, near in pairs)
    return f"; did you mean {suggestions}?" if suggestions else ""


def _nearest(name: str, known: Iterable[str]) -> str | None:
    import difflib

    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None
