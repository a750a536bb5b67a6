"""Unpack compressed files and archives. Nothing is written outside the directory of an archive."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

from .resolution import TaskFailed

__all__ = ["unavailable", "unpack_archive", "unpack_file"]

_CHUNK = 1024 * 1024
_BUILT_IN = ("bz2", "gz", "xz", "zz")
_CONVERT = ("bsdtar", "-cf", "-", "@-")
_COMMANDS = {
    "7z": _CONVERT,
    "br": ("brotli", "-dc"),
    "lz": ("lzip", "-dc"),
    "lz4": ("lz4", "-dc"),
    "rar": _CONVERT,
    "zst": ("zstd", "-dc"),
}
"""Commands that unpack what Python cannot, from stdin to stdout. Archives become tar archives."""


def unavailable(kind: str) -> str | None:
    """Return why a format cannot be unpacked on this machine, or None."""
    compression = kind.removeprefix("tar.")
    if kind in ("tar", "zip") or compression in _BUILT_IN:
        return None
    if compression not in _COMMANDS:
        return f"the format {kind} is not supported by this worker"
    program = _COMMANDS[compression][0]
    return None if shutil.which(program) else f"the format {kind} needs the program {program} on this worker"


def unpack_file(source: Path, kind: str, target: Path, stop: threading.Event) -> None:
    """Unpack a compressed file.

    Raises:
        TaskFailed: It is damaged.
    """
    with _damaged(source, kind), _unpacked(source, kind, stop) as data, target.open("wb") as file:
        while (chunk := data.read(_CHUNK)) and not stop.is_set():
            file.write(chunk)


def unpack_archive(source: Path, kind: str, target: Path, stop: threading.Event) -> None:
    """Unpack an archive into a directory.

    Raises:
        TaskFailed: It is damaged, or has members that lead out of the directory.
    """
    with _damaged(source, kind):
        if kind == "zip":
            _unzip(source, target, stop)
        elif not hasattr(tarfile, "data_filter"):
            raise TaskFailed("this Python cannot unpack archives safely: update it (3.10.12, 3.11.4 or newer)")
        elif kind == "tar":
            with source.open("rb") as data:
                _untar(data, target, stop)
        else:
            with _unpacked(source, kind.removeprefix("tar."), stop) as data:
                _untar(data, target, stop)


def _untar(data: IO[bytes], target: Path, stop: threading.Event) -> None:
    # A stream, because output of programs cannot seek.
    with tarfile.open(fileobj=data, mode="r|") as archive:
        for member in archive:
            if stop.is_set():
                return
            archive.extract(member, target, filter="data")
        # Lets programs end.
        while data.read(_CHUNK) and not stop.is_set():
            pass


def _unzip(source: Path, target: Path, stop: threading.Event) -> None:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if stop.is_set():
                return
            path = PurePosixPath(member.filename)
            mode = member.external_attr >> 16
            if path.is_absolute() or ".." in path.parts:
                raise TaskFailed(f"the archive has a member that leads out of its directory: {member.filename!r}")
            if stat.S_ISLNK(mode):
                raise TaskFailed(f"the archive has a symbolic link, which zip archives may not: {member.filename!r}")
            extracted = archive.extract(member, target)
            if mode & 0o777 and not member.is_dir():
                os.chmod(extracted, mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR)


@contextlib.contextmanager
def _damaged(source: Path, kind: str) -> Generator[None, None, None]:
    """Turn the exceptions of broken data into TaskFailed."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise TaskFailed(f"cannot unpack it as {kind}: {error}") from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise TaskFailed(f"cannot unpack it as {kind}: {error}") from error


@contextlib.contextmanager
def _unpacked(source: Path, kind: str, stop: threading.Event) -> Generator[IO[bytes], None, None]:
    """Yield the unpacked data of a compressed file, which is read to its end unless it is to stop."""
    if kind in ("gz", "bz2", "xz"):
        opener: Any = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[kind]
        with opener(source, "rb") as data:
            yield data
    elif kind == "zz":
        with source.open("rb") as file:
            yield cast("IO[bytes]", _Zlib(file))
    else:
        command = _COMMANDS[kind]
        # With ASCII only, bsdtar cannot convert the names of files.
        environ = {**os.environ, "LC_ALL": "C.UTF-8"}
        with (
            source.open("rb") as file,
            # Not a pipe, which messages could fill while nobody reads them.
            tempfile.TemporaryFile() as messages,
            subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=messages, env=environ) as process,
        ):
            assert process.stdout is not None
            try:
                yield process.stdout
            except BaseException:
                process.kill()
                raise
            if stop.is_set():
                process.kill()
                return
            if process.wait() != 0:
                messages.seek(0)
                said = messages.read(_CHUNK).decode("utf-8", "replace").strip()
                raise TaskFailed(f"{command[0]}: {said or f'exit status {process.returncode}'}")


class _Zlib:
    """Reads the data of a zlib stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacking = zlib.decompressobj()
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, `size` of them unless the data ends."""
        while len(self._rest) < size and not self._unpacking.eof:
            packed = self._unpacking.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                raise EOFError("the data ends too early")
            self._rest += self._unpacking.decompress(packed, _CHUNK)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
