"""Compare files with a folder and write them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Difference", "apply", "differences", "files_below", "replace_block"]

BEGINNING = "# The beginning of the block that taskcluster-codegen writes."
END = "# The end of the block that taskcluster-codegen writes."

_BUILD_PRODUCTS = frozenset({"__pycache__", "build", "dist", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


@dataclass(frozen=True)
class Difference:
    """A file that differs from the wanted one."""

    path: str
    what: str
    """`missing`, `differs` or `surplus`."""

    def __str__(self) -> str:
        return f"{self.what}: {self.path}"


def differences(root: Path, wanted: Mapping[str, str], owned: set[str]) -> list[Difference]:
    """Compare files byte for byte and return the differences, sorted by path.

    Args:
        root: The folder that paths are relative to.
        wanted: Texts by path.
        owned: Existing files that only the generator writes; those not wanted are surplus.
    """
    found = [Difference(path, "surplus") for path in owned - wanted.keys()]
    for path, text in wanted.items():
        try:
            same = (root / path).read_bytes() == text.encode()
        except FileNotFoundError:
            found.append(Difference(path, "missing"))
        else:
            if not same:
                found.append(Difference(path, "differs"))
    return sorted(found, key=lambda difference: difference.path)


def apply(root: Path, wanted: Mapping[str, str], difference: Difference) -> None:
    """Write a missing or differing file, or delete a surplus file and the folders it leaves empty."""
    path = root / difference.path
    if difference.what != "surplus":
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, wanted[difference.path].encode())
        return
    path.unlink()
    for folder in path.relative_to(root).parents:
        if any((root / folder).iterdir()):
            break
        (root / folder).rmdir()


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Yield the source files below a folder relative to `root`, without build products and caches."""
    for path in (root / folder).rglob("*"):
        parts = path.relative_to(root / folder).parts
        is_build_product = any(part in _BUILD_PRODUCTS or part.endswith(".egg-info") for part in parts)
        if (path.is_file() or path.is_symlink()) and not is_build_product:
            yield path.relative_to(root).as_posix()


def replace_block(text: str, block: str, file: str) -> str:
    """Return a hand-written file's text with the lines between its two marks replaced by `block`, keeping indentation.

    Raises:
        ValueError: A mark is missing or repeated, or they are in the wrong order.
    """
    before, beginning, rest = text.partition(BEGINNING)
    _, end, after = rest.partition(END)
    if not beginning or not end or BEGINNING in rest or END in after:
        raise ValueError(f"{file}: the lines {BEGINNING!r} and {END!r} must each appear once, in this order")
    indent = before.rpartition("\n")[2]
    lines = "".join(f"{indent}{line}\n" for line in block.splitlines())
    return f"{before}{BEGINNING}\n{lines}{indent}{END}{after}"
