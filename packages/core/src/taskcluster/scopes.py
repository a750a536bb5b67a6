"""Scope sets: who satisfies what, in the service's own terms. No role is expanded here; only a deployment can.

A scope A satisfies b when they are equal, or when A ends with `*` and b begins with what stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["intersection", "missing", "normalize", "satisfies", "satisfies_all", "scopeMatch", "scopesMatch"]


def __dir__() -> list[str]:
    return __all__


def satisfies(scope: str, required: str) -> bool:
    """Whether having `scope` gives `required` (which may itself end with `*`)."""
    return scope == required or (scope.endswith("*") and required.startswith(scope[:-1]))


def satisfies_all(scopes: Iterable[str], required: Iterable[str]) -> bool:
    """Whether having all of `scopes` gives every one of `required`."""
    return not missing(scopes, required)


def missing(scopes: Iterable[str], required: Iterable[str]) -> list[str]:
    """Return those of `required` that none of `scopes` satisfies, in their order."""
    held = list(scopes)
    exact = frozenset(held)
    prefixes = tuple({scope[:-1] for scope in held if scope.endswith("*")})
    return [scope for scope in required if scope not in exact and not scope.startswith(prefixes)]


def scopeMatch(assumedScopes: Iterable[str], requiredScopeSets: Iterable[Iterable[str]]) -> bool:
    """Whether `assumedScopes`, already expanded, satisfy all scopes of at least one required set."""
    held = list(assumedScopes)
    return any(satisfies_all(held, required) for required in requiredScopeSets)


scopesMatch = scopeMatch
"""The name that the documentation's example uses."""


def normalize(scopes: Iterable[str]) -> list[str]:
    """Return the shortest set that means the same: sorted, without duplicates or scopes that another one implies.

    The order is the service's: by bytes, but `P*` before everything else that begins with `P`.
    """
    kept: list[str] = []
    for scope in sorted(set(scopes), key=_order):
        # Whatever implies a scope sorts right before it and everything else it implies.
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
