"""The contenders: interpreters with this client and with the published one, and their worker processes."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from types import TracebackType

__all__ = ["PUBLISHED", "Child", "libraries", "modules_loaded_by", "published_python", "seconds_to_run"]

PUBLISHED = "taskcluster==113.2.0"
_SHARED = ("aiohttp", "mohawk", "multidict", "requests", "slugid", "taskcluster-urls", "urllib3", "yarl")
"""Dependencies of both clients, installed in the same versions."""
_ROOT = Path(__file__).parent.parent


def libraries() -> dict[str, str]:
    """Return the versions of the shared dependencies."""
    return {name: importlib.metadata.version(name) for name in _SHARED}


def published_python() -> str:
    """Return the interpreter of a virtual environment with the published client; create it if it is missing."""
    if sys.prefix == sys.base_prefix:
        sys.exit("run the benchmarks in a virtual environment with this repository's packages: tox run -e bench")
    home = Path(sys.prefix) / "published-client"
    python = str(home / "bin" / "python")
    wanted = [PUBLISHED, *(f"{name}=={version}" for name, version in libraries().items())]
    made_of = home / "made-of.txt"
    if not made_of.exists() or made_of.read_text(encoding="utf-8").split() != wanted:
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
        made_of.write_text("\n".join(wanted), encoding="utf-8")
    return python


def _environment(**more: str) -> dict[str, str]:
    # Remove variables that only some contenders read.
    foreign = ("PYTHON", "TASKCLUSTER_", "DEBUG_TASKCLUSTER")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
    return {**kept, **more}


class Child:
    """A process of this package that reads and writes lines. Leaving the context kills it."""

    def __init__(self, python: str, module: str, *arguments: str, trusting: str | None = None) -> None:
        more = {} if trusting is None else {"REQUESTS_CA_BUNDLE": trusting}
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.{module}", *arguments],
            cwd=_ROOT,
            env=_environment(**more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self) -> str:
        """Return the next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self._process.args))} exited: see its error above")  # type: ignore[arg-type]
        return line.strip()

    def seconds(self, row: str, number: int) -> float:
        """Return the seconds a worker takes to repeat a row `number` times."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{row} {number}\n")
        self._process.stdin.flush()
        return float(self.read())


def seconds_to_run(python: str, code: str) -> float:
    """Return the seconds a new interpreter takes to start, run `code` and exit."""
    started = time.perf_counter()
    subprocess.run([python, "-c", code], env=_environment(), check=True)
    return time.perf_counter() - started


def modules_loaded_by(python: str, code: str) -> set[str]:
    """Return the modules that `code` loads in a new interpreter."""
    show = "import sys; print(*sys.modules)"
    result = subprocess.run(
        [python, "-c", f"{code}; {show}"], env=_environment(), check=True, capture_output=True, encoding="utf-8"
    )
    return set(result.stdout.split())
