"""Runs the commands of each task below a supervisor process, so that no process outlives its task.

A worker starts this file once, with Python's option -I. For each task it sends three file descriptors over a socket,
and this process forks a supervisor that gets them: a fork takes 1 ms, and starting Python 25. The worker controls the
supervisor over two pipes. A supervisor is a subreaper: processes that lose their parents become its children, also
those in other sessions. It kills all of them on request, and when the worker ends, however that happens. If a task
stops or kills its supervisor, the worker or this process kill them instead.

The worker sends marshalled values behind their length: `(command, environment, directory)`; None, which means to kill
everything; or when to kill everything and end, by `time.monotonic()`, unless a later time follows. The responses are
lines: first `pid PID`, of the supervisor; `exit STATUS USER KERNEL`, a negative status is that of a signal;
`error ERRNO` if the command cannot be started; `idle` if no process is left after a command; and `end` if none is left,
and none will start. The end of the responses means that, too.
"""

from __future__ import annotations

import errno
import marshal
import os
import select
import signal
import socket
import sys
import time
from ctypes import CDLL

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LENGTH = 4
_AGAIN_SECONDS = 0.05
"""Between two attempts to kill processes, which may start others."""
_PROC = "/proc"


class Supervisor:
    """Runs one command at a time.

    Args:
        requests: The pipe that the worker writes to.
        responses: The pipe that the worker reads from.
    """

    def __init__(self, requests: int, responses: int) -> None:
        self._requests = requests
        self._responses = responses
        self._buffer = b""
        self._current = 0
        self._told_idle = True
        self._end: float | None = None
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._woken = _woken_by_children()

    def run(self) -> None:
        """Serve until the worker closes its end of the pipe, or dies, or the time is up; then kill everything."""
        self._respond(b"pid %d" % os.getpid())
        self._serve_until_the_end()
        self._kill_all()
        self._respond(b"end")

    def _serve_until_the_end(self) -> None:
        while True:
            left = None if self._end is None else max(0.0, self._end - time.monotonic())
            ready, _, _ = select.select([self._requests, self._woken], [], [], left)
            if self._end is not None and time.monotonic() >= self._end:
                return
            if self._woken in ready:
                _empty(self._woken)
                self._reap()
            if self._requests in ready:
                data = os.read(self._requests, 65536)
                if not data:
                    return
                self._buffer += data
                self._serve()

    def _serve(self) -> None:
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "big")
            if len(self._buffer) < end:
                return
            request, self._buffer = marshal.loads(self._buffer[_LENGTH:end]), self._buffer[end:]
            if request is None:
                self._kill_all()
            elif isinstance(request, float):
                self._end = request
            else:
                self._start(*request)

    def _start(self, command: list[str], environment: dict[str, str], directory: str) -> None:
        failed, failing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                # In case the supervisor itself is killed.
                _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                # Some are ignored by Python, by this process, or by the one that started the worker.
                for each in signal.valid_signals():
                    if signal.getsignal(each) == signal.SIG_IGN:
                        signal.signal(each, signal.SIG_DFL)
                os.chdir(directory)
                os.execvpe(command[0], command, environment)
            except OSError as error:
                os.write(failing, b"%d" % (error.errno or 0))
            except ValueError:
                # A null byte, or a variable whose name has "=".
                os.write(failing, b"%d" % errno.EINVAL)
            finally:
                os._exit(127)
        os.close(failing)
        number = os.read(failed, 16)
        os.close(failed)
        if number:
            os.waitpid(pid, 0)
            self._respond(b"error " + number)
            return
        self._current = pid
        self._told_idle = False

    def _reap(self) -> None:
        """Collect the processes that have ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                if not self._told_idle and not self._current:
                    self._told_idle = True
                    self._respond(b"idle")
                return
            if pid == 0:
                return
            if pid == self._current:
                self._current = 0
                code = os.waitstatus_to_exitcode(status)
                self._respond(b"exit %d %f %f" % (code, usage.ru_utime, usage.ru_stime))

    def _kill_all(self) -> None:
        """Kill all descendants, and those that they start meanwhile."""
        while True:
            self._reap()
            found = descendants(os.getpid())
            if not found:
                if self._current:
                    # Without /proc.
                    try:
                        os.killpg(self._current, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                elif self._told_idle:
                    return
            _kill(found)
            select.select([self._woken], [], [], _AGAIN_SECONDS)
            _empty(self._woken)

    def _respond(self, line: bytes) -> None:
        try:
            os.write(self._responses, line + b"\n")
        except BrokenPipeError:
            # The worker is dead. The other pipe is at its end, too.
            pass


_libc = CDLL(None)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


def _woken_by_children() -> int:
    """Return a pipe that select finds readable when a child has ended."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _ignore)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return woken


