"""Record `taskcluster-local run` in examples/ci-taskgraph as the image that the README shows.

    PATH=~/taskgraph/bin:$PATH python tools/record_run.py

Needs `taskcluster-local` and its worker in this Python, and `taskgraph` on the PATH (examples/ci-taskgraph/README.md).
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["IMAGE", "Frame", "as_svg", "record", "shown"]

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "ci-taskgraph"
IMAGE = ROOT / "docs" / "images" / "run.svg"

_COLUMNS, _ROWS = 84, 24
_UPDATE = re.compile(r"(?:\x1b\[(\d+)A)?\r\x1b\[J")
_COLOUR = re.compile(r"\x1b\[(\d+)m")
_COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341"}
_WIDTH, _HEIGHT, _MARGIN = 8.4, 19, 16


class Frame(NamedTuple):
    """What the terminal shows from a time on."""

    seconds: float
    lines: list[str]


def record(directory: Path) -> list[Frame]:
    """Run the example in a copy, and return what the terminal shows.

    Args:
        directory: An empty directory.
    """
    checkout = directory / "example"
    shutil.copytree(EXAMPLE, checkout)
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "Say hello"]):
        subprocess.run([*git, *command], cwd=checkout, check=True)
    return list(_distinct(_frames(checkout)))


def _frames(checkout: Path) -> Iterator[Frame]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    program = "import sys; from taskcluster_local.cli import main; sys.exit(main())"
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    prompt = ["$ taskcluster-local run"]
    written = b""
    begun = time.monotonic()
    yield Frame(0, prompt)
    with subprocess.Popen(
        [sys.executable, "-c", program, "run"], cwd=checkout, stdout=theirs, env={**kept, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        while data := _read(ours):
            written += data
            # Only complete lines.
            if data.endswith(b"\n"):
                yield Frame(time.monotonic() - begun, [*prompt, *_lines(written.decode())])
        os.close(ours)
        if process.wait():
            sys.exit("the tasks of the example were not completed")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 20)
    except OSError:
        # The command has ended.
        return b""


def _lines(written: str) -> list[str]:
    """Return the lines on a terminal after some output: each update replaces the last lines."""
    found: list[str] = []
    parts = _UPDATE.split(written)
    for up, text in zip(parts[1::2], parts[2::2], strict=True):
        found = [*found[: len(found) - int(up or 0)], *text.splitlines()]
    return found


def _distinct(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield frames that differ in more than durations, and the last one."""
    before: list[str] = []
    latest = None
    for latest in frames:
        masked = shown(latest.lines)
        if masked != before:
            yield latest
            before, latest = masked, None
    if latest is not None:
        yield latest


def shown(lines: list[str]) -> list[str]:
    """Return lines without colours and without what differs between runs: commits and durations."""
    plain = [_COLOUR.sub("", line) for line in lines]
    return [re.sub(r"\b[0-9a-f]{12}\b", "COMMIT", re.sub(r" +(\d+m )?[\d.]+s\b", " TIME", line)) for line in plain]


def as_svg(frames: list[Frame]) -> str:
    """Return frames as an image that plays once. Programs that do not play it show the last frame."""
    rows = max(len(frame.lines) for frame in frames)
    width, height = round(_COLUMNS * _WIDTH + 2 * _MARGIN), rows * _HEIGHT + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14" fill="#e6edf3">',
        "<title>taskcluster-local run</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
    ]
    for frame, after in zip(frames, [*frames[1:], None], strict=True):
        begin = f'begin="{frame.seconds:.2f}s"'
        if after is None:
            parts += ["<g>", f'<set attributeName="visibility" to="hidden" begin="0s" end="{frame.seconds:.2f}s"/>']
        else:
            end = f'end="{after.seconds:.2f}s"'
            parts += ['<g visibility="hidden">', f'<set attributeName="visibility" to="visible" {begin} {end}/>']
        for number, line in enumerate(frame.lines):
            y = _MARGIN + (number + 1) * _HEIGHT - 5
            parts.append(f'<text x="{_MARGIN}" y="{y}" xml:space="preserve">{_spans(line)}</text>')
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _spans(line: str) -> str:
    """Return a line with colours as SVG."""
    first, *rest = _COLOUR.split(line)
    found = html.escape(first)
    for code, text in zip(rest[::2], rest[1::2], strict=True):
        escaped = html.escape(text)
        found += f'<tspan fill="{_COLOURS[code]}">{escaped}</tspan>' if code in _COLOURS else escaped
    return found


def main() -> None:
    """Write the image."""
    with tempfile.TemporaryDirectory() as directory:
        frames = record(Path(directory))
    IMAGE.parent.mkdir(exist_ok=True)
    IMAGE.write_text(as_svg(frames), "utf-8")


if __name__ == "__main__":
    main()
