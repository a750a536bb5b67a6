"""Builds the distributions of this repository as wheels and installs them into the environment that runs this.

    python tools/family.py build DIRECTORY          every distribution, as wheels
    python tools/family.py install core queue …     those, by folder name; without names: every one

Needs hatchling, which every distribution is built with.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parent.parent


def folders() -> dict[str, Path]:
    """Return the folder of each distribution, by its name."""
    found = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("packages/services/*/pyproject.toml")]
    return {path.parent.name: path.parent for path in sorted(found)}


def build(names: list[str], directory: Path) -> list[Path]:
    """Build wheels of the named distributions and return their paths."""
    known = folders()
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such distribution: {', '.join(unknown)}; there are {', '.join(known)}")
    wheels: list[Path] = []
    for name in names or known:
        wheels += [Path(path) for path in WheelBuilder(str(known[name])).build(directory=str(directory))]
    return wheels


def install(names: list[str]) -> None:
    """Build the named distributions and install them, dependencies from the index."""
    with tempfile.TemporaryDirectory() as directory:
        wheels = [str(path) for path in build(names, Path(directory))]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # The version does not change while one works on it, so pip is told to replace what is there.
        subprocess.run([*pip, "--no-deps", "--force-reinstall", *wheels], check=True)
        subprocess.run([*pip, *wheels], check=True)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Build and install the distributions of this repository.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("directory", type=Path)
    commands.add_parser("install").add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.command == "build":
        arguments.directory.mkdir(parents=True, exist_ok=True)
        build([], arguments.directory)
    else:
        install(arguments.names)


if __name__ == "__main__":
    main()
