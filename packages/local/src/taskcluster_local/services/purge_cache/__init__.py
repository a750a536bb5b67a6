"""The purge-cache service."""
