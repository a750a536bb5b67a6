"""Why a deployment may have rejected credentials: another certificate in the environment, or the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from .deployment import Deployment, certificate_expiry
from .text import duration

__all__ = ["reasons"]

_SKEW = 60.0
"""Seconds by which a clock may differ without being a likely reason."""
_VARIABLE = "TASKCLUSTER_CERTIFICATE"


def reasons(used: Deployment, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield likely reasons why the credentials of a deployment were rejected.

    Args:
        used: The deployment and the credentials.
        environ: The environment.
    """
    if used.credentials_source == "environment" and environ.get(_VARIABLE):
        yield f"{_VARIABLE} is set{_expiry(environ[_VARIABLE])}; permanent credentials have none: unset {_VARIABLE}"
    skew = _skew(used.root_url)
    if skew is not None and abs(skew) > _SKEW:
        side = "ahead of" if skew > 0 else "behind"
        yield f"the clock of this machine is {duration(abs(skew))} {side} the deployment's: set it"


def _expiry(certificate: str) -> str:
    expiry = certificate_expiry(certificate)
    if expiry is None:
        return ", and is not valid"
    is_over = expiry < datetime.now(timezone.utc)
    return f", and expired at {expiry.isoformat(timespec='seconds')}" if is_over else ""


def _skew(root_url: str) -> float | None:
    """Return the seconds by which this machine's clock is ahead of a deployment's, if that can be found out."""
    import time
    from email.utils import parsedate_to_datetime

    import taskcluster
    from taskcluster.exceptions import TaskclusterFailure

    options = {"rootUrl": root_url, "maxRetries": 0, "timeout": 5}
    try:
        with taskcluster.Auth(options) as auth:
            response = auth.get_response(auth.ping)
        return time.time() - parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (TaskclusterFailure, KeyError, ValueError):
        return None
