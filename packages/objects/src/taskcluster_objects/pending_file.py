"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from .bodies import FileWriter

__all__ = ["PendingFile"]


class PendingFile:
    """A file that takes the place of `path` when it is kept; until then it lies beside it under another name.

    Args:
        path: Where it is to be; the directory must be there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        # Names are limited in bytes, which may not end within a character.
        name = os.fsencode(self._path.name)[:64].decode("utf-8", "ignore")
        self._beside = self._path.parent / f".{name}.{secrets.token_hex(8)}.part"
        self._file: BinaryIO | None = None
        self._is_begun = False

    def make(self) -> None:
        """Make it beside its place; raise OSError where that cannot be."""
        try:
            old = self._path.stat().st_mode
        except FileNotFoundError:
            old = None
        if old is not None and stat.S_ISDIR(old):
            raise IsADirectoryError(f"cannot download to {self._path}: it is a directory")
        if old is not None and not stat.S_ISREG(old):
            raise FileExistsError(f"cannot download to {self._path}: it is no regular file; open it and pass the file")
        # Not by tempfile, whose files are closed to others: this one is to be as any new file of the user's.
        mode = 0o666 if old is None else 0o600
        self._file = open(self._beside, "xb", buffering=0, opener=lambda path, flags: os.open(path, flags, mode))  # noqa: SIM115
        if old is not None:
            # Whoever could not read the old one cannot read this, at no time.
            os.chmod(self._beside, stat.S_IMODE(old) & 0o777)

    def writer(self) -> FileWriter:
        """Return a writer that begins at the first byte."""
        assert self._file is not None
        if self._is_begun:
            self._file.seek(0)
            self._file.truncate()
        self._is_begun = True
        return FileWriter(self._file)

    def keep(self) -> None:
        """Put it in its place."""
        assert self._file is not None
        self._file.close()
        os.replace(self._beside, self._path)
        self._file = None

    def drop(self) -> None:
        """Remove it, unless it was kept or never made."""
        if self._file is not None:
            self._file.close()
            self._beside.unlink(missing_ok=True)
