"""Type checks for values of unknown origin, which type checkers understand."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, TypeGuard

__all__ = ["is_array", "is_function_of", "is_mapping"]


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether the value is a mapping, for example a JSON object or options."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value is a list, for example a JSON array."""
    return isinstance(value, list)


def is_function_of(value: object, namespace: Mapping[str, Any]) -> bool:
    """Return whether the value is a function of the module with this namespace, not a mock or a wrapper.

    Args:
        value: Any value.
        namespace: The module's variables.
    """
    # Some wrappers differ from the wrapped function only in their type.
    return type(value) is FunctionType and value.__globals__ is namespace
