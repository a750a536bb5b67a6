"""Keeps URLs and exceptions of our requests out of urllib3's logs: a path may hold a token, a query a signature."""

from __future__ import annotations

import logging
import threading

from ..causes import describe
from ..redacted import HIDDEN

__all__ = ["redacted_logs"]


class _RedactedLogs(logging.Filter):
    """Redacts what a thread logs within this context manager; requests of the rest of the program are not changed."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    def __enter__(self) -> None:
        # Contexts nest if producing a request's body sends another request.
        self._thread.depth = getattr(self._thread, "depth", 0) + 1

    def __exit__(self, *exc_info: object) -> None:
        self._thread.depth -= 1

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(self._thread, "depth", 0) and isinstance(record.args, tuple):
            record.args = tuple(map(_redacted, record.args))
            record.exc_info = None
        return True


def _redacted(value: object) -> object:
    if isinstance(value, BaseException):
        return describe(value)
    return HIDDEN if isinstance(value, str) and (value.startswith("/") or "://" in value) else value


redacted_logs = _RedactedLogs()
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(redacted_logs)
