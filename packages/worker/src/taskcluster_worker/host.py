"""The executor `host`: commands run as processes on this machine, as the user of the worker.

There is no isolation from the worker's files or from the network. Every process of a task, even one in another session,
ends with the task, and with the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import getpass
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from .plugins import Execution, Executor, Exit, RunContext, hookimpl
from .task import Task

__all__ = ["HostExecutor"]

_CHUNK = 256 * 1024
_PIPE_SIZE = 1024 * 1024
_F_SETPIPE_SZ = 1031
_LINGER_SECONDS = 0.5
"""How long output of other processes of a command is waited for after its end."""
_PATIENCE_SECONDS = 0.5
"""How long a supervisor may take to kill the processes until the worker looks whether a task has stopped it."""
_AGAIN_SECONDS = 0.05
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


@hookimpl
def taskcluster_worker_executor(options: Mapping[str, Any]) -> Executor:
    """Return the executor of this module."""
    return HostExecutor(**options)


class HostExecutor(Executor):
    """Runs commands as processes on this machine.

    Args:
        docker_payloads_on_host: Run docker-worker payloads as processes, without their image. They see this machine's
            files instead.
    """

    name = "host"
    isolation = "as processes of the worker's user, without isolation from its files or the network"

    def __init__(self, *, docker_payloads_on_host: bool = False) -> None:
        self._docker_payloads = docker_payloads_on_host
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket

    def check(self, task: Task) -> Sequence[str]:
        """Return what this executor cannot run."""
        if sys.platform == "win32":
            return ["the executor host does not work on Windows"]
        if task.format == "docker-worker":
            if not self._docker_payloads:
                return ["payload: image needs the executor container; this worker has the executor host"]
            return [] if task.commands else ["payload: command is missing, and the executor host runs no image"]
        if task.proxy_interface != "localhost":
            return [f"payload: taskclusterProxyInterface {task.proxy_interface!r} needs the executor container"]
        return []

    async def start(self) -> None:
        """Start the process that forks supervisors."""
        self._control, their_end = socket.socketpair()
        with their_end:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(their_end.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},
                pass_fds=(their_end.fileno(),),
                start_new_session=True,
            )

    async def stop(self) -> None:
        """End that process, which has no supervisor left."""
        assert self._process is not None
        self._control.close()
        # A task may have stopped it.
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def open(self, context: RunContext) -> Execution:
        """Start the supervisor of a task's processes."""
        if context.task.format == "docker-worker":
            context.log("This docker-worker payload runs as processes on this machine, without its image.")
            for name in (name for name, value in context.task.capabilities.items() if value):
                context.log(f"The capability {name} has no effect.")
            for volume in context.volumes:
                context.log(f"The cache {volume.name} at {volume.target} is not available to it.")
        assert self._process is not None
        if self._process.poll() is not None:
            # Somebody has killed it.
            await self.stop()
            await self.start()
        # Somebody may have stopped it.
        self._process.send_signal(signal.SIGCONT)
        directory = context.directory / "task"
        directory.mkdir()
        return _HostExecution(directory, self._control, self._process.pid)


