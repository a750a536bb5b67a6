"""Installing every distribution from a package index, as users do after a release."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import VERSION, Built
from .environments import Environment


@pytest.mark.parametrize("form", ["wheel", "sdist"])
def test_every_distribution_installs_from_an_index(
    family: dict[str, Built], index: str, tmp_path: Path, form: str
) -> None:
    # Without the machine's own configuration, which may name further indexes.
    environment = Environment(tmp_path / "venv", own_pip=True, PIP_INDEX_URL=index, PIP_CONFIG_FILE=os.devnull)
    names = sorted(str(built.project["name"]) for built in family.values())
    if form == "wheel":
        environment.pip("install", "--quiet", "--only-binary", ":all:", *names)
    else:
        # One environment for all builds: 17 isolated ones take minutes.
        environment.pip("install", "--quiet", "hatchling")
        environment.pip("install", "--quiet", "--no-build-isolation", "--no-binary", ",".join(names), *names)
    assert environment.pip("check").strip() == "No broken requirements found."
    packages = sorted({file.split("/")[0] for built in family.values() for file in built.source_files()})
    found = environment.run(
        """
        import importlib, importlib.metadata, json, sys

        names, packages = json.loads(sys.argv[1])
        for package in packages:
            importlib.import_module(package)
        print(json.dumps([importlib.metadata.version(name) for name in names]))
        """,
        json.dumps([names, packages]),
    )
    assert json.loads(found) == [VERSION] * len(names)
