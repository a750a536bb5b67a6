"""Test that references served by a local deployment regenerate the services exactly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from taskcluster_codegen.cli import main
from taskcluster_local import LocalTaskcluster

ROOT = Path(__file__).parent.parent.parent
GENERATED = (
    "specs",
    "packages/services",
    "packages/meta",
    "packages/core/src/taskcluster",
    "packages/helper/src/taskcluster_helper",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository's generated files and specs."""
    shutil.copy(ROOT / "LICENSE", tmp_path)
    for folder in GENERATED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def forget(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec without titles, descriptions, scopes, exchanges and types, which a deployment serves."""
    kept = ("name", "method", "route", "args", "stability", "emptyArgs", "addedAfter", "removedBefore")
    methods = [
        {**{key: method[key] for key in kept if key in method}, "title": "Forgotten", "description": "Forgotten."}
        for method in spec["methods"]
    ]
    named = {key: spec[key] for key in ("serviceName", "apiVersion", "className")}
    return {**named, "title": "Forgotten", "description": "Forgotten.", "methods": methods[::-1], "types": {}}


def test_served_references_regenerate_the_repository(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "widgets")
    before = contents(copy)
    for path in (copy / "specs").iterdir():
        path.write_text(json.dumps(forget(json.loads(path.read_text("utf-8")))), "utf-8")
    assert main(["--root", str(copy)]) == 0
    assert contents(copy) != before
    with LocalTaskcluster() as local:
        assert main(["--root", str(copy), "--root-url", local.root_url]) == 0
        assert contents(copy) == before
        assert main(["--check", "--root", str(copy), "--root-url", local.root_url]) == 0
    assert contents(copy) == before


def test_check_against_a_deployment_lists_api_changes(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    spec = copy / "specs" / "secrets.json"
    with LocalTaskcluster() as local:
        for old, new, lines in (
            ("Get Secret", "Tell Secret", []),
            (
                "secrets:get:<name>",
                "secrets:read:<name>",
                [
                    'specs/secrets.json: method get: scopes is "secrets:read:<name>" '
                    'and is served as "secrets:get:<name>"'
                ],
            ),
        ):
            spec.write_text(spec.read_text("utf-8").replace(old, new), "utf-8")
            assert main(["--root", str(copy)]) == 0
            capsys.readouterr()
            status = main(["--check", "--root", str(copy), "--root-url", local.root_url])
            assert (status, capsys.readouterr().out.splitlines()) == (len(lines), lines)
