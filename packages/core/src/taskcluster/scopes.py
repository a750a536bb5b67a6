"""Sets of scopes: satisfaction, normal form and intersection. Roles are not expanded; only a deployment can do that.

A scope A satisfies B if they are equal, or if A ends with `*` and B starts with the rest of A.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["intersection", "missing", "normalize", "satisfies", "satisfies_all", "scopeMatch", "scopesMatch"]


def __dir__() -> list[str]:
    return __all__


def satisfies(scope: str, required: str) -> bool:
    """Return whether a scope satisfies another, which may itself end with `*`."""
    return scope == required or (scope.endswith("*") and required.startswith(scope[:-1]))


def satisfies_all(scopes: Iterable[str], required: Iterable[str]) -> bool:
    """Return whether `scopes` satisfy all of `required`."""
    return not missing(scopes, required)


def missing(scopes: Iterable[str], required: Iterable[str]) -> list[str]:
    """Return those of `required` that none of `scopes` satisfies, in their order."""
    held = list(scopes)
    exact = frozenset(held)
    prefixes = tuple({scope[:-1] for scope in held if scope.endswith("*")})
    return [scope for scope in required if scope not in exact and not scope.startswith(prefixes)]


def scopeMatch(assumedScopes: Iterable[str], requiredScopeSets: Iterable[Iterable[str]]) -> bool:
    """Return whether `assumedScopes`, already expanded, satisfy all scopes of at least one required set."""
    held = list(assumedScopes)
    return any(satisfies_all(held, required) for required in requiredScopeSets)


scopesMatch = scopeMatch
"""The name in the published documentation's example."""


def normalize(scopes: Iterable[str]) -> list[str]:
    """Return the shortest equivalent list: sorted, without duplicates and without scopes that another one satisfies.

    Sorted by bytes, as the service does, except that `P*` precedes all other scopes that start with `P`.
    """
    kept: list[str] = []
    for scope in sorted(set(scopes), key=_order):
        # A scope sorts directly before all scopes that it satisfies.
        if not kept or not satisfies(kept[-1], scope):
            kept.append(scope)
    return kept


def _order(scope: str) -> str:
    # NUL sorts below every character a scope can hold.
    return f"{scope[:-1]}\0" if scope.endswith("*") else f"{scope}\1"


def intersection(left: Iterable[str], right: Iterable[str]) -> list[str]:
    """Return, in normal form, the scopes that both sets satisfy."""
    first, second = list(left), list(right)
    both = [scope for scope in first if satisfies_all(second, [scope])]
    return normalize(both + [scope for scope in second if satisfies_all(first, [scope])])
