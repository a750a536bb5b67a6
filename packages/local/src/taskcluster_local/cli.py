"""The `taskcluster-local` command."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from taskcluster.environment import optionsFromEnvironment
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure

from . import loading, own_api
from .arguments import seconds_of
from .local import LocalTaskcluster
from .run.arguments import add as add_arguments
from .server import is_loopback
from .store import StoreError
from .timestamps import system_clock
from .workers import isolation_notice

__all__ = ["main"]

_TOKEN_VARIABLE = "TASKCLUSTER_LOCAL_ACCESS_TOKEN"
_WEBHOOK_VARIABLE = "TASKCLUSTER_LOCAL_GITHUB_WEBHOOK_SECRET"
_PULSE_VARIABLE = "TASKCLUSTER_LOCAL_PULSE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "load":
            return _load(given.file, given.root_url)
        if given.command == "serve":
            return _serve(given)
        if given.command == "run":
            from .run import run

            return run.main(given)
        return _call_running(given.command, given.root_url)
    except (StoreError, loading.LoadError, TaskclusterFailure, ModuleNotFoundError) as error:
        print(f"taskcluster-local: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taskcluster-local", description="A local Taskcluster for development and tests."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve until interrupted",
        description="Serve until interrupted. Prints the settings for clients as shell commands, then a line that says "
        f"it is ready. The root client's access token is taken from {_TOKEN_VARIABLE}, else from --data, else it is "
        f"random. If {_WEBHOOK_VARIABLE} is set, GitHub's webhooks must be signed with its value.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine only)")
    serve.add_argument("--port", type=_port, default=0, help="where to listen (default: any free port)")
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="also accept this name in the Host header of requests, if only this machine can reach the server; "
        "can be given several times",
    )
    serve.add_argument(
        "--poll",
        type=_poll,
        default=20.0,
        metavar="SECONDS",
        help="how long claimWork waits for a task, 0 to return immediately (default: %(default)g seconds)",
    )
    where = serve.add_mutually_exclusive_group()
    where.add_argument("--data", type=Path, metavar="DIR", help="store everything in this directory")
    where.add_argument("--memory", action="store_true", help="store nothing (the default)")
    serve.add_argument(
        "--pulse",
        metavar="URL",
        help="publish all messages to a RabbitMQ server: amqp://USER:PASSWORD@HOST:PORT/VHOST (default: "
        f"{_PULSE_VARIABLE}, which other users of this machine cannot see)",
    )
    serve.add_argument("--load", type=Path, metavar="FILE", help="add the contents of a YAML file, as `load` does")
    serve.add_argument(
        "--export-to", type=Path, metavar="FILE", help="also write the settings to this file, for `source FILE`"
    )
    serve.add_argument(
        "--worker",
        action="append",
        default=[],
        metavar="QUEUE",
        help="run the tasks of this task queue on this machine; can be given several times",
    )
    serve.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="how many tasks of each --worker run at a time, 0 for none (default: 1)",
    )
    serve.add_argument(
        "--executor", help="what runs the commands of the tasks of --worker: host or container (default: host)"
    )
    serve.add_argument(
        "--allow-remote-tasks", action="store_true", help="allow --worker although --host is open to other machines"
    )
    load = commands.add_parser(
        "load",
        help="add clients, roles, secrets, hooks, tasks and repositories",
        description="Add the clients, roles, secrets, hooks, tasks and repositories in a YAML file to a deployment, "
        "with the credentials in the environment. The file is checked completely before anything is sent. Prints the "
        "access tokens of new clients.",
    )
    load.add_argument("file", type=Path, metavar="FILE", help="the YAML file")
    status = commands.add_parser(
        "status",
        help="show the state of a running deployment",
        description="Show the time of a running deployment, and how many tasks and waiting workers it has. Fails if "
        "nothing listens at the root URL.",
    )
    reset = commands.add_parser(
        "reset",
        help="delete everything in a running deployment",
        description="Delete everything in a running deployment, as if it had been restarted, with the credentials in "
        "the environment. Its root URL and root credentials stay valid. What `serve --load` added is deleted too.",
    )
    add_arguments(
        commands.add_parser(
            "run",
            help="run the tasks of a repository's .taskcluster.yml on this machine",
            description="Render the .taskcluster.yml of a git checkout for an event, create its tasks on a deployment "
            "of their own, and run them on this machine, with everything that they create. Exit status: 0 if all tasks "
            "were completed, 1 if any was not, 2 if the input is invalid.",
        )
    )
    for command in (load, status, reset):
        command.add_argument("--root-url", help="the root URL of the deployment (default: TASKCLUSTER_ROOT_URL)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"port must be between 0 and {2**16 - 1}, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a number of tasks, not {text!r}")
    return int(text)


def _poll(text: str) -> float:
    try:
        seconds = float(text)
        seconds_of("poll", seconds)
    except ValueError:
        raise argparse.ArgumentTypeError(f"poll must be a number of seconds, at least 0, not {text!r}") from None
    return seconds


def _serve(given: argparse.Namespace) -> int:
    if not is_loopback(given.host):
        print(
            f"taskcluster-local: warning: {given.host} is open to other machines. This server is for development and "
            "tests: it is not hardened, speaks plain HTTP, and lets anyone read most of its contents.",
            file=sys.stderr,
        )
    if not given.worker and (given.executor is not None or given.workers):
        option = "--workers" if given.executor is None else "--executor"
        print(
            f"taskcluster-local: {option} needs --worker QUEUE: without it, this deployment runs no tasks",
            file=sys.stderr,
        )
        return 2
    stop = threading.Event()

    def interrupted(number: int, frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    _allow_many_connections()
    contents = None if given.load is None else loading.read(given.load, system_clock())
    capacity = 1 if given.workers is None else given.workers
    options = {"capacity": capacity, "executor": given.executor or "host"}
    workers = {task_queue: options for task_queue in given.worker if capacity}
    if workers and not is_loopback(given.host) and not given.allow_remote_tasks:
        print(
            f"taskcluster-local: --worker runs commands on this machine, and --host {given.host} is open to other "
            "machines, which could create tasks. Use a loopback address, or --allow-remote-tasks.",
            file=sys.stderr,
        )
        return 2
    deployment = LocalTaskcluster(
        given.data,
        host=given.host,
        port=given.port,
        allow_hosts=given.allow_host,
        poll=given.poll,
        accessToken=os.environ.get(_TOKEN_VARIABLE) or None,
        github_webhook_secret=os.environ.get(_WEBHOOK_VARIABLE) or None,
        workers=workers,
        allow_remote_tasks=given.allow_remote_tasks,
        pulse=given.pulse or os.environ.get(_PULSE_VARIABLE) or None,
    )
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(deployment)
        except (OSError, ValueError) as error:
            print(f"taskcluster-local: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
            return 1
        settings = _settings(deployment)
        if given.export_to is not None:
            try:
                _write_privately(given.export_to, settings)
            except OSError as error:
                print(f"taskcluster-local: cannot write {given.export_to}: {error.strerror}", file=sys.stderr)
                return 1
        tokens = {} if contents is None else loading.send(contents, deployment.options())
        print(settings, end="")
        for clientId, token in tokens.items():
            print(f"# client {clientId}: {token}")
        for worker in deployment.workers():
            print(f"# {isolation_notice(worker)}")
        if sys.stdout.isatty():
            # For people; the output that programs read stays the same.
            print(f"# sign in to the web page once at {deployment.sign_in_url()}")
        print(f"# ready at {deployment.root_url}", flush=True)
        stop.wait()
    return 0


def _settings(deployment: LocalTaskcluster) -> str:
    """Return shell commands that set the environment variables of clients."""
    settings: Mapping[str, str] = {
        "TASKCLUSTER_ROOT_URL": deployment.root_url,
        "TASKCLUSTER_CLIENT_ID": deployment.credentials["clientId"],
        "TASKCLUSTER_ACCESS_TOKEN": deployment.credentials["accessToken"],
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())


def _write_privately(path: Path, text: str) -> None:
    """Write a file atomically that only its owner can read."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as possible; many systems start processes with 1024."""
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _load(file: Path, root_url: str | None) -> int:
    contents = loading.read(file, system_clock())
    for clientId, token in loading.send(contents, _options(root_url)).items():
        print(f"client {clientId}: {token}")
    print(f"{file}: {contents.summary()}")
    return 0


