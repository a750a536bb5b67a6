"""Build the distributions of this repository and install them into the environment that runs this.

    python tools/family.py build DIRECTORY          every sdist, and from each its wheel
    python tools/family.py install core queue …     wheels of those, by folder name; without names: of all

Needs hatchling, which every distribution is built with.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def folders() -> dict[str, Path]:
    """Return the folder of each distribution, by its name."""
    found = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("packages/services/*/pyproject.toml")]
    return {path.parent.name: path.parent for path in sorted(found)}


def wheel(folder: Path, directory: Path) -> Path:
    """Build the wheel of the distribution in a folder and return its path."""
    # Imported here because release.py, which shares folders(), runs without hatchling.
    from hatchling.builders.wheel import WheelBuilder

    [built] = WheelBuilder(str(folder)).build(directory=str(directory))
    return Path(built)


def sdist(folder: Path, directory: Path) -> Path:
    """Build the sdist of the distribution in a folder and return its path."""
    from hatchling.builders.sdist import SdistBuilder

    [built] = SdistBuilder(str(folder)).build(directory=str(directory))
    return Path(built)


def build(directory: Path) -> None:
    """Build every sdist from its folder, and every wheel from its unpacked sdist, as pip does."""
    directory.mkdir(parents=True, exist_ok=True)
    for outdated in [*directory.glob("taskcluster*.whl"), *directory.glob("taskcluster*.tar.gz")]:
        outdated.unlink()
    for folder in folders().values():
        built = sdist(folder, directory)
        with tempfile.TemporaryDirectory() as unpacked, tarfile.open(built) as archive:
            archive.extractall(unpacked, filter="data")
            wheel(Path(unpacked, built.name.removesuffix(".tar.gz")), directory)


def install(names: list[str]) -> None:
    """Build wheels of the named distributions and install them, dependencies from the index."""
    known = folders()
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such distribution: {', '.join(unknown)}; choose from {', '.join(known)}")
    with tempfile.TemporaryDirectory() as directory:
        wheels = [str(wheel(known[name], Path(directory))) for name in names or known]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # The version stays the same between two changes, so pip must be forced to replace an installed one.
        subprocess.run([*pip, "--no-deps", "--force-reinstall", *wheels], check=True)
        subprocess.run([*pip, *wheels], check=True)


def main() -> None:
    """Run the command given on the command line."""
    parser = argparse.ArgumentParser(description="Build and install the distributions of this repository.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="every sdist and wheel").add_argument("directory", type=Path)
    commands.add_parser("install", help="wheels into this environment").add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.command == "build":
        build(arguments.directory)
    else:
        install(arguments.names)


if __name__ == "__main__":
    main()