def _ignore(number: int, frame: object) -> None:
    """Handle a signal that only interrupts select."""


def _empty(pipe: int) -> None:
    try:
        os.read(pipe, 4096)
    except BlockingIOError:
        pass


def end_stopped(supervisor: int) -> None:
    """Kill what a supervisor has to kill, and then itself, if a process of its task has stopped it. Call this again.

    Its processes stay below it, even those in other sessions, so all of them are found.
    """
    if _status(supervisor)[0] in (b"T", b"t"):
        _kill(descendants(supervisor) or [supervisor])


def _status(pid: int) -> tuple[bytes, int]:
    """Return the state of a process, as /proc has it, and its parent; without /proc or the process, an empty state."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb", buffering=0) as file:
            # The name of the program is in parentheses, and may contain some.
            fields = file.read(1024).rpartition(b")")[2].split()
    except OSError:
        return b"", 0
    return (fields[0], int(fields[1])) if len(fields) > 1 else (b"", 0)


def _kill(processes: list[int]) -> None:
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def descendants(ancestor: int, without: frozenset[int] = frozenset()) -> list[int]:
    """Return the processes below one, without those that have ended, and those in and below `without`.

    Empty if this system has no /proc.
    """
    parents: dict[int, int] = {}
    try:
        names = os.listdir(_PROC)
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            state, parent = _status(int(name))
            if state not in (b"", b"Z", b"X"):
                parents[int(name)] = parent
    found: list[int] = []
    level = {ancestor}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level} - without
        found += level
    return found


class Server:
    """Forks supervisors.

    Args:
        control: The socket that the worker writes to.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._supervisors: dict[int, int] = {}
        """Their responses by process, which end when nothing is left of a task."""
        self._killed: list[int] = []
        """The responses of supervisors that were killed, whose processes may still run."""
        # Ctrl-C is for the worker, which decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The processes of a supervisor that was killed become children of this one.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._woken = _woken_by_children()

    def run(self) -> None:
        """Serve until the worker closes its end of the socket, or dies; then kill everything."""
        control = self._control.fileno()
        while True:
            ready, _, _ = select.select([control, self._woken], [], [], _AGAIN_SECONDS if self._killed else None)
            _empty(self._woken)
            self._collect()
            if control in ready:
                message, descriptors, _, _ = socket.recv_fds(self._control, 1, 3)
                if not message:
                    break
                self._fork(*descriptors)
        # Supervisors do that by themselves unless they are stopped.
        while found := descendants(os.getpid()):
            _kill(found)
            select.select([self._woken], [], [], _AGAIN_SECONDS)
            _empty(self._woken)

    def _fork(self, requests: int, responses: int, output: int) -> None:
        for each in (requests, responses, output):
            # Unlike others in Python, those from a socket are inherited, and tasks could answer for the supervisor.
            os.set_inheritable(each, False)
        pid = os.fork()
        if pid == 0:
            self._control.close()
            os.setsid()
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            for each in (*self._supervisors.values(), *self._killed):
                os.close(each)
            Supervisor(requests, responses).run()
            os._exit(0)
        self._supervisors[pid] = responses
        os.close(requests)
        os.close(output)

    def _collect(self) -> None:
        """Collect the processes that have ended, and kill those that a killed supervisor has left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            responses = self._supervisors.pop(pid, None)
            if responses is not None and status == 0:
                os.close(responses)
            elif responses is not None:
                self._killed.append(responses)
        if self._killed:
            left = descendants(os.getpid(), frozenset(self._supervisors))
            _kill(left)
            if not left:
                while self._killed:
                    os.close(self._killed.pop())


if __name__ == "__main__":
    Server(socket.socket(fileno=int(sys.argv[1]))).run()
