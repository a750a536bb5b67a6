"""Type checks for values of unknown origin, which type checkers understand."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, TypeGuard

__all__ = ["is_array", "is_class", "is_function_of", "is_mapping", "type_name"]


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether the value is a mapping, for example a JSON object or options."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether the value is a list, for example a JSON array."""
    return isinstance(value, list)


def is_class(value: object) -> TypeGuard[type]:
    """Return whether the value is a class, which mocks with autospec only pretend to be."""
    return issubclass(type(value), type)


def type_name(value: object) -> str:
    """Return the name of the value's type, or that it is a class, for messages."""
    return f"the class {value.__name__} itself" if is_class(value) else type(value).__name__


def is_function_of(value: object, namespace: Mapping[str, Any]) -> bool:
    """Return whether the value is a function of the module with this namespace, not a mock or a wrapper.

    Args:
        value: Any value.
        namespace: The module's variables.
    """
    # Some wrappers differ from the wrapped function only in their type.
    return type(value) is FunctionType and value.__globals__ is namespace
