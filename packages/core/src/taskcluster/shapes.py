"""What a value of unknown origin is, told in a way that type checkers follow."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, TypeGuard

__all__ = ["is_array", "is_function_of", "is_mapping"]


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether the value is a mapping, as JSON objects and options are."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether the value is a list, as JSON arrays are."""
    return isinstance(value, list)


def is_function_of(value: object, namespace: Mapping[str, Any]) -> bool:
    """Return whether the value is a function that the module with this namespace defines, and no mock or wrapper.

    Args:
        value: Any value.
        namespace: The module's variables.
    """
    # Some wrappers pass for what they wrap in everything but their type.
    return type(value) is FunctionType and value.__globals__ is namespace
