"""A local Taskcluster deployment for development and tests."""

from .server import LocalTaskcluster

__all__ = ["LocalTaskcluster"]
