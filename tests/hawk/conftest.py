"""Run Hawk's reference implementation, installed with npm, in node."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="session")
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the receiver and its dependencies, kept in pytest's cache."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            _unavailable(f"{command} is not installed")
    files = [HERE / name for name in ("package.json", "package-lock.json", "server.js")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    cache = getattr(request.config, "cache", None)
    above = cache.mkdir("hawk") if cache else tmp_path_factory.mktemp("hawk")
    folder = above / digest
    if not folder.exists():
        # Renamed when complete, because another process may do the same.
        begun = Path(tempfile.mkdtemp(dir=above))
        for path in files:
            shutil.copy(path, begun)
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        result = subprocess.run(npm, cwd=begun, capture_output=True, encoding="utf-8", timeout=300)
        if result.returncode != 0:
            _unavailable(f"npm ci failed: {result.stderr.strip()[-500:]}")
        try:
            begun.rename(folder)
        except OSError:
            shutil.rmtree(begun)
    return folder


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"the Hawk receiver must run in CI: {reason}")
    pytest.skip(f"no Hawk receiver: {reason}")


@pytest.fixture(scope="session")
def receiver(installed: Path) -> Iterator[str]:
    """The root URL of a running receiver."""
    command = ["node", "server.js"]
    with subprocess.Popen(
        command, cwd=installed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()
