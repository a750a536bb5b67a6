"""The object service."""
