"""Set and check the version that all distributions share.

    python tools/release.py check             compare the distributions and the changelog with core's version
    python tools/release.py version 114.0.0   write another version into all of them

Core's `version.py` is the source. The other files repeat it because each sdist must build on its own.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from family import ROOT, folders

SOURCE = ROOT / "packages" / "core" / "src" / "taskcluster" / "version.py"
CHANGELOG = ROOT / "CHANGELOG.md"
EXAMPLE = ROOT / "examples" / "plugin-widgets" / "pyproject.toml"

_SOURCE = re.compile(r'(?<=^VERSION = ")[^"]+', re.MULTILINE)
_OWN = re.compile(r'(?:(?<=^version = ")|(?<=^VERSION = ")|(?<=^require\(__name__, "))[^"]+', re.MULTILINE)
_REQUIREMENT = re.compile(r'("taskcluster(?!-urls)[a-z-]*(?:\[[a-z,]+\])?[>=]=)([^"]+)')
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_ACCEPTED = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def current() -> str:
    """Return the version of core."""
    found = _SOURCE.search(SOURCE.read_text("utf-8"))
    if found is None:
        sys.exit(f"{SOURCE}: no line VERSION = …")
    return found[0]


def repeating() -> list[Path]:
    """Return the files of the distributions that repeat the version."""
    return [
        path
        for folder in folders().values()
        for path in (
            folder / "pyproject.toml",
            *folder.glob("src/taskcluster_*/__init__.py"),
            *folder.glob("src/taskcluster_*/version.py"),
        )
    ]


def disagreements(version: str) -> Iterator[str]:
    """Yield what states another version than the given one."""
    for path in [*repeating(), EXAMPLE]:
        text = path.read_text("utf-8")
        stated = [found[2] for found in _REQUIREMENT.finditer(text)]
        if path != EXAMPLE:
            stated += _OWN.findall(text)
        for other in sorted(set(stated) - {version}):
            yield f"{path.relative_to(ROOT)} has {other}, core has {version}"
    headings = _HEADING.findall(CHANGELOG.read_text("utf-8"))
    if headings[0] not in ("Unreleased", version):
        yield f"CHANGELOG.md begins with {headings[0]}, not with {version} or Unreleased"


def write(version: str) -> None:
    """Write a version into every file that repeats it, and name the changelog's first section after it."""
    if not _ACCEPTED.fullmatch(version):
        sys.exit(f"{version} is not a version like 114.0.0 or 114.0.0rc1")
    _replace(SOURCE, _SOURCE, version)
    for path in repeating():
        _replace(path, _OWN, version)
    for path in [*repeating(), EXAMPLE]:
        _replace(path, _REQUIREMENT, rf"\g<1>{version}")
    _replace(CHANGELOG, re.compile(r"^## Unreleased$", re.MULTILINE), f"## {version}")


def _replace(path: Path, pattern: re.Pattern[str], replacement: str) -> None:
    path.write_text(pattern.sub(replacement, path.read_text("utf-8")), "utf-8")


def main() -> None:
    """Run the command given on the command line."""
    parser = argparse.ArgumentParser(description="Set and check the version that all distributions share.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="compare the distributions and the changelog with core's version")
    commands.add_parser("version", help="write another version into all of them").add_argument("version")
    arguments = parser.parse_args()
    if arguments.command == "version":
        write(arguments.version)
    problems = list(disagreements(current()))
    if problems:
        sys.exit("\n".join(problems))
    print(f"every distribution has version {current()}")


if __name__ == "__main__":
    main()
