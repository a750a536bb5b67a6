"""The web-server service."""
