"""Checks types, strictly: mypy and pyright over the distributions as they are installed, and over the examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import packages_distributions
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def check_with_mypy(packages: list[str]) -> bool:
    """Return whether mypy finds nothing."""
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unreachable", "--no-incremental"]
    targets = [[option for name in packages for option in ("-p", name)], [str(path) for path in EXAMPLES.glob("*.py")]]
    results = [subprocess.run([*command, *target]).returncode for target in targets]
    return not any(results)


def check_with_pyright(packages: list[str]) -> bool:
    """Return whether pyright finds nothing."""
    site_packages = sysconfig.get_path("purelib")
    with tempfile.TemporaryDirectory() as directory:
        # Only by a configuration does pyright look into site-packages; paths in there must be relative.
        include = [os.path.relpath(Path(site_packages, name), directory) for name in packages]
        examples = os.path.relpath(EXAMPLES, directory)
        config = Path(directory, "pyrightconfig.json")
        # Examples import each other by what is beside them.
        settings = {"include": [*include, examples], "exclude": [], "extraPaths": [examples]}
        config.write_text(json.dumps({"typeCheckingMode": "strict", **settings}), "utf-8")
        command = [sys.executable, "-m", "pyright", "--project", str(config), "--pythonpath", sys.executable]
        result = subprocess.run([*command, "--outputjson"], stdout=subprocess.PIPE, encoding="utf-8")
    report = json.loads(result.stdout)
    for found in report["generalDiagnostics"]:
        print(f"{found['file']}:{found['range']['start']['line'] + 1}: {found['severity']}: {found['message']}")
    files = report["summary"]["filesAnalyzed"]
    print(f"pyright: {len(report['generalDiagnostics'])} issues in {files} source files")
    return result.returncode == 0 and files >= len(packages)


def main() -> None:
    """Run both, and fail if either finds something."""
    installed = set(packages_distributions()) - {"taskcluster_urls"}
    packages = [name for name in installed if name.startswith("taskcluster")]
    results = [check(sorted(packages)) for check in (check_with_mypy, check_with_pyright)]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
