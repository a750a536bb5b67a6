"""Imported when DEBUG_TASKCLUSTER_CLIENT is set: the client's log at DEBUG, on standard error if nobody handles it."""

from __future__ import annotations

import logging

log = logging.getLogger("taskcluster")
log.setLevel(logging.DEBUG)
if not log.handlers:
    log.addHandler(logging.StreamHandler())
