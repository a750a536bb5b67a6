"""The READMEs of packages, which package indexes show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
NAMES = sorted(file.parent.relative_to(PACKAGES).as_posix() for file in PACKAGES.glob("**/pyproject.toml"))
"""The folders of the packages."""

_TARGET = re.compile(r"\]\(([^)\s]+)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)=[\"']([^\"']+)", re.MULTILINE)


@pytest.mark.parametrize("package", NAMES)
def test_readme_has_no_relative_links(package: str) -> None:
    """Neither package indexes nor installed metadata resolve them."""
    text = (PACKAGES / package / "README.md").read_text("utf-8")
    targets = ["".join(found.groups(default="")) for found in _TARGET.finditer(text)]
    assert [target for target in targets if not target.startswith(("https://", "http://", "#"))] == []
