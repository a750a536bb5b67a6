"""Look up names when they are first used: service classes under `taskcluster`, `.aio` and `.client`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["alias_module", "class_named", "is_installed", "lazily"]


def class_named(module: str, name: str, *which: str) -> Any:
    """Return the service or events class `name`, for the `__getattr__` of `module`.

    Args:
        module: The module's name, for the error.
        name: What was looked up.
        *which: Fields of `taskcluster.plugins.Service` that the class may be of.

    Raises:
        AttributeError: The class is unknown.
        ModuleNotFoundError: It belongs to a service that is not installed; the message says what to install.
        PluginError: Its plugin cannot be used.
    """
    # Only names written as classes are: `import taskcluster.errors` asks for `errors` here before it fails.
    if not name[:1].isupper():
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    from .registry import registry

    kinds = [kind for kind in which if (kind == "events") == name.endswith("Events")]
    try:
        found = registry.find(kinds[0], name)
    except LookupError as exc:
        raise AttributeError(f"module {module!r} has no attribute {name!r}: {exc.args[0]}") from None
    # From now on a normal attribute, so that this function is not called again. A mock is there for a while only.
    if isinstance(found, type):
        setattr(sys.modules[module], name, found)
    return found


def lazily(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package that imports its classes when they are first used.

    Args:
        package: The package's name.
        modules: The module of the package in which each class is, by the class's name.
    """

    def attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        if isinstance(value, type):
            setattr(sys.modules[package], name, value)
        return value

    return attribute


def alias_module(alias: str, module: str) -> None:
    """Make a module of core an alias of a module of another distribution.

    Args:
        alias: The name of core's module, e.g. `taskcluster.upload`.
        module: The other module's name, e.g. `taskcluster_objects.upload`.

    Raises:
        ModuleNotFoundError: The other distribution is not installed; the message says what to install.
    """
    package = module.partition(".")[0]
    try:
        sys.modules[alias] = importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name != package:
            raise
        from .installation import how_to_install

        how = how_to_install(package.replace("_", "-"))
        raise ModuleNotFoundError(f"{alias} is not installed: {how}", name=package) from None


def is_installed(package: str) -> bool:
    """Return whether the package of another distribution is installed, without importing it."""
    return importlib.util.find_spec(package) is not None
