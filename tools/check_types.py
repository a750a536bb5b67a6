"""Check types with mypy and pyright, both strict: the installed distributions, and programs that use them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PLUGIN = EXAMPLES / "plugin-widgets"
PROGRAMS = ROOT / "tests" / "typing"
WRONG = PROGRAMS / "wrong.py"
"""The checkers must report an error for each line that ends in `# error`, and for no other."""


class Finding(NamedTuple):
    """An error that a checker reports."""

    file: Path
    line: int
    text: str


def by_mypy(packages: list[str]) -> Iterator[Finding]:
    """Yield the errors that mypy reports."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--warn-unreachable",
        "--no-incremental",
        "--hide-error-context",
    ]
    programs = [str(path) for folder in (EXAMPLES, PROGRAMS) for path in folder.glob("*.py")]
    packages_named = [option for name in packages for option in ("-p", name)]
    for targets in (packages_named, programs, [str(PLUGIN / "src"), str(PLUGIN / "tests")]):
        result = subprocess.run([*command, *targets], stdout=subprocess.PIPE, encoding="utf-8")
        print("mypy:", *re.findall(r"\d+ source files", result.stdout))
        if result.returncode > 1:
            sys.exit(result.stdout)
        for found in re.finditer(r"^(.+?):(\d+): error: (.*)$", result.stdout, re.MULTILINE):
            yield Finding(Path(found[1]).resolve(), int(found[2]), found[3])


def by_pyright(packages: list[str]) -> Iterator[Finding]:
    """Yield the errors that pyright reports."""
    site_packages = sysconfig.get_path("purelib")
    with tempfile.TemporaryDirectory() as directory:
        # pyright checks files in site-packages only if a configuration includes them, by relative paths.
        include = [os.path.relpath(path, directory) for path in (EXAMPLES, PROGRAMS)]
        include += [os.path.relpath(Path(site_packages, name), directory) for name in packages]
        # Examples import modules beside them; the package of the plugin is not installed.
        paths = [os.path.relpath(path, directory) for path in (EXAMPLES, PLUGIN / "src")]
        settings = {"typeCheckingMode": "strict", "include": include, "exclude": [], "extraPaths": paths}
        config = Path(directory, "pyrightconfig.json")
        config.write_text(json.dumps(settings), "utf-8")
        command = [sys.executable, "-m", "pyright", "--project", str(config), "--pythonpath", sys.executable]
        result = subprocess.run([*command, "--outputjson"], stdout=subprocess.PIPE, encoding="utf-8")
    report = json.loads(result.stdout)
    files = report["summary"]["filesAnalyzed"]
    print(f"pyright: {files} source files")
    if result.returncode > 1 or files < len(packages):
        sys.exit(result.stdout)
    for found in report["generalDiagnostics"]:
        yield Finding(Path(found["file"]).resolve(), found["range"]["start"]["line"] + 1, found["message"])


def unexpected(found: list[Finding]) -> Iterator[str]:
    """Yield unexpected errors, and the lines of wrong.py without the expected one."""
    lines = WRONG.read_text("utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, start=1) if line.endswith("# error")}
    for each in found:
        if each.file != WRONG or each.line not in marked:
            yield f"{each.file}:{each.line}: {each.text}"
    for line in sorted(marked - {each.line for each in found if each.file == WRONG}):
        yield f"{WRONG}:{line}: expected an error: {lines[line - 1]}"


def main() -> None:
    """Run both checkers, and fail if the errors differ from the expected ones."""
    installed = set(packages_distributions()) - {"taskcluster_urls"}
    packages = sorted(name for name in installed if name.startswith("taskcluster"))
    problems = [
        f"{check.__name__}: {line}" for check in (by_mypy, by_pyright) for line in unexpected(list(check(packages)))
    ]
    sys.exit("\n".join(problems) if problems else None)


if __name__ == "__main__":
    main()
