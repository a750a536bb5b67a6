"""Fixtures that build every distribution once, and create environments from the results."""

from __future__ import annotations

import email.message
import email.parser
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from .environments import ROOT, Environment, pip

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # hatchling brings it where the standard library lacks it

FOLDERS = {
    path.parent.name: path.parent
    for path in sorted([*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("packages/services/*/pyproject.toml")])
}
"""The folder of each distribution, by the folder's name."""

[VERSION] = re.findall('VERSION = "(.+)"', (FOLDERS["core"] / "src/taskcluster/version.py").read_text("utf-8"))
"""The version of all distributions."""

ALSO = ("editables", "requests[socks]")
"""What editable installs of third parties and documented commands need."""

PUBLISHED = "taskcluster==113.2.0"
"""The published client."""

PREBUILT = "TASKCLUSTER_TESTS_DIST"
"""The environment variable that names a folder with wheels and sdists built before."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "plugins(*names): the plugins to install with core")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "folder_name" in metafunc.fixturenames:
        metafunc.parametrize("folder_name", FOLDERS)


@dataclass(frozen=True)
class Built:
    """One distribution, built."""

    folder: Path
    wheel: Path
    sdist: Path

    @property
    def project(self) -> dict[str, object]:
        """The table `project` of its pyproject.toml."""
        project: dict[str, object] = tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))["project"]
        return project

    def wheel_files(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def read(self, name: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.read(name).decode()

    @property
    def dist_info(self) -> str:
        return f"{'-'.join(self.wheel.name.split('-')[:2])}.dist-info"

    def metadata(self) -> email.message.Message:
        return email.parser.Parser().parsestr(self.read(f"{self.dist_info}/METADATA"))

    def sdist_files(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {member.name.partition("/")[2] for member in archive if member.isfile()}

    def source_files(self) -> set[str]:
        """The files in `src`, as paths relative to it."""
        source = self.folder / "src"
        return {
            path.relative_to(source).as_posix()
            for path in source.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        }


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Every distribution, with its sdist and the wheel built from that."""
    prebuilt = os.environ.get(PREBUILT)
    target = Path(prebuilt) if prebuilt else tmp_path_factory.mktemp("dist")
    if not prebuilt:
        subprocess.run([sys.executable, str(ROOT / "tools" / "family.py"), "build", str(target)], check=True)
    return {name: _found(folder, target) for name, folder in FOLDERS.items()}


def _found(folder: Path, target: Path) -> Built:
    name = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"].replace("-", "_")
    (wheel,) = target.glob(f"{name}-[0-9]*.whl")
    (sdist,) = target.glob(f"{name}-[0-9]*.tar.gz")
    return Built(folder, wheel, sdist)


@pytest.fixture(scope="session")
def wheels(family: dict[str, Built]) -> Path:
    """The folder of the wheels."""
    return family["core"].wheel.parent


@pytest.fixture(scope="session")
def third_party(family: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all third-party requirements, downloaded once for all environments."""
    needed = {
        # Extras are downloaded too.
        re.sub(r"\s*;\s*extra\s*==.*", "", requirement)
        for built in family.values()
        for requirement in built.metadata().get_all("Requires-Dist", [])
        if not re.match(r"taskcluster-(?!urls)", requirement)
    }
    folder = tmp_path_factory.mktemp("third-party")
    builds = tomllib.loads((FOLDERS["core"] / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    pip("download", "--quiet", "--only-binary", ":all:", "--dest", folder, *sorted(needed), *builds, *ALSO)
    return folder


@pytest.fixture(scope="session")
def index(wheels: Path, third_party: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a package index that has the distributions and their requirements, and nothing else."""
    folder = tmp_path_factory.mktemp("index")
    for file in [*wheels.iterdir(), *third_party.iterdir()]:
        project = folder / re.sub(r"[-_.]+", "-", file.name.partition("-")[0]).lower()
        project.mkdir(exist_ok=True)
        with (project / "index.html").open("a", encoding="utf-8") as page:
            page.write(f'<a href="{file.as_uri()}">{file.name}</a>\n')
    return folder.as_uri()


class Workshop:
    """Creates environments with our distributions, from wheels and without a package index."""

    def __init__(self, folder: Path, wheels: Path, third_party: Path) -> None:
        self._folder = folder
        self._third_party = third_party
        self.offline = ("--quiet", "--no-index", "--find-links", wheels, "--find-links", third_party)

    def environment(self, name: str, *requirements: object) -> Environment:
        environment = Environment(self._folder / name)
        environment.pip("install", *self.offline, *requirements)
        return environment

    def plain(self, name: str) -> Environment:
        """Return an empty environment with its own pip, which finds third-party requirements offline."""
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self._third_party.as_uri()}
        return Environment(self._folder / name, own_pip=True, **index)


@pytest.fixture(scope="session")
def workshop(wheels: Path, third_party: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Creates environments."""
    return Workshop(tmp_path_factory.mktemp("environments"), wheels, third_party)


@pytest.fixture(scope="session")
def core_alone(workshop: Workshop) -> Environment:
    """An environment with core alone."""
    return workshop.environment("core", "taskcluster-core")


@pytest.fixture(scope="session")
def subset(workshop: Workshop) -> Environment:
    """An environment with one service and core, which it requires."""
    return workshop.environment("subset", "taskcluster-queue")


@pytest.fixture(scope="session")
def everything(workshop: Workshop) -> Environment:
    """An environment with the meta-package and its extras."""
    return workshop.environment("everything", "taskcluster[async,test]")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published client's wheel, from the package index."""
    folder = tmp_path_factory.mktemp("published")
    pip("download", "--quiet", "--no-deps", "--dest", folder, PUBLISHED)
    (wheel,) = folder.glob("taskcluster-*.whl")
    return wheel
