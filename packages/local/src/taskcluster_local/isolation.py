"""Run pure functions in a separate process, which is killed if they take too long.

Templates, patterns and YAML come from clients and can take forever, or all memory. Python cannot interrupt them in a
thread, and while they run, no other request is served.

All deployments of a program share one process. It starts when it is first needed, because starting takes as long as
hundreds of calls, and ends with the program.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from .encoding import MOST_VALUES, dumps, has_more_values, loads
from .errors import ApiError

__all__ = ["isolated"]

_SECONDS = 3.0
"""The computing time of a call; other processes of the machine do not count."""
_LONGEST_SECONDS = 60.0
"""The elapsed time of a call, for systems that cannot limit the computing time."""
_MEMORY = 1 << 30
_LARGEST_RESULT = 10 * 1024 * 1024
_LONGEST_MESSAGE = 100_000
_MOST_WAITING = 100
_LENGTH_BYTES = 8

_RESULT, _ERROR, _FAULT, _NO_MEMORY = b"r", b"e", b"f", b"m"
"""The start of a response."""

_MAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from taskcluster_local.isolation import main; main()"

_TOO_MUCH = (
    f"this takes more than {_SECONDS:.0f} seconds of computing time or {_MEMORY >> 30} GiB of memory, the limits for "
    "templates, schemas and YAML: simplify it"
)

_T = TypeVar("_T")
_Arguments = ParamSpec("_Arguments")


async def isolated(function: Callable[_Arguments, _T], *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _T:
    """Return what a function returns for these arguments, without blocking the event loop.

    Args:
        function: A function of a module of this package that returns a JSON value.
        *arguments: Its arguments, which must be picklable.
        **named: Its keyword arguments.

    Raises:
        ApiError: The function raised it; or it took too long or too much memory, its result is too large, or its
            arguments are nested too deeply (InputError); or too many calls are waiting (TooManyRequests).
    """
    turn = _turns.setdefault(asyncio.get_running_loop(), _Turn())
    if turn.waiting >= _MOST_WAITING:
        raise ApiError("TooManyRequests", "too many templates, schemas and YAML files are being evaluated: retry later")
    try:
        request = pickle.dumps((_SECONDS, function.__module__, function.__name__, arguments, named))
    except RecursionError:
        raise ApiError("InputError", "nested too deeply") from None
    # A canceled call makes no room for another while the process is still busy.
    found = await asyncio.shield(turn.call(request))
    if isinstance(found, Exception):
        raise found
    return cast("_T", found)


class _Turn:
    """Runs the calls of an event loop one after the other, so that at most one of its threads waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self._lock = asyncio.Lock()

    def call(self, request: bytes) -> asyncio.Task[Any]:
        """Start to make a request."""
        self.waiting += 1
        task = asyncio.get_running_loop().create_task(self._call(request))
        task.add_done_callback(self._done)
        return task

    async def _call(self, request: bytes) -> Any:
        async with self._lock:
            return await asyncio.to_thread(_result, request)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.waiting -= 1


def _result(request: bytes) -> Any:
    """Return the result, or the error to raise. It does not raise, because nobody may be left to see it."""
    response = _process.call(request)
    kind, text = response[:1], response[1:].decode()
    if kind == _ERROR:
        return ApiError(*json.loads(text))
    if kind == _FAULT:
        return RuntimeError(f"failed in the process for templates, schemas and YAML:\n{text}")
    return loads(text)


class _Process:
    """The process, if it is running; used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._inherited: list[subprocess.Popen[bytes]] = []

    def call(self, request: bytes) -> bytes:
        """Send a request and return the response."""
        with self._lock:
            running = self._popen = self._popen or _start()
            watchdog = threading.Timer(_LONGEST_SECONDS, running.kill)
            watchdog.daemon = True
            watchdog.start()
            try:
                assert running.stdin is not None
                assert running.stdout is not None
                _write(running.stdin, request)
                response = _read(running.stdout)
            except (EOFError, OSError):
                response = None
            finally:
                watchdog.cancel()
            if response is None or response == _NO_MEMORY:
                self._stop()
                return _error("InputError", _TOO_MUCH)
            return response

    def close(self) -> None:
        """Kill the process. The next call starts another one."""
        running = self._popen
        if running is not None:
            # A call that is waiting for the process holds the lock, and fails now.
            running.kill()
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """Forget the process, in a forked child: it belongs to the parent."""
        self._lock = threading.Lock()
        if self._popen is not None:
            # Kept, because Python warns of processes that were never waited for.
            self._inherited.append(self._popen)
            self._popen = None

    def _stop(self) -> None:
        running, self._popen = self._popen, None
        if running is not None:
            running.kill()
            with contextlib.suppress(BrokenPipeError):
                running.communicate()


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn] = WeakKeyDictionary()
_process = _Process()
atexit.register(_process.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.forget)


def _start() -> subprocess.Popen[bytes]:
    # multiprocessing would import the program's main module again, which may lack the `__name__` guard.
    paths = json.dumps([os.path.abspath(path) for path in sys.path])
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _MAIN, paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _write(stream: BinaryIO | Any, content: bytes) -> None:
    stream.write(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
    stream.flush()


def _read(stream: BinaryIO | Any) -> bytes:
    """Return what `_write` wrote, or raise EOFError."""
    length = stream.read(_LENGTH_BYTES)
    content: bytes = stream.read(int.from_bytes(length, "big")) if len(length) == _LENGTH_BYTES else b""
    if not length or len(content) < int.from_bytes(length, "big"):
        raise EOFError
    return content


def _error(code: str, message: str) -> bytes:
    return _ERROR + dumps([code, message[:_LONGEST_MESSAGE]]).encode()


def main() -> None:
    """Respond to requests on standard input until it ends. This is what the process runs."""
    # Ctrl-C is for the program, which ends this process when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    # Keeps printed output out of the responses.
    sys.stdout = sys.stderr
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            response = _respond(_read(requests))
            _limit_time(0)
            _write(responses, response)


def _respond(request: bytes) -> bytes:
    try:
        seconds, module, name, arguments, named = pickle.loads(request)
        _limit_time(seconds)
        result = dumps(getattr(importlib.import_module(module), name)(*arguments, **named))
        if len(result) > _LARGEST_RESULT or has_more_values(result, MOST_VALUES):
            most = f"{_LARGEST_RESULT} bytes, or has more than {MOST_VALUES} values"
            return _error("InputError", f"the result is larger than {most}")
        return _RESULT + result.encode()
    except ApiError as error:
        return _error(error.code, error.message)
    except MemoryError:
        return _NO_MEMORY
    except RecursionError:
        return _error("InputError", "nested too deeply")
    except Exception:
        return _FAULT + traceback.format_exc()[-_LONGEST_MESSAGE:].encode(errors="replace")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _limit_time(seconds: float) -> None:
    """Let the system kill this process after `seconds` of computing; 0 for no limit."""
    if sys.platform != "win32":
        # The signal is not handled, so even a loop in C code ends.
        signal.setitimer(signal.ITIMER_PROF, seconds)
