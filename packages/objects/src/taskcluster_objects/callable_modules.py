"""Modules that can be called, as the documentation writes `taskcluster.upload(…)`."""

from __future__ import annotations

import types
from typing import Any

__all__ = ["CallableDownload", "CallableUpload"]


class CallableUpload(types.ModuleType):
    """A module whose call is that of its function `upload`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.upload(*args, **kwargs)


class CallableDownload(types.ModuleType):
    """A module whose call is that of its function `download`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.download(*args, **kwargs)
