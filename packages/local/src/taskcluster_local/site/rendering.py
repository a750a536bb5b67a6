"""Render templates, with everything escaped."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup, escape

from ..encoding import pretty
from .page import name_path, segment

__all__ = ["error_note", "linked", "load_templates", "render"]

_CHUNK = 16 * 1024
_templates: dict[str, jinja2.Template] = {}
_LINK = re.compile(
    r"https?://[^\s<>\"'`\\]+"
    r"|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw](?![A-Za-z0-9_-])"
)
_TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])|[\x00-\x08\x0b-\x1f\x7f]")
"""Escape sequences and control characters."""


def linked(text: str) -> Markup:
    """Return a line of a log, escaped, with links for addresses and taskIds, without escape sequences."""
    plain, end = _TERMINAL.sub("", text), 0
    made: list[str] = []
    for found in _LINK.finditer(plain):
        # Punctuation after an address belongs to the sentence.
        shown = found[0].rstrip(".,;:!?)]}") if "://" in found[0] else found[0]
        target = shown if "://" in shown else f"/tasks/{shown}"
        before = escape(plain[end : found.start()])
        made.append(f'{before}<a rel="noreferrer" href="{escape(target)}">{escape(shown)}</a>')
        end = found.start() + len(shown)
    # Not by Markup's own methods, which take ten times as long.
    return Markup("".join([*made, escape(plain[end:])]))


def _is_web(value: Any) -> bool:
    """Return whether a URL can be linked: not `javascript:` and the like."""
    try:
        return urlsplit(str(value)).scheme in ("http", "https")
    except ValueError:
        return False


def _when(text: str | None) -> Markup:
    """Return a date for people and for machines."""
    if not text:
        return Markup("–")
    shown = text.replace("T", " ").partition(".")[0].removesuffix("Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(text, shown)


def _size(number: int) -> Markup:
    """Return a number of bytes for people and for machines."""
    shown, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if shown < 1024:
            break
        shown, unit = shown / 1024, larger
    return Markup('<data value="{}">{} {}</data>').format(number, f"{shown:.1f}" if unit != "B" else number, unit)


async def _pretty(value: Any) -> str:
    """Return a value as JSON. In a thread, because it can have megabytes."""
    return (await asyncio.to_thread(pretty, value)).decode()


def _span(seconds: float) -> str:
    """Return a duration for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("taskcluster_local.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        enable_async=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        segment=segment, name_path=name_path, when=_when, size=_size, pretty=_pretty, span=_span, linked=linked
    )
    environment.tests["web_link"] = _is_web
    return environment


def load_templates(*names: str) -> None:
    """Compile templates, which takes some time."""
    for name in names:
        _templates[name] = _environment().get_template(name)


async def render(template: str, variables: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
    """Yield a page in chunks. Variables can be asynchronous iterators, which are read as the page is sent."""
    gathered: list[str] = []
    size = 0
    if template not in _templates:
        await asyncio.to_thread(load_templates, template)
    pieces = _templates[template].generate_async(variables)
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            # A template ends the part that can be sent at once with this character.
            is_end = "\f" in piece
            gathered.append(piece.replace("\f", ""))
            size += len(piece)
            if is_end or size > _CHUNK:
                yield "".join(gathered).encode(errors="replace")
                gathered, size = [], 0
                # Rendering and sending may never wait for anything.
                await asyncio.sleep(0)
    yield "".join(gathered).encode(errors="replace")


def error_note(message: str) -> bytes:
    """Return what ends a page whose rest cannot be rendered."""
    return f'<p class="error" role="alert">{escape(message)}</p>'.encode()
