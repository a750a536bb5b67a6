"""The worker-manager service."""
