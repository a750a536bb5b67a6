"""Create the distribution of a third-party service, and regenerate it when its spec changes.

Generated files are all in its package; its authors write everything else. The table `[tool.taskcluster-codegen]` in its
`pyproject.toml` names the service and the package.
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

__all__ = ["Project", "create", "find"]

_TABLE = "tool.taskcluster-codegen"
_DISTRIBUTION = re.compile(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*")
_SERVICE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Project:
    """An existing distribution."""

    root: Path
    service: str
    package: str

    def spec(self) -> Spec:
        """Return the spec of the service.

        Raises:
            SpecError: The spec is missing or invalid.
        """
        spec = load(self.root / "specs" / f"{self.service}.json", self.root)
        if spec.serviceName != self.service:
            raise SpecError(f"{spec.file}: must be the spec of {self.service}, not of {spec.serviceName}")
        return dataclasses.replace(spec, package=self.package)

    def wanted(self, spec: Spec) -> dict[str, str]:
        """Return the text of every generated file by path, relative to the root."""
        return _generated(spec)

    def owned(self) -> set[str]:
        """Return the existing files that only the generator writes, relative to the root."""
        return {
            path
            for path in tree.files_below(self.root, f"src/{self.package}")
            if path.endswith((".py", ".pyi")) and (self.root / path).read_text("utf-8").startswith(f"# {render.MARK}")
        }


def find(root: Path) -> Project | None:
    """Return the distribution at `root`, or None if there is none.

    Raises:
        SpecError: Its `pyproject.toml` is invalid.
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
        raise SpecError(f"{file}: [{_TABLE}] package {package!r} must be the name of a Python package")
    return Project(root, service, package)


def create(
    service: str, distribution: str, directory: Path, read: references.Read | None = None, version: str = "v1"
) -> Spec:
    """Write a new distribution, completely or not at all, and return its spec.

    Args:
        service: The service's name in URLs.
        distribution: The name of the distribution.
        directory: The folder to create; it must not exist.
        read: Reads the service's references from a deployment. Defaults to a sample service.
        version: The version of the service's API in URLs.

    Raises:
        SpecError: A name or a served reference is invalid, or the directory exists.
        OSError: The distribution cannot be written.
    """
    package = re.sub("[-.]", "_", distribution)
    _check_names(service, distribution, package)
    if directory.exists() or directory.is_symlink():
        raise SpecError(f"{directory}: exists already; choose another directory with --directory")
    if not directory.parent.is_dir():
        raise SpecError(f"{directory.parent}: must be an existing directory")
    file = f"specs/{service}.json"
    data = json.loads(render.sample(service)) if read is None else references.served(read, service, version)
    spec = dataclasses.replace(parse(references.text(data), file), package=package)
    files = {
        file: spec.text,
        **render.new_files(spec, distribution, is_sample=read is None),
        **_generated(spec),
    }
    # On the same file system, so that the rename is atomic.
    with tempfile.TemporaryDirectory(prefix=".taskcluster-codegen.", dir=directory.parent) as made:
        whole = Path(made) / "whole"
        whole.mkdir()
        for difference in tree.differences(whole, files, set()):
            tree.apply(whole, files, difference)
        os.rename(whole, directory)
    return spec


def _generated(spec: Spec) -> dict[str, str]:
    return {path: text for path, text in render.service(spec, "", is_ours=False).items() if path.startswith("src/")}


def _check_names(service: str, distribution: str, package: str) -> None:
    if not _SERVICE.fullmatch(service):
        raise SpecError(f"invalid service name {service!r}: it must be like `widgets` or `widget-store`")
    name = references.class_name(service)
    if keyword.iskeyword(name) or name.endswith("Events"):
        raise SpecError(f"invalid service name {service!r}: its class cannot be named {name}")
    if importlib.util.find_spec(f"taskcluster.{name.lower()}") is not None:
        raise SpecError(f"invalid service name {service!r}: the client already has `taskcluster.{name}`")
    if not _DISTRIBUTION.fullmatch(distribution):
        raise SpecError(f"invalid distribution name {distribution!r}: it must be like `{service}-client`")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package.startswith("taskcluster"):
        raise SpecError(f"invalid distribution name {distribution!r}: its package {package} would hide another one")
