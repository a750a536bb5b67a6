"""Files that only their owner can read, replaced as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from .errors import FAILED, Failure

__all__ = ["exclusively", "is_readable_by_others", "read", "replace"]


def read(path: Path) -> str:
    """Return the content of a file, which is empty if there is no file.

    Raises:
        Failure: It cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise Failure(f"cannot read {path}: {reason}", FAILED) from None


def replace(path: Path, text: str, *, is_durable: bool = True) -> None:
    """Write a file that only its owner can read. At no time is there a part of it, and a failure leaves the old one.

    A symbolic link stays, and its target is replaced. A missing folder is created for the owner alone.

    Args:
        path: The file.
        text: Its new content.
        is_durable: Whether it must survive a crash of the machine.

    Raises:
        Failure: It cannot be written.
    """
    try:
        _replace(Path(os.path.realpath(path)), text, is_durable)
    except OSError as exc:
        raise Failure(f"cannot write {path}: {exc.strerror}", FAILED) from None


def _replace(path: Path, text: str, is_durable: bool) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def exclusively(path: Path) -> Generator[None]:
    """Let no other process change a file that this one reads and then replaces."""
    try:
        import fcntl
    except ImportError:
        # Windows: the last process wins.
        yield
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w", encoding="utf-8") as lock:
        os.chmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_readable_by_others(path: Path) -> bool:
    """Return whether others than the owner can read a file. Windows has no such modes."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & 0o077)
    except OSError:
        return False
