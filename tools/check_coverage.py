"""Combine the coverage that tox environments recorded, and fail if it is below the minimum in pyproject.toml.

python tools/check_coverage.py .tox
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RECORDING = ("py311", "behaviour")


def main() -> None:
    """Report on the data in the folder given on the command line."""
    folder = Path(sys.argv[1])
    recorded = {name: folder / f".coverage.{name}" for name in RECORDING}
    missing = [name for name, path in recorded.items() if not path.exists()]
    if missing:
        sys.exit(f"no coverage of {' and '.join(missing)}; run: tox run -e {','.join(RECORDING)},coverage")
    data_file = f"--data-file={folder / '.coverage'}"
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet", "--keep", data_file, *map(str, recorded.values())], check=True)
    sys.exit(subprocess.run([*coverage, "report", data_file]).returncode)


if __name__ == "__main__":
    main()
