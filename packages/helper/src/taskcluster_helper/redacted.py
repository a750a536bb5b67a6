"""Dicts that keep what is secret in them out of their repr, and so out of logs and tracebacks."""

from __future__ import annotations

from typing import Any

__all__ = ["ClientOptions", "SecretValues"]


class SecretValues(dict[str, Any]):
    """A dict whose repr shows its keys only."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.fromkeys(self, '…')!r})"


class ClientOptions(dict[str, Any]):
    """A client's options, as text where they were given as text, whose repr shows no secret."""

    def __repr__(self) -> str:
        shown = dict(self)
        if shown.get("credentials"):
            shown["credentials"] = SecretValues(shown["credentials"])
        return f"{type(self).__name__}({shown!r})"
