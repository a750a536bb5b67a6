"""Procedures of all packages are run by core's runner."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = {"throw", "gi_frame", "gi_running", "gi_yieldfrom"}
"""What a loop over a generator's `send` uses too, if it passes failures on."""


def test_only_the_runner_steps_through_procedures() -> None:
    stepping = {
        path.relative_to(ROOT / "packages").as_posix()
        for path in ROOT.glob("packages/**/src/**/*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in STEPS
    }
    assert stepping == {"core/src/taskcluster/runner.py"}
