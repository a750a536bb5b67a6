"""Test the files and the metadata of each wheel and sdist."""

from __future__ import annotations

import configparser
import re
from collections import Counter
from pathlib import Path
from typing import Any

from .conftest import VERSION, Built
from .environments import ROOT


def test_wheel_contains_exactly_the_source_files(family: dict[str, Built], folder_name: str) -> None:
    built = family[folder_name]
    expected = {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"}
    if built.project.get("entry-points") or built.project.get("scripts"):
        expected.add("entry_points.txt")
    info = {f"{built.dist_info}/{name}" for name in expected}
    assert built.wheel_files() == built.source_files() | info
    if folder_name == "meta":
        assert built.source_files() == set()


def test_sdist_contains_exactly_the_wheels_sources(family: dict[str, Built], folder_name: str) -> None:
    built = family[folder_name]
    around = {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO"}
    # hatchling adds the repository's .gitignore.
    assert built.sdist_files() - {".gitignore"} == {f"src/{name}" for name in built.source_files()} | around


def test_package_is_marked_as_typed(family: dict[str, Built], folder_name: str) -> None:
    packages = {name.split("/")[0] for name in family[folder_name].source_files()}
    if folder_name == "meta":
        assert packages == set()
        return
    (package,) = packages
    assert package == family[folder_name].project["name"].replace("-", "_").replace("taskcluster_core", "taskcluster")  # type: ignore[attr-defined]
    assert f"{package}/py.typed" in family[folder_name].wheel_files()


def test_metadata_is_complete(family: dict[str, Built], folder_name: str) -> None:
    metadata = family[folder_name].metadata()
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "MPL-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip() == (family[folder_name].folder / "README.md").read_text("utf-8").strip()
    classifiers = metadata.get_all("Classifier", [])
    assert "Typing :: Typed" in classifiers
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)} <= set(classifiers)


def test_licence_is_the_repositorys(family: dict[str, Built], folder_name: str) -> None:
    built = family[folder_name]
    assert built.read(f"{built.dist_info}/licenses/LICENSE") == (ROOT / "LICENSE").read_text("utf-8")


def test_requirements_equal_pyproject_and_have_no_upper_bound(family: dict[str, Built], folder_name: str) -> None:
    built = family[folder_name]
    required = [item for item in built.metadata().get_all("Requires-Dist", []) if "extra ==" not in item]
    declared: Any = built.project["dependencies"]
    assert sorted(required) == sorted(declared)
    for requirement in required:
        # The part after the semicolon is a marker.
        assert not re.search(r"<|~=", requirement.partition(";")[0])
        if not re.match(r"taskcluster-(?!urls)", requirement):
            assert "==" not in requirement


def test_service_requires_core_and_registers_one_plugin(family: dict[str, Built]) -> None:
    services = [name for name, built in family.items() if built.folder.parent.name == "services"]
    assert len(services) == 11
    for name in services:
        built = family[name]
        for_types = "typing-extensions>=4.4; python_version < '3.11'"
        assert built.metadata().get_all("Requires-Dist") == [f"taskcluster-core=={VERSION}", for_types]
        entry_points = configparser.ConfigParser()
        entry_points.read_string(built.read(f"{built.dist_info}/entry_points.txt"))
        module = f"taskcluster_{name.replace('-', '_')}"
        assert {section: dict(entry_points[section]) for section in entry_points.sections()} == {
            "taskcluster": {name: f"{module}.plugin"}
        }


def test_meta_package_pins_core_and_every_service(family: dict[str, Built]) -> None:
    services = [name for name, built in family.items() if built.folder.parent.name == "services"]
    metadata = family["meta"].metadata()
    assert metadata["Name"] == "taskcluster"
    required = metadata.get_all("Requires-Dist", [])
    ours = ["core", "objects", "helper", *services]
    assert {f"taskcluster-{name}=={VERSION}" for name in ours} <= set(required)
    third_party = {"aiohttp", "async-timeout", "mohawk", "python-dateutil", "requests", "slugid", "taskcluster-urls"}
    assert third_party <= set(required)
    assert set(metadata.get_all("Provides-Extra", [])) >= {"async", "test"}


def test_no_file_is_in_two_distributions(family: dict[str, Built]) -> None:
    owners = Counter(name for built in family.values() for name in built.wheel_files())
    assert [name for name, count in owners.items() if count > 1] == []


def test_wheels_do_not_contain_the_build_path(family: dict[str, Built]) -> None:
    for built in family.values():
        for name in built.wheel_files():
            if Path(name).suffix in (".py", ".json", ".txt", ".md", ""):
                assert str(ROOT) not in built.read(name)
