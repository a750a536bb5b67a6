"""What this family's repository holds that is generated, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import render, tree
from .spec import Spec

__all__ = ["owned", "wanted"]

SERVICES = "packages/services"
META = "packages/meta"
CORE = "packages/core/src/taskcluster"


def wanted(root: Path, specs: Sequence[Spec]) -> dict[str, str]:
    """Return every generated file's text by its path from `root`.

    Hand-written files that hold a generated block are among them, as they should be.
    """
    licence = (root / "LICENSE").read_text("utf-8")
    files = {f"{META}/{path}": text for path, text in render.meta(specs, licence).items()}
    for spec in specs:
        for path, text in render.service(spec, licence).items():
            files[f"{SERVICES}/{spec.serviceName}/{path}"] = text
    for path, text in render.compat_modules(specs).items():
        files[f"{CORE}/{path}"] = text
    for path, is_async in ((f"{CORE}/__init__.py", False), (f"{CORE}/aio/__init__.py", True)):
        text = (root / path).read_text("utf-8")
        files[path] = tree.replace_block(text, render.block(specs, is_async=is_async), path)
    return files


def owned(root: Path) -> set[str]:
    """Return the files there that nobody but the generator writes, by their paths from `root`."""
    files = {*tree.files_below(root, SERVICES), *tree.files_below(root, META)}
    for path in (*(root / CORE).glob("*.py"), *(root / CORE / "aio").glob("*.py")):
        if path.read_text("utf-8").startswith(f"# {render.MARK}"):
            files.add(path.relative_to(root).as_posix())
    return files
