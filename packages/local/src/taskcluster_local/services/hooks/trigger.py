"""What may be sent to fire a hook: its triggerSchema."""

from __future__ import annotations

import re
from typing import Any

from referencing.exceptions import Unresolvable

from ...errors import ApiError
from ...validation import Schema

__all__ = ["check_payload", "check_schema"]


def check_schema(schema: dict[str, Any]) -> Schema:
    """Return a triggerSchema, ready for use, or raise ApiError if it is no JSON schema (InputError)."""
    try:
        return Schema.given(schema)
    except ValueError as error:
        raise ApiError("InputError", f"triggerSchema is not a valid JSON schema: {error}") from None


def check_payload(schema: dict[str, Any], payload: Any) -> None:
    """Raise ApiError unless `payload` is what a triggerSchema asks for (InputError)."""
    try:
        errors = check_schema(schema).errors(payload)
    # Of references and patterns only their use tells whether they are right.
    except (Unresolvable, RecursionError, re.error) as error:
        raise ApiError("InputError", f"the hook's triggerSchema cannot be used: {error}") from None
    if errors:
        raise ApiError("InputError", "\n".join(errors))
