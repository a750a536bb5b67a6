"""Dicts that keep what is secret in them out of their repr, and so out of logs and tracebacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ClientOptions", "SecretValues"]


class _Redacted(dict[str, Any]):
    """A dict whose copies, and what it is merged into, show no more than it does."""

    def copy(self) -> Self:
        return type(self)(self)

    def __or__(self, other: Any) -> Any:
        return type(self)({**self, **other}) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return type(self)({**other, **self}) if isinstance(other, dict) else NotImplemented


class SecretValues(_Redacted):
    """A dict whose repr shows its keys only."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.fromkeys(self, '…')!r})"


class ClientOptions(_Redacted):
    """A client's options, as text where they were given as text, whose repr shows no secret."""

    def __repr__(self) -> str:
        shown = dict(self)
        if shown.get("credentials"):
            shown["credentials"] = SecretValues(shown["credentials"])
        return f"{type(self).__name__}({shown!r})"
