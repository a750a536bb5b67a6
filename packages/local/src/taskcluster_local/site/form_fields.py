"""Read the fields of forms: dates, lists, and documents in YAML or JSON."""

from __future__ import annotations

import codecs
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from taskcluster.timestamps import fromNow

from ..encoding import MOST_VALUES, dumps, loads, without_surrogates
from ..errors import ApiError
from ..isolation import isolated
from ..timestamps import normal, to_wire
from ..yaml_core import YamlError, load

__all__ = ["LONGEST_DATE", "date", "document", "fields_of", "lines", "parsed", "refusal"]

LONGEST_DATE = 100
"""The longest relative date that is parsed: the time that it takes grows with the square of its length."""
_MOST_FIELDS = 1000
_PIECE = 8 * 1024


def refusal(failure: ApiError | None) -> dict[str, Any]:
    """Return the variables of a page that shows why its form was refused, if it was."""
    return {"failure": failure.message, "status_code": failure.status} if failure else {"failure": ""}


def fields_of(body: bytes) -> dict[str, str]:
    """Return the fields of a submitted form, in which line ends are line feeds.

    Raises:
        ApiError: It has too many fields (MalformedPayload).
    """
    if body.count(b"&") >= _MOST_FIELDS:
        raise ApiError("MalformedPayload", f"The form has more than {_MOST_FIELDS} fields.")
    pairs = (field.partition(b"=") for field in body.split(b"&") if field)
    return {_unquoted(name): _unquoted(value).replace("\r\n", "\n") for name, _, value in pairs}


def _unquoted(value: bytes) -> str:
    # In pieces, because decoding holds the GIL: other requests would wait. Not within an escape sequence.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces: list[str] = []
    start = 0
    while start < len(value):
        end = start + _PIECE
        last = value.rfind(b"%", end - 2, end)
        end = end if last == -1 else last
        pieces.append(decoder.decode(unquote_to_bytes(value[start:end].replace(b"+", b" "))))
        start = end
    return "".join([*pieces, decoder.decode(b"", True)])


def lines(value: str) -> list[str]:
    """Return the lines that are not empty, without surrounding spaces and without duplicates.

    Raises:
        ApiError: There are more than a request may have (InputError).
    """
    found = list(dict.fromkeys(line.strip() for line in value.split("\n") if line.strip()))
    if len(found) > MOST_VALUES:
        raise ApiError("InputError", f"There are more than {MOST_VALUES} lines.")
    return found


def date(value: str, now: datetime) -> str:
    """Return a date from its ISO form, or from its distance to `now`, for example `2 days`.

    Raises:
        ApiError: It is neither (InputError).
    """
    if len(value) > LONGEST_DATE:
        raise ApiError("InputError", "Invalid date, write 2030-01-01T12:00:00Z or 2 days: it is too long")
    try:
        return normal(value.strip())
    except ValueError:
        pass
    try:
        if not value.strip():
            raise ValueError("it is empty")
        return to_wire(fromNow(value, now))
    except ValueError as error:
        raise ApiError("InputError", f"Invalid date, write 2030-01-01T12:00:00Z or 2 days: {error}") from None


async def document(value: str) -> Any:
    """Return the value of a document in YAML or JSON; None if it is empty.

    Raises:
        ApiError: It is neither, or has no equivalent in JSON (InputError).
    """
    return await isolated(parsed, value)


def parsed(value: str) -> Any:
    """Do what `document` does, in this process."""
    try:
        # Not all JSON is YAML, for example with tabs, and loading it as YAML takes a hundred times longer.
        found = loads(value)
    except ValueError:
        found = _from_yaml(value)
    return without_surrogates(found)


def _from_yaml(value: str) -> Any:
    try:
        # YAML can have values that JSON lacks, such as infinity.
        return loads(dumps(load(value)))
    except YamlError as error:
        raise ApiError("InputError", f"This is neither YAML nor JSON: {error}") from None
    except ValueError as error:
        raise ApiError("InputError", f"This has no equivalent in JSON: {error}") from None
