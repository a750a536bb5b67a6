"""Keep secrets out of stack traces."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["masked"]

_SIGNATURE = re.compile(r"((?:bewit|[Ss]ignature|X-Amz-[A-Za-z-]+|accessToken)=)[^&\s'\"]+")
_VARIABLES = ("TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_CERTIFICATE")


def masked(text: str, environ: Mapping[str, str]) -> str:
    """Return text without the secrets of the environment and the signatures of URLs."""
    for name in _VARIABLES:
        if environ.get(name):
            text = text.replace(environ[name], "…")
    return _SIGNATURE.sub(r"\1…", text)
