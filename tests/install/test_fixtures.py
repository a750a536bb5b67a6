"""Test that the test file in the local deployment's README passes with taskcluster-local alone."""

from __future__ import annotations

import re
from pathlib import Path

from .conftest import FOLDERS, Workshop


def test_readmes_test_file_passes_in_a_fresh_environment(workshop: Workshop, tmp_path: Path) -> None:
    readme = (FOLDERS["local"] / "README.md").read_text("utf-8")
    shown = re.search(r"<!-- test file -->\n```python\n(.*?)```\n<!-- /test file -->", readme, re.DOTALL)
    assert shown is not None
    environment = workshop.environment("fixtures", "taskcluster-local[pytest]")
    (tmp_path / "test_mine.py").write_text(shown[1], "utf-8")
    environment.run(
        """
        import pytest, sys
        sys.exit(pytest.main(["-W", "error", "-p", "no:cacheprovider", sys.argv[1]]))
        """,
        str(tmp_path),
    )
    assert environment.pip("check").strip() == "No broken requirements found."
