"""Results in files: written beside the file, and moved to its name when they are complete."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Generator
from pathlib import Path

from .app import App
from .errors import FAILED, Failure
from .output import Output

__all__ = ["complete_file"]


@contextlib.contextmanager
def complete_file(app: App, name: str | None) -> Generator[None]:
    """Let a command print to a file, which keeps its old content if the command fails.

    Args:
        app: The run of the command.
        name: The file; None or `-` for stdout.
    """
    if name is None or name == "-":
        yield
        return
    path = Path(os.path.realpath(name))
    if path.exists() and not path.is_file():
        # A pipe or a device.
        with open(path, "w", encoding="utf-8") as file, _printing_to(app, file):
            yield
        return
    beside = path.with_name(f".{path.name[:64]}.{os.urandom(8).hex()}.part")
    try:
        with open(beside, "x", encoding="utf-8") as file, _printing_to(app, file):
            yield
        if path.exists():
            os.chmod(beside, path.stat().st_mode & 0o777)
        os.replace(beside, path)
    except FileNotFoundError as exc:
        raise Failure(f"cannot write {name}: {exc.strerror}", FAILED) from None
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _printing_to(app: App, file: io.TextIOWrapper) -> Generator[None]:
    before = app.out
    app.out = Output(file, terminal=False, colour=False, form=app.form, path=app.path)
    try:
        yield
        app.out.flush()
    finally:
        app.out = before
