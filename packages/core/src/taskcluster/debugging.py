"""Set the client's logger to DEBUG, with a handler for standard error if it has none.

Imported if DEBUG_TASKCLUSTER_CLIENT is set.
"""

from __future__ import annotations

import logging

log = logging.getLogger("taskcluster")
log.setLevel(logging.DEBUG)
if not log.handlers:
    log.addHandler(logging.StreamHandler())
