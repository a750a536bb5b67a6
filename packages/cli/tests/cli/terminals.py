"""The command on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

pty = pytest.importorskip("pty")


class Terminal:
    """A process of the command whose streams are a terminal."""

    def __init__(self, arguments: Sequence[str], columns: int, environ: dict[str, str]) -> None:
        import fcntl
        import termios

        self._ours, theirs = pty.openpty()
        self.resize(columns)
        self.environ = {**os.environ, "TERM": "xterm-256color", **environ}
        self.environ.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "taskcluster_cli", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.text = ""

    def resize(self, columns: int) -> None:
        import fcntl
        import termios

        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def write(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def read_until(self, part: str) -> str:
        """Return what is on the screen when `part` has appeared."""
        while part not in self.text:
            if not self._read():
                raise AssertionError(f"{part!r} did not appear: {self.text!r}")
        return self.text

    def end(self) -> tuple[int, str]:
        """Return the exit status and everything that was on the screen."""
        while self._read():
            pass
        return self.process.wait(60), self.text.replace("\r\n", "\n")

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], 60)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            # Linux reports the end of a terminal as an error.
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(*arguments: str, columns: int = 80, **environ: str) -> Iterator[Terminal]:
    made = Terminal(arguments, columns, environ)
    try:
        yield made
    finally:
        made.close()


def screen(*arguments: str, columns: int = 80, **environ: str) -> tuple[int, str]:
    """Run the command and return its exit status and what it printed."""
    with terminal(*arguments, columns=columns, **environ) as made:
        return made.end()
