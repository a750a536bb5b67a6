"""Files that appear at their path only when they are complete."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from .bodies import OpenFileWriter

__all__ = ["PendingFile"]


class PendingFile:
    """A file that replaces `path` when it is kept; until then it has another name in the same directory.

    Args:
        path: Its final path. The directory must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        # The length of names is limited in bytes.
        name = os.fsencode(self._path.name)[:64].decode("utf-8", "ignore")
        self._beside = self._path.parent / f".{name}.{secrets.token_hex(8)}.part"
        self._file: BinaryIO | None = None
        self._is_begun = False

    def make(self) -> None:
        """Create it; raise OSError if that fails."""
        try:
            old = self._path.stat().st_mode
        except FileNotFoundError:
            old = None
        if old is not None and stat.S_ISDIR(old):
            raise IsADirectoryError(f"cannot download to {self._path}: it is a directory")
        if old is not None and not stat.S_ISREG(old):
            raise FileExistsError(f"cannot download to {self._path}: not a regular file; open it and pass the file")
        # Not tempfile, which restricts permissions: this file gets those of any new file.
        mode = 0o666 if old is None else 0o600
        self._file = open(self._beside, "xb", buffering=0, opener=lambda path, flags: os.open(path, flags, mode))  # noqa: SIM115
        if old is not None:
            # At no time can anyone read it who could not read the old file.
            os.chmod(self._beside, stat.S_IMODE(old) & 0o777)

    def writer(self) -> OpenFileWriter:
        """Return a writer from the first byte."""
        assert self._file is not None
        if self._is_begun:
            self._file.seek(0)
            self._file.truncate()
        self._is_begun = True
        return OpenFileWriter(self._file)

    def keep(self) -> None:
        """Move it to its path."""
        assert self._file is not None
        self._file.close()
        os.replace(self._beside, self._path)
        self._file = None

    def drop(self) -> None:
        """Remove it, unless it was kept or never created."""
        if self._file is not None:
            self._file.close()
            self._beside.unlink(missing_ok=True)
