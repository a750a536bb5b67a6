"""Test that the demo runs and that the README shows its output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def normalised(text: str) -> list[str]:
    """Return the lines with slugids, the port and the installation path replaced."""
    text = re.sub(r"\b[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]\b", "<slugid>", text)
    text = re.sub(r"\S*taskcluster-local serve", "taskcluster-local serve", text)
    return re.sub(r"127\.0\.0\.1:\d+", "<address>", text).strip().splitlines()


def test_readme_shows_demo_output() -> None:
    demo = [sys.executable, "-W", "error", str(ROOT / "examples" / "demo.py")]
    run = subprocess.run(demo, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.search(r"<!-- demo -->\n```\n(.*?)```\n<!-- /demo -->", readme, re.DOTALL)
    assert shown is not None
    assert normalised(run.stdout) == normalised(shown[1])
