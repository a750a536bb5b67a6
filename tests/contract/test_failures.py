"""Test that no failure without a response has the default status 500, which means a server failure."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGES = Path(__file__).parents[2] / "packages"
WITH_STATUS = {"TaskclusterRestFailure", "TaskclusterAuthFailure", "ServerFailure", "settings.failure"}
"""Classes, and names bound to them, with the default status 500."""


def test_failures_have_explicit_statuses() -> None:
    without, seen = [], 0
    for path in sorted(PACKAGES.glob("**/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in WITH_STATUS or name.removeprefix("exceptions.") in WITH_STATUS:
                seen += 1
                if len(node.args) < 3 and all(keyword.arg not in ("status_code", None) for keyword in node.keywords):
                    without.append(f"{path.name}:{node.lineno}")
    assert without == []
    assert seen > 5
