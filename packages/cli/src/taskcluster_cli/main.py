"""Run the command, and map everything that can happen to exit statuses."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import warnings
from collections.abc import Generator, Sequence
from typing import Any, TextIO

import click

from .app import App
from .command import Root
from .errors import CLOSED, DENIED, FAILED, INTERRUPTED, OK, TERMINATED, USAGE, Explanation, Terminated, explain
from .output import occupy_closed_descriptors, replace_unencodable

__all__ = ["main", "root", "run"]

_HELP = """Taskcluster on the command line.

Exit status: 0 done; 1 a watched task failed, a check answered no, or some of several items failed; 2 usage; 3 no
credentials or missing scopes; 4 not found; 5 any other failure; 124 --timeout; 130 Ctrl-C; 141 the reader of the output
is gone; 143 SIGTERM.
"""

root = Root(help=_HELP)
_COMPLETE = "_TASKCLUSTER_COMPLETE"
"""The environment variable of completion scripts."""


def run() -> None:
    """Run the command with the arguments of the process, and exit."""
    # Imports create many objects, nearly all of which stay. Looking for garbage among them took a tenth of the CPU time
    # of `task status`.
    gc.set_threshold(50_000)
    status = main(sys.argv[1:])
    # Nor is it looked for at exit.
    gc.freeze()
    sys.exit(status)


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    occupy_closed_descriptors()
    replace_unencodable()
    app = App()
    # zsh and fish show what completion prints to stderr in the middle of the line that the user types.
    is_silent = _COMPLETE in os.environ
    with _signals(), _warnings(app), contextlib.redirect_stderr(None if is_silent else sys.stderr):
        try:
            try:
                status = _run(arguments, app)
                app.out.flush()
                return status
            finally:
                app.close()
        except BaseException as exc:
            return _failed(exc, app)
        finally:
            _finish(sys.stdout, 1)
            _finish(sys.stderr, 2)


def _run(arguments: Sequence[str], app: App) -> int:
    """Run the command, or answer a shell that completes words."""
    if _COMPLETE in os.environ:
        from click.shell_completion import shell_complete

        from . import completing as completing

        return shell_complete(root, {"obj": app}, "taskcluster", _COMPLETE, os.environ[_COMPLETE])
    # Not root.main(), which exits with 1 when the reader of stdout is gone.
    try:
        with root.make_context("taskcluster", list(arguments), obj=app) as ctx:
            result: object = root.invoke(ctx)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    return result if isinstance(result, int) else OK


def _failed(exc: BaseException, app: App) -> int:
    """Print what an exception means, and return the exit status."""
    match exc:
        case SystemExit():
            return exc.code if isinstance(exc.code, int) else OK if exc.code is None else FAILED
        case KeyboardInterrupt():
            app.notes.say("interrupted", always=True)
            return INTERRUPTED
        case Terminated():
            return TERMINATED
        case BrokenPipeError():
            return CLOSED
        case _:
            pass
    if app.is_debug and sys.stderr is not None:
        _print_trace(exc)
    if isinstance(exc, click.ClickException):
        hint = (
            f"`{exc.ctx.command_path} --help` shows how to use it"
            if isinstance(exc, click.UsageError) and exc.ctx
            else ""
        )
        explanation = Explanation(USAGE, exc.format_message(), (hint,) if hint else ())
    elif isinstance(exc, click.Abort):
        explanation = Explanation(USAGE, "declined, nothing was done")
    else:
        used = app.used
        explanation = explain(exc, used.identity if used is not None else None)
        if explanation.status == DENIED and used is not None and used.credentials is not None:
            from .denied import reasons

            explanation = explanation._replace(hints=(*explanation.hints, *reasons(used, app.environ)))
    app.notes.error(explanation.message, explanation.hints)
    return explanation.status


def _print_trace(exc: BaseException) -> None:
    import traceback

    from .secrets import masked

    for line in traceback.format_exception(exc):
        print(masked(line, os.environ), end="", file=sys.stderr)


@contextlib.contextmanager
def _signals() -> Generator[None]:
    """Let the first Ctrl-C and SIGTERM clean up, and a second Ctrl-C end the process at once."""

    def interrupted(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    def terminated(number: int, frame: object) -> None:
        raise Terminated

    before: dict[int, Any] = {}
    try:
        # A shell starts background jobs with SIGINT ignored.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupted)
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, terminated)
    except ValueError:
        # Not the main thread.
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _warnings(app: App) -> Generator[None]:
    """Print Python's warnings, such as those about plugins, as the command's own."""
    with warnings.catch_warnings():

        def show(message: Warning | str, *_: Any, **__: Any) -> None:
            app.notes.warn(str(message))

        warnings.showwarning = show
        yield


def _finish(stream: TextIO | None, descriptor: int) -> None:
    """Flush a stream; if that fails, leave nothing to flush at exit, which would change the exit status."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
