"""The version of this distribution. Importing it checks that core has the same."""

from __future__ import annotations

from taskcluster.installation import require

VERSION = "113.2.0"

require("taskcluster_worker", VERSION)
