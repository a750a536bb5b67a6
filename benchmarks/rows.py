"""The rows of the table and their targets."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUILD_COLD", "LOAD_TYPES", "ROWS", "STARTS", "Row"]


@dataclass(frozen=True)
class Row:
    """A row of the table. Targets are factors: this client must be at least that many times as fast."""

    name: str
    title: str
    number: int
    """Repetitions per round."""
    over_published: float | None
    over_bare: float | None = None
    bare: str | None = None
    """The equivalent call of the plain library, if there is one."""


BUILD_COLD = "import taskcluster; taskcluster.Queue({'rootUrl': 'https://tc.example.com'}).buildUrl('status', 'abc')"
LOAD_TYPES = "import taskcluster_auth.types, taskcluster_queue.types, taskcluster_worker_manager.types"
"""The three largest type modules, which clients do not import."""

_READ_ENTRY_POINTS = "import importlib.metadata; importlib.metadata.entry_points(group='taskcluster')"
_LOADED_BEFORE = "import importlib.metadata, pluggy"
"""What importing the registry loaded when it took 1.3 times as long as this; now it takes at most 0.4 of that."""

STARTS = {
    Row("import", "`import taskcluster`, time added over bare python", 1, 4.0): {
        "ours": "import taskcluster",
        "published": "import taskcluster",
    },
    Row("registry", "`import taskcluster.registry`, time added over bare python", 1, None, 1.9, _LOADED_BEFORE): {
        "ours": "import taskcluster.registry",
        "bare": _LOADED_BEFORE,
    },
    Row(
        "cold",
        "import, build a Queue client and a URL, time added over bare python",
        1,
        2.0,
        bare="importlib.metadata.entry_points",
    ): {"ours": BUILD_COLD, "published": BUILD_COLD, "bare": _READ_ENTRY_POINTS},
}
"""Code that runs in a new interpreter, by contender."""

ROWS = (
    Row("build", "build a Queue client and a URL", 500, 2.5),
    Row("sync", "sync calls, loopback", 100, 3.5, 1.5, "requests.Session.get"),
    Row("tls", "sync calls over TLS, loopback", 30, 5.0, None, "requests.Session.get"),
    Row("sequential", "async calls one after another, shared session", 150, 1.6, 0.85, "aiohttp session.get"),
    Row("sessionless", "async calls one after another, without a session", 100, 1.7),
    Row("gathered", "async calls gathered, shared session", 300, 1.9, 0.85, "aiohttp session.get"),
    Row("create", "createTask, 1 MB payload by keyword", 4, 2.0, None, "requests.Session.put"),
    Row("sign", "signed URLs", 1000, 3.0),
)
"""Rows that workers repeat in one process."""
