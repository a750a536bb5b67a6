"""Test the generated pages of services and commands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import tomllib

from taskcluster_codegen.spec import load_all

ROOT = Path(__file__).resolve().parents[2]
SPECS = load_all(ROOT / "specs", ROOT)


@pytest.fixture(scope="module")
def pages() -> Any:
    described = importlib.util.spec_from_file_location("reference_pages", ROOT / "tools" / "reference_pages.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.serviceName)
def test_service_page_is_complete_without_broken_links(pages: Any, spec: Any) -> None:
    text = pages.page(spec)
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading[0].islower()] == [
        *(method.name for method in spec.methods),
        *(exchange.name for exchange in spec.exchanges),
    ]
    anchors = {heading.lower() for heading in headings if heading[0].isupper()}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.serviceName)
def test_service_page_is_in_the_navigation(pages: Any, spec: Any) -> None:
    assert f"- {pages.path(spec)}\n" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_commands_page_lists_every_command(pages: Any) -> None:
    projects = [tomllib.loads(path.read_text("utf-8"))["project"] for path in ROOT.glob("packages/*/pyproject.toml")]
    installed = {name for project in projects for name in project.get("scripts", {})}
    assert {command.partition(" ")[0] for command in pages.COMMANDS} == installed
    text = pages.commands()
    # argparse and click do not agree about the capital.
    assert re.findall(r"^[uU]sage: ([a-z-]+(?: [a-z]+)?)", text, re.MULTILINE) == list(pages.COMMANDS)
    assert f"- {pages.COMMANDS_PAGE}\n" in (ROOT / "mkdocs.yml").read_text("utf-8")
