"""Conversions of strings and base64, which `taskcluster.utils` re-exports."""

from __future__ import annotations

from base64 import b64encode

__all__ = ["encodeStringForB64Header", "makeB64UrlSafe", "makeB64UrlUnsafe", "toStr"]


def toStr(obj: str | bytes, encoding: str = "utf-8") -> str:
    """Return a string unchanged, and bytes decoded."""
    return obj.decode(encoding) if isinstance(obj, bytes) else obj


def makeB64UrlSafe(b64str: str | bytes) -> bytes:
    """Return base64 in its URL-safe alphabet, as bytes."""
    return toStr(b64str).replace("+", "-").replace("/", "_").encode("ascii")


def makeB64UrlUnsafe(b64str: str | bytes) -> bytes:
    """Return URL-safe base64 in the standard alphabet, as bytes."""
    return toStr(b64str).replace("-", "+").replace("_", "/").encode("ascii")


def encodeStringForB64Header(s: str | bytes) -> bytes:
    """Return base64 on one line, valid in a header, as bytes."""
    return b64encode(s.encode() if isinstance(s, str) else s)
