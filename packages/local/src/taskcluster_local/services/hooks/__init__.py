"""The hooks service."""
