"""Names of distributions, packages, modules and variables, all made of what the spec names."""

from __future__ import annotations

import builtins
import re

__all__ = ["compat_module", "distribution", "package", "type_reference", "variable"]


def distribution(service: str) -> str:
    """Return the name under which a service's client is installed: `purge-cache` → `taskcluster-purge-cache`."""
    return f"taskcluster-{service}"


def package(service: str) -> str:
    """Return the name under which a service's client is imported: `purge-cache` → `taskcluster_purge_cache`."""
    return distribution(service).replace("-", "_")


def compat_module(class_name: str) -> str:
    """Return the module of `taskcluster` where programs look for a class: `PurgeCache` → `purgecache`."""
    return class_name.lower()


def variable(service: str) -> str:
    """Return what examples call a service's client: `purge-cache` → `purge_cache`, `object` → `object_service`."""
    name = service.replace("-", "_")
    return f"{name}_service" if hasattr(builtins, name) else name


def type_reference(service: str, name: str | None) -> str | None:
    """Return a type's name as `funcinfo` has it: `queue/v1/task.json` → `v1/task.json#`."""
    return None if name is None else re.sub("^" + re.escape(service) + "/", "", name) + "#"
