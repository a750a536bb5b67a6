"""Sets of scopes that are fast to check, and scope expressions: what a method requires, and what is missing."""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from taskcluster.scopes import normalize

__all__ = ["AllOf", "AnyOf", "Expression", "ForEach", "If", "ScopeSet", "Template", "as_json", "in_order",
           "instantiate", "missing", "parse", "valid_scope", "variables"]  # fmt: skip

_VALID = re.compile(r"[\x20-\x7e]*")
_VARIABLE = re.compile(r"<([^>]+)>")


def valid_scope(scope: object) -> bool:
    """Return whether `scope` is a string of printable ASCII characters."""
    return isinstance(scope, str) and _VALID.fullmatch(scope) is not None


def in_order(scopes: Iterable[str]) -> list[str]:
    """Sort scopes as real deployments do: by bytes, but `P*` before everything else that starts with `P`."""
    return sorted(scopes, key=lambda scope: scope[:-1] if scope.endswith("*") else f"{scope}\0")


class ScopeSet:
    """A set of scopes, with roles already expanded.

    They are normalised, except that a scope `P` is kept beside `P*`, as real deployments show them.
    """

    __slots__ = ("_exact", "_prefixes", "scopes")

    def __init__(self, scopes: Iterable[str]) -> None:
        given = frozenset(scopes)
        kept = normalize(given)
        # None of these is a prefix of another, so only the last one before a string can be a prefix of it.
        self._prefixes = sorted(scope[:-1] for scope in kept if scope.endswith("*"))
        kept += [prefix for prefix in self._prefixes if prefix in given]
        self.scopes: tuple[str, ...] = tuple(in_order(kept))
        self._exact = frozenset(self.scopes)

    def __repr__(self) -> str:
        return f"ScopeSet({list(self.scopes)!r})"

    def satisfies(self, required: str) -> bool:
        """Return whether these scopes satisfy `required`."""
        if required in self._exact:
            return True
        position = bisect_right(self._prefixes, required)
        return position > 0 and required.startswith(self._prefixes[position - 1])

    def satisfies_all(self, required: Iterable[str]) -> bool:
        """Return whether these scopes satisfy all of `required`."""
        return all(map(self.satisfies, required))


@dataclass(frozen=True, slots=True)
class AllOf:
    """Satisfied if every part is; without parts, always."""

    parts: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Satisfied if any part is; without parts, never."""

    parts: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class ForEach:
    """Repeats `each` for every value of the parameter `source`; only in templates."""

    variable: str
    source: str
    each: Template


@dataclass(frozen=True, slots=True)
class If:
    """Stands for `then` or `otherwise`, depending on the parameter `condition`; only in templates."""

    condition: str
    then: Template
    otherwise: Template | None


Template: TypeAlias = str | AllOf | AnyOf | ForEach | If
"""A scope expression with variables (`<taskId>`), as in an API reference."""

Expression: TypeAlias = Template
"""A scope expression without variables, hence without ForEach and If."""


def parse(template: Any) -> Template:
    """Parse the template in an API reference."""
    if isinstance(template, str):
        return template
    if "AllOf" in template:
        return AllOf(tuple(map(parse, template["AllOf"])))
    if "AnyOf" in template:
        return AnyOf(tuple(map(parse, template["AnyOf"])))
    if "for" in template:
        return ForEach(template["for"], template["in"], parse(template["each"]))
    otherwise = parse(template["else"]) if "else" in template else None
    return If(template["if"], parse(template["then"]), otherwise)


def variables(template: Template) -> set[str]:
    """Return the names of the variables in `template`."""
    if isinstance(template, str):
        return set(_VARIABLE.findall(template))
    if isinstance(template, AllOf | AnyOf):
        return set[str]().union(*map(variables, template.parts))
    if isinstance(template, ForEach):
        return variables(template.each) - {template.variable} | {template.source}
    branches = [template.then] if template.otherwise is None else [template.then, template.otherwise]
    return {template.condition}.union(*map(variables, branches))


def instantiate(template: Template, values: Mapping[str, Any]) -> Expression:
    """Return the expression for `template` with these `values` of its variables."""
    expressions = _instances(template, values)
    return expressions[0] if len(expressions) == 1 else AllOf(tuple(expressions))


def _instances(template: Template, values: Mapping[str, Any]) -> list[Expression]:
    if isinstance(template, str):
        return [_filler(template)(values)]
    if isinstance(template, AllOf | AnyOf):
        return [type(template)(tuple(part for each in template.parts for part in _instances(each, values)))]
    if isinstance(template, ForEach):
        if isinstance(template.each, str):
            # There may be thousands.
            fill = _filler(template.each)
            return [fill({**values, template.variable: value}) for value in values[template.source]]
        return [
            part
            for value in values[template.source]
            for part in _instances(template.each, {**values, template.variable: value})
        ]
    branch = template.then if values[template.condition] else template.otherwise
    return [] if branch is None else _instances(branch, values)


@functools.cache
def _filler(template: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function that replaces the variables of a template string. Cached: the APIs have few of them."""
    escaped = template.replace("{", "{{").replace("}", "}}")
    return _VARIABLE.sub(r"{\1!s}", escaped).format_map


def missing(expression: Expression, satisfied: Callable[[str], bool]) -> Expression | None:
    """Return the part of `expression` that is not satisfied, as small as possible, or None if it is satisfied."""
    if isinstance(expression, str):
        return None if satisfied(expression) else expression
    if not isinstance(expression, AllOf | AnyOf):
        raise TypeError(f"{expression!r} is a template: instantiate it first")
    lacking = [
        missing(part, satisfied) if not isinstance(part, str) else None if satisfied(part) else part
        for part in expression.parts
    ]
    rest = tuple(part for part in lacking if part is not None)
    if not rest and isinstance(expression, AllOf):
        return None
    if len(rest) < len(lacking) and isinstance(expression, AnyOf):
        return None
    return rest[0] if len(rest) == 1 else type(expression)(rest)


def as_json(expression: Expression) -> Any:
    """Return an expression in its JSON form."""
    if isinstance(expression, AllOf | AnyOf):
        return {type(expression).__name__: [as_json(part) for part in expression.parts]}
    return expression