class _HostExecution(Execution):
    """The processes of one task.

    Args:
        directory: Their working directory.
        control: The socket of the process that forks supervisors.
        server: That process.
    """

    def __init__(self, directory: Path, control: socket.socket, server: int) -> None:
        self.directory = directory
        self.environment = {
            "HOME": str(directory),
            "PATH": os.environ.get("PATH", os.defpath),
            "USER": _user(),
            "TASK_WORKDIR": str(directory),
        }
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._write: Callable[[bytes], None] = _discard
        self._unsent = bytearray()
        self._lines = b""
        self._supervisor: int | None = None
        self._result: asyncio.Future[Exit] | None = None
        self._idle = asyncio.Event()
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        request_end, self._requests = os.pipe()
        self._responses, response_end = os.pipe()
        self._output, output_end = os.pipe()
        try:
            with contextlib.suppress(ImportError, OSError):
                import fcntl

                fcntl.fcntl(self._output, _F_SETPIPE_SZ, _PIPE_SIZE)
            socket.send_fds(control, [b"."], [request_end, response_end, output_end])
        except BaseException:
            for end in (self._requests, self._responses, self._output):
                os.close(end)
            raise
        finally:
            for end in (request_end, response_end, output_end):
                os.close(end)
        os.set_blocking(self._requests, False)
        os.set_blocking(self._output, False)
        os.set_blocking(self._responses, False)
        self._loop.add_reader(self._output, self._on_output)
        self._loop.add_reader(self._responses, self._on_response)

    async def run(self, command: Sequence[str], env: Mapping[str, str], write: Callable[[bytes], None]) -> Exit:
        """Run a command, and wait for it."""
        if self._ended.done():
            raise BrokenPipeError(errno.EPIPE, "the supervisor of the task has ended")
        self._write = write
        self._idle.clear()
        self._result = self._loop.create_future()
        try:
            self._send((list(command), dict(env), str(self.directory)))
            result = await self._result
        finally:
            self._result = None
        # Other processes of the command may still write, such as `tee`.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _LINGER_SECONDS)
        self._on_output()
        return result

    async def kill(self) -> None:
        """Kill all processes, and wait until they have ended."""
        if not self._ended.done():
            self._send(None)
            idle: asyncio.Future[Any] = self._loop.create_task(self._idle.wait())
            await self._until_killed({idle, self._ended})
            idle.cancel()

    def kill_at(self, end: float) -> None:
        """Let the supervisor kill all processes at a time."""
        self._send(end)

    async def artifact(self, path: str) -> Path:
        """Return where a path of the payload is on this machine."""
        return self.directory / path

    async def close(self) -> None:
        """Kill all processes, and read the rest of their output."""
        if self._requests < 0:
            return
        self._loop.remove_writer(self._requests)
        os.close(self._requests)
        self._requests = -1
        await self._until_killed({self._ended})
        # A process that the supervisor does not know may have its output: a debugger, or one that has killed it.
        await asyncio.wait({self._drained}, timeout=_LINGER_SECONDS)
        self._loop.remove_reader(self._output)
        for end in (self._responses, self._output):
            os.close(end)

    async def _until_killed(self, futures: Set[asyncio.Future[Any]]) -> None:
        """Wait for the first of some futures, which come when the processes have been killed."""
        seconds = _PATIENCE_SECONDS
        while not (await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED))[0]:
            if self._supervisor is not None:
                await asyncio.to_thread(_end_stopped, self._supervisor, self._server)
            seconds = _AGAIN_SECONDS

    def _send(self, request: tuple[list[str], dict[str, str], str] | float | None) -> None:
        if self._requests < 0:
            return
        data = marshal.dumps(request)
        self._unsent += len(data).to_bytes(4, "big") + data
        self._on_writable()

    def _on_writable(self) -> None:
        """Send what the pipe takes. A supervisor that a task has stopped reads nothing, and must not block this."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._requests, self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(self._requests, self._on_writable)
            return
        except BrokenPipeError:
            # It has ended, and so do its responses.
            self._unsent.clear()
        self._loop.remove_writer(self._requests)

    def _on_output(self) -> None:
        """Pass on the output that has arrived, but let others use the event loop, too."""
        while not self._drained.done():
            try:
                data = os.read(self._output, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(self._output)
                self._drained.set_result(None)
                return
            self._write(data)
            if len(data) < _CHUNK:
                return

    def _on_response(self) -> None:
        data = os.read(self._responses, 65536)
        if not data:
            self._end()
            return
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            kind, *values = line.split()
            if kind == b"pid":
                self._supervisor = int(values[0])
            elif kind == b"idle":
                self._idle.set()
            elif kind == b"end":
                self._end()
            elif kind == b"error":
                number = int(values[0])
                self._resolve(OSError(number, os.strerror(number)))
                self._idle.set()
            else:
                self._resolve(Exit(int(values[0]), float(values[1]), float(values[2])))

    def _end(self) -> None:
        self._loop.remove_reader(self._responses)
        self._ended.set_result(None)
        self._idle.set()
        self._resolve(Exit(-9))

    def _resolve(self, result: Exit | OSError) -> None:
        if self._result is None or self._result.done():
            return
        if isinstance(result, OSError):
            self._result.set_exception(result)
        else:
            self._result.set_result(result)


def _end_stopped(supervisor: int, server: int) -> None:
    from .supervisor import end_stopped

    with contextlib.suppress(ProcessLookupError):
        os.kill(server, signal.SIGCONT)
    end_stopped(supervisor)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _discard(data: bytes) -> None:
    """Ignore output before the first command, of which there is none."""
