"""The command `taskcluster-codegen`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import repository, tree
from .spec import SpecError, load_all

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="taskcluster-codegen",
        description=(
            "Write everything that is generated from the specs: packages/services and packages/meta, where files "
            "that belong to no spec are removed, and the generated modules and blocks of packages/core."
        ),
    )
    parser.add_argument("--check", action="store_true", help="write nothing; name what is not as generated, exit 1")
    parser.add_argument("--specs", type=Path, help="the folder of specs; specs below the root where left out")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository; the current folder where left out")
    options = parser.parse_args(arguments)
    root: Path = options.root
    try:
        specs = load_all(options.specs or root / "specs", root)
        wanted = repository.wanted(root, specs)
    except (SpecError, OSError, ValueError) as exc:
        print(f"taskcluster-codegen: {exc}", file=sys.stderr)
        return 2
    found = tree.differences(root, wanted, repository.owned(root))
    for difference in found:
        print(difference)
    if options.check:
        return 1 if found else 0
    tree.apply(root, wanted, found)
    return 0
