"""Derive names of distributions, packages, modules and variables from the names in a spec."""

from __future__ import annotations

import builtins
import re

__all__ = ["compat_module", "distribution", "package", "spellings", "type_reference", "variable"]


def distribution(service: str) -> str:
    """Return the name of a service's distribution: `purge-cache` → `taskcluster-purge-cache`."""
    return f"taskcluster-{service}"


def package(service: str) -> str:
    """Return the name of a service's package: `purge-cache` → `taskcluster_purge_cache`."""
    return distribution(service).replace("-", "_")


def compat_module(class_name: str) -> str:
    """Return the module of `taskcluster` that re-exports a class: `PurgeCache` → `purgecache`."""
    return class_name.lower()


def spellings(service: str) -> list[str]:
    """Return the spellings of a service's name: `purge-cache` → `purge-cache`, `purgeCache`, `purge_cache`, …."""
    first, *others = service.split("-")
    camel = first + "".join(map(str.capitalize, others))
    return list(dict.fromkeys([service, camel, service.replace("-", "_"), service.replace("-", "")]))


def variable(service: str) -> str:
    """Return a variable name for a client: `purge-cache` → `purge_cache`, `object` → `object_service`."""
    name = service.replace("-", "_")
    return f"{name}_service" if hasattr(builtins, name) else name


def type_reference(service: str, name: str | None) -> str | None:
    """Return a type's name in `funcinfo`: `queue/v1/task.json` → `v1/task.json#`."""
    return None if name is None else re.sub("^" + re.escape(service) + "/", "", name) + "#"
