"""The error of invalid input."""

from __future__ import annotations

__all__ = ["RunError"]


class RunError(Exception):
    """The arguments, the checkout or its `.taskcluster.yml` are invalid."""
