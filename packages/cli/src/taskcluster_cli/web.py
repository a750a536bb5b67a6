"""Open pages of a deployment."""

from __future__ import annotations

from urllib.parse import quote

from .app import App

__all__ = ["show_page"]

_SECONDS = 3.0
"""How long to wait for the start of the browser. Some run in the foreground until they are closed."""


def show_page(app: App, *parts: str, address: str | None = None) -> None:
    """Open a page in a browser if there is one, and print its address.

    Args:
        app: The run of the command.
        *parts: The parts of its path; a slash within one is escaped.
        address: As for `App.deployment`.
    """
    from .signing_in import has_browser, open_browser

    page = "/".join([app.deployment(address).root_url, *(quote(part, safe="") for part in parts)])
    app.out.document(page, lambda: app.out.line(page))
    if app.out.is_terminal and has_browser(app.environ):
        open_browser(page).join(_SECONDS)
