"""The badge that shows the state of the latest build."""

from __future__ import annotations

__all__ = ["svg"]

_COLOURS = {
    "pending": "#9f6a00",
    "success": "#2a7d2e",
    "error": "#b3261e",
    "failure": "#b3261e",
    "cancelled": "#5f6368",
}
_UNKNOWN = "#5f6368"
_LABEL = "taskcluster"
_CHARACTER, _PADDING, _HEIGHT = 7, 6, 20


def svg(state: str | None) -> str:
    """Return the badge as SVG for the state of a build; None for no build."""
    shown = "no builds" if state is None else state
    left, right = (_CHARACTER * len(text) + 2 * _PADDING for text in (_LABEL, shown))
    colour = _UNKNOWN if state is None else _COLOURS[state]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img"'
        f' aria-label="{_LABEL}: {shown}">\n'
        f"<title>{_LABEL}: {shown}</title>\n"
        f'<rect width="{left}" height="{_HEIGHT}" fill="#333"/>\n'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{colour}"/>\n'
        '<g fill="#fff" font-family="monospace" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{_LABEL}</text><text x="{left + right / 2:g}" y="14">{shown}</text></g>\n'
        "</svg>\n"
    )
