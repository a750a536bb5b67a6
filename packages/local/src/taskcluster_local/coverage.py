"""Write the table of methods that a local deployment provides: `python -m taskcluster_local.coverage FILE`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from .api import Api, Partial, Refused
from .deployment import Configuration, Deployment
from .store import Store

__all__ = ["main", "table"]

_HEADER = """\
# Coverage

The methods of each service in a local deployment. `python -m taskcluster_local.coverage` generates this table.
*Refused* methods check authentication, scopes and payload, then return 400 with the code `NotInLocalDeployment`.
"""


def table(api: Api) -> str:
    """Return a Markdown table of the methods in `api` and how complete their handlers are."""
    rows: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for service, method in sorted(api.handlers):
        kind, note = _kind(api.handlers[service, method])
        counts[kind] += 1
        escaped = " ".join(note.split()).replace("|", "\\|")
        rows.setdefault(service, []).append(
            f"| `{method}` | {kind} | {escaped} |" if note else f"| `{method}` | {kind} | |"
        )
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in ("full", "partial", "refused"))
    total = f"{sum(counts.values())} methods: {kinds}."
    parts = [_HEADER, total]
    for service, lines in rows.items():
        parts.append("\n".join([f"\n## {service}\n", "| method | | |", "| --- | --- | --- |", *lines]))
    return "\n".join(parts) + "\n"


def _kind(handler: object) -> tuple[str, str]:
    match handler:
        case Partial(missing=missing):
            return "partial", missing
        case Refused(reason=reason):
            return "refused", reason
        case _:
            return "full", ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table or compare it with the file, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m taskcluster_local.coverage", description=__doc__)
    parser.add_argument("file", type=Path, help="the Markdown file")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    given = parser.parse_args(arguments)
    with closing(Store()) as store, tempfile.TemporaryDirectory() as directory:
        text = table(Deployment(Configuration(), store, Path(directory), "http://localhost").api)
    if not given.check:
        given.file.write_text(text, encoding="utf-8")
    elif not given.file.exists() or given.file.read_text(encoding="utf-8") != text:
        print(f"{given.file} is out of date: run `{sys.executable} -m taskcluster_local.coverage {given.file}`")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
