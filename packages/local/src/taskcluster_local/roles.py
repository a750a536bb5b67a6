"""Expand scopes by roles, and check which roles may exist."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .errors import ApiError
from .scopes import ScopeSet, valid_scope

__all__ = ["Roles", "assumes_everything", "check_scopes", "dependency_cycle"]

_ASSUME = "assume:"
_PARAMETER = "<..>"
_CACHED = 1024
_MOST_FILLED_IN = 5_000
"""The most scopes that parameterised roles may add to one set. A chain of roles that lead to two others doubles it."""
_LONGEST_FILLED_IN = 1_000_000
"""The most characters of these scopes."""


@dataclass(frozen=True)
class _Role:
    id: str
    scopes: tuple[str, ...]

    @property
    def stem(self) -> str | None:
        """The part of a parameterised role's id before its `*`; None for other roles."""
        return self.id[:-1] if self.id.endswith("*") else None

    @cached_property
    def filled_in(self) -> int:
        """The number of scopes with the parameter."""
        return 0 if self.stem is None else sum(_PARAMETER in scope for scope in self.scopes)

    def grants(self, parameter: str) -> Iterator[str]:
        """Yield the scopes with the parameter replaced. What follows a parameter that ends with `*` is dropped."""
        for scope in self.scopes:
            before, found, after = scope.partition(_PARAMETER)
            if not found:
                yield scope
            else:
                yield before + parameter + ("" if parameter.endswith("*") else after)

    def dependencies(self) -> Iterator[str]:
        """Yield the `assume:` scopes among this role's scopes, with any parameter.

        A scope that assumes every role by its star alone (`*`, `a*`) is not a dependency.
        """
        for scope in self.scopes:
            before, found, _ = scope.partition(_PARAMETER)
            if found and self.stem is not None:
                # A parameter may also complete the text before it to `assume:...`.
                if before.startswith(_ASSUME) or _ASSUME.startswith(before):
                    yield f"{before}*"
            elif scope.startswith(_ASSUME):
                yield scope


