"""The command `taskcluster-local`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from .server import LocalTaskcluster, is_loopback

__all__ = ["main"]

_TOKEN_VARIABLE = "TASKCLUSTER_LOCAL_ACCESS_TOKEN"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="taskcluster-local", description="A local Taskcluster for development and tests. It keeps nothing."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve until interrupted",
        description="Serve until interrupted. Prints the settings that clients need, as shell commands, then a line "
        f"that says it is ready. The access token is a random one, or the value of {_TOKEN_VARIABLE}.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine only)")
    serve.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    given = parser.parse_args(arguments)
    return _serve(given.host, given.port)


def _serve(host: str, port: int) -> int:
    if not is_loopback(host):
        print(
            f"taskcluster-local: warning: {host} is open to other machines. This server is for development and tests: "
            "it is not hardened, speaks plain HTTP, and lets anyone read most of what it holds.",
            file=sys.stderr,
        )
    stop = threading.Event()

    def interrupted(number: int, frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    deployment = LocalTaskcluster(host=host, port=port, accessToken=os.environ.get(_TOKEN_VARIABLE))
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(deployment)
        except OSError as error:
            print(f"taskcluster-local: cannot listen at {host}, port {port}: {error}", file=sys.stderr)
            return 1
        settings = {
            "TASKCLUSTER_ROOT_URL": deployment.root_url,
            "TASKCLUSTER_CLIENT_ID": deployment.credentials["clientId"],
            "TASKCLUSTER_ACCESS_TOKEN": deployment.credentials["accessToken"],
        }
        for name, value in settings.items():
            print(f"export {name}={shlex.quote(value)}")
        print(f"# ready at {deployment.root_url}", flush=True)
        stop.wait()
    return 0
