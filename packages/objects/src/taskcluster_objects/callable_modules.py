"""Callable modules, for `taskcluster.upload(…)`."""

from __future__ import annotations

import types
from typing import Any

__all__ = ["CallableDownload", "CallableUpload"]


class CallableUpload(types.ModuleType):
    """A module that calls its function `upload` when it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.upload(*args, **kwargs)


class CallableDownload(types.ModuleType):
    """A module that calls its function `download` when it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.download(*args, **kwargs)
