"""The generated files in the client's repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import render, tree
from .spec import Spec

__all__ = ["owned", "wanted"]

SERVICES = "packages/services"
META = "packages/meta"
CORE = "packages/core/src/taskcluster"
CONFIGURATION = "packages/helper/src/taskcluster_helper/configuration.py"


def wanted(root: Path, specs: Sequence[Spec]) -> dict[str, str]:
    """Return the text of every generated file by path, relative to `root`.

    This includes hand-written files with a generated block.
    """
    licence = (root / "LICENSE").read_text("utf-8")
    files = {f"{META}/{path}": text for path, text in render.meta(specs, licence).items()}
    for spec in specs:
        for path, text in render.service(spec, licence, is_ours=True).items():
            files[f"{SERVICES}/{spec.serviceName}/{path}"] = text
    for path, text in render.compat_modules(specs).items():
        files[f"{CORE}/{path}"] = text
    blocks = {
        f"{CORE}/__init__.py": render.block(specs, is_async=False),
        f"{CORE}/aio/__init__.py": render.block(specs, is_async=True),
        CONFIGURATION: render.get_service(specs),
    }
    for path, block in blocks.items():
        files[path] = tree.replace_block((root / path).read_text("utf-8"), block, path)
    return files


def owned(root: Path) -> set[str]:
    """Return the existing files that only the generator writes, relative to `root`."""
    files = {*tree.files_below(root, SERVICES), *tree.files_below(root, META)}
    for path in (*(root / CORE).glob("*.py"), *(root / CORE / "aio").glob("*.py")):
        if path.read_text("utf-8").startswith(f"# {render.MARK}"):
            files.add(path.relative_to(root).as_posix())
    return files
