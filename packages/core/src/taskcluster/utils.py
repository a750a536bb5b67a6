"""The names that programs import from `taskcluster.utils`; each lives in a module named for what it does."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

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
    "dumpJson",
    "encodeStringForB64Header",
    "fromNow",
    "fromNowJSON",
    "isExpired",
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


def scope_match(assumed_scopes: Iterable[str], required_scope_sets: Iterable[Iterable[str]]) -> bool:
    """Deprecated: the old name of `scopeMatch`."""
    warnings.warn("taskcluster.utils.scope_match is deprecated: use scopeMatch", DeprecationWarning, stacklevel=2)
    return scopeMatch(assumed_scopes, required_scope_sets)
