"""A distribution of someone else's service: begun, and written again when its spec has changed.

Its authors write everything but what is generated from the spec, all of which is in its package. The table
`[tool.taskcluster-codegen]` of its `pyproject.toml` says which service it is of, and which package is meant.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import keyword
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from . import references, render, tree
from .spec import Spec, SpecError, load, parse

__all__ = ["Project", "begin", "find"]

_TABLE = "tool.taskcluster-codegen"
_DISTRIBUTION = re.compile(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*")
_SERVICE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Project:
    """A distribution that is there."""

    root: Path
    service: str
    package: str

    def spec(self) -> Spec:
        """Return the service.

        Raises:
            SpecError: The spec is not there, or wrong.
        """
        spec = load(self.root / "specs" / f"{self.service}.json", self.root)
        if spec.serviceName != self.service:
            raise SpecError(f"{spec.file}: is the spec of {spec.serviceName}, not of {self.service}")
        return dataclasses.replace(spec, package=self.package)

    def wanted(self, spec: Spec) -> dict[str, str]:
        """Return the text of every generated file, by its path from the root."""
        return _generated(spec)

    def owned(self) -> set[str]:
        """Return the files there that nobody but the generator writes, by their paths from the root."""
        return {
            path
            for path in tree.files_below(self.root, f"src/{self.package}")
            if path.endswith((".py", ".pyi")) and (self.root / path).read_text("utf-8").startswith(f"# {render.MARK}")
        }


def find(root: Path) -> Project | None:
    """Return the distribution whose root `root` is, None where it is none.

    Raises:
        SpecError: Its `pyproject.toml` is wrong.
    """
    file = root / "pyproject.toml"
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise SpecError(f"{file}: cannot be read: {exc}") from exc
    table: Any = tables.get("tool", {}).get("taskcluster-codegen")
    if table is None:
        return None
    fields = cast("dict[str, Any]", table) if isinstance(table, dict) else {}
    if fields.keys() != {"service", "package"}:
        raise SpecError(f"{file}: the table [{_TABLE}] must have the keys service and package, and no others")
    service, package = fields["service"], fields["package"]
    if not isinstance(service, str) or not _SERVICE.fullmatch(service):
        raise SpecError(f"{file}: [{_TABLE}] service {service!r} does not match {_SERVICE.pattern}")
    if not isinstance(package, str) or not package.isidentifier() or keyword.iskeyword(package):
        raise SpecError(f"{file}: [{_TABLE}] package {package!r} is no name of a Python package")
    return Project(root, service, package)


def begin(
    service: str, distribution: str, directory: Path, read: references.Read | None = None, version: str = "v1"
) -> Spec:
    """Write a new distribution, whole or not at all, and return its service.

    Args:
        service: The service's name, as in URLs.
        distribution: The name that it is to be installed by.
        directory: Where it is to be; it must not be there yet.
        read: Reads what a deployment serves of the service; without it, the service is a small one to begin with.
        version: Of the service's API, as in URLs.

    Raises:
        SpecError: A name cannot be used, the directory is there, or what is served makes no sense.
        OSError: It cannot be written.
    """
    package = re.sub("[-.]", "_", distribution)
    _check_names(service, distribution, package)
    if directory.exists() or directory.is_symlink():
        raise SpecError(f"{directory}: is there already; choose another directory by --directory")
    if not directory.parent.is_dir():
        raise SpecError(f"{directory.parent}: is no directory that a new one could be made in")
    file = f"specs/{service}.json"
    data = json.loads(render.sample(service)) if read is None else references.served(read, service, version)
    spec = dataclasses.replace(parse(references.text(data), file), package=package)
    files = {
        file: spec.text,
        **render.beginning(spec, distribution, is_sample=read is None),
        **_generated(spec),
    }
    # Beside its place, so that it can be moved there in one step.
    with tempfile.TemporaryDirectory(prefix=".taskcluster-codegen.", dir=directory.parent) as made:
        whole = Path(made) / "whole"
        whole.mkdir()
        tree.apply(whole, files, tree.differences(whole, files, set()))
        os.rename(whole, directory)
    return spec


def _generated(spec: Spec) -> dict[str, str]:
    return {path: text for path, text in render.service(spec, "").items() if path.startswith("src/")}


def _check_names(service: str, distribution: str, package: str) -> None:
    if not _SERVICE.fullmatch(service):
        raise SpecError(f"{service!r} cannot be a service's name: it must be like `widgets` or `widget-store`")
    name = references.class_name(service)
    if keyword.iskeyword(name) or name.endswith("Events"):
        raise SpecError(f"{service!r} cannot be a service's name here: its class cannot be called {name}")
    if importlib.util.find_spec(f"taskcluster.{name.lower()}") is not None:
        raise SpecError(f"{service!r} cannot be a service's name here: the client has `taskcluster.{name}` already")
    if not _DISTRIBUTION.fullmatch(distribution):
        raise SpecError(f"{distribution!r} cannot be a distribution's name: it must be like `{service}-client`")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package.startswith("taskcluster"):
        raise SpecError(f"{distribution!r} cannot be a distribution's name: its package {package} would be in the way")
