"""Check triggerSchemas, and payloads against them."""

from __future__ import annotations

import re
from typing import Any

from referencing.exceptions import Unresolvable

from ...errors import ApiError
from ...isolation import isolated
from ...validation import Schema

__all__ = ["check_payload", "check_payload_here", "check_schema", "check_schema_here"]


async def check_schema(schema: dict[str, Any]) -> None:
    """Raise ApiError (InputError) unless a triggerSchema is a JSON schema."""
    await isolated(check_schema_here, schema)


async def check_payload(schema: dict[str, Any], payload: Any) -> None:
    """Raise ApiError (InputError) unless `payload` matches a triggerSchema."""
    await isolated(check_payload_here, schema, payload)


def check_schema_here(schema: dict[str, Any]) -> None:
    """Do what `check_schema` does, in this process."""
    _schema(schema)


def _schema(schema: dict[str, Any]) -> Schema:
    try:
        return Schema.given(schema)
    except ValueError as error:
        raise ApiError("InputError", f"triggerSchema is not a valid JSON schema: {error}") from None


def check_payload_here(schema: dict[str, Any], payload: Any) -> None:
    """Do what `check_payload` does, in this process."""
    try:
        errors = _schema(schema).errors(payload)
    # Invalid references and patterns are only found when they are used.
    except (Unresolvable, RecursionError, re.error) as error:
        raise ApiError("InputError", f"the hook's triggerSchema is invalid: {error}") from None
    if errors:
        raise ApiError("InputError", "\n".join(errors))
