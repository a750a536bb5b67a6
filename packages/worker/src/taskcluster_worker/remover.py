"""Removes the container of a run when its worker says so, when the worker ends, or when its claim does.

A worker starts this file with Python's options -I and -S for each container. The arguments are the command that removes
it. Lines of the input are times of `time.monotonic()`: the container is removed at the last of them. An empty line, and
the end of the input, mean now.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time


def main(remove: list[str]) -> None:
    """Remove a container when the time is up, and again at the end: it may have been created meanwhile."""
    end: float | None = None
    lines: list[bytes] = []
    rest = b""
    while b"" not in lines:
        left = None if end is None else max(0.0, end - time.monotonic())
        ready, _, _ = select.select([0], [], [], left)
        if not ready:
            subprocess.run(remove, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = None
            continue
        data = os.read(0, 4096)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        end = next((float(line) for line in reversed(lines) if line), end)
    silence = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(silence, each)
    os.execvp(remove[0], remove)


if __name__ == "__main__":
    main(sys.argv[1:])
