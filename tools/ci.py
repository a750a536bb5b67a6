"""Write the environments of tox.ini into the files that define the jobs of CI services.

    python tools/ci.py           write them
    python tools/ci.py --check   fail if a file differs

Needs tox, which reads tox.ini. An environment that depends on others runs in one job with them, because it uses their
results.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = (ROOT / ".github" / "workflows" / "tests.yml", ROOT / ".taskcluster.yml")

_ROWS = re.compile(r"(?<=# written by tools/ci\.py from tox\.ini\n)(?: *- \{tox: .*\n)*( *)(?=# end\n)")
_PYTHON = re.compile(r"py(?:thon)?(3)\.?(\d+)")


def jobs(settings: str) -> dict[str, str]:
    """Return the Python version of each job by the job's environments, from what `tox config` prints."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(settings)
    found = {section.removeprefix("testenv:"): parser[section] for section in parser.sections()}
    depended_on = {name for values in found.values() for name in values["depends"].split()}
    return {
        ",".join([*values["depends"].split(), name]): _version(values["base_python"])
        for name, values in found.items()
        if name not in depended_on
    }


def _version(base_python: str) -> str:
    named = _PYTHON.match(base_python.strip())
    return f"{named[1]}.{named[2]}" if named else "3.11"


def with_jobs(text: str, rows: dict[str, str]) -> str:
    """Return a file with the given jobs in place of those that it has."""

    def replacement(match: re.Match[str]) -> str:
        return "".join(f'{match[1]}- {{tox: "{tox}", python: "{python}"}}\n' for tox, python in rows.items()) + match[1]

    changed, count = _ROWS.subn(replacement, text)
    if count != 1:
        sys.exit("the lines between `# written by tools/ci.py from tox.ini` and `# end` are missing")
    return changed


def main() -> None:
    """Write the files, or compare them."""
    command = [sys.executable, "-m", "tox", "config", "-k", "base_python", "depends"]
    rows = jobs(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout)
    outdated = [path for path in FILES if with_jobs(path.read_text("utf-8"), rows) != path.read_text("utf-8")]
    if "--check" in sys.argv and outdated:
        sys.exit(
            f"{', '.join(path.name for path in outdated)}: not as tox.ini; run python tools/ci.py, which needs tox"
        )
    for path in outdated:
        path.write_text(with_jobs(path.read_text("utf-8"), rows), "utf-8")


if __name__ == "__main__":
    main()
