"""An environment with the published client, for tests of the local deployment."""

from __future__ import annotations

import subprocess
import venv

import pytest

PUBLISHED = "taskcluster==113.2.0"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with only the published client."""
    home = tmp_path_factory.mktemp("published")
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PUBLISHED], check=True)
    return python