class Roles:
    """A set of roles. It is immutable, so expanded scopes are cached.

    Args:
        scopes: The scopes of each role, by roleId.

    Raises:
        ApiError: A role is malformed, or leads back to itself (InputError).
    """

    def __init__(self, scopes: Mapping[str, Collection[str]]) -> None:
        self.scopes: Mapping[str, tuple[str, ...]] = {role: tuple(given) for role, given in scopes.items()}
        roles = [_Role(*item) for item in self.scopes.items()]
        self._plain = {role.id: role for role in roles if role.stem is None}
        self._parameterised = {stem: role for role in roles if (stem := role.stem) is not None}
        self._names, self._stems = sorted(self._plain), sorted(self._parameterised)
        self._stem_lengths = sorted(set(map(len, self._stems)))
        self._expanded: dict[frozenset[str], ScopeSet] = {}
        self._check(roles)

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        """Return `scopes` and all scopes that their roles add.

        Raises:
            ApiError: Parameterised roles add too many scopes (InputError).
        """
        key = frozenset(scopes)
        known = self._expanded.get(key)
        if known is None:
            if len(self._expanded) >= _CACHED:
                self._expanded.clear()
            known = self._expanded[key] = ScopeSet(self._closure(key))
        return known

    def _closure(self, scopes: frozenset[str]) -> set[str]:
        found = set(scopes)
        unseen = list(scopes)
        assumed: set[tuple[str, str]] = set()
        filled_in: set[str] = set()
        number = length = 0
        # Nothing adds to `*`. Its holder can also delete roles that lead to too many scopes.
        while unseen and "*" not in found:
            for role, parameter in self._assumed(unseen.pop()):
                if (role.id, parameter) in assumed:
                    continue
                assumed.add((role.id, parameter))
                length += len(parameter) * role.filled_in
                if length > _LONGEST_FILLED_IN:
                    raise _too_many(role)
                new = set(role.scopes if role.stem is None else role.grants(parameter)) - found
                # The first expansion of a role adds no more scopes than it has, like a role without a parameter.
                if role.stem is not None and role.id in filled_in:
                    number, length = number + len(new), length + sum(map(len, new))
                    if number > _MOST_FILLED_IN or length > _LONGEST_FILLED_IN:
                        raise _too_many(role)
                filled_in.add(role.id)
                found |= new
                unseen += new
        return found

    def _assumed(self, scope: str) -> Iterator[tuple[_Role, str]]:
        """Yield the roles that `scope` assumes, each with its parameter."""
        if scope.endswith("*"):
            prefix = _ASSUME if assumes_everything(scope) else scope[:-1]
            if prefix.startswith(_ASSUME):
                yield from self._with_prefix(prefix.removeprefix(_ASSUME))
        elif scope.startswith(_ASSUME):
            name = scope.removeprefix(_ASSUME)
            if name in self._plain:
                yield self._plain[name], ""
            yield from self._with_stem_of(name)

    def _with_prefix(self, prefix: str) -> Iterator[tuple[_Role, str]]:
        """Yield the roles that `assume:<prefix>*` assumes."""
        for name in _starting(self._names, prefix):
            yield self._plain[name], ""
        for role, parameter in self._with_stem_of(prefix):
            yield role, f"{parameter}*"
        for stem in _starting(self._stems, prefix):
            # A stem that equals the prefix has been yielded already.
            if stem != prefix:
                yield self._parameterised[stem], "*"

    def _with_stem_of(self, name: str) -> Iterator[tuple[_Role, str]]:
        """Yield the parameterised roles for which `name` starts with their stem, each with the rest of `name`."""
        for length in self._stem_lengths:
            if length > len(name):
                return
            role = self._parameterised.get(name[:length])
            if role is not None:
                yield role, name[length:]

    def _check(self, roles: list[_Role]) -> None:
        for role in roles:
            check_scopes(role.scopes)
            for scope in role.scopes if role.stem is not None else ():
                if scope.count(_PARAMETER) > 1:
                    raise ApiError("InputError", f"the parameterised scope '{scope}' has '{_PARAMETER}' more than once")
                if scope.endswith(f"*{_PARAMETER}"):
                    raise ApiError(
                        "InputError", f"the parameterised scope '{scope}' ends with '*{_PARAMETER}', an ambiguous star"
                    )
        self._check_cycles(roles)

    def _check_cycles(self, roles: list[_Role]) -> None:
        # Not recursive, because a chain of roles may be longer than Python's stack.
        finished: set[str] = set()
        for first in roles:
            path: dict[str, Iterator[_Role]] = {first.id: self._assumed_by(first)} if first.id not in finished else {}
            while path:
                role = next(reversed(path))
                following = next((each for each in path[role] if each.id not in finished), None)
                if following is None:
                    finished.add(role)
                    del path[role]
                elif following.id in path:
                    names = list(path)
                    raise dependency_cycle([*names[names.index(following.id) :], following.id])
                else:
                    path[following.id] = self._assumed_by(following)

    def _assumed_by(self, role: _Role) -> Iterator[_Role]:
        """Yield the roles that a role assumes directly."""
        for scope in role.dependencies():
            for other, _ in self._assumed(scope):
                yield other


def _too_many(role: _Role) -> ApiError:
    return ApiError(
        "InputError",
        f"the scopes expand to more than {_MOST_FILLED_IN} scopes, or {_LONGEST_FILLED_IN} characters, of "
        f"parameterised roles such as '{role.id}': let these roles lead to fewer scopes",
    )


def _starting(names: Sequence[str], prefix: str) -> Iterator[str]:
    """Yield the items of a sorted sequence that start with `prefix`."""
    for position in range(bisect_left(names, prefix), len(names)):
        if not names[position].startswith(prefix):
            return
        yield names[position]


def assumes_everything(scope: str) -> bool:
    """Return whether a scope assumes every role: `*`, `a*` and so on to `assume:*`."""
    return scope.endswith("*") and _ASSUME.startswith(scope[:-1])


def dependency_cycle(roleIds: Iterable[str]) -> ApiError:
    """Return the error for a cycle of roles, whose last item equals the first (InputError)."""
    shown = " -> ".join(f"'{_ASSUME}{roleId}'" for roleId in roleIds)
    return ApiError("InputError", f"roles must not depend on themselves, but these do: {shown}")


def check_scopes(scopes: Iterable[object]) -> None:
    """Raise ApiError (InputError) unless all `scopes` are valid in clients, roles and tasks."""
    for scope in scopes:
        if not valid_scope(scope):
            raise ApiError("InputError", f"{scope!r} is not a scope: scopes consist of printable ASCII characters")
        if str(scope).endswith("**"):
            raise ApiError("InputError", f"scopes must not end with `**`: {scope!r}")
