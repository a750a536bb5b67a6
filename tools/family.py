"""Build the distributions of this repository, and install them into the environment of the Python that runs this.

    python tools/family.py install local "core[validate]"   those, and the others that they require
    python tools/family.py install                          all
    python tools/family.py install --editable               all, so that changes of the checkout take effect
    python tools/family.py build DIRECTORY                  every sdist, and from each its wheel

Distributions are named by folder (`queue`) or by name (`taskcluster-queue`). Those that are installed already are
updated too, so that all have one version. The published client is uninstalled, because it has files of the same names.

Needs Python and pip. If hatchling, which builds the distributions, is not installed, pip installs it into a temporary
folder.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
# Regular expressions, because Python 3.10 has no TOML parser.
_NAME = re.compile(r'^name = "(.+)"$', re.MULTILINE)
_REQUIRED = re.compile(r'^    "taskcluster-([a-z-]+)(?:\[[a-z,]+\])?[>=]=', re.MULTILINE)
_EXTRA = re.compile(r'^([a-z]+) = \["taskcluster-([a-z-]+)==.+"\]$', re.MULTILINE)
_ARGUMENT = re.compile(r"([a-z-]+)((?:\[[a-z,]+\])?)")


def folders() -> dict[str, Path]:
    """Return the folder of each distribution, by its name."""
    found = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("packages/services/*/pyproject.toml")]
    return {path.parent.name: path.parent for path in sorted(found)}


def distribution(folder: Path) -> str:
    """Return the name of the distribution in a folder."""
    [name] = _NAME.findall((folder / "pyproject.toml").read_text("utf-8"))
    return str(name)


def with_required(names: Sequence[str]) -> list[str]:
    """Return folder names and those of the distributions that they require, directly or not."""
    known = folders()
    found = list(dict.fromkeys(names))
    for name in found:
        required = _REQUIRED.findall((known[name] / "pyproject.toml").read_text("utf-8"))
        found.extend(other for other in required if other in known and other not in found)
    return found


@contextmanager
def hatchling(*, editable: bool = False) -> Iterator[None]:
    """Make hatchling importable, and what it needs for editable wheels."""
    needed = {"hatchling": "hatchling>=1.26", **({"editables": "editables>=0.5"} if editable else {})}
    with tempfile.TemporaryDirectory() as folder:
        if not all(map(importlib.util.find_spec, needed)):
            # Not into the environment, which would keep it and its requirements.
            _run([*_PIP, "install", "--quiet", "--target", folder, *needed.values()])
            sys.path.insert(0, folder)
        yield


def wheel(folder: Path, directory: Path, *, editable: bool = False) -> Path:
    """Build the wheel of the distribution in a folder and return its path."""
    # Imported here because release.py, which shares folders(), runs without hatchling.
    from hatchling.builders.wheel import WheelBuilder

    [built] = WheelBuilder(str(folder)).build(
        directory=str(directory), versions=["editable" if editable else "standard"]
    )
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
    with hatchling():
        for folder in folders().values():
            built = sdist(folder, directory)
            with tempfile.TemporaryDirectory() as unpacked, tarfile.open(built) as archive:
                archive.extractall(unpacked, filter="data")
                wheel(Path(unpacked, built.name.removesuffix(".tar.gz")), directory)


def install(arguments: Sequence[str], *, editable: bool = False) -> None:
    """Build wheels of the named distributions and of those they require, and install them.

    Args:
        arguments: Names, with extras if needed; none means all distributions. Other requirements are installed from
            pip's package index.
        editable: Whether Python shall import from the checkout.
    """
    known = folders()
    accepted = {**{distribution(folder): name for name, folder in known.items()}, **{name: name for name in known}}
    extras: dict[str, str] = {}
    for argument in arguments:
        parsed = _ARGUMENT.fullmatch(argument)
        if parsed is None or parsed[1] not in accepted:
            sys.exit(f"no such distribution: {argument}; choose from {', '.join(known)}")
        extras[accepted[parsed[1]]] = parsed[2]
    replaces_published = _is_published_client_installed()
    already = [name for name, folder in known.items() if _is_installed(distribution(folder))]
    if replaces_published:
        already.remove("meta")
    names = with_required([*extras, *_of_extras(known, extras), *already]) if arguments else list(known)
    with tempfile.TemporaryDirectory() as directory, hatchling(editable=editable):
        wheels = {name: wheel(known[name], Path(directory), editable=editable) for name in names}
        if replaces_published:
            _run([*_PIP, "uninstall", "--yes", "taskcluster"])
        pip = [*_PIP, "install", "--quiet"]
        # The version stays the same between two changes, so pip must be forced to replace an installed one.
        _run([*pip, "--no-deps", "--force-reinstall", *map(str, wheels.values())])
        _run([*pip, *(f"{path}{extras.get(name, '')}" for name, path in wheels.items())])
    print(f"installed into {sys.prefix}: {', '.join(sorted(distribution(known[name]) for name in names))}")


def _of_extras(known: dict[str, Path], extras: dict[str, str]) -> list[str]:
    """Return the distributions of this repository that extras require, e.g. of `meta[pulse]`."""
    return [
        required
        for name, wanted in extras.items()
        for extra, required in _EXTRA.findall((known[name] / "pyproject.toml").read_text("utf-8"))
        if extra in wanted.strip("[]").split(",")
    ]


def _is_installed(name: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=name))


def _is_published_client_installed() -> bool:
    """Return whether a distribution `taskcluster` has modules, unlike the meta-package."""
    found = [path for each in importlib.metadata.distributions(name="taskcluster") for path in each.files or ()]
    return any(path.parts[0] == "taskcluster" for path in found)


def _run(command: list[str]) -> None:
    # pip has printed the reason.
    if status := subprocess.run(command).returncode:
        sys.exit(status)


def main() -> None:
    """Run the command given on the command line."""
    parser = argparse.ArgumentParser(description="Build and install the distributions of this repository.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="every sdist and wheel").add_argument("directory", type=Path)
    installing = commands.add_parser("install", help="into this environment, with what they require")
    installing.add_argument("names", nargs="*", help='for example queue or "core[validate]"; default: all')
    installing.add_argument("--editable", action="store_true", help="import from the checkout")
    arguments = parser.parse_args()
    if arguments.command == "build":
        build(arguments.directory)
    else:
        install(arguments.names, editable=arguments.editable)


if __name__ == "__main__":
    main()
