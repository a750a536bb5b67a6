"""The names that programs import from `taskcluster.utils`, re-exported from modules that are named by subject."""

from __future__ import annotations

import importlib
import logging
import sys
import types
import warnings
from collections.abc import Iterable
from typing import Any

from . import exceptions
from .credentials import isExpired
from .encodings import encodeStringForB64Header, makeB64UrlSafe, makeB64UrlUnsafe, toStr
from .environment import optionsFromEnvironment
from .payloads import dumpJson
from .plain_http import calculateSleepTime, makeHttpRequest, makeSingleHttpRequest, putFile
from .retries import DELAY_FACTOR, MAX_DELAY, MAX_RETRIES, RANDOMIZATION_FACTOR
from .scopes import scopeMatch
from .slugs import slugId, stableSlugId
from .timestamps import fromNow, fromNowJSON, stringDate

__all__ = [
    "DELAY_FACTOR",
    "MAX_DELAY",
    "MAX_RETRIES",
    "RANDOMIZATION_FACTOR",
    "calculateSleepTime",
    "decryptMessage",
    "dumpJson",
    "encodeStringForB64Header",
    "encryptEnvVar",
    "exceptions",
    "fromNow",
    "fromNowJSON",
    "isExpired",
    "log",
    "makeB64UrlSafe",
    "makeB64UrlUnsafe",
    "makeHttpRequest",
    "makeSingleHttpRequest",
    "optionsFromEnvironment",
    "putFile",
    "scopeMatch",
    "scope_match",
    "slugId",
    "stableSlugId",
    "stringDate",
    "toStr",
]


def __dir__() -> list[str]:
    return __all__


log = logging.getLogger(__name__)


def scope_match(assumed_scopes: Iterable[str], required_scope_sets: Iterable[Iterable[str]]) -> bool:
    """Deprecated: the old name of `scopeMatch`."""
    # UserWarning as in the published client: a program may turn DeprecationWarning into errors.
    warnings.warn("taskcluster.utils.scope_match is deprecated: use scopeMatch", UserWarning, stacklevel=2)
    return scopeMatch(assumed_scopes, required_scope_sets)


def decryptMessage(message: Any, privateKey: Any) -> Any:
    """Raise TaskclusterFailure: encrypted environment variables are no longer supported."""
    raise exceptions.TaskclusterFailure("Decryption is no longer supported: keep values that are secret in a secret")


def encryptEnvVar(taskId: Any, startTime: Any, endTime: Any, name: Any, value: Any, keyFile: Any) -> Any:
    """Raise TaskclusterFailure: encrypted environment variables are no longer supported."""
    raise exceptions.TaskclusterFailure(
        "Encrypted environment variables are no longer supported: keep values that are secret in a secret"
    )


_HOMES = {
    name: value.__module__
    for name, value in list(globals().items())
    if name in __all__ and hasattr(value, "__module__")
}
"""The module that each function is in, by its name."""
_MODULES = ("base64", "datetime", "json", "os", "random", "re", "requests", "slugid", "time")
"""Modules that tests of programs reach through this one to replace functions, e.g. `taskcluster.utils.time.sleep`."""


class _Replaceable(types.ModuleType):
    """Replaces a function also in its own module, so that the functions there call the replacement."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _HOMES and _HOMES[name] != __name__:
            setattr(sys.modules[_HOMES[name]], name, value)


sys.modules[__name__].__class__ = _Replaceable


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