def _options(root_url: str | None) -> dict[str, Any]:
    options = optionsFromEnvironment({} if root_url is None else {"rootUrl": root_url})
    if root_url is not None:
        options["rootUrl"] = root_url
    if not options.get("rootUrl"):
        raise TaskclusterFailure(
            "no root URL: give --root-url or set TASKCLUSTER_ROOT_URL; `taskcluster-local serve` prints it"
        )
    return options


def _call_running(method: str, root_url: str | None) -> int:
    """Call a method of a running deployment's own API, and print the result."""
    import taskcluster

    options = _options(root_url)
    found = options.get("rootUrl")
    with taskcluster.createApiClient("Local", own_api.REFERENCE)({**options, "maxRetries": 0}) as deployment:
        try:
            status: dict[str, Any] = getattr(deployment, method)()
        except TaskclusterConnectionError as error:
            raise TaskclusterFailure(
                f"no local deployment responds at {found}: start one with `taskcluster-local serve`, or give its URL "
                "with --root-url"
            ) from error
        except TaskclusterRestFailure as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            status = {}
    # Other servers may respond with a page and status 200.
    if "waitingWorkers" not in status:
        raise TaskclusterFailure(f"{found} is not a local deployment")
    print(f"{found}: {(_reset_text if method == 'reset' else _status_text)(status)}")
    return 0


def _status_text(status: Mapping[str, Any]) -> str:
    ahead = timedelta(seconds=status["secondsAhead"])
    return (
        f"running, version {status['version']}, data in "
        f"{'memory' if status['storage'] == 'memory' else 'a directory'}\n"
        f"time: {status['time']}{f', {ahead} ahead' if ahead else ''}\n"
        f"tasks: {status['tasks']} ({status['pending']} pending, {status['running']} running)\n"
        f"workers waiting for tasks: {status['waitingWorkers']}"
    )


def _reset_text(before: Mapping[str, Any]) -> str:
    ahead = timedelta(seconds=before["secondsAhead"])
    return (
        f"deleted everything, including {loading.counted(before['tasks'], 'tasks')}; ended "
        f"{loading.counted(before['waitingWorkers'], 'waiting claimWork calls')}"
        f"{f'; moved the time back by {ahead}' if ahead else ''}"
    )
