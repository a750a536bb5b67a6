"""`python -m benchmarks`: run the benchmarks and print a table."""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import trustme

from taskcluster_pulse.testing import INSTALL_RABBITMQ, is_rabbitmq_installed

from . import commands, pages, tasks, transfers
from .contenders import PUBLISHED, Child, libraries, modules_loaded_by, published_python, seconds_to_run
from .local import LOCAL, PUBLISHING, contenders, publishing
from .messages import MESSAGES, consuming
from .report import Measured, table
from .rows import BUILD_COLD, LOAD_TYPES, ROWS, STARTS, Row

_HERE = Path(__file__).parent
_HTTP_LIBRARIES = {"requests", "urllib3", "aiohttp"}

_LIVES = 3
"""The number of processes per contender, one after another."""

Once = Callable[[], float]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help="names of rows (default: all)", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=15, help="number of rounds; results are medians (default: 15)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results.md and results.json")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    arguments = parser.parse_args()
    known = [row.name for row in (*STARTS, *ROWS, *LOCAL, PUBLISHING, *MESSAGES)]
    if arguments.rows == [transfers.GROUP]:
        text, met = transfers.measure(published_python(), min(arguments.rounds, 5))
        used, little = transfers.memory()
        print(f"{text}\n\n{used}")
        sys.exit(arguments.check and not (met and little))
    if arguments.rows == [commands.GROUP]:
        text, met = commands.measure(published_python(), arguments.rounds)
        print(text)
        sys.exit(arguments.check and not met)
    if arguments.rows == [tasks.GROUP]:
        text, met = tasks.measure(arguments.rounds)
        print(text)
        sys.exit(arguments.check and not met)
    if arguments.rows == [pages.GROUP]:
        text, met = pages.measure(arguments.rounds)
        print(text)
        sys.exit(arguments.check and not met)
    for name in arguments.rows:
        if name not in known:
            parser.error(f"unknown row {name!r}; rows are {', '.join(known)}")

    results = _measure(published_python(), arguments.rows or known, arguments.rounds)
    modules = modules_loaded_by(sys.executable, BUILD_COLD)
    loaded = sorted(_HTTP_LIBRARIES & modules)
    types = sorted(name for name in modules if name.startswith("taskcluster") and name.endswith(".types"))
    spared = statistics.median(_added(sys.executable, LOAD_TYPES) for _ in range(arguments.rounds))
    versions = ", ".join(f"{name} {version}" for name, version in libraries().items())
    text = "\n\n".join(
        [
            table(results),
            f"HTTP libraries loaded to build a client and a URL: {', '.join(loaded) or 'none'}.",
            f"Type modules loaded: {', '.join(types) or 'none'}. Those of auth, queue and worker-manager together "
            f"would take {spared * 1e3:.1f} ms.",
            f"Medians of {arguments.rounds} rounds, compared with {PUBLISHED}, Python {platform.python_version()}; "
            f"both clients with {versions}.",
        ]
    )
    print(text)
    if arguments.save:
        _HERE.joinpath("results.md").write_text(f"# Results\n\n{text}\n", encoding="utf-8")
        seconds = {measured.row.name: measured.seconds for measured in results}
        _HERE.joinpath("results.json").write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")
    if arguments.check and (loaded or types or not all(measured.met() for measured in results)):
        sys.exit(1)


def _measure(published: str, names: list[str], rounds: int) -> list[Measured]:
    starts = [
        _rounds(Measured(row), _starts(codes, published), rounds) for row, codes in STARTS.items() if row.name in names
    ]
    worked = [Measured(row) for row in ROWS if row.name in names]
    # The memory layout of a process makes it up to a tenth faster or slower.
    lives = min(_LIVES, rounds)
    for life in range(lives if worked else 0):
        with contextlib.ExitStack() as stack:
            workers = _workers(stack, published)
            for measured in worked:
                row = measured.row
                able = {name: child for name, child in workers.items() if name != "bare" or row.bare}
                _rounds(
                    measured, {name: _repeated(child, row) for name, child in able.items()}, (rounds + life) // lives
                )
    local = [Measured(row) for row in LOCAL if row.name in names]
    if local:
        with contenders() as measuring:
            for measured in local:
                _rounds(measured, measuring(measured.row), rounds)
    brokered = [row for row in (PUBLISHING, *MESSAGES) if row.name in names]
    if brokered and not is_rabbitmq_installed():
        print(f"{', '.join(row.name for row in brokered)} not measured: {INSTALL_RABBITMQ}", file=sys.stderr)
        brokered = []
    for row in brokered:
        with publishing() if row is PUBLISHING else consuming() as measuring:
            local.append(_rounds(Measured(row), measuring(row), rounds))
    return [*starts, *worked, *local]


def _workers(stack: contextlib.ExitStack, published: str) -> dict[str, Child]:
    """Start a server, and a worker process for each contender."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    server = stack.enter_context(Child(sys.executable, "server", str(folder / "server.pem")))
    http, https = server.read().split()
    roots = (f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")

    def worker(python: str, kind: str) -> Child:
        return stack.enter_context(Child(python, "worker", kind, *roots, trusting=str(folder / "authority.pem")))

    return {
        "ours": worker(sys.executable, "client"),
        "published": worker(published, "client"),
        "bare": worker(sys.executable, "bare"),
    }


def _starts(codes: Mapping[str, str], published: str) -> dict[str, Once]:
    pythons = {"ours": sys.executable, "published": published, "bare": sys.executable}
    return {name: partial(_added, pythons[name], code) for name, code in codes.items()}


def _added(python: str, code: str) -> float:
    """Return the seconds that code adds to the startup of a new interpreter."""
    bare = seconds_to_run(python, "pass")
    return seconds_to_run(python, code) - bare


def _repeated(worker: Child, row: Row) -> Once:
    return lambda: worker.seconds(row.name, row.number) / row.number


def _rounds(measured: Measured, contenders: dict[str, Once], rounds: int) -> Measured:
    """Measure the contenders in rotating order. The first round is a warm-up."""
    order = list(contenders.items())
    for count in range(rounds + 1):
        for name, once in order:
            seconds = once()
            if count:
                measured.seconds.setdefault(name, []).append(seconds)
        order.append(order.pop(0))
    return measured


if __name__ == "__main__":
    main()
